"""Rules that need several fields of a fleet file: network, releases, limits, ports, sources of blocks, access.

Each rule looks at the valid parts only (see `section.py`) and yields what is wrong. Rules about regions and hosts are in
`rules_regions.py`, those about rollouts in `rules_rollout.py`, about names in `rules_publish.py`; what needs other files is in
`network.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from itertools import combinations

from orchestrator.spec.base import AccessPointSpec
from orchestrator.spec.expectations import suggest
from orchestrator.spec.findings import Finding, render_path, show
from orchestrator.spec.model import (
    ArtifactSpec,
    CloudSpec,
    ConnectionsSpec,
    NetworkSpec,
    PartnerSpec,
    PortsSpec,
    SshSpec,
    TopologySpec,
)
from orchestrator.spec.section import Section, find_repeated

Rule = Callable[[Section], Iterator[Finding]]

KNOWN_MAGICS = {"mainnet": 764824073, "preprod": 1, "preview": 2, "sanchonet": 4, "dijkstra": 6}

SOURCES_NEEDED = 2
"""Relays that know only each other, or one partner who may vanish, are an island that goes stale together."""


def known_network_has_its_magic(fleet: Section) -> Iterator[Finding]:
    """A known network's name with another magic would connect nobody, or the wrong ones."""
    network = fleet.section("network", NetworkSpec)
    name, magic = network.text("name"), network.number("magic")
    wanted = KNOWN_MAGICS.get(name or "")
    if wanted is not None and magic is not None and magic != wanted:
        yield network.finding(f"found {magic}, expected {wanted}, the magic of {name}", "magic")


def wanted_release_is_known(fleet: Section) -> Iterator[Finding]:
    """The wanted release is one of those listed, broken entries included."""
    release, known = fleet.text("release"), fleet.keys("releases")
    if release is not None and fleet.has("releases") and release not in known:
        choices = ", ".join(show(version) for version in known) or "one that releases lists, which is empty"
        hint = suggest(release, known) if len(known) > 1 else ""
        yield fleet.finding(f"found {show(release)}, expected {choices}{hint}", "release")


def downloads_are_encrypted(fleet: Section) -> Iterator[Finding]:
    """Plain http is for a lab on this machine; the checksum protects the bytes, not what others learn from them."""
    if fleet.has("lab"):
        return
    for version in fleet.keys("releases"):
        for artifact in fleet.section("releases").sections(version, ArtifactSpec):
            if (artifact.text("url") or "").startswith("http://"):
                text = f"found {show(artifact.text('url'))}, expected https:// (http:// is for a lab only)"
                yield artifact.finding(text, "url")


def chain_source_is_available(fleet: Section) -> Iterator[Finding]:
    """Only genesis is there so far; saying so beats syncing from genesis unasked."""
    source = fleet.text("chain_source")
    if source is not None and source != "genesis":
        yield fleet.finding(f'found {show(source)}, expected "genesis": {source} is not available yet', "chain_source")


def soft_limit_is_below_hard_limit(fleet: Section) -> Iterator[Finding]:
    """The node delays from the soft limit on, so it has to come first."""
    limits = fleet.section("connections", ConnectionsSpec)
    soft, hard = limits.number("soft_limit"), limits.number("hard_limit")
    if soft is not None and hard is not None and soft > hard:
        written = "soft_limit" if limits.has("soft_limit") else "hard_limit"
        text = f"found a soft_limit of {soft} and a hard_limit of {hard}, expected soft_limit at most hard_limit"
        yield limits.finding(text, written)


def ports_differ(fleet: Section) -> Iterator[Finding]:
    """The relay port, the metrics port and the SSH port are three."""
    ports, ssh = fleet.section("ports", PortsSpec), fleet.section("ssh", SshSpec)
    named = (("relay port", ports, "relay"), ("metrics port", ports, "metrics"), ("SSH port", ssh, "port"))
    for (first, section, key), (second, other, other_key) in combinations(named, 2):
        number = section.number(key)
        if number is not None and number == other.number(other_key):
            place, written = (section, key) if section.has(key) else (other, other_key)
            yield place.finding(f"found {number} as {first} and as {second}, expected two different ports", written)


