"""When a relay that serves may be stopped, who is out of the names meanwhile, and who is let back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import HostView, InFlight, Sighting, Unreachable, Verdict
from orchestrator.fleet.record import NO_EVIDENCE
from orchestrator.fleet.rollout import RolloutRecord, Verb
from orchestrator.planning.draining import DRAIN, list_draining, wait_for_drain
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Deploy, Hold, Phase, Plan, Stop
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.rendering.values import ChangeClass
from tests.rendering_builders import rendered
from tests.rollout_looks import EU1, EU3, EVERYBODY, MINUTE, NOW, SECOND, make_facts, make_look, order
from tests.scenarios.builders import BUDGET_ALONE, MEDIUM, fleet_spec, wanted
from tests.scenarios.looks import instance_of, serving_look, steps_of, with_facts, with_host, with_sighting

POLICY = {"drain_time": MINUTE, "drain_connections": 5, "drain_deadline": 5 * MINUTE}


def wait(since_seconds: int | None, inbound: int | None = 0, *, published=None, policy=None) -> Hold | None:
    """What a relay waits for that has been draining, or in the names, for so long; the look is at NOW."""
    published = published if published is not None else (EU1,) if since_seconds is None else ()
    draining = {EU1: NOW - since_seconds * SECOND} if since_seconds is not None else {}
    look = make_look(RolloutRecord(draining=draining), policy=policy or POLICY, published=published)
    metrics = NodeMetrics("new", inbound=inbound) if inbound is not None else None
    return wait_for_drain(EU1, "release differs", make_facts(metrics=metrics), look)


# --- one relay -------------------------------------------------------------------------------------------------------


def test_a_published_relay_leaves_the_names_first() -> None:
    assert wait(None) == Hold(EU1, DRAIN, "release differs; leaves the names for 60 s first", passes=True)


def test_who_is_in_no_names_need_not_leave_them() -> None:
    assert wait(None, published=()) is None


@pytest.mark.parametrize(("seconds", "stops"), [(59, False), (60, True)])
def test_who_left_the_names_for_something_else_just_before_drains_for_the_rest(seconds: int, stops: bool) -> None:
    look = make_look(policy=POLICY, published=())
    evidence = replace(look.record.evidence, withdrawn={EU1: NOW - seconds * SECOND})
    look = replace(look, record=replace(look.record, evidence=evidence))
    found = wait_for_drain(EU1, "release differs", make_facts(metrics=NodeMetrics("new", inbound=0)), look)
    assert (found is None) is stops


def test_without_a_time_to_drain_it_is_stopped_at_once() -> None:
    assert wait(None, policy={**POLICY, "drain_time": None}) is None


@pytest.mark.parametrize(
    ("seconds", "inbound", "stops"),
    [
        (0, 0, False),
        (59, 0, False),
        (60, 0, True),
        (60, 5, True),
        (60, 6, False),
        (299, 6, False),
        (300, 6, True),
        (60, None, True),
    ],
)
def test_it_is_stopped_after_the_time_once_few_are_connected_or_at_the_deadline(
    seconds: int, inbound: int | None, stops: bool
) -> None:
    hold = wait(seconds, inbound)
    assert (hold is None) is stops
    assert hold is None or hold.passes


@pytest.mark.parametrize(
    ("peers", "stops"),
    [
        (frozenset({"10.0.0.8", "::ffff:10.0.0.9", "192.0.2.1"}), True),
        (frozenset({"10.0.0.8", "192.0.2.1"}), False),
        (None, False),
    ],
    ids=["both are connected", "one of them is not", "who is connected is not known"],
)
def test_relays_that_name_it_are_not_waited_for(peers: frozenset[str] | None, stops: bool) -> None:
    look = make_look(RolloutRecord(draining={EU1: NOW - MINUTE}), policy=POLICY, published=())
    facts = replace(make_facts(metrics=NodeMetrics("new", inbound=7)), peers=peers)
    hold = wait_for_drain(EU1, "release differs", facts, look, ("10.0.0.8", "10.0.0.9"))
    assert (hold is None) is stops


def test_where_nobody_else_may_be_connected_those_that_name_it_are_nobody() -> None:
    policy = {**POLICY, "drain_connections": 0}
    look = make_look(RolloutRecord(draining={EU1: NOW - MINUTE}), policy=policy, published=())
    facts = make_facts(metrics=NodeMetrics("new", inbound=1), peers=frozenset({"10.0.0.8"}))
    assert wait_for_drain(EU1, "release differs", facts, look, ("10.0.0.8",)) is None
    assert wait_for_drain(EU1, "release differs", facts, look) is not None


def test_a_node_that_does_not_tell_its_connections_is_stopped_after_the_time() -> None:
    look = make_look(RolloutRecord(draining={EU1: NOW - MINUTE}), policy=POLICY, published=())
    assert wait_for_drain(EU1, "release differs", make_facts(metrics=NodeMetrics("new")), look) is None


def test_waiting_is_told_in_numbers() -> None:
    early, late = wait(20), wait(200, 9)
    assert early is not None
    assert early.because == "release differs; is out of the names since 20 of 60 s"
    assert late is not None
    assert late.because == "release differs; 9 others are connected, 5 may be; stopped in 100 s at the latest"


# --- who drains, as a plan has it ------------------------------------------------------------------------------------


RESTARTED = serving_look()
DRAINS = Hold(EU1, DRAIN, "", passes=True)


def deploy(*, disturbs: bool) -> Deploy:
    instance = RESTARTED.seen.cloud.instances[0]
    return Deploy(EU1, instance, rendered(), ChangeClass.RESTART, disturbs, "")


@pytest.mark.parametrize(
    ("step", "since"),
    [
        (DRAINS, NOW - MINUTE),
        (deploy(disturbs=True), NOW - MINUTE),
        (Stop(EU1, RESTARTED.seen.cloud.instances[0], ""), NOW - MINUTE),
        (deploy(disturbs=False), None),
        (Hold(EU1, "restart", "1 of 1 are out"), None),
        (None, None),
    ],
    ids=[
        "drains on",
        "is restarted",
        "is stopped",
        "is only deployed",
        "is not to be stopped now",
        "is as it is to be",
    ],
)
def test_who_goes_on_draining(step, since) -> None:
    look = make_look(RolloutRecord(draining={EU1: NOW - MINUTE}))
    seen = replace(look.seen, sightings=RESTARTED.seen.sightings)
    found = list_draining([step] if step is not None else [], _answering(replace(look, seen=seen)))
    assert found.get(EU1) == since


def _answering(look: Look, host: HostView | None = None, verdict: Verdict = Verdict.OK) -> Look:
    """The same look with a host of EU1 that answered, and a wire that was asked."""
    instance = replace(RESTARTED.seen.cloud.instances[0], relay=EU1, region="eu")
    seen = replace(
        look.seen,
        cloud=replace(look.seen.cloud, instances=(instance,)),
        hosts={instance.instance_id: host or make_facts()},
        sightings={EU1: Sighting(verdict)},
    )
    return replace(look, seen=seen)


@pytest.mark.parametrize(
    ("host", "verdict", "drains"),
    [
        (make_facts(), Verdict.OK, False),
        (make_facts(), Verdict.REFUSED, False),
        (make_facts(), Verdict.NOT_ASKED, True),
        (Unreachable("no answer"), Verdict.OK, True),
        (make_facts(working="deploy"), Verdict.OK, True),
        (make_facts(working="stage"), Verdict.OK, False),
    ],
    ids=[
        "it was asked",
        "its wire refuses",
        "its wire was not asked",
        "its host does not answer",
        "a playbook is about to stop it",
        "a playbook disturbs nobody",
    ],
)
def test_who_is_to_be_let_back_drains_on_if_it_was_not_asked_or_is_about_to_be_stopped(
    host: HostView, verdict: Verdict, drains: bool
) -> None:
    look = _answering(make_look(RolloutRecord(draining={EU1: NOW}), after=MINUTE), host, verdict)
    assert list_draining([], look) == ({EU1: NOW} if drains else {})


@pytest.mark.parametrize("disturbs", [True, False])
def test_work_under_way_keeps_a_relay_out_of_the_names_only_if_it_stops_it(disturbs: bool) -> None:
    look = _answering(make_look(RolloutRecord(draining={EU1: NOW}), after=MINUTE))
    work = {EU1: InFlight("deploy", NOW, disturbs=disturbs)}
    look = replace(look, seen=replace(look.seen, in_flight=work))
    assert list_draining([], look) == ({EU1: NOW} if disturbs else {})


def test_who_begins_to_drain_does_so_from_now_on() -> None:
    assert list_draining([DRAINS], make_look(after=MINUTE)) == {EU1: NOW + MINUTE}


def test_who_left_the_names_for_something_else_has_drained_since_then() -> None:
    look = make_look(after=MINUTE)
    look = replace(look, record=replace(look.record, evidence=replace(NO_EVIDENCE, withdrawn={EU1: NOW})))
    assert list_draining([DRAINS], look) == {EU1: NOW}


@pytest.mark.parametrize("draining", [{}, {EU3: NOW}])
def test_who_drains_comes_by_name(draining) -> None:
    look = make_look(RolloutRecord(draining=draining))
    steps = [Hold(name, DRAIN, "") for name in reversed(EVERYBODY)]
    assert list(list_draining(steps, look)) == list(EVERYBODY)


def test_who_is_stopped_without_having_drained_does_not_drain() -> None:
    assert list_draining([deploy(disturbs=True)], make_look()) == {}


def test_who_is_being_stopped_stays_out_of_the_names() -> None:
    look = make_look(RolloutRecord(draining={EU1: NOW}), in_flight=[EU1], after=MINUTE)
    assert list_draining([Hold(EU1, "deploy", "")], look) == {EU1: NOW}


def test_who_could_not_be_asked_goes_on_draining() -> None:
    look = make_look(RolloutRecord(draining={EU1: NOW}), after=MINUTE)
    assert list_draining([Hold(EU1, "look", "")], look) == {EU1: NOW}


def test_who_is_no_relay_any_more_does_not_drain() -> None:
    assert list_draining([], make_look(RolloutRecord(draining={"demo-eu-09": NOW}))) == {}


def test_who_leaves_for_good_and_could_not_be_asked_goes_on_draining() -> None:
    look = make_look(RolloutRecord(draining={"demo-eu-09": NOW}), after=MINUTE)
    leaving = replace(RESTARTED.seen.cloud.instances[0], relay="demo-eu-09")
    seen = replace(look.seen, cloud=replace(look.seen.cloud, instances=(leaving,)))
    assert list_draining([], replace(look, seen=seen)) == {"demo-eu-09": NOW}


# --- in a plan -------------------------------------------------------------------------------------------------------


def upgrading(policy: dict[str, object] | None = None) -> Look:
    """Eight published relays, and a release that is staged everywhere; nothing but budget and draining holds them."""
    spec = fleet_spec(MEDIUM, release="10.6.0", rollout={**BUDGET_ALONE, **POLICY, **(policy or {})})
    look = replace(serving_look(), wanted=wanted(spec))
    for instance in look.seen.cloud.instances:
        look = with_facts(look, instance.relay, staged=frozenset({"a" * 64, "b" * 64, "c" * 64}))
    return look


def later(look: Look, plan: Plan, after: timedelta = 10 * SECOND) -> Look:
    """The next look, with all of the plan's record kept, at a world in which nothing has happened."""
    assert plan.rollout is not None
    kept = plan.rollout
    record = replace(look.record, rollout=kept.record, bundles=kept.bundles, evidence=plan.evidence)
    return replace(look, record=record, now=look.now + after)


