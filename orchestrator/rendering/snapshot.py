"""The peer snapshot beside the topology: refused here if the node would refuse to start with it.

With ledger peers on, a snapshot of another format, another network or too early a slot stops the node. Which
peers are in it is not looked at.
"""

from __future__ import annotations

import json

from orchestrator.errors import RenderFailed
from orchestrator.rendering.releases import NEW_PEER_SNAPSHOT, is_at_least


def check_peer_snapshot(text: str, release: str, magic: int, use_ledger_after_slot: int) -> None:
    """Raise RenderFailed unless a node of this release and network starts with this snapshot."""
    try:
        snapshot = json.loads(text)
    except ValueError as error:
        raise _refused(f"is no JSON: {error}") from error
    if not isinstance(snapshot, dict) or "bigLedgerPools" not in snapshot:
        raise _refused("has no bigLedgerPools")
    new_format = "NetworkMagic" in snapshot
    if new_format != is_at_least(release, NEW_PEER_SNAPSHOT):
        written, read = ("10.7 and later", "an older") if new_format else ("10.6 and earlier", "a newer")
        raise _refused(f"is written for node {written}, and {release} is {read} one")
    if new_format and snapshot["NetworkMagic"] != magic:
        raise _refused(f"is of the network with magic {snapshot['NetworkMagic']}, not {magic}")
    point = snapshot.get("Point")
    slot = point.get("blockPointSlot") if isinstance(point, dict) else snapshot.get("slotNo")
    if not isinstance(slot, int):
        raise _refused("says no slot")
    if slot < use_ledger_after_slot:
        raise _refused(f"is of slot {slot}, before use_ledger_after_slot {use_ledger_after_slot}")


def _refused(cause: str) -> RenderFailed:
    return RenderFailed(
        f"the peer snapshot {cause}; the node would not start",
        next_step="Fetch the snapshot that belongs to this release, or remove topology.peer_snapshot.",
    )
