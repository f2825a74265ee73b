"""From neighbours to rendered files: every wanted relay's files, given the addresses that are known in this look."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.fleet.observation import Observation
from orchestrator.fleet.relay import wanted_relays
from orchestrator.planning.look import Wanted
from orchestrator.planning.topology import pick_neighbours, pick_partners
from orchestrator.rendering.relay import render_relay
from orchestrator.rendering.values import AccessPoint, RelayNeighbours, RenderedRelay


def render_fleet(
    wanted: Wanted, seen: Observation, untrusted: frozenset[str] = frozenset()
) -> Mapping[str, RenderedRelay]:
    """Render every wanted relay, by name. Relays in `untrusted` are named by nobody."""
    spec = wanted.spec
    relays = wanted_relays(spec)
    trusted = [relay for relay in relays if relay.name not in untrusted]
    addresses = relay_addresses(seen)
    neighbours = pick_neighbours(trusted, spec.topology.neighbours)
    names = [relay.name for relay in relays]
    partners = pick_partners(names, [p.name for p in spec.partners], spec.topology.partners_per_relay)
    partner_points = {p.name: AccessPoint(p.address, p.port) for p in spec.partners}
    return {
        relay.name: render_relay(
            spec,
            wanted.network,
            wanted.templates,
            relay,
            RelayNeighbours(
                itself=(addresses[relay.name],) if relay.name in addresses else (),
                own=tuple(
                    AccessPoint(addresses[name], spec.ports.relay)
                    for name in neighbours.get(relay.name, ())
                    if name in addresses
                ),
                partners=tuple(partner_points[name] for name in partners[relay.name]),
            ),
        )
        for relay in relays
    }


def relay_addresses(seen: Observation) -> Mapping[str, str]:
    """Return each relay's address: its elastic one (also while it has no instance), else its newest instance's."""
    instances = sorted(seen.cloud.instances, key=lambda i: (i.generation, i.launched_at, i.instance_id))
    addresses = {i.relay: i.address for i in instances if i.address is not None}
    return addresses | {a.relay: a.address for a in sorted(seen.cloud.addresses, key=lambda a: a.allocation_id)}