def drainers(plan: Plan) -> list[str]:
    return [view.name for view in plan.relays if view.phase is Phase.DRAINING]


def restarted(plan: Plan) -> list[str]:
    return [action.relay for action in plan.actions if isinstance(action, Deploy)]


def test_a_relay_drains_for_its_time_and_is_stopped_then() -> None:
    look = upgrading()
    first = plan_fleet(look)
    (relay,) = drainers(first)
    assert restarted(first) == []
    second = plan_fleet(halfway := later(look, first, 30 * SECOND))
    assert (drainers(second), restarted(second)) == ([relay], [])
    assert restarted(plan_fleet(later(halfway, second, 30 * SECOND))) == [relay]


def test_a_draining_relay_is_in_no_names() -> None:
    plan = plan_fleet(upgrading())
    (relay,) = drainers(plan)
    assert plan.evidence.published == serving_look().record.evidence.published - {relay}
    assert [view.name for view in plan.relays if not view.published] == [relay]


def test_a_draining_relay_draws_on_the_budget() -> None:
    plan = plan_fleet(upgrading())
    (relay,) = drainers(plan)
    assert plan.out_at_most == 1
    assert f"1 of 1 relays that may be out are out ({relay})" in str(plan.holds)
    assert len(drainers(plan_fleet(upgrading({"max_unavailable": 3})))) == 3


