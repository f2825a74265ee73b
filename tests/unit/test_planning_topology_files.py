"""What the mesh yields, as a node reads it: the lab node's parser clamps and drops without a word, as the real one does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.lab.node.topology import Topology, parse_topology
from orchestrator.lab.node.version import Version
from orchestrator.planning.mesh import list_naming, plan_mesh, render_fleet, render_mesh
from orchestrator.rendering.layout import TOPOLOGY
from orchestrator.rendering.values import RenderedRelay
from orchestrator.spec.model import FleetSpec
from tests.scenarios.builders import fleet_spec, serving_fleet, wanted

DEFAULT_KNOWN_PEERS = 150
"""The node's default of TargetNumberOfKnownPeers; the fleet sets no other."""

DENSE = {"neighbours": 20, "connectivity": 10, "partners_per_relay": 20}


def read(rendered: RenderedRelay) -> Topology:
    """Read a relay's topology as its node does."""
    (file,) = [file for file in rendered.files if file.path == TOPOLOGY]
    return parse_topology(file.content.encode(), Version(10, 5, 1), DEFAULT_KNOWN_PEERS, Path("/etc/cardano-node"))


def render_all(spec: FleetSpec) -> dict[str, RenderedRelay]:
    """Render with an address for every relay."""
    mesh = plan_mesh(spec)
    addresses = {relay.name: f"198.51.100.{number}" for number, relay in enumerate(mesh.relays, start=1)}
    return dict(render_mesh(wanted(spec), mesh, addresses))


@pytest.mark.parametrize("topology", [{}, {"neighbours": 1}, DENSE], ids=["default", "few", "dense"])
def test_every_peer_of_a_rendered_topology_is_kept_and_followed(topology) -> None:
    partners = tuple({"name": f"partner-{n}", "address": f"192.0.2.{n}"} for n in range(1, 26))
    spec = fleet_spec(topology=topology, partners=partners)
    for name, relay in render_all(spec).items():
        (file,) = [file for file in relay.files if file.path == TOPOLOGY]
        written = json.loads(file.content)["localRoots"]
        groups = read(relay).local_roots
        assert [len(group.access_points) for group in groups] == [len(group["accessPoints"]) for group in written]
        for group in groups:
            assert group.hot == group.warm == len(group.access_points), f"{name} does not follow all whom it names"


def test_the_groups_are_the_neighbours_and_then_the_partners_of_the_mesh() -> None:
    spec = fleet_spec()
    mesh = plan_mesh(spec)
    for name, relay in render_all(spec).items():
        own, partners = read(relay).local_roots
        assert len(own.access_points) == len(mesh.neighbours[name]) == spec.topology.neighbours
        assert len(partners.access_points) == len(mesh.partners[name]) == 2
        assert own.trustable
        assert partners.trustable


def test_a_relay_is_dialled_by_those_whose_rendered_topology_has_its_address() -> None:
    spec = fleet_spec()
    mesh = plan_mesh(spec)
    addresses = {relay.name: f"198.51.100.{number}" for number, relay in enumerate(mesh.relays, start=1)}
    dialled: dict[str, set[str]] = {name: set() for name in addresses}
    for name, relay in render_all(spec).items():
        for point in read(relay).local_roots[0].access_points:
            dialled[next(n for n, a in addresses.items() if a == str(point.address))].add(addresses[name])
    assert list_naming(mesh, addresses) == dialled


def test_an_untrusted_relay_is_named_by_nobody_and_keeps_its_partners() -> None:
    spec = fleet_spec()
    mesh = plan_mesh(spec, frozenset({"demo-eu-central-1-03"}))
    assert "demo-eu-central-1-03" not in mesh.neighbours
    assert not any("demo-eu-central-1-03" in others for others in mesh.neighbours.values())
    assert len(mesh.partners["demo-eu-central-1-03"]) == 2


def test_a_serving_fleet_has_the_files_of_its_mesh() -> None:
    look = serving_fleet(fleet_spec()).look().look
    assert {
        len(read(relay).local_roots[0].access_points) for relay in render_fleet(look.wanted, look.seen).values()
    } == {look.spec.topology.neighbours}
