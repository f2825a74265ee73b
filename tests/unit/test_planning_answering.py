"""Relays that answer without counting as serving, and what may never be taken from those who hang on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.fleet.observation import InstanceState, UnitState, Unreachable, Unreadable, Verdict, WrongHostKey
from orchestrator.fleet.record import FleetRecord
from orchestrator.planning.checks import why_unsafe
from orchestrator.planning.plan import Deploy, Health, Launch, Phase, Stop
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.silence import why_dead
from tests.scenarios.builders import MEDIUM, fleet_spec, wanted
from tests.scenarios.looks import (
    EU1,
    EU2,
    instance_of,
    serving_look,
    steps_of,
    view_in,
    with_facts,
    with_host,
    with_instance,
    with_new_release,
    with_sighting,
)

LONG = timedelta(hours=2)


def everywhere(look, change):
    for instance in look.seen.cloud.instances:
        look = change(look, instance.relay)
    return look


def curing(look):
    """A new release is wished for, and an operator has said that it is the cure for a fleet that does not serve."""
    record = replace(look.record, confirmed_retirements=frozenset({"unhealthy-fleet"}))
    return with_new_release(replace(look, record=record))


def restarted(look) -> list[str]:
    return [action.relay for action in plan_fleet(look).actions if isinstance(action, Deploy)]


@pytest.mark.parametrize("verdict", [Verdict.STALE_TIP, Verdict.HANDSHAKE_TIMEOUT, Verdict.ANSWER_TIMEOUT])
def test_relays_that_answer_are_restarted_one_at_a_time_though_none_of_them_serves(verdict: Verdict) -> None:
    look = everywhere(curing(serving_look()), lambda each, relay: with_sighting(each, relay, verdict))
    assert len(restarted(look)) == 1


def test_a_fleet_that_does_not_serve_is_not_given_another_release_unless_that_is_said_to_be_the_cure() -> None:
    look = with_new_release(serving_look())
    look = everywhere(look, lambda each, relay: with_sighting(each, relay, Verdict.REFUSED))
    assert restarted(look) == []


def test_relays_whose_port_is_closed_are_restarted_together() -> None:
    look = everywhere(curing(serving_look()), lambda each, relay: with_sighting(each, relay, Verdict.REFUSED))
    assert len(restarted(look)) == len(look.seen.cloud.instances)


def test_a_plan_that_restarts_two_stale_relays_is_called_a_defect() -> None:
    look = everywhere(curing(serving_look()), lambda each, relay: with_sighting(each, relay, Verdict.STALE_TIP))
    plan = plan_fleet(look)
    (deploy,) = plan.actions
    other = next(i for i in look.seen.cloud.instances if i.relay != deploy.relay)
    worse = replace(plan, actions=(deploy, replace(deploy, relay=other.relay, instance=other, disturbs=False)))
    assert any("defect" in text for text in why_unsafe(worse, look.spec, look.seen, look.record))


def test_the_last_serving_relay_of_a_region_is_not_retired_before_another_serves() -> None:
    counts = {**MEDIUM, "eu-central-1": 1}
    look = replace(
        serving_look(), wanted=wanted(fleet_spec(counts, rollout={"max_unavailable": 3, "drain_time": None}))
    )
    look = with_sighting(with_facts(look, EU1, unit=UnitState.FAILED), EU1, Verdict.REFUSED)
    assert (
        "hold stop",
        "the fleet file no longer asks for it; as many of eu-central-1 as may be out (1) are out",
    ) in steps_of(plan_fleet(look), EU2)
    wider = {"max_unavailable": 3, "max_unavailable_per_region": 3, "drain_time": None}
    look = replace(look, wanted=wanted(fleet_spec(counts, rollout=wider)))
    plan = plan_fleet(look)
    assert not any(isinstance(action, Stop) for action in plan.actions)
    assert any("no relay that eu-central-1 keeps serves yet" in because for _, because in steps_of(plan, EU2))


def test_a_plan_that_takes_the_last_serving_relay_of_a_region_is_refused() -> None:
    look = with_sighting(serving_look(), EU1, Verdict.REFUSED)
    plan = plan_fleet(look)
    worse = replace(plan, actions=(Stop(EU2, instance_of(look, EU2), "by mistake"),))
    assert any("dark-region:eu-central-1" in text for text in why_unsafe(worse, look.spec, look.seen, look.record))


def test_many_replacements_need_the_confirmation_that_names_their_number() -> None:
    look = serving_look()
    for relay in (EU1, "demo-us-east-1-01"):
        look = with_instance(look, relay, state=InstanceState.STOPPED)
    plan = plan_fleet(look)
    assert sum(isinstance(action, Launch) for action in plan.actions) == 2
    (refusal,) = why_unsafe(plan, look.spec, look.seen, look.record)
    assert "--confirm replace:2" in refusal
    allowed = replace(look.record, confirmed_retirements=frozenset({"replace:2"}))
    assert why_unsafe(plan, look.spec, look.seen, allowed) == ()


def test_a_host_that_answers_but_cannot_be_inspected_is_unknown_and_never_dead() -> None:
    look = with_host(serving_look(), EU1, Unreadable("sudo: a password is required"))
    instance = instance_of(look, EU1)
    look = replace(look, record=replace(look.record, missed_since={instance.instance_id: look.now - LONG}))
    look = with_sighting(look, EU1, Verdict.REFUSED)
    assert why_dead(instance, look) is None
    view = view_in(look, EU1)
    assert (view.phase, view.health) == (Phase.UNKNOWN, Health.UNKNOWN)
    assert "sudo: a password is required" in view.reason


def test_a_named_host_that_misses_a_packet_is_not_dead() -> None:
    look = with_host(serving_look(), EU1, Unreachable("no answer"))
    look = with_instance(look, EU1, launched_at=datetime(1970, 1, 1, tzinfo=UTC), host_key="ssh-ed25519 pinned")
    look = with_sighting(look, EU1, Verdict.CONNECT_TIMEOUT)
    nothing_recorded = FleetRecord(look.record.store_id, look.record.fleet, look.record.magic)
    assert why_dead(instance_of(look, EU1), replace(look, record=nothing_recorded)) is None


def test_an_instance_that_never_showed_its_key_is_replaced_after_the_boot_deadline() -> None:
    look = with_host(serving_look(), EU1, WrongHostKey("another key"))
    look = with_sighting(with_instance(look, EU1, host_key=None), EU1, Verdict.REFUSED)
    instance = instance_of(look, EU1)
    others = {key: value for key, value in look.record.identities.items() if key != instance.instance_id}
    look = replace(look, record=replace(look.record, identities=others))
    young = replace(look, now=instance.launched_at + timedelta(minutes=1))
    assert why_dead(instance, young) is None
    assert "never answered" in (why_dead(instance, replace(look, now=instance.launched_at + LONG)) or "")


def test_a_host_whose_known_key_changed_is_never_dead_for_it() -> None:
    look = with_host(serving_look(), EU1, WrongHostKey("another key"))
    assert why_dead(instance_of(look, EU1), replace(look, now=look.now + LONG)) is None


def test_no_launch_is_planned_beyond_the_quota_of_elastic_addresses() -> None:
    look = serving_look()
    look = replace(look, wanted=wanted(fleet_spec({**MEDIUM, "eu-central-1": MEDIUM["eu-central-1"] + 3})))
    cloud = replace(look.seen.cloud, free_addresses={"eu-central-1": 2})
    look = replace(look, seen=replace(look.seen, cloud=cloud))
    plan = plan_fleet(look)
    assert sum(isinstance(action, Launch) for action in plan.actions) == 2
    (hold,) = [hold for hold in plan.holds if "elastic addresses left" in hold.because]
    assert hold.wanted == "launch"