def test_who_drains_already_goes_before_who_does_not() -> None:
    look = upgrading()
    draining = {"demo-us-east-1-01": look.now - MINUTE}
    record = replace(look.record, rollout=replace(look.record.rollout, draining=draining))
    evidence = replace(record.evidence, published=record.evidence.published - draining.keys())
    plan = plan_fleet(replace(look, record=replace(record, evidence=evidence)))
    assert (restarted(plan), drainers(plan)) == (["demo-us-east-1-01"], [])


def test_a_paused_rollout_lets_drainers_back_into_the_names() -> None:
    look = upgrading()
    first = plan_fleet(look)
    look = later(look, first)
    look = replace(look, record=replace(look.record, orders=(order(1, Verb.PAUSE),)))
    plan = plan_fleet(look)
    assert drainers(plan) == []
    assert plan.evidence.published == serving_look().record.evidence.published
    assert plan.rollout is not None
    assert plan.rollout.record.draining == {}


def test_a_wish_that_is_taken_back_lets_drainers_back() -> None:
    look = upgrading()
    first = plan_fleet(look)
    plan = plan_fleet(replace(later(look, first), wanted=wanted(fleet_spec(MEDIUM))))
    assert plan.actions == ()
    assert plan.evidence.published == serving_look().record.evidence.published


