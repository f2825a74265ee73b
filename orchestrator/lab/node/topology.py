"""topology.json → Topology, exactly as forgiving and as strict as the node: what it refuses is refused, what it clamps
without a word is clamped without a word, and what it does not know is not looked at. (The fleet's own validator is the strict one.)

Raises TopologyRefused with the node's own explanation. Nothing is resolved or dialled here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from .version import Version, knows_behind_firewall, knows_srv_names

FORMAT_HINT = (
    "Is your topology file formatted correctly? Expecting P2P Topology file format. "
    "The port and valency fields should be numerical. If you specified the correct topology file "
    "make sure that you correctly setup EnableP2P configuration flag. "
)
NO_TRUSTABLE_PEERS = (
    "You seem to have not configured any trustable peers. This is important in order for the node to make progress "
    "in bootstrap mode. Make sure you provide at least one bootstrap peer source. "
)


class TopologyRefused(Exception):
    """The node does not take this topology: it does not start with it, or goes on with the one it has."""


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """Where a peer is. Without a port the name is one of an SRV record."""

    address: str
    port: int | None

    def __str__(self) -> str:
        if self.port is None:
            return f"{self.address} (SRV)"
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class LocalRootGroup:
    """Peers of one's own: `hot` of them are followed, `warm` of them connected."""

    access_points: tuple[AccessPoint, ...]
    hot: int
    warm: int
    advertise: bool = False
    trustable: bool = False
    initiator_only: bool = False
    behind_firewall: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """A topology after clamping. `bootstrap_peers` None: not in bootstrap mode; `use_ledger_after_slot` None: never."""

    local_roots: tuple[LocalRootGroup, ...]
    public_roots: tuple[AccessPoint, ...]
    bootstrap_peers: tuple[AccessPoint, ...] | None
    use_ledger_after_slot: int | None
    peer_snapshot: Path | None


def read_topology(path: Path, version: Version, known_peers: int, consensus_mode: str) -> Topology:
    """Read topology.json; raise TopologyRefused."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TopologyRefused(f"Cardano.Node.Configuration.Topology.readTopologyFile: {error}") from error
    topology = parse_topology(content, version, known_peers, path.parent)
    # Genesis mode has no use for bootstrap peers; the node warns and drops them.
    return replace(topology, bootstrap_peers=None) if consensus_mode == "GenesisMode" else topology


def parse_topology(content: bytes, version: Version, known_peers: int, folder: Path) -> Topology:
    """Parse the text of a topology; `known_peers` is the target that clamps the local roots in total."""
    try:
        value = json.loads(content)
        groups = tuple(_parse_group(group, version) for group in _array(value["localRoots"]))
        public = tuple(point for root in _array(value["publicRoots"]) for point in _parse_points(root, version))
        bootstrap = value.get("bootstrapPeers")
        snapshot = value.get("peerSnapshotFile")
        topology = Topology(
            local_roots=groups,
            public_roots=public,
            bootstrap_peers=None if bootstrap is None else _parse_bootstrap(bootstrap, version),
            use_ledger_after_slot=_parse_ledger_slot(value),
            peer_snapshot=None if snapshot is None else folder / _string(snapshot),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise TopologyRefused(f"{FORMAT_HINT}{type(error).__name__}: {error}") from error
    if topology.bootstrap_peers == () and not any(g.trustable and g.access_points for g in groups):
        raise TopologyRefused(NO_TRUSTABLE_PEERS)
    return replace(topology, local_roots=clamp_groups(groups, known_peers))


def clamp_groups(groups: tuple[LocalRootGroup, ...], known_peers: int) -> tuple[LocalRootGroup, ...]:
    """Make valencies possible without a word, as the node does.

    A peer counts in its first group only, no group wants more than its members, a group left with nothing is dropped, and
    all together stay below the target of known peers.
    """
    seen: set[AccessPoint] = set()
    room = known_peers
    clamped = []
    for group in groups:
        members = tuple(dict.fromkeys(point for point in group.access_points if point not in seen))[:room]
        warm = min(group.warm, len(members))
        hot = min(group.hot, warm)
        if warm <= 0:
            continue
        seen.update(members)
        room -= len(members)
        clamped.append(replace(group, access_points=members, hot=hot, warm=warm))
    return tuple(clamped)


def _parse_group(group: Mapping[str, Any], version: Version) -> LocalRootGroup:
    # The node tries `valency` first and falls back when it is no number.
    hot = _whole(group["valency"]) if _is_whole(group.get("valency")) else _whole(group["hotValency"])
    mode = group.get("diffusionMode", "InitiatorAndResponder")
    if mode not in ("InitiatorOnly", "InitiatorAndResponder"):
        raise ValueError(f"diffusionMode: expected InitiatorOnly or InitiatorAndResponder, not {mode!r}")
    return LocalRootGroup(
        access_points=_parse_points(group, version),
        hot=hot,
        warm=_whole(group.get("warmValency", hot)),
        advertise=_boolean(group.get("advertise", False)),
        trustable=_boolean(group.get("trustable", False)),
        initiator_only=mode == "InitiatorOnly",
        behind_firewall=knows_behind_firewall(version) and _boolean(group.get("behindFirewall", False)),
    )


def _parse_points(root: Mapping[str, Any], version: Version) -> tuple[AccessPoint, ...]:
    return tuple(_parse_point(point, version) for point in _array(root["accessPoints"]))


def _parse_bootstrap(value: object, version: Version) -> tuple[AccessPoint, ...]:
    return tuple(_parse_point(point, version) for point in _array(value))


def _parse_point(point: Mapping[str, Any], version: Version) -> AccessPoint:
    address = _string(point["address"])
    # Anything that is no number, `"3001"` included, is silently taken for the absence of a port.
    port = _whole(point["port"]) if _is_whole(point.get("port")) else None
    if port is None and not knows_srv_names(version):
        raise ValueError(f"port of {address}: expected a number, not {point.get('port')!r}")
    try:
        unspecified = ip_address(address).is_unspecified
    except ValueError:
        unspecified = False
    if unspecified:
        raise ValueError(f"{address} is not a valid destination address")
    return AccessPoint(address, None if port is None else port % 65536)


def _parse_ledger_slot(value: Mapping[str, Any]) -> int | None:
    if "useLedgerAfterSlot" not in value:
        return None
    slot = value["useLedgerAfterSlot"]
    if isinstance(slot, bool) or not isinstance(slot, int | float):
        raise TypeError(f"useLedgerAfterSlot: expected a number, not {slot!r}")
    return None if slot < 0 else int(slot)


def _array(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"expected an array, not {value!r}")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, not {value!r}")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, not {value!r}")
    return value


def _is_whole(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and value == int(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError(f"expected a whole number, not {value!r}")
    return int(value)
