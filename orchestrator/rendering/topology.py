"""topology.json of one of our own relays.

The node says nothing of a topology it clamps, misreads or drops on SIGHUP, so nothing leaves here that it could
misunderstand: the check of `topology_check.py`, and a rule of our own. Who neighbours whom is decided by planning.
"""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import basename
from typing import Any

from orchestrator.rendering.layout import PEER_SNAPSHOT
from orchestrator.rendering.topology_check import check_document
from orchestrator.rendering.topology_findings import Circumstances
from orchestrator.rendering.topology_rules import Severity
from orchestrator.rendering.values import AccessPoint, RelayNeighbours


@dataclass(frozen=True, slots=True)
class TopologyValues:
    """What the fleet file says about every relay's topology."""

    public_roots: tuple[AccessPoint, ...]
    use_ledger_after_slot: int
    peer_snapshot: bool
    """A snapshot lies beside the topology; only ever true while ledger peers are in use."""


def topology_document(values: TopologyValues, neighbours: RelayNeighbours) -> dict[str, Any]:
    """Build the topology of one relay.

    `bootstrapPeers` is null: with a list, a relay whose tip is older than 20 minutes trusts nobody else, and a fleet
    that names itself there stays stale together. Partners that are also neighbours stand in the first group only, since
    the node drops a peer from the later one.
    """
    own = tuple(dict.fromkeys(neighbours.own))
    partners = tuple(point for point in dict.fromkeys(neighbours.partners) if point not in own)
    document: dict[str, Any] = {
        "bootstrapPeers": None,
        "localRoots": [_group(points) for points in (own, partners) if points],
        "publicRoots": [{"accessPoints": [_point(point) for point in values.public_roots], "advertise": False}],
        "useLedgerAfterSlot": values.use_ledger_after_slot,
    }
    if values.peer_snapshot:
        document["peerSnapshotFile"] = basename(PEER_SNAPSHOT)
    return document


def find_faults(document: dict[str, Any], itself: frozenset[AccessPoint]) -> tuple[str, ...]:
    """Return what is wrong with the topology of one of our own relays, a sentence each."""
    findings = check_document(document, Circumstances(itself=itself))
    faults = tuple(f"{finding.place}: {finding.sentence}" for finding in findings if finding.severity is Severity.ERROR)
    if document.get("bootstrapPeers") is not None:
        return (*faults, "bootstrapPeers must be null on our own relays")
    return faults


def _group(points: tuple[AccessPoint, ...]) -> dict[str, Any]:
    """Make a group of which every member is wanted: kept connected and followed.

    Not advertised: peer sharing would send new consumers to relays that are being drained. Only DNS publishes.
    """
    return {
        "accessPoints": [_point(point) for point in points],
        "advertise": False,
        "trustable": True,
        "hotValency": len(points),
        "warmValency": len(points),
    }


def _point(point: AccessPoint) -> dict[str, Any]:
    return {"address": point.address, "port": point.port}
