"""The peer snapshot that a topology may name: what of it stops a node, and what is only told. Pure but for reading the file.

The lab has no ledger to take peers from, so a snapshot names nobody to connect to; what matters is that a wrong one stops the
node here as it would there: above all one in the format of before 10.7 beside a newer release. A file that is never read, because
ledger peers are off, is never wrong.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .topology import Topology
from .version import Version, knows_only_new_snapshots, tolerates_a_missing_snapshot


class SnapshotRefused(Exception):
    """The node does not start with this snapshot."""


def check_snapshot(topology: Topology, version: Version, network_magic: int, consensus_mode: str) -> str | None:
    """Raise SnapshotRefused for what is fatal; return what is only told, if anything."""
    path, after = topology.peer_snapshot, topology.use_ledger_after_slot
    if path is None:
        return None
    if after is None:
        return "Peer snapshot file specified but topology disables ledger peers - ignoring file."
    try:
        snapshot = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        text = f"Cardano.Node.Configuration.TopologyP2P.readPeerSnapshotFile: {error}"
        if consensus_mode == "GenesisMode" or not tolerates_a_missing_snapshot(version):
            raise SnapshotRefused(text) from error
        return text
    slot = _read_slot(snapshot, path, version, network_magic)
    if slot < after:
        raise SnapshotRefused(f"LedgerPeerSnapshotTooOld: {path} is of slot {slot}, useLedgerAfterSlot is {after}")
    return None


def _read_slot(snapshot: Any, path: Path, version: Version, network_magic: int) -> int:  # noqa: ANN401 - straight from JSON
    match snapshot:
        case {"NetworkMagic": int(magic), "Point": {"blockPointSlot": int(slot)}} if knows_only_new_snapshots(version):
            if magic != network_magic:
                raise SnapshotRefused(f"{path}: the snapshot is of the network with magic {magic}, not {network_magic}")
            return slot
        case {"version": 1 | 2, "slotNo": int(slot)} if not knows_only_new_snapshots(version):
            return slot
        case {"version": 1 | 2}:
            raise SnapshotRefused(f"{path}: Unsupported legacy peer snapshot version.")
        case _:
            raise SnapshotRefused(f"{path}: not a peer snapshot that release {version} can read")
