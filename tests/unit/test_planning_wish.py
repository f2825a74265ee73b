"""From wishes and orders to the rollout that is under way: what supersedes, what is halted before it begins, what each order does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.rollout import NO_ROLLOUT, Failure, RolloutRecord, RolloutState, Settling, Verb
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.wish import Wished, fail_wish, is_trusted, list_wanted_waves, take_up_wish
from tests.rollout_looks import (
    EU1,
    EU2,
    EU3,
    MINUTE,
    NEW,
    NOW,
    OLD,
    US1,
    US2,
    WAVES,
    fleet,
    footing,
    make_bundle,
    make_look,
    make_rollout,
    order,
    settled,
    silent,
    told,
    wished,
)

RUNNING, PAUSED, HALTED = RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED
ROLLING_BACK, ROLLED_BACK, COMPLETE = RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK, RolloutState.COMPLETE

BAD = Failure(NEW, "10.6.0", EU1, "exit 1", NOW)


def take_up(record: RolloutRecord = NO_ROLLOUT, footings=None, *, bundles=(OLD, NEW), **look) -> Wished:
    made = make_look(record, bundles=map(make_bundle, bundles), **look)
    return take_up_wish(footings or fleet(), {}, record, made)


TARGET = take_up().rollout.target


def under_way(state: RolloutState = RUNNING, *, record: RolloutRecord = NO_ROLLOUT, **changes) -> RolloutRecord:
    """The rollout to what `fleet()` wishes for."""
    return replace(record, current=make_rollout(state, target=TARGET, **changes))


def before(state: RolloutState, **changes) -> RolloutRecord:
    """The rollout of an earlier wish, to OLD unless told otherwise."""
    usual = {"target": "earlier", "version": "10.5.1", "wish": dict.fromkeys(("eu", "us"), OLD), "good": {}}
    return RolloutRecord(make_rollout(state, **{**usual, **changes}))


def told_of(found: Wished) -> list[str]:
    return [event.what for event in found.events]


# --- a new wish ------------------------------------------------------------------------------------------------------


def test_a_fleet_that_has_nothing_yet_needs_no_care() -> None:
    unborn = {n: replace(f, runs="", facts=None, view=replace(f.view, phase=Phase.ABSENT)) for n, f in fleet().items()}
    found = take_up(footings=unborn)
    assert (found.rollout.waves, found.rollout.state, found.events) == ((), RUNNING, ())


def test_a_fleet_that_is_as_wished_needs_no_waves() -> None:
    assert take_up(before(COMPLETE), fleet(others=NEW)).rollout.waves == ()


def test_another_wish_goes_through_all_that_are_not_so_yet() -> None:
    found = take_up(before(COMPLETE), fleet(footing(EU1, NEW)))
    assert sorted(name for wave in found.rollout.waves for name in wave) == sorted(fleet().keys() - {EU1})
    assert (found.rollout.state, found.rollout.canaries, found.rollout.version) == (RUNNING, 1, "10.6.0")
    assert told_of(found) == ["started"]


def test_who_could_not_be_asked_may_run_something_else_and_has_a_turn() -> None:
    found = take_up(before(COMPLETE), fleet(silent(US2), others=NEW))
    assert found.rollout.waves == ((US2,),)


def test_the_same_wish_goes_on_as_it_is() -> None:
    record = under_way(failed={EU1: "exit 1"})
    found = take_up(record)
    assert (found.rollout, found.events) == (record.current, ())


def test_relays_that_are_added_do_not_change_the_wish() -> None:
    more = fleet() | {"demo-ap-01": footing("demo-ap-01", "")}
    record = under_way()
    found = take_up(record, more, counts={"ap": 1, "eu": 3, "us": 3})
    assert found.rollout == replace(record.current, wish={"ap": NEW, "eu": NEW, "us": NEW})


@pytest.mark.parametrize(("policy", "canaries"), [({}, 1), ({"canaries": 0}, 0), ({"canaries": 2}, 1)])
def test_the_first_wave_is_the_canaries_if_there_are_any(policy, canaries: int) -> None:
    assert take_up(before(COMPLETE), policy=policy).rollout.canaries == canaries


# --- one wish after another ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [RUNNING, PAUSED, HALTED, ROLLING_BACK, ROLLED_BACK])
def test_another_wish_supersedes_an_unfinished_one_and_runs(state: RolloutState) -> None:
    found = take_up(before(state))
    assert found.rollout.state is RUNNING
    assert found.rollout.target == TARGET
    assert told_of(found) == ["superseded", "started"]
    assert found.events[0].text == f"10.5.1 had come to: {state.value}"


def test_a_finished_one_is_not_superseded() -> None:
    assert told_of(take_up(before(COMPLETE))) == ["started"]


def test_what_failed_on_an_earlier_wish_is_no_failure_of_the_next() -> None:
    found = take_up(before(HALTED, failed={EU1: "exit 1"}, vouched=frozenset({US1}), because="exit 1"))
    assert (found.rollout.failed, found.rollout.vouched, found.rollout.because) == ({}, frozenset(), "")


def test_relays_on_a_release_that_failed_go_first() -> None:
    record = replace(before(HALTED), failures={"bad": replace(BAD, digest="bad")})
    found = take_up(record, fleet(footing(US1, "bad"), footing(EU1, "bad")))
    assert found.rollout.waves[0] in ((EU1,), (US1,))
    assert {EU1, US1} <= {name for wave in found.rollout.waves[:2] for name in wave}


def test_relays_that_are_down_go_first_where_nothing_has_failed() -> None:
    found = take_up(before(COMPLETE), fleet(footing(US1, health=Health.UNHEALTHY)))
    assert found.rollout.waves[0] == (US1,)


@pytest.mark.parametrize("state", [RUNNING, HALTED, ROLLED_BACK])
def test_a_wish_that_has_failed_before_is_halted_before_it_begins(state: RolloutState) -> None:
    found = take_up(replace(before(state), failures={NEW: BAD}))
    assert found.rollout.state is HALTED
    assert found.rollout.because == f"it failed before, on {EU1}: exit 1"
    assert told_of(found)[-2:] == ["started", "halted"]


def test_a_wish_that_never_got_as_far_as_a_relay_says_so() -> None:
    found = take_up(replace(before(HALTED), failures={NEW: replace(BAD, relay="")}))
    assert found.rollout.because == "it failed before, on staging: exit 1"


# --- what was proven -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "good"),
    [
        (before(COMPLETE), OLD),
        (before(RUNNING, good=dict.fromkeys(("eu", "us"), "older")), "older"),
        (before(HALTED, good=dict.fromkeys(("eu", "us"), "older")), "older"),
        (before(RUNNING), OLD),
        (before(RUNNING, wish={"eu": "never seen", "us": "never seen"}), None),
    ],
    ids=["completed", "unfinished", "halted", "serves though never completed", "never served"],
)
def test_what_a_fleet_goes_back_to_is_what_it_had_proven_last(record: RolloutRecord, good: str | None) -> None:
    found = take_up(record, bundles=(OLD, NEW, "older", "never seen"))
    assert found.rollout.good == ({"eu": good, "us": good} if good else {})


def test_nothing_is_known_to_go_back_to_before_the_first_wish() -> None:
    assert take_up().rollout.good == {}


def test_what_was_proven_is_worth_nothing_if_it_was_not_kept() -> None:
    assert take_up(before(COMPLETE), bundles=(NEW,)).rollout.good == {}


def test_going_back_to_what_was_proven_needs_no_canary() -> None:
    record = before(HALTED, wish={"eu": "bad", "us": "bad"}, good={"eu": NEW, "us": NEW})
    found = take_up(record, fleet(others="bad"))
    assert is_trusted(found.rollout)
    assert found.rollout.canaries == 0
    assert len(found.rollout.waves[0]) == 2


def test_what_was_proven_is_not_halted_for_having_failed_once() -> None:
    record = before(HALTED, wish={"eu": "bad", "us": "bad"}, good={"eu": NEW, "us": NEW})
    assert take_up(replace(record, failures={NEW: BAD}), fleet(others="bad")).rollout.state is RUNNING


@pytest.mark.parametrize(("good", "trusted"), [({"eu": NEW, "us": NEW}, True), ({"eu": NEW}, False), ({}, False)])
def test_a_wish_is_trusted_if_it_was_proven_in_every_region(good, trusted: bool) -> None:
    assert is_trusted(make_rollout(good=good)) is trusted


def test_relays_that_nobody_wants_any_more_are_out_of_the_waves() -> None:
    left = {name: relay for name, relay in fleet().items() if name not in (EU3, US1)}
    assert list_wanted_waves(make_rollout(), left) == ((), (EU1,), *WAVES[2:])


# --- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "verb", "after", "event"),
    [
        (RUNNING, Verb.PAUSE, PAUSED, "paused"),
        (PAUSED, Verb.PAUSE, PAUSED, None),
        (HALTED, Verb.PAUSE, HALTED, None),
        (ROLLING_BACK, Verb.PAUSE, ROLLING_BACK, None),
        (ROLLED_BACK, Verb.PAUSE, ROLLED_BACK, None),
        (COMPLETE, Verb.PAUSE, COMPLETE, None),
        (RUNNING, Verb.HALT, HALTED, "halted"),
        (PAUSED, Verb.HALT, HALTED, "halted"),
        (HALTED, Verb.HALT, HALTED, None),
        (ROLLING_BACK, Verb.HALT, ROLLING_BACK, None),
        (ROLLED_BACK, Verb.HALT, ROLLED_BACK, None),
        (COMPLETE, Verb.HALT, COMPLETE, None),
        (RUNNING, Verb.RESUME, RUNNING, None),
        (PAUSED, Verb.RESUME, RUNNING, "resumed"),
        (HALTED, Verb.RESUME, RUNNING, "resumed"),
        (ROLLING_BACK, Verb.RESUME, RUNNING, "resumed"),
        (ROLLED_BACK, Verb.RESUME, RUNNING, "resumed"),
        (COMPLETE, Verb.RESUME, COMPLETE, None),
        (RUNNING, Verb.ROLLBACK, ROLLING_BACK, "rolling back"),
        (PAUSED, Verb.ROLLBACK, ROLLING_BACK, "rolling back"),
        (HALTED, Verb.ROLLBACK, ROLLING_BACK, "rolling back"),
        (ROLLING_BACK, Verb.ROLLBACK, ROLLING_BACK, None),
        (ROLLED_BACK, Verb.ROLLBACK, ROLLED_BACK, None),
        (COMPLETE, Verb.ROLLBACK, ROLLING_BACK, "rolling back"),
        (RUNNING, Verb.RETRY, RUNNING, "retried"),
        (PAUSED, Verb.RETRY, PAUSED, "retried"),
        (HALTED, Verb.RETRY, RUNNING, "retried"),
        (COMPLETE, Verb.RETRY, COMPLETE, None),
    ],
)
def test_what_each_order_does_in_each_state(state, verb: Verb, after, event: str | None) -> None:
    found = take_up(under_way(state), orders=[order(1, verb, EU1)])
    assert found.rollout.state is after
    assert told_of(found) == ([event] if event else [])
    assert found.rollout.heard == 1


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.HALT, Verb.ROLLBACK])
def test_who_asked_and_why_is_kept_and_told(verb: Verb) -> None:
    found = take_up(under_way(), orders=[order(1, verb)], after=MINUTE)
    assert (found.rollout.because, found.rollout.since) == ("by ops: because", NOW + MINUTE)
    assert (found.events[0].user, found.events[0].text, found.events[0].at) == ("ops", "by ops: because", NOW + MINUTE)


def test_a_rollout_that_runs_has_no_cause() -> None:
    found = take_up(under_way(PAUSED, because="by ops: lunch"), orders=[order(1, Verb.RESUME)])
    assert found.rollout.because == ""
    assert found.events[0].text == "by ops: because"


def test_orders_are_taken_up_once() -> None:
    orders = [order(1, Verb.PAUSE)]
    first = take_up(under_way(), orders=orders)
    resumed = replace(first.rollout, state=RUNNING)
    again = take_up(RolloutRecord(resumed), orders=orders)
    assert (again.rollout, again.events) == (resumed, ())


def test_orders_are_taken_up_in_the_order_in_which_they_came() -> None:
    pause, resume, halt = order(1, Verb.PAUSE), order(2, Verb.RESUME), order(3, Verb.HALT)
    found = take_up(under_way(), orders=[pause, resume, halt])
    assert told_of(found) == ["paused", "resumed", "halted"]
    assert (found.rollout.state, found.rollout.heard) == (HALTED, 3)


def test_orders_from_before_the_first_rollout_are_not_meant_for_it() -> None:
    found = take_up(orders=[order(1, Verb.HALT), order(2, Verb.PAUSE)])
    assert (found.rollout.state, found.rollout.heard) == (RUNNING, 2)


def test_an_order_that_nobody_has_heard_is_meant_for_the_wish_that_was_under_way() -> None:
    found = take_up(before(RUNNING), orders=[order(1, Verb.PAUSE)])
    assert told_of(found) == ["paused", "superseded", "started"]
    assert (found.rollout.state, found.rollout.heard) == (RUNNING, 1)


def test_without_anything_to_go_back_to_a_rollback_is_not_begun() -> None:
    found = take_up(under_way(good={}), orders=[order(1, Verb.ROLLBACK)])
    assert (found.rollout.state, found.events) == (RUNNING, ())


def test_the_way_back_to_what_was_proven_is_not_rolled_back() -> None:
    found = take_up(under_way(good={"eu": NEW, "us": NEW}, canaries=0), orders=[order(1, Verb.ROLLBACK)])
    assert (found.rollout.state, found.events) == (RUNNING, ())


# --- what resume and retry forgive -----------------------------------------------------------------------------------


TWO_FAILED = under_way(
    HALTED,
    failed={EU1: "exit 1", US1: "stuck"},
    record=RolloutRecord(
        settling=settled(EU1, US1, EU2), restarts=told(EU1, US1, EU2), failures={NEW: BAD, "other": BAD}
    ),
)


def test_resume_lets_everything_that_failed_be_tried_again() -> None:
    found = take_up(TWO_FAILED, orders=[order(1, Verb.RESUME)])
    assert (found.rollout.failed, list(found.record.failures)) == ({}, ["other"])
    assert (list(found.record.settling), list(found.record.restarts)) == ([EU2], [EU2])


def test_retry_lets_one_relay_try_again_and_stays_halted_for_the_other() -> None:
    found = take_up(TWO_FAILED, orders=[order(1, Verb.RETRY, EU1)])
    assert (found.rollout.state, found.rollout.failed) == (HALTED, {US1: "stuck"})
    assert NEW in found.record.failures
    assert (list(found.record.settling), list(found.record.restarts)) == ([US1, EU2], [US1, EU2])


def test_the_retry_of_the_last_one_lets_the_rollout_go_on() -> None:
    found = take_up(TWO_FAILED, orders=[order(1, Verb.RETRY, EU1), order(2, Verb.RETRY, US1)])
    assert (found.rollout.state, found.rollout.failed, found.rollout.because) == (RUNNING, {}, "")
    assert NEW not in found.record.failures


def test_a_wish_that_had_failed_before_can_be_resumed_and_is_not_halted_again() -> None:
    halted = take_up(replace(before(HALTED), failures={NEW: BAD}))
    record = replace(halted.record, current=halted.rollout)
    resumed = take_up(record, orders=[order(1, Verb.RESUME)])
    assert (resumed.rollout.state, resumed.record.failures) == (RUNNING, {})
    assert take_up(replace(resumed.record, current=resumed.rollout)).rollout.state is RUNNING


# --- what could not be told ------------------------------------------------------------------------------------------


def baking(minutes: int, **changes) -> Settling:
    return replace(Settling(NEW, NOW - minutes * MINUTE, looks=3), **changes)


@pytest.mark.parametrize(
    ("name", "found", "accepted"),
    [
        (EU3, baking(10), True),
        (EU3, baking(9), False),
        (EU1, baking(2), True),
        (EU1, baking(1), False),
        (EU1, baking(2, looks=2), False),
        (EU1, baking(2, settled=True), False),
    ],
    ids=["canary", "canary that bakes", "wave", "relay that bakes", "too few looks", "settled"],
)
def test_who_resumes_vouches_for_those_whose_bake_is_over_and_could_not_be_judged(name, found, accepted) -> None:
    record = under_way(PAUSED, record=RolloutRecord(settling={name: found}))
    policy = {"canary_bake": timedelta(minutes=10), "bake": timedelta(minutes=2)}
    resumed = take_up(record, orders=[order(1, Verb.RESUME)], policy=policy)
    assert resumed.rollout.vouched == (frozenset({name}) if accepted else frozenset())


def test_who_was_vouched_for_before_stays_so() -> None:
    record = under_way(PAUSED, vouched=frozenset({US1}), record=RolloutRecord(settling={EU3: baking(60)}))
    assert take_up(record, orders=[order(1, Verb.RESUME)]).rollout.vouched == {US1, EU3}


# --- failing ---------------------------------------------------------------------------------------------------------


def fail(state: RolloutState = RUNNING, *, updated: bool = True, policy=None, **changes) -> Wished:
    look = make_look(policy=policy, after=MINUTE)
    return fail_wish(wished(state, **changes), {EU3: "exit 1"}, fleet(), look, updated=updated)


@pytest.mark.parametrize(
    ("state", "on_failure", "updated", "after"),
    [
        (RUNNING, "halt", True, HALTED),
        (PAUSED, "halt", True, HALTED),
        (RUNNING, "rollback", True, ROLLING_BACK),
        (RUNNING, "rollback", False, HALTED),
        (HALTED, "rollback", True, HALTED),
        (ROLLING_BACK, "halt", True, ROLLING_BACK),
        (ROLLED_BACK, "halt", True, ROLLED_BACK),
    ],
)
def test_what_a_failure_does_in_each_state(state, on_failure: str, updated: bool, after) -> None:
    found = fail(state, updated=updated, policy={"on_failure": on_failure})
    assert found.rollout.state is after
    assert found.rollout.failed == ({EU3: "exit 1"} if updated else {})
    assert found.record.failures[NEW] == Failure(NEW, "10.6.0", EU3, "exit 1", NOW + MINUTE)
    assert found.events[0].what == "failed"


def test_what_fails_with_nothing_to_go_back_to_is_halted() -> None:
    assert fail(policy={"on_failure": "rollback"}, good={}).rollout.state is HALTED


def test_the_cause_of_a_halt_names_the_relay() -> None:
    found = fail()
    assert found.rollout.because == f"{EU3}: exit 1"
    assert [(event.what, event.text) for event in found.events] == [
        ("failed", f"{EU3}: exit 1"),
        ("halted", f"{EU3}: exit 1"),
    ]


def test_every_relay_that_failed_is_told_in_order() -> None:
    found = fail_wish(wished(), {US1: "b", EU1: "a"}, fleet(), make_look(), updated=True)
    assert [event.text for event in found.events if event.what == "failed"] == [f"{EU1}: a", f"{US1}: b"]
    assert found.rollout.because == f"{EU1}: a"
