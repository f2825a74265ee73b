"""An instance of another image or type: its successor first, drained and stopped after, and nothing left behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.generations import follows, pick_standing
from orchestrator.fleet.observation import Instance, InstanceState, InstanceStatus, UnitState, Verdict
from orchestrator.fleet.rollout import Verb
from orchestrator.planning.assess import assess_relay, list_slots
from orchestrator.planning.budget import count_budget
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health, Hold, Kind, Launch, Phase, Plan, Retire, Stop
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.replacing import is_other_kind, plan_replacement
from tests.rollout_looks import order
from tests.scenarios.builders import MEDIUM, fleet_spec, wanted
from tests.scenarios.looks import EU1, instance_of, serving_look, steps_of, with_facts, with_sighting
from tests.upgrades import keep

LARGER = "r6a.xlarge"
POLICY: dict[str, object] = {"canaries": 0, "bake": None, "canary_bake": None, "healthy_looks": 1, "drain_time": None}


def larger(policy: dict[str, object] | None = None) -> Look:
    """A serving fleet all of whose relays are to be of a larger type."""
    spec = fleet_spec(MEDIUM, rollout={**POLICY, **(policy or {})})
    regions = {name: region.model_copy(update={"instance_type": LARGER}) for name, region in spec.regions.items()}
    return replace(serving_look(), wanted=wanted(spec.model_copy(update={"regions": regions})))


def first_of(plan: Plan) -> str:
    """The relay that is replaced first."""
    return next(action.relay for action in plan.actions if isinstance(action, Launch))


def with_successor(look: Look, relay: str, **changes: object) -> Look:
    """The same look with the launched successor of a relay."""
    old = instance_of(look, relay)
    usual = {
        "instance_id": "i-successor",
        "generation": old.generation + 1,
        "instance_type": LARGER,
        "launch_token": "successor",
        "address": None,
        "host_key": None,
        "launched_at": look.now,
    }
    successor = replace(old, **{**usual, **changes})  # type: ignore[arg-type]
    cloud = replace(look.seen.cloud, instances=(*look.seen.cloud.instances, successor))
    return replace(look, seen=replace(look.seen, cloud=cloud))


def launched(policy: dict[str, object] | None = None, **changes: object) -> tuple[Look, str]:
    look = larger(policy)
    plan = plan_fleet(look)
    relay = first_of(plan)
    return with_successor(keep(look, plan), relay, **changes), relay


# --- which instance stands -------------------------------------------------------------------------------------------


def instance(number: int, *, kind: str = "r6a.large", image: str = "ami-1") -> Instance:
    base = serving_look().seen.cloud.instances[0]
    return replace(base, instance_id=f"i-{number}", generation=number, instance_type=kind, image=image)


@pytest.mark.parametrize(
    ("newer", "waits"),
    [(instance(2), False), (instance(2, kind=LARGER), True), (instance(2, image="ami-2"), True)],
    ids=["its like", "another type", "another image"],
)
def test_a_newer_instance_of_another_kind_waits_until_the_older_one_is_gone(newer: Instance, waits: bool) -> None:
    older = instance(1)
    assert follows(newer, older) is waits
    assert pick_standing([newer, older])[older.relay] == (older if waits else newer)


def test_of_two_of_one_generation_none_follows_the_other() -> None:
    assert not follows(instance(1, kind=LARGER), instance(1))


def test_the_order_of_the_list_changes_nothing_about_who_stands() -> None:
    some = [instance(1), instance(2, kind=LARGER), instance(3, kind=LARGER)]
    assert pick_standing(some) == pick_standing(some[::-1])


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        (Kind("ami-1", "r6a.large"), False),
        (Kind("ami-2", "r6a.large"), True),
        (Kind("ami-1", LARGER), True),
        (Kind("", ""), False),
        (Kind("", LARGER), True),
    ],
)
def test_what_is_not_asked_for_is_no_difference(kind: Kind, other: bool) -> None:
    assert is_other_kind(instance(1), kind) is other


# --- step by step ----------------------------------------------------------------------------------------------------


def test_the_successor_is_launched_while_the_old_one_serves() -> None:
    plan = plan_fleet(larger())
    assert not any(isinstance(action, Stop | Retire) for action in plan.actions)
    relay = first_of(plan)
    ((word, because),) = steps_of(plan, relay)
    assert word == "launch"
    assert f"it was launched with instance type r6a.large (wanted {LARGER})" in because
    assert all(view.published for view in plan.relays)


def test_only_those_whose_turn_it_is_get_a_successor() -> None:
    plan = plan_fleet(larger())
    assert plan.rollout is not None
    launched_now = {action.relay for action in plan.actions if isinstance(action, Launch)}
    assert launched_now <= set(plan.rollout.waves[0].relays)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": InstanceState.PENDING},
        {"status": InstanceStatus.INITIALIZING},
        {"status": InstanceStatus.IMPAIRED},
    ],
    ids=["pending", "initializing", "impaired"],
)
def test_the_old_one_is_not_stopped_before_the_new_one_is_known_to_run(changes) -> None:
    look, relay = launched(**changes)
    plan = plan_fleet(look)
    assert not any(isinstance(action, Stop) for action in plan.actions)
    assert relay not in {action.relay for action in plan.actions if isinstance(action, Launch)}


def test_once_the_new_one_runs_the_old_one_is_stopped() -> None:
    look, relay = launched()
    plan = plan_fleet(look)
    stops = [action for action in plan.actions if isinstance(action, Stop)]
    assert [(stop.relay, stop.instance) for stop in stops] == [(relay, instance_of(larger(), relay))]
    assert stops[0].reason.endswith("i-successor takes its place")


def test_it_leaves_the_names_first() -> None:
    look, relay = launched({"drain_time": timedelta(minutes=1)})
    plan = plan_fleet(look)
    assert [word for word, _ in steps_of(plan, relay)] == ["hold drain"]
    assert relay not in plan.evidence.published


def test_its_stop_draws_on_the_budget() -> None:
    look, relay = launched()
    other = next(i.relay for i in look.seen.cloud.instances if i.relay != relay)
    look = with_sighting(with_facts(look, other, unit=UnitState.ACTIVATING), other, Verdict.REFUSED)
    plan = plan_fleet(look)
    assert not any(isinstance(action, Stop) for action in plan.actions)
    assert f"1 of 1 relays that may be out are out ({other})" in str(steps_of(plan, relay))


@pytest.mark.parametrize("answers", [Verdict.OK, Verdict.STALE_TIP])
def test_who_is_doubted_but_answers_with_a_fresh_tip_is_charged_for(answers: Verdict) -> None:
    look, relay = launched()
    other = next(i.relay for i in look.seen.cloud.instances if i.relay != relay)
    slot = next(slot for slot in list_slots(look.wanted.relays, look) if slot.relay.name == relay)
    look = with_sighting(look, relay, answers)
    doubted = replace(assess_relay(slot, look), phase=Phase.SYNCING, health=Health.UNHEALTHY)
    budget = count_budget([doubted, replace(doubted, name=other)], look.spec, frozenset(), frozenset())
    step = plan_replacement(slot, doubted, Kind(instance_type=LARGER), look, budget, {})
    assert isinstance(step, Hold if answers is Verdict.OK else Stop)


def test_its_stop_is_written_down_as_the_relays_restart_on_another_instance() -> None:
    look, relay = launched()
    plan = plan_fleet(look)
    assert plan.rollout is not None
    assert plan.rollout.record.restarts[relay].replaced


def test_a_relay_that_could_not_be_asked_is_not_stopped() -> None:
    look, relay = launched()
    plan = plan_fleet(with_sighting(look, relay, Verdict.NOT_ASKED))
    assert not any(isinstance(action, Stop) for action in plan.actions)
    assert "whether it serves is not known, so it is not stopped" in str(steps_of(plan, relay))


def test_a_stopped_node_is_followed_by_its_successor_and_its_instance_goes() -> None:
    look, relay = launched()
    old = instance_of(larger(), relay)
    key = old.instance_id
    stopped = replace(look.seen.hosts[key], unit=UnitState.INACTIVE, running_restart_digest="")  # type: ignore[type-var]
    look = with_sighting(
        replace(look, seen=replace(look.seen, hosts={**look.seen.hosts, key: stopped})), relay, Verdict.REFUSED
    )
    plan = plan_fleet(look)
    assert [action.instance for action in plan.actions if isinstance(action, Retire)] == [old]
    (view,) = [view for view in plan.relays if view.name == relay and not view.retiring]
    assert view.instance is not None
    assert view.instance.instance_id == "i-successor"


# --- orders and changes of mind --------------------------------------------------------------------------------------


def test_a_halt_before_the_stop_lets_the_successor_go_and_keeps_who_serves() -> None:
    look, relay = launched()
    look = replace(look, record=replace(look.record, orders=(order(1, Verb.HALT),)))
    plan = plan_fleet(look)
    assert not any(isinstance(action, Stop) and action.instance.instance_id != "i-successor" for action in plan.actions)
    assert all(view.published for view in plan.relays if view.name == relay)


def test_a_successor_that_nobody_wants_any_more_is_retired_and_who_serves_stays() -> None:
    look, relay = launched()
    look = replace(look, wanted=wanted(fleet_spec(MEDIUM, rollout=POLICY)))
    plan = plan_fleet(look)
    leaving = [action for action in plan.actions if isinstance(action, Stop | Retire)]
    assert {action.instance.instance_id for action in leaving} <= {"i-successor"}
    (view,) = [view for view in plan.relays if view.name == relay and not view.retiring]
    assert view.instance == instance_of(serving_look(), relay)


def test_a_relay_that_is_as_it_is_to_be_has_no_successor() -> None:
    plan = plan_fleet(serving_look())
    assert plan.actions == ()
    assert steps_of(plan, EU1) == []
