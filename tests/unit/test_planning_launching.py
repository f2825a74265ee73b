"""Launches: which generation, which attempt, which zone, and when not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.observation import InstanceState
from orchestrator.planning.plan import Hold, Launch
from orchestrator.planning.reconcile import plan_fleet
from tests.scenarios.looks import (
    EU1,
    EU2,
    instance_of,
    serving_look,
    with_attempt,
    with_instance,
    with_intent,
    without_instance,
)


def step(look) -> Launch | Hold:
    plan = plan_fleet(look)
    (found,) = [s for s in (*plan.actions, *plan.holds) if s.relay == EU1]
    assert isinstance(found, Launch | Hold)
    return found


def deleted(**intent: object):
    """EU1 has no instance, and the last launch of it was two hours ago."""
    look = without_instance(serving_look(), EU1)
    return replace(with_intent(look, EU1, **intent), now=look.now + timedelta(hours=2))


def test_a_deleted_relay_gets_the_next_generation() -> None:
    found = step(deleted())
    assert isinstance(found, Launch)
    assert (found.generation, found.attempt, found.repeat_token) == (2, 0, None)


def test_an_instance_that_was_just_launched_is_waited_for() -> None:
    look = without_instance(serving_look(), EU1)
    found = step(with_intent(look, EU1, at=look.now - timedelta(seconds=89)))
    assert isinstance(found, Hold)
    assert found.passes
    assert "was launched 89 s ago; not listed yet" in found.because


def test_a_listed_and_ended_instance_is_not_waited_for() -> None:
    look = with_instance(serving_look(), EU1, state=InstanceState.TERMINATED)
    assert isinstance(step(with_intent(look, EU1, at=look.now)), Launch)


def test_a_launch_without_an_answer_is_repeated_with_its_token() -> None:
    found = step(deleted(instance_id=None, token="open"))
    assert isinstance(found, Launch)
    assert (found.generation, found.attempt, found.repeat_token) == (1, 0, "open")


def test_a_launch_without_an_answer_whose_instance_came_and_went_is_not_repeated() -> None:
    look = with_instance(serving_look(), EU1, state=InstanceState.TERMINATED)
    found = step(with_intent(look, EU1, instance_id=None))
    assert isinstance(found, Launch)
    assert (found.generation, found.repeat_token) == (2, None)


def test_a_refused_launch_is_another_attempt_in_another_zone() -> None:
    look = deleted(instance_id=None, refused="no capacity", at=serving_look().now + timedelta(minutes=119))
    found = step(look)
    assert isinstance(found, Launch)
    assert (found.generation, found.attempt) == (1, 1)
    refused = max((i for i in look.record.intents if i.relay == EU1), key=lambda i: i.attempt).subnet
    assert found.subnet != refused


@pytest.mark.parametrize("open_launch", [True, False])
def test_a_failing_launch_pauses_and_is_given_up_in_the_end(open_launch: bool) -> None:
    look = deleted(**({"instance_id": None} if open_launch else {}))
    first, last = step(with_attempt(look, EU1, "launch", 1)), step(with_attempt(look, EU1, "launch", 4))
    assert isinstance(first, Hold)
    assert isinstance(last, Hold)
    assert (first.passes, last.passes) == (True, False)
    assert "next try in 60 s" in first.because


def test_the_zone_of_the_relays_own_disk_comes_first() -> None:
    look = deleted()
    (disk,) = [v for v in look.seen.cloud.volumes if v.relay == EU1]
    found = step(look)
    assert isinstance(found, Launch)
    assert found.zone == disk.zone


def test_without_a_disk_the_emptier_zone_is_chosen() -> None:
    look = deleted()
    volumes = tuple(v for v in look.seen.cloud.volumes if v.relay != EU1)
    look = replace(look, seen=replace(look.seen, cloud=replace(look.seen.cloud, volumes=volumes)))
    found = step(look)
    assert isinstance(found, Launch)
    assert found.zone != instance_of(look, EU2).zone


def test_ended_instances_fill_no_zone() -> None:
    look = deleted()
    cloud = look.seen.cloud
    other = instance_of(look, EU2)
    ended = [
        replace(other, instance_id=f"i-{n}", relay="demo-gone", state=InstanceState.TERMINATED, subnet=s)
        for n, (s, zone) in enumerate(cloud.zones["eu-central-1"] * 3)
        if zone != other.zone
    ]
    volumes = tuple(v for v in cloud.volumes if v.relay != EU1)
    look = replace(
        look, seen=replace(look.seen, cloud=replace(cloud, instances=(*cloud.instances, *ended), volumes=volumes))
    )
    found = step(look)
    assert isinstance(found, Launch)
    assert found.zone != other.zone
