"""The mesh as people look at it: every relay with its standing, whom it names and who names it. Values only; asks nobody.

Hot and warm valency are read back from the rendered topology, so that what is shown is what a node gets.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv6Address
from typing import Any

from orchestrator.planning.look import Look, Wanted
from orchestrator.planning.mesh import Mesh, plan_mesh, relay_addresses, render_mesh
from orchestrator.planning.plan import Health, Phase, Plan, RelayView
from orchestrator.rendering.layout import TOPOLOGY
from orchestrator.rendering.values import RenderedRelay

STAND_INS = IPv6Address("2001:db8::")
"""Addresses for documentation, given to relays that nobody looked for. They are rendered and never shown."""


class Standing(StrEnum):
    """How a relay stands in the mesh."""

    PLANNED = "planned"
    """Nobody looked."""
    SERVES = "serves"
    BROKEN = "does not serve"
    UNKNOWN = "unknown"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class LocalRoots:
    """One group of local roots: how many it has, how many of them the node follows (hot) and is connected with (warm)."""

    members: int = 0
    hot: int = 0
    warm: int = 0


@dataclass(frozen=True, slots=True)
class MeshRelay:
    """One relay and its place in the mesh."""

    name: str
    region: str
    standing: Standing
    names: tuple[str, ...]
    """Most important first. Those without an address yet are named once they have one."""
    named_by: tuple[str, ...]
    partners: tuple[str, ...]
    own_roots: LocalRoots
    partner_roots: LocalRoots
    takes_part: bool = True
    """False for one that nobody is to name: in quarantine, or without an address. It is no part of the mesh."""
    phase: str = ""
    reason: str = ""
    address: str | None = None


@dataclass(frozen=True, slots=True)
class MeshView:
    """The whole mesh, by region and name."""

    fleet: str
    connectivity: int
    """What the fleet file asks for."""
    relays: tuple[MeshRelay, ...]
    partners: Mapping[str, str] = field(default_factory=dict)
    """What the probe of each partner said; empty where nobody looked."""


def view_planned(wanted: Wanted) -> MeshView:
    """Return the mesh that the fleet file asks for, without asking anybody."""
    mesh = plan_mesh(wanted.spec)
    stand_ins = {relay.name: str(STAND_INS + number) for number, relay in enumerate(mesh.relays, start=1)}
    rendered = render_mesh(wanted, mesh, stand_ins)
    return _make_view(wanted, mesh, rendered, {}, {})


def view_found(look: Look, plan: Plan) -> MeshView:
    """Return the mesh of one look: quarantined relays are named by nobody."""
    addresses = relay_addresses(look.spec, look.seen)
    mesh = plan_mesh(look.spec, frozenset(plan.evidence.quarantines), addresses)
    rendered = render_mesh(look.wanted, mesh, addresses)
    # Of two generations the newer one comes last, and is the one that fills the slot.
    views = {view.name: view for view in plan.relays}
    return _make_view(look.wanted, mesh, rendered, views, addresses, plan.partners)


def _make_view(
    wanted: Wanted,
    mesh: Mesh,
    rendered: Mapping[str, RenderedRelay],
    views: Mapping[str, RelayView],
    addresses: Mapping[str, str],
    partners: Mapping[str, str] | None = None,
) -> MeshView:
    named_by: dict[str, list[str]] = defaultdict(list)
    for name, others in sorted(mesh.neighbours.items()):
        for other in others:
            named_by[other].append(name)
    partner_points = {(partner.address, partner.port) for partner in wanted.spec.partners}
    relays = []
    for relay in mesh.relays:
        own_roots, partner_roots = _read_groups(rendered[relay.name], partner_points)
        view = views.get(relay.name)
        relays.append(
            MeshRelay(
                name=relay.name,
                region=relay.region,
                standing=_standing(view),
                names=mesh.neighbours.get(relay.name, ()),
                named_by=tuple(named_by[relay.name]),
                partners=mesh.partners[relay.name],
                own_roots=own_roots,
                partner_roots=partner_roots,
                takes_part=relay.name in mesh.neighbours,
                phase=view.phase.value if view else "",
                reason=view.reason if view else "",
                address=addresses.get(relay.name),
            )
        )
    return MeshView(wanted.spec.fleet, wanted.spec.topology.connectivity, tuple(relays), partners or {})


def _standing(view: RelayView | None) -> Standing:
    if view is None:
        return Standing.PLANNED
    if view.phase is Phase.QUARANTINED:
        return Standing.QUARANTINED
    match view.health:
        case Health.HEALTHY:
            return Standing.SERVES
        case Health.UNHEALTHY:
            return Standing.BROKEN
        case Health.UNKNOWN:
            return Standing.UNKNOWN


def _read_groups(rendered: RenderedRelay, partner_points: set[tuple[str, int]]) -> tuple[LocalRoots, LocalRoots]:
    """Return the group of neighbours and the group of partners as the rendered topology has them."""
    own = partners = LocalRoots()
    for group, points in _groups(rendered):
        roots = LocalRoots(len(points), group["hotValency"], group["warmValency"])
        if points <= partner_points:
            partners = roots
        else:
            own = roots
    return own, partners


def _groups(rendered: RenderedRelay) -> Iterator[tuple[dict[str, Any], set[tuple[str, int]]]]:
    document = next(json.loads(file.content) for file in rendered.files if file.path == TOPOLOGY)
    for group in document["localRoots"]:
        yield group, {(point["address"], point["port"]) for point in group["accessPoints"]}
