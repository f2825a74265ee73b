"""The next step towards an instance of another kind, and what becomes of a successor, one condition at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.observation import (
    HostFacts,
    HostView,
    InFlight,
    InstanceState,
    InstanceStatus,
    UnitState,
    Unreachable,
    Verdict,
)
from orchestrator.planning.assess import Slot, assess_relay, list_slots
from orchestrator.planning.budget import Budget, count_budget
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Action, Health, Hold, Kind, Launch, RelayView, Retire, Stop
from orchestrator.planning.replacing import plan_idle_successor, plan_replacement
from tests.scenarios.looks import (
    EU1,
    EU2,
    serving_look,
    with_another,
    with_attempt,
    with_sighting,
)

LARGER = Kind(instance_type="r6a.xlarge")
WHAT = "it was launched with instance type r6a.large (wanted r6a.xlarge)"


def two(**changes: object) -> Look:
    """A relay that serves, and beside it the instance that is to take its place, just launched and running."""
    look = serving_look()
    usual = {"generation": 2, "instance_type": LARGER.instance_type, "launched_at": look.now, "address": None}
    return with_another(look, EU1, **{**usual, **changes})


def slot_of(look: Look) -> Slot:
    return next(slot for slot in list_slots(look.wanted.relays, look) if slot.relay.name == EU1)


def budget_of(look: Look, *out: str, **changes: object) -> Budget:
    """Nobody is out but those that are named."""
    views = [assess_relay(slot, look) for slot in list_slots(look.wanted.relays, look)]
    ill = [replace(view, health=Health.UNHEALTHY) if view.name in out else view for view in views]
    return replace(count_budget(ill, look.spec, frozenset(), frozenset()), **changes)  # type: ignore[arg-type]


def step(look: Look, budget: Budget | None = None, view: RelayView | None = None, kind: Kind = LARGER) -> Action | Hold:
    slot = slot_of(look)
    return plan_replacement(slot, view or assess_relay(slot, look), kind, look, budget or budget_of(look), {})


def unhealthy(look: Look) -> RelayView:
    return replace(assess_relay(slot_of(look), look), health=Health.UNHEALTHY)


def old_host(look: Look) -> HostFacts:
    (old,) = (i for i in look.seen.cloud.instances if i.relay == EU1 and i.generation == 1)
    host = look.seen.hosts[old.instance_id]
    assert isinstance(host, HostFacts)
    return host


def with_old(look: Look, host: HostView) -> Look:
    """The same with another view of the host of the one that serves."""
    old = slot_of(look).current
    assert old is not None
    return replace(look, seen=replace(look.seen, hosts={**look.seen.hosts, old.instance_id: host}))


# --- the step --------------------------------------------------------------------------------------------------------


def test_once_the_successor_runs_and_the_names_forgot_it_the_old_one_is_stopped() -> None:
    look = two()
    wanted = replace(look.wanted, spec=look.spec.model_copy(update={"rollout": _no_drain(look)}))
    stop = step(replace(look, wanted=wanted))
    assert isinstance(stop, Stop)
    assert (stop.instance.generation, stop.reason) == (1, f"{WHAT}; i-another takes its place")


def _no_drain(look: Look) -> object:
    return look.spec.rollout.model_copy(update={"drain_time": None})


def test_what_is_not_asked_of_a_kind_is_not_given_as_its_reason() -> None:
    launch = step(serving_look(), kind=Kind(image="", instance_type="r6a.xlarge"))
    assert isinstance(launch, Launch)
    assert launch.reason == WHAT


def test_a_relay_whose_turn_has_not_come_gets_no_successor() -> None:
    look = serving_look()
    assert step(look, budget_of(look, gates={EU1: "wave 2 waits"})) == Hold(EU1, "replace", f"{WHAT}; wave 2 waits")


def test_a_successor_of_yet_another_kind_is_followed_by_the_right_one() -> None:
    launch = step(two(instance_type="r6a.2xlarge"))
    assert isinstance(launch, Launch)


@pytest.mark.parametrize("late", [timedelta(), timedelta(seconds=1)])
def test_a_successor_that_does_not_run_yet_is_waited_for_and_no_longer_than_a_boot_may_take(late: timedelta) -> None:
    look = two(state=InstanceState.PENDING)
    look = replace(look, now=look.now + look.spec.rollout.boot_deadline + late)
    hold = step(look)
    assert isinstance(hold, Hold)
    assert hold.because.startswith("i-another is pending")
    assert hold.passes is not bool(late)


def test_a_stop_that_failed_is_tried_again_only_after_its_pause() -> None:
    hold = step(with_attempt(two(), EU1, "stop", 1))
    assert isinstance(hold, Hold)
    assert "stop failed once: 404 Not Found" in hold.because


def test_a_host_that_cannot_be_looked_at_is_not_stopped_whatever_its_relay_is_believed_to_be() -> None:
    hold = step(with_old(two(), Unreachable("no route to host")), view=unhealthy(two()))
    assert isinstance(hold, Hold)
    assert "whether it serves is not known, so it is not stopped" in hold.because


def test_one_that_serves_costs_the_budget_even_where_nobody_says_that_it_answers() -> None:
    look = with_sighting(two(), EU1, Verdict.REFUSED)
    healthy = replace(assess_relay(slot_of(look), look), health=Health.HEALTHY)
    hold = step(look, budget_of(look, EU2), view=healthy)
    assert isinstance(hold, Hold)
    assert (hold.wanted, hold.because) == ("stop", f"{WHAT}; 1 of 1 relays that may be out are out ({EU2})")


def test_one_that_does_not_serve_is_not_drained_first() -> None:
    look = with_sighting(two(), EU1, Verdict.STALE_TIP)
    assert isinstance(step(look, view=unhealthy(look)), Stop)


def test_a_node_that_is_stopping_is_waited_for() -> None:
    look = two()
    hold = step(with_old(look, replace(old_host(look), unit=UnitState.DEACTIVATING, detail="since 5 s")))
    assert hold == Hold(EU1, "replace", f"{WHAT}; its node is stopping since 5 s", passes=True)


# --- a successor that is not needed ------------------------------------------------------------------------------------


def idle(look: Look, kind: Kind = LARGER) -> list[str]:
    """What is done about the successor."""
    return [type(each).__name__ for each in plan_idle_successor(slot_of(look), kind, look)]


def test_a_successor_that_is_waited_for_stays() -> None:
    assert idle(two()) == []


def test_a_relay_without_one_is_left_alone() -> None:
    assert idle(serving_look()) == []
    assert plan_idle_successor(Slot(slot_of(serving_look()).relay, ()), LARGER, serving_look()) == []


@pytest.mark.parametrize(
    ("look", "kind"),
    [
        (two(instance_type="r6a.2xlarge"), LARGER),
        (two(), Kind(instance_type="r6a.large")),
        (two(state=InstanceState.STOPPED), LARGER),
    ],
    ids=["of another kind than is wanted", "the one that serves is as wanted", "dead"],
)
def test_one_that_nobody_waits_for_goes(look: Look, kind: Kind) -> None:
    assert idle(look, kind) == ["Retire"]


def test_nothing_is_done_about_it_while_its_relay_is_worked_on() -> None:
    look = two(state=InstanceState.STOPPED)
    busy = {EU1: InFlight("launch", look.now, disturbs=False)}
    assert idle(replace(look, seen=replace(look.seen, in_flight=busy))) == []


def test_why_it_goes_is_told() -> None:
    look = two(status=InstanceStatus.OK)
    (retire,) = plan_idle_successor(slot_of(look), Kind(instance_type="r6a.large"), look)
    assert isinstance(retire, Retire)
    old = slot_of(look).current
    assert old is not None
    assert retire.reason == f"it is not needed any more beside {old.instance_id}; it was never deployed"