def partners_are_named_once(fleet: Section) -> Iterator[Finding]:
    """One entry for a partner's relay: the same address twice would count as two sources and be one."""
    partners = tuple(fleet.sections("partners", PartnerSpec))
    names = ((partner.text("name"), partner.path) for partner in partners if partner.text("name"))
    for path, first in find_repeated(names):
        name = fleet.at(path, PartnerSpec).text("name")
        text = f"found {show(name)} again ({render_path(first)} has it), expected another name"
        yield fleet.finding(text, *path, "name")
    for path, first in find_repeated(
        (access_point(partner), partner.path) for partner in partners if _is_point(partner)
    ):
        address, port = access_point(fleet.at(path, PartnerSpec))
        text = f"found {show(address)} with port {port} again ({render_path(first)} has it), expected another relay"
        yield fleet.finding(text, *path, "address")


def blocks_come_from_outside(fleet: Section) -> Iterator[Finding]:
    """At least two sources of blocks are not our own relays; ledger peers together count as one."""
    topology = fleet.section("topology", TopologySpec)
    after_slot = topology.number("use_ledger_after_slot")
    if not (fleet.is_whole("partners") and topology.is_whole("public_roots")) or after_slot is None:
        return
    points = (*fleet.sections("partners", PartnerSpec), *topology.sections("public_roots", AccessPointSpec))
    addresses = {canonical_address(point.text("address") or "") for point in points}
    found = len(addresses) + (1 if after_slot >= 0 else 0)
    if found < SOURCES_NEEDED:
        text = (
            f"found {found} source{'' if found == 1 else 's'} of blocks outside the fleet, expected at least"
            f" {SOURCES_NEEDED}: partners, topology.public_roots, or ledger peers (topology.use_ledger_after_slot: 0)"
        )
        yield fleet.finding(text, *(("partners",) if fleet.has("partners") else ()))


def peer_snapshot_is_used(fleet: Section) -> Iterator[Finding]:
    """The node never reads a peer snapshot while ledger peers are off."""
    topology = fleet.section("topology", TopologySpec)
    snapshot, after_slot = topology.text("peer_snapshot"), topology.number("use_ledger_after_slot")
    if snapshot is not None and after_slot is not None and after_slot < 0:
        text = (
            f"found {show(snapshot)} while ledger peers are off, expected use_ledger_after_slot of at least 0,"
            " or no snapshot: the node would never read it"
        )
        yield topology.finding(text, "peer_snapshot")


def ssh_is_not_for_the_whole_world(fleet: Section) -> Iterator[Finding]:
    """On a cloud the security group is ours, so SSH is opened to named networks and to no one else."""
    ssh = fleet.section("ssh", SshSpec)
    if fleet.section("cloud", CloudSpec).text("kind") != "aws" or not ssh.is_whole("allowed_from"):
        return
    cidrs = [cidr for cidr, _ in ssh.texts("allowed_from")]
    if not cidrs:
        text = "found no network that may reach SSH, expected the networks of your controllers, such as 203.0.113.7/32"
        yield ssh.finding(text, "allowed_from")
    elif _whole_world(cidrs):
        text = f"found {', '.join(cidrs[:4])}, which is the whole world, expected only the networks of your controllers"
        yield ssh.finding(text, "allowed_from")


def canonical_address(text: str) -> str:
    """Return one spelling of an address, so that the same one is recognised; names are lower case already."""
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def access_point(point: Section) -> tuple[str, int | None]:
    """Return address and port of something to connect to."""
    return canonical_address(point.text("address") or ""), point.number("port")


def _is_point(point: Section) -> bool:
    return point.text("address") is not None and point.number("port") is not None


def _whole_world(cidrs: list[str]) -> bool:
    """Tell whether the networks together are everything, in halves too."""
    networks = [ip_network(cidr) for cidr in cidrs]
    fourth = list(collapse_addresses(network for network in networks if isinstance(network, IPv4Network)))
    sixth = list(collapse_addresses(network for network in networks if isinstance(network, IPv6Network)))
    return IPv4Network("0.0.0.0/0") in fourth or IPv6Network("::/0") in sixth


RULES: tuple[Rule, ...] = (
    known_network_has_its_magic,
    wanted_release_is_known,
    downloads_are_encrypted,
    chain_source_is_available,
    soft_limit_is_below_hard_limit,
    ports_differ,
    partners_are_named_once,
    blocks_come_from_outside,
    peer_snapshot_is_used,
    ssh_is_not_for_the_whole_world,
)
