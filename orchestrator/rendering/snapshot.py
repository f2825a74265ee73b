"""The peer snapshot beside a topology: refused here if the node would refuse to start with it.

With ledger peers on, a snapshot of another format, another network or too early a slot stops the node. Which
peers are in it is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.errors import RenderFailed
from orchestrator.rendering.releases import NEW_PEER_SNAPSHOT
from orchestrator.rendering.topology_findings import Circumstances, Finding, find, severity_by_version, show
from orchestrator.rendering.topology_rules import Code, Severity
from orchestrator.rendering.topology_text import NotJson, parse_json
from orchestrator.spec.findings import Path

TOLERATES_A_MISSING_SNAPSHOT = (10, 6)

PLACE: Path = ("peerSnapshotFile",)


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """What was found under the name that a topology gives."""

    content: bytes | str | None
    """None: it could not be read."""
    cause: str = ""
    """Why not."""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a node asks of a snapshot before it uses it."""

    slot: int | None
    """Slot of the block that it was taken at; None if it says none."""
    new_format: bool
    """Whether it is of the format that node 10.7 brought, and older nodes do not read."""
    magic: int | None = None
    """The network; only the new format says."""


class NotASnapshot(Exception):
    """A text that no node reads as a peer snapshot; says why."""


def read_snapshot(content: bytes | str) -> SnapshotFacts:
    """Read a peer snapshot of either format. Raises NotASnapshot."""
    try:
        snapshot = parse_json(content)
    except NotJson as error:
        raise NotASnapshot(f"is no JSON: {error.cause}") from error
    if not isinstance(snapshot, dict) or not isinstance(snapshot.get("bigLedgerPools"), list):
        raise NotASnapshot("has no bigLedgerPools")
    if "NetworkMagic" not in snapshot:
        return SnapshotFacts(_read_slot(snapshot.get("slotNo")), new_format=False)
    magic, point = snapshot["NetworkMagic"], snapshot.get("Point")
    if type(magic) is not int:
        raise NotASnapshot(f"has {show(magic)} as NetworkMagic")
    slot = point.get("blockPointSlot") if isinstance(point, dict) else None
    return SnapshotFacts(_read_slot(slot), new_format=True, magic=magic)


def check_snapshot(
    snapshot: SnapshotFile, circumstances: Circumstances, use_ledger_after_slot: float
) -> Iterator[Finding]:
    """Judge a snapshot that the node would read; the place is where the topology names it."""
    if snapshot.content is None:
        yield find(
            Code.SNAPSHOT_MISSING,
            PLACE,
            f"the peer snapshot cannot be read ({snapshot.cause})",
            _missing(circumstances),
        )
        return
    try:
        facts = read_snapshot(snapshot.content)
    except NotASnapshot as error:
        yield find(Code.SNAPSHOT_UNREADABLE, PLACE, f"the peer snapshot {error}")
        return
    knows_new = circumstances.knows(NEW_PEER_SNAPSHOT)
    if knows_new != facts.new_format:
        written = "for node 10.7 and later" if facts.new_format else "for node 10.6 and earlier"
        severity = severity_by_version(known=knows_new)
        reader = "" if circumstances.node_version is None else f", and this one is {circumstances.node_version}"
        yield find(Code.SNAPSHOT_FORMAT, PLACE, f"the peer snapshot is written {written}{reader}", severity)
    if None not in (facts.magic, circumstances.magic) and facts.magic != circumstances.magic:
        found = f"the peer snapshot is of the network with magic {show(facts.magic)}, not {circumstances.magic}"
        yield find(Code.SNAPSHOT_NETWORK, PLACE, found)
    if facts.slot is None:
        yield find(Code.SNAPSHOT_WITHOUT_SLOT, PLACE, "the peer snapshot says no slot")
    elif facts.slot < use_ledger_after_slot:
        found = f"the peer snapshot is of slot {show(facts.slot)}, useLedgerAfterSlot is {show(use_ledger_after_slot)}"
        yield find(Code.SNAPSHOT_TOO_EARLY, PLACE, found)


def check_peer_snapshot(text: str, release: str, magic: int, use_ledger_after_slot: int) -> None:
    """Raise RenderFailed unless a node of this release and network starts with this snapshot."""
    circumstances = Circumstances(node_version=release, magic=magic)
    findings = check_snapshot(SnapshotFile(text), circumstances, use_ledger_after_slot)
    if refused := [finding.sentence for finding in findings if finding.severity is Severity.ERROR]:
        raise RenderFailed(
            "; ".join(refused),
            next_step="Fetch the snapshot that belongs to this release, or remove topology.peer_snapshot.",
        )


def _read_slot(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _missing(circumstances: Circumstances) -> Severity:
    """Say how bad a missing file is: fatal for older nodes and in GenesisMode, else only told in the node's log."""
    if circumstances.genesis or circumstances.knows(TOLERATES_A_MISSING_SNAPSHOT) is False:
        return Severity.ERROR
    return Severity.NOTE