@pytest.mark.parametrize("missed", ["host", "wire"])
def test_one_look_that_misses_a_draining_relay_does_not_end_its_draining(missed: str) -> None:
    look = upgrading()
    first = plan_fleet(look)
    (relay,) = drainers(first)
    whole = later(look, first)
    blind = (
        with_host(whole, relay, Unreachable("no answer"))
        if missed == "host"
        else with_sighting(whole, relay, Verdict.NOT_ASKED)
    )
    between = plan_fleet(blind)
    assert relay not in between.evidence.published
    back = replace(later(blind, between), seen=look.seen)
    assert steps_of(plan_fleet(back), relay)[0][0] == f"hold {DRAIN}"


def test_a_relay_whose_restart_is_under_way_is_in_no_names_though_it_still_answers() -> None:
    look = upgrading()
    first = plan_fleet(look)
    (relay,) = drainers(first)
    look = later(look, first, MINUTE)
    second = plan_fleet(look)
    assert restarted(second) == [relay]
    look = later(look, second)
    work = {relay: InFlight("deploy", look.now, disturbs=True)}
    hosts = {key: host for key, host in look.seen.hosts.items() if key != instance_of(look, relay).instance_id}
    look = replace(look, seen=replace(look.seen, in_flight=work, hosts=hosts))
    assert relay not in plan_fleet(look).evidence.published


def test_relays_that_leave_for_good_drain_first_and_count_as_leaving_meanwhile() -> None:
    fewer = fleet_spec({**MEDIUM, "us-east-1": 1}, rollout=POLICY)
    plan = plan_fleet(replace(serving_look(), wanted=wanted(fewer)))
    ((word, because),) = steps_of(plan, "demo-us-east-1-02")
    assert (word, "leaves the names for 60 s first" in because) == (f"hold {DRAIN}", True)
    (view,) = [view for view in plan.relays if view.name == "demo-us-east-1-02"]
    assert (view.phase, view.published) == (Phase.RETIRING, False)


# --- since when --------------------------------------------------------------------------------------------------------


def withdrawn_after(look: Look, *, silent: bool) -> bool:
    """Whether it is kept since when a relay is out of the names that is wanted no more and was found at the last look."""
    evidence = replace(
        look.record.evidence, published=frozenset({*look.record.evidence.published, "demo-eu-central-1-09"})
    )
    cloud = replace(look.seen.cloud, silent_regions={"eu-central-1": "outage"} if silent else {})
    look = replace(look, record=replace(look.record, evidence=evidence), seen=replace(look.seen, cloud=cloud))
    first = plan_fleet(look).evidence
    assert first.withdrawn["demo-eu-central-1-09"] == look.now
    later = replace(look, now=look.now + MINUTE, record=replace(look.record, evidence=first))
    return plan_fleet(later).evidence.withdrawn.get("demo-eu-central-1-09") == look.now


def test_while_the_cloud_is_silent_nobody_is_forgotten_who_left_the_names() -> None:
    assert withdrawn_after(serving_look(), silent=True)


def test_who_left_the_names_and_is_gone_is_forgotten() -> None:
    assert not withdrawn_after(serving_look(), silent=False)


def test_who_was_let_back_drains_anew_though_nobody_noted_that_it_drains_no_more() -> None:
    assert wait(3600, published=(EU1,)) == wait(None)
    look = make_look(RolloutRecord(draining={EU1: NOW - MINUTE}), policy=POLICY, published=(EU1,))
    assert list_draining([Hold(EU1, DRAIN, "release differs")], look)[EU1] == NOW
