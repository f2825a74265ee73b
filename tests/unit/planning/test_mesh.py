"""Who names whom, by which address: what changes when relays come, go, or have several addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import ElasticAddress, InstanceState
from orchestrator.planning.look import Look
from orchestrator.planning.mesh import list_naming, plan_mesh, relay_addresses, render_mesh
from orchestrator.rendering.values import ChangeClass
from tests.scenarios.looks import EU1, instance_of, serving_look, with_another, with_instance

LOOK = serving_look()
SHIP = instance_of(LOOK, EU1)
OWN = "203.0.113.201"
"""What an instance is given by itself."""


def with_addresses(look: Look, *addresses: ElasticAddress) -> Look:
    """These are all of the elastic addresses."""
    cloud = replace(look.seen.cloud, addresses=addresses)
    return replace(look, seen=replace(look.seen, cloud=cloud))


def elastic(number: int, attached_to: str | None = None) -> ElasticAddress:
    first = next(address for address in LOOK.seen.cloud.addresses if address.relay == EU1)
    changes = {"allocation_id": f"eipalloc-{number}", "address": f"198.51.100.{number}", "attached_to": attached_to}
    return replace(first, **changes)


def address_in(look: Look, kind: str = "elastic") -> str | None:
    """The address of EU1 in a region of such addresses."""
    region = look.spec.regions["eu-central-1"].model_copy(update={"addresses": kind})
    spec = look.spec.model_copy(update={"regions": {**look.spec.regions, "eu-central-1": region}})
    return relay_addresses(spec, look.seen).get(EU1)


# --- addresses -----------------------------------------------------------------------------------------------------------


BARE = with_addresses(with_instance(LOOK, EU1, address=OWN))


def test_a_relay_without_an_elastic_address_has_its_instance_s():
    assert address_in(BARE, "ephemeral") == OWN


@pytest.mark.parametrize("state", [InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED])
def test_the_address_of_an_instance_that_is_gone_is_nobody_s(state):
    assert address_in(with_instance(BARE, EU1, state=state), "ephemeral") is None


def test_a_relay_whose_instance_has_no_address_yet_has_none():
    assert address_in(with_instance(BARE, EU1, address=None), "ephemeral") is None


def test_while_a_newer_instance_has_no_address_the_older_one_s_counts():
    look = with_another(BARE, EU1, generation=SHIP.generation + 1, address=None)
    assert address_in(look, "ephemeral") == OWN
    given = with_another(BARE, EU1, generation=SHIP.generation + 1, address="203.0.113.202")
    assert address_in(given, "ephemeral") == "203.0.113.202"


@pytest.mark.parametrize(
    ("addresses", "kind", "found"),
    [
        ([elastic(1)], "elastic", "198.51.100.1"),
        ([elastic(1, SHIP.instance_id)], "elastic", "198.51.100.1"),
        ([elastic(1)], "ephemeral", OWN),
        ([elastic(1, SHIP.instance_id)], "ephemeral", "198.51.100.1"),
        ([elastic(1, SHIP.instance_id), elastic(2)], "elastic", "198.51.100.1"),
        ([elastic(2), elastic(1)], "elastic", "198.51.100.2"),
    ],
    ids=["kept for it", "in use", "left over", "in use, where none is to be", "one in use, one free", "two free"],
)
def test_an_elastic_address_is_the_relay_s_if_it_is_in_use_or_is_to_be(addresses, kind, found):
    assert address_in(with_addresses(BARE, *addresses), kind) == found


# --- who names whom --------------------------------------------------------------------------------------------------------


NAMES = [relay.name for relay in LOOK.wanted.relays]


def test_who_is_not_trusted_or_not_reachable_is_named_by_nobody_and_keeps_its_partners():
    others = [name for name in NAMES if name != EU1]
    for mesh in (plan_mesh(LOOK.spec, frozenset({EU1})), plan_mesh(LOOK.spec, reachable=others)):
        assert EU1 not in mesh.neighbours
        assert not any(EU1 in named for named in mesh.neighbours.values())
        assert mesh.partners[EU1]
        assert set(mesh.neighbours) == set(others)


def test_whoever_names_a_relay_is_listed_by_its_address_if_it_has_one():
    mesh = plan_mesh(LOOK.spec)
    addresses = relay_addresses(LOOK.spec, LOOK.seen)
    named = mesh.neighbours[EU1][0]
    assert addresses[EU1] in list_naming(mesh, addresses)[named]
    without = {name: address for name, address in addresses.items() if name != EU1}
    assert addresses[EU1] not in list_naming(mesh, without)[named]


def test_a_neighbour_without_an_address_is_left_out_until_it_has_one():
    mesh, addresses = plan_mesh(LOOK.spec), relay_addresses(LOOK.spec, LOOK.seen)
    namer = next(name for name, named in mesh.neighbours.items() if EU1 in named)
    without = {name: address for name, address in addresses.items() if name != EU1}

    def topology(known) -> str:
        rendered = render_mesh(LOOK.wanted, mesh, known)[namer]
        return next(file.content for file in rendered.files if file.change is ChangeClass.RELOAD)

    assert addresses[EU1] in topology(addresses)
    assert addresses[EU1] not in topology(without)
    assert render_mesh(LOOK.wanted, mesh, without)[EU1].relay == EU1


def test_the_same_mesh_is_rendered_once_in_whatever_order_addresses_come():
    mesh, addresses = plan_mesh(LOOK.spec), relay_addresses(LOOK.spec, LOOK.seen)
    turned = dict(reversed(addresses.items()))
    assert list(turned) != list(addresses)
    assert render_mesh(LOOK.wanted, mesh, turned) is render_mesh(LOOK.wanted, mesh, addresses)
