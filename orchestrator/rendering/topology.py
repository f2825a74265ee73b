"""topology.json of one relay, and a check that is stricter than the node's own.

The node says nothing of a topology it clamps, misreads or drops on SIGHUP, so nothing leaves here that it could
misunderstand. Who neighbours whom is decided by planning.

Sources of the rules: the parsers of ouroboros-network (`networkTopologyFromJSON`, `localRootPeersGroupFromJSON`,
`LocalRootPeers`) and of cardano-node (`TopologyP2P.hs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from posixpath import basename
from typing import Any

from orchestrator.rendering.layout import PEER_SNAPSHOT
from orchestrator.rendering.values import AccessPoint, RelayNeighbours

TOPOLOGY_KEYS = {"localRoots", "publicRoots", "bootstrapPeers", "useLedgerAfterSlot", "peerSnapshotFile"}
GROUP_KEYS = {"accessPoints", "advertise", "trustable", "hotValency", "warmValency"}


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
    """Return what is wrong with a topology, a sentence each: unknown keys, impossible valencies, itself among the peers."""
    return tuple(_faults(document, itself))


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


def _faults(document: dict[str, Any], itself: frozenset[AccessPoint]) -> Iterator[str]:
    for key in sorted(document.keys() - TOPOLOGY_KEYS):
        yield f"unknown key {key}"
    if document["bootstrapPeers"] is not None:
        yield "bootstrapPeers must be null on our own relays"
    if document["useLedgerAfterSlot"] < 0 and "peerSnapshotFile" in document:
        yield "peerSnapshotFile is never read without ledger peers"
    seen: dict[AccessPoint, None] = {}
    for number, group in enumerate(document["localRoots"], start=1):
        yield from (f"local root group {number}: {fault}" for fault in _group_faults(group, seen))
    public = [_read_point(point) for root in document["publicRoots"] for point in root["accessPoints"]]
    for point in (*seen, *public):
        yield from _point_faults(point, itself)


def _group_faults(group: dict[str, Any], seen: dict[AccessPoint, None]) -> Iterator[str]:
    """Yield the faults of one group and add its members to `seen`."""
    for key in sorted(group.keys() - GROUP_KEYS):
        yield f"unknown key {key}"
    members = [_read_point(point) for point in group["accessPoints"]]
    hot, warm = group["hotValency"], group["warmValency"]
    if not 0 < hot <= warm <= len(members):
        yield f"hotValency {hot} and warmValency {warm} do not fit {len(members)} members"
    for point in members:
        if point in seen:
            yield f"{point.address}:{point.port} is named twice"
        seen[point] = None


def _point_faults(point: AccessPoint, itself: frozenset[AccessPoint]) -> Iterator[str]:
    if type(point.port) is not int or not 1 <= point.port <= 65535:
        # The node would look up an SRV record for a port that is no number, and wrap a larger one.
        yield f"{point.address}: port {point.port!r} is not between 1 and 65535"
    try:
        if ip_address(point.address).is_unspecified:
            yield f"{point.address} is no address to connect to"
    except ValueError:
        if not point.address:
            yield "an access point has no address"
    if point in itself:
        yield f"{point.address}:{point.port} is the relay itself"


def _read_point(point: dict[str, Any]) -> AccessPoint:
    return AccessPoint(point["address"], point["port"])
