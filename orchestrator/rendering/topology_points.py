"""Access points of a topology: what address and port the node would make of each, and whom a file names twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from orchestrator.rendering.topology_findings import Circumstances, Finding, find, severity_by_version, show
from orchestrator.rendering.topology_rules import Code
from orchestrator.rendering.topology_shape import POINT_KEYS, check_keys, read_whole, wrong_type
from orchestrator.spec.findings import Path

SRV_PREFIX = "_cardano._tcp."
SRV_NAMES = (10, 6)
"""From here on an access point may do without a port (CIP-0155)."""

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*(?![0-9]+$){_LABEL}")


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom an access point means, however it is written: addresses in their short form, names in lower case."""

    address: str
    port: int | None

    def __str__(self) -> str:
        return self.address if self.port is None else f"{self.address}:{self.port}"


def check_list(points: object, path: Path, circumstances: Circumstances) -> Iterator[Finding]:
    """Judge the accessPoints of a group of public roots."""
    if isinstance(points, list):
        yield from check_points(points, path, circumstances)
    else:
        yield wrong_type(path, points, "an array of access points")


def check_points(points: list[object], path: Path, circumstances: Circumstances) -> Iterator[Finding]:
    """Judge access points by themselves, and name those that are listed twice here."""
    seen: set[Peer] = set()
    for number, point in enumerate(points):
        yield from check_point(point, (*path, number), circumstances)
        peer = read_point(point)
        if peer in seen:
            yield find(Code.LISTED_TWICE, (*path, number), f"{show_peer(peer)} is listed twice")
        elif peer is not None:
            seen.add(peer)


def check_point(point: object, path: Path, circumstances: Circumstances) -> Iterator[Finding]:
    """Judge one access point."""
    if not isinstance(point, dict):
        yield wrong_type(path, point, "an access point")
        return
    yield from check_keys(point, POINT_KEYS, path, circumstances)
    address = point.get("address")
    if not isinstance(address, str):
        if "address" in point:
            yield wrong_type((*path, "address"), address, "an address or a name")
        return
    yield from _check_address(address, (*path, "address"))
    yield from _check_port(point, address, path, circumstances)
    peer = read_point(point)
    if peer is not None and any(peer == _peer(own.address, own.port) for own in circumstances.itself):
        yield find(Code.NAMES_ITSELF, path, f"{show_peer(peer)} is the relay itself")


def read_points(points: object, path: Path) -> tuple[tuple[Path, Peer], ...]:
    """Return whom a list of access points means and where each stands, leaving out what cannot be read."""
    if not isinstance(points, list):
        return ()
    found = (((*path, number), read_point(point)) for number, point in enumerate(points))
    return tuple((place, peer) for place, peer in found if peer is not None)


def read_point(point: object) -> Peer | None:
    """Return whom an access point means, if it can be read at all."""
    if not isinstance(point, dict) or not isinstance(address := point.get("address"), str):
        return None
    port = read_whole(point.get("port"))
    return _peer(address, None if port is None else port % 65536)


def show_peer(peer: Peer | None) -> str:
    """Return a peer on one short line of plain characters."""
    text = str(peer)
    return text if len(text) <= 60 and text.isascii() and text.isprintable() else show(text)


# The same few addresses stand in every topology of a fleet.
_read_address = lru_cache(maxsize=8192)(ip_address)


def _peer(address: str, port: int | None) -> Peer:
    try:
        return Peer(str(_read_address(address)), port)
    except ValueError:
        return Peer(address.lower().removesuffix("."), port)


def _check_address(address: str, path: Path) -> Iterator[Finding]:
    try:
        literal = _read_address(address)
    except ValueError:
        # A name with a zone, brackets, a port or a scheme in it is none; neither are four numbers that are no address.
        name = address.removesuffix(".")
        if not _NAME.fullmatch(name):
            yield find(Code.BAD_ADDRESS, path, f"{show(address)} is neither an address nor a DNS name")
        elif name.lower().rpartition(".")[2] == "localhost":
            yield find(Code.LOCAL_ADDRESS, path, f"{show(address)} is this host")
        return
    if literal.is_unspecified:
        yield find(Code.UNSPECIFIED_ADDRESS, path, f"the address is {address}")
    elif "%" in address:
        yield find(Code.BAD_ADDRESS, path, f"{show(address)} has a zone")
    elif (kind := _local_kind(literal)) is not None:
        yield find(Code.LOCAL_ADDRESS, path, f"{address} is a {kind} address")


def _local_kind(address: IPv4Address | IPv6Address) -> str | None:
    """Return what kind of address it is that leads no further than the own link; private networks are not meant."""
    plain = (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
    if plain.is_loopback:
        return "loopback"
    return "link-local" if plain.is_link_local else None


def _check_port(point: dict[str, object], address: str, path: Path, circumstances: Circumstances) -> Iterator[Finding]:
    value = point.get("port")
    port = read_whole(value)
    is_srv_name = address.startswith(SRV_PREFIX)
    if port is None:
        if not is_srv_name or value is not None:
            written = f"the port is {show(value)}" if "port" in point else "the port is missing"
            yield find(Code.SRV_LOOKUP, (*path, "port"), f"{written}, for {show(address)}")
        elif not (known := circumstances.knows(SRV_NAMES)):
            severity = severity_by_version(known=known)
            yield find(Code.SRV_TOO_NEW, path, f"{show(address)} has no port", severity)
    elif isinstance(value, float):
        yield find(Code.NUMBER_WITH_POINT, (*path, "port"), f"the port is written as {show(value)}")
    elif not 1 <= port <= 65535:
        yield find(Code.PORT_OUT_OF_RANGE, (*path, "port"), f"the port {show(value)} is not between 1 and 65535")
    elif is_srv_name:
        yield find(Code.SRV_NAME_WITH_PORT, (*path, "port"), f"{show(address)} is the name of an SRV record")
