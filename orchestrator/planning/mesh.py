"""From neighbours to rendered files: every wanted relay's files, given the addresses that are known in this look."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from orchestrator.fleet.generations import pick_standing
from orchestrator.fleet.observation import Observation
from orchestrator.fleet.relay import Relay, wanted_relays
from orchestrator.planning.look import GONE, Wanted
from orchestrator.planning.topology import pick_neighbours, pick_partners
from orchestrator.rendering.relay import render_relay
from orchestrator.rendering.values import AccessPoint, RelayNeighbours, RenderedRelay
from orchestrator.spec.model import FleetSpec, TopologySpec


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Who names whom, by name. Compared by what it is, not by what is in it: `plan_mesh` returns the same for the same."""

    relays: tuple[Relay, ...]
    """Every wanted relay, also those that nobody is to name."""
    neighbours: Mapping[str, tuple[str, ...]]
    """Relays that take part, most important neighbour first; nobody else is a key or a neighbour."""
    partners: Mapping[str, tuple[str, ...]]
    """Partners of every relay."""


def plan_mesh(
    spec: FleetSpec, untrusted: frozenset[str] = frozenset(), reachable: Collection[str] | None = None
) -> Mesh:
    """Choose who names whom. Relays in `untrusted` are named by nobody, and name partners only.

    So are those that are not `reachable`, if it is told who is: a relay that has no address yet takes nobody's place.
    """
    relays = wanted_relays(spec)
    named = tuple(r for r in relays if r.name not in untrusted and (reachable is None or r.name in reachable))
    return _plan_mesh(relays, named, spec.topology, tuple(partner.name for partner in spec.partners))


# A look plans from the same relays as the one before, unless one came, went or is quarantined.
@lru_cache(maxsize=64)
def _plan_mesh(
    relays: tuple[Relay, ...], named: tuple[Relay, ...], wanted: TopologySpec, partners: tuple[str, ...]
) -> Mesh:
    return Mesh(
        relays,
        pick_neighbours(named, wanted.neighbours, wanted.connectivity),
        pick_partners(relays, partners, wanted.partners_per_relay),
    )


def list_naming(mesh: Mesh, addresses: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    """Return relay → addresses of the relays that name it, as far as they have one."""
    naming: dict[str, set[str]] = {relay.name: set() for relay in mesh.relays}
    for name, named in mesh.neighbours.items():
        for other in named if name in addresses else ():
            naming[other].add(addresses[name])
    return {name: frozenset(found) for name, found in naming.items()}


def render_fleet(
    wanted: Wanted, seen: Observation, untrusted: frozenset[str] = frozenset()
) -> Mapping[str, RenderedRelay]:
    """Render every wanted relay, by name. Relays in `untrusted` are named by nobody."""
    addresses = relay_addresses(wanted.spec, seen)
    return render_mesh(wanted, plan_mesh(wanted.spec, untrusted, addresses), addresses)


def render_mesh(wanted: Wanted, mesh: Mesh, addresses: Mapping[str, str]) -> Mapping[str, RenderedRelay]:
    """Render every relay of a mesh, by name. Neighbours without an address are left out until they have one."""
    return _render_mesh(wanted, mesh, tuple(sorted(addresses.items())))


@lru_cache(maxsize=64)
def _render_mesh(wanted: Wanted, mesh: Mesh, known: tuple[tuple[str, str], ...]) -> Mapping[str, RenderedRelay]:
    spec, addresses = wanted.spec, dict(known)
    partner_points = {p.name: AccessPoint(p.address, p.port) for p in spec.partners}
    rendered = {
        relay.name: render_relay(
            spec,
            wanted.network,
            wanted.templates,
            relay,
            RelayNeighbours(
                itself=(addresses[relay.name],) if relay.name in addresses else (),
                own=tuple(
                    AccessPoint(addresses[name], spec.ports.relay)
                    for name in mesh.neighbours.get(relay.name, ())
                    if name in addresses
                ),
                partners=tuple(partner_points[name] for name in mesh.partners[relay.name]),
            ),
        )
        for relay in mesh.relays
    }
    return MappingProxyType(rendered)


def relay_addresses(spec: FleetSpec, seen: Observation) -> Mapping[str, str]:
    """Return each relay's address: its elastic one (also while it has no instance), else its newest instance's.

    Of several elastic addresses the one in use counts, and in a region of ephemeral ones only such a one.
    """
    standing = pick_standing(i for i in seen.cloud.instances if i.address is not None and i.state not in GONE)
    addresses = {name: i.address for name, i in standing.items() if i.address is not None}
    ephemeral = {name for name, region in spec.regions.items() if region.addresses == "ephemeral"}
    elastic = [a for a in seen.cloud.addresses if a.attached_to is not None or a.region not in ephemeral]
    in_use_last = sorted(elastic, key=lambda a: (a.attached_to is not None, a.allocation_id))
    return addresses | {a.relay: a.address for a in in_use_last}
