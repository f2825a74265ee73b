"""What goes: doubles, older generations, disks and addresses left behind; and what stays though it looks free."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import ElasticAddress, InstanceState, UnitState, Verdict, Volume
from orchestrator.planning.plan import Release
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.retiring import list_leaving
from tests.scenarios.looks import (
    EU1,
    instance_of,
    serving_look,
    steps_of,
    with_another,
    with_attempt,
    with_sighting,
    with_unit,
    without_instance,
)

DISK = Volume("vol-free", "eu-central-1", "eu-central-1c", EU1, "simulated", 100, None)
ADDRESS = ElasticAddress("eipalloc-free", "eu-central-1", "203.0.99.1", EU1, "simulated", None)


def with_things(look, *things):
    cloud = look.seen.cloud
    volumes = (*cloud.volumes, *(t for t in things if isinstance(t, Volume)))
    addresses = (*cloud.addresses, *(t for t in things if isinstance(t, ElasticAddress)))
    return replace(look, seen=replace(look.seen, cloud=replace(cloud, volumes=volumes, addresses=addresses)))


def released(look):
    return [action.what for action in plan_fleet(look).actions if isinstance(action, Release)]


@pytest.mark.parametrize("thing", [DISK, ADDRESS])
def test_what_a_serving_relay_has_another_of_is_given_back(thing) -> None:
    assert released(with_things(serving_look(), thing)) == [thing]


@pytest.mark.parametrize("thing", [DISK, ADDRESS])
def test_what_a_relay_without_instance_will_need_stays(thing) -> None:
    look = without_instance(serving_look(), EU1)
    assert released(with_things(look, thing)) == []


@pytest.mark.parametrize("thing", [DISK, ADDRESS])
def test_nothing_is_given_back_while_the_relay_does_not_serve(thing) -> None:
    assert released(with_things(with_sighting(serving_look(), EU1, Verdict.REFUSED), thing)) == []


@pytest.mark.parametrize("thing", [replace(DISK, relay="demo-gone-01"), replace(ADDRESS, relay="demo-gone-01")])
def test_what_belongs_to_no_relay_is_given_back(thing) -> None:
    assert released(with_things(serving_look(), thing)) == [thing]


@pytest.mark.parametrize(
    "thing",
    [
        replace(DISK, relay="demo-gone-01", store_id="another"),
        replace(DISK, relay="demo-gone-01", attached_to="i-somebody"),
        replace(ADDRESS, relay="demo-gone-01", store_id="another"),
    ],
)
def test_what_is_in_use_or_anothers_is_not_given_back(thing) -> None:
    assert released(with_things(serving_look(), thing)) == []


def test_nothing_of_a_silent_region_is_given_back() -> None:
    look = with_things(serving_look(), replace(DISK, relay="demo-gone-01"))
    cloud = replace(look.seen.cloud, silent_regions={"eu-central-1": "throttled"})
    assert released(replace(look, seen=replace(look.seen, cloud=cloud))) == []


def test_one_thing_at_a_time_is_given_back_for_a_relay() -> None:
    look = with_things(serving_look(), DISK, ADDRESS)
    assert released(look) == [DISK]
    assert ("hold release",) in [step[:1] for step in steps_of(plan_fleet(look), EU1)]


def test_a_double_that_was_never_deployed_goes() -> None:
    look = with_another(serving_look(), EU1)
    assert [word for word, _ in steps_of(plan_fleet(look), EU1)] == ["retire"]


def test_a_double_whose_node_runs_is_stopped_first() -> None:
    look = with_another(serving_look(), EU1, host_key="ssh-ed25519 own")
    double = next(i for i in look.seen.cloud.instances if i.instance_id == "i-another")
    facts = next(iter(serving_look().seen.hosts.values()))
    look = replace(look, seen=replace(look.seen, hosts={**look.seen.hosts, double.instance_id: facts}))
    assert [word for word, _ in steps_of(plan_fleet(look), EU1)] == ["stop"]


@pytest.mark.parametrize(
    ("unit", "word"),
    [
        (UnitState.ACTIVE, "stop"),
        (UnitState.DEACTIVATING, "hold retire"),
        (UnitState.INACTIVE, "retire"),
        (UnitState.FAILED, "retire"),
        (UnitState.ABSENT, "retire"),
    ],
)
def test_an_older_generation_goes_when_its_node_is_stopped(unit: UnitState, word: str) -> None:
    look = with_another(serving_look(), EU1, generation=0, host_key="ssh-ed25519 own")
    facts = replace(next(iter(serving_look().seen.hosts.values())), unit=unit)
    look = replace(look, seen=replace(look.seen, hosts={**look.seen.hosts, "i-another": facts}))
    assert [word for word, _ in steps_of(plan_fleet(look), EU1)] == [word]


@pytest.mark.parametrize("intent", ["stop", "retire"])
def test_a_stop_or_retirement_that_failed_pauses(intent: str) -> None:
    look = with_another(serving_look(), EU1, generation=0, state=InstanceState.STOPPED)
    assert [word for word, _ in steps_of(plan_fleet(look), EU1)] == ["retire"]
    assert [word for word, _ in steps_of(plan_fleet(with_attempt(look, EU1, intent, 1)), EU1)] == [f"hold {intent}"]


def test_an_older_generation_that_cannot_be_asked_stays() -> None:
    look = with_another(serving_look(), EU1, generation=0, host_key="ssh-ed25519 own")
    assert [word for word, _ in steps_of(plan_fleet(look), EU1)] == ["hold retire"]


def test_a_relay_that_leaves_is_out_while_its_node_stops() -> None:
    stopping = with_unit(serving_look(), EU1, UnitState.DEACTIVATING)
    assert list_leaving([], stopping) == [EU1]
    assert list_leaving([EU1], stopping) == []


def test_a_relay_that_leaves_still_serves_while_only_its_older_instance_stops() -> None:
    look = with_another(with_unit(serving_look(), EU1, UnitState.DEACTIVATING), EU1, instance_id="i-new", generation=2)
    running = replace(look.seen.hosts[instance_of(serving_look(), EU1).instance_id], unit=UnitState.ACTIVE)
    look = replace(look, seen=replace(look.seen, hosts={**look.seen.hosts, "i-new": running}))
    assert list_leaving([], look) == []
