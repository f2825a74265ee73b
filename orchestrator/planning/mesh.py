"""From neighbours to rendered files: every wanted relay's files, given the addresses that are known in this look."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.fleet.observation import Observation
from orchestrator.fleet.relay import wanted_relays
from orchestrator.planning.look import Wanted
from orchestrator.planning.topology import pick_neighbours, pick_partners
from orchestrator.rendering.relay import render_relay
from orchestrator.rendering.values import AccessPoint, RelayNeighbours, RenderedRelay
from orchestrator.spec.model import FleetSpec


def render_fleet(
    wanted: Wanted, seen: Observation, untrusted: frozenset[str] = frozenset()
) -> Mapping[str, RenderedRelay]:
    """Render every wanted relay, by name. Relays in `untrusted` are named by nobody."""
    spec = wanted.spec
    relays = wanted_relays(spec)
    trusted = [relay for relay in relays if relay.name not in untrusted]
    addresses = relay_addresses(spec, seen)
    neighbours = pick_neighbours(trusted, spec.topology.neighbours, spec.topology.connectivity)
    partners = pick_partners(relays, [p.name for p in spec.partners], spec.topology.partners_per_relay)
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


def relay_addresses(spec: FleetSpec, seen: Observation) -> Mapping[str, str]:
    """Return each relay's address: its elastic one (also while it has no instance), else its newest instance's.

    Of several elastic addresses the one in use counts, and in a region of ephemeral ones only such a one.
    """
    instances = sorted(seen.cloud.instances, key=lambda i: (i.generation, i.launched_at, i.instance_id))
    addresses = {i.relay: i.address for i in instances if i.address is not None}
    ephemeral = {name for name, region in spec.regions.items() if region.addresses == "ephemeral"}
    elastic = [a for a in seen.cloud.addresses if a.attached_to is not None or a.region not in ephemeral]
    in_use_last = sorted(elastic, key=lambda a: (a.attached_to is not None, a.allocation_id))
    return addresses | {a.relay: a.address for a in in_use_last}
