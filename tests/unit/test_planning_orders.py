"""What operators' orders do to a rollout: in each state, once, in order; what they forgive and vouch for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import Failure, RolloutRecord, RolloutState, Settling, Verb
from orchestrator.planning.plan import Health
from tests.rollout_looks import (
    EU1,
    EU2,
    EU3,
    MINUTE,
    NEW,
    NOW,
    TARGET,
    US1,
    before,
    fleet,
    footing,
    order,
    settled,
    silent,
    take_up,
    told,
    told_of,
    under_way,
)

RUNNING, PAUSED, HALTED = RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED
ROLLING_BACK, ROLLED_BACK, COMPLETE = RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK, RolloutState.COMPLETE

BAD = Failure(NEW, "10.6.0", EU1, "exit 1", NOW)


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
        (HALTED, Verb.HALT, HALTED, "halted"),
        (ROLLING_BACK, Verb.HALT, HALTED, "halted"),
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
        (HALTED, Verb.RETRY, HALTED, "retried"),
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


@pytest.mark.parametrize(
    ("verb", "state"), [(Verb.PAUSE, PAUSED), (Verb.HALT, HALTED), (Verb.RESUME, RUNNING), (Verb.ROLLBACK, RUNNING)]
)
def test_an_order_to_stop_that_nobody_has_heard_stops_the_next_wish_too(verb: Verb, state: RolloutState) -> None:
    found = take_up(before(RUNNING), orders=[order(1, verb)])
    assert (found.rollout.state, found.rollout.target, found.rollout.heard) == (state, TARGET, 1)


@pytest.mark.parametrize(
    ("verbs", "state"),
    [
        ((Verb.PAUSE, Verb.ROLLBACK), PAUSED),
        ((Verb.HALT, Verb.PAUSE), PAUSED),
        ((Verb.HALT, Verb.RESUME), RUNNING),
        ((Verb.RETRY, Verb.HALT), HALTED),
        ((Verb.HALT, Verb.RETRY), HALTED),
        ((Verb.PAUSE, Verb.RETRY), PAUSED),
    ],
)
def test_only_an_order_to_go_on_takes_an_unheard_stop_back(verbs, state: RolloutState) -> None:
    orders = [order(number, verb, EU1) for number, verb in enumerate(verbs, start=1)]
    assert take_up(before(RUNNING), orders=orders).rollout.state is state


def test_an_order_that_was_heard_is_not_meant_for_the_next_wish() -> None:
    found = take_up(before(PAUSED, heard=1), orders=[order(1, Verb.PAUSE)])
    assert found.rollout.state is RUNNING


@pytest.mark.parametrize(("by", "state"), [("ops", PAUSED), ("", RUNNING)], ids=["an operator's", "one by itself"])
def test_an_operators_pause_outlasts_the_wish_it_was_given_for(by: str, state: RolloutState) -> None:
    found = take_up(before(PAUSED, heard=1, by=by, because="by ops: partners upgrade"), orders=[order(1, Verb.PAUSE)])
    assert found.rollout.state is state
    assert (found.rollout.because, found.rollout.by) == (("by ops: partners upgrade", "ops") if by else ("", ""))


def test_a_resume_after_that_pause_was_heard_lets_the_next_wish_begin() -> None:
    orders = [order(1, Verb.PAUSE), order(2, Verb.RESUME)]
    assert take_up(before(PAUSED, heard=1, by="ops"), orders=orders).rollout.state is RUNNING


def test_an_order_to_stop_that_came_after_one_that_was_heard_stops_the_next_wish() -> None:
    orders = [order(1, Verb.RESUME), order(2, Verb.PAUSE)]
    assert take_up(before(RUNNING, heard=1), orders=orders).rollout.state is PAUSED


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


def test_who_is_still_down_with_it_after_a_resume_is_judged_anew() -> None:
    down = footing(EU1, NEW, health=Health.UNHEALTHY)
    found = take_up(TWO_FAILED, fleet(down, footing(US1, NEW)), orders=[order(1, Verb.RESUME)], after=MINUTE)
    assert found.record.restarts == {**told(EU1, at=NOW + MINUTE), **told(EU2)}


def test_who_cannot_be_asked_when_it_is_retried_still_counts_as_given_the_wish() -> None:
    found = take_up(TWO_FAILED, fleet(silent(EU1)), orders=[order(1, Verb.RETRY, EU1)], after=MINUTE)
    assert found.record.restarts[EU1] == told(EU1, at=NOW + MINUTE)[EU1]
    never = take_up(TWO_FAILED, fleet(silent(EU3)), orders=[order(1, Verb.RETRY, EU3)])
    assert EU3 not in never.record.restarts
    earlier = replace(TWO_FAILED, restarts=told(EU1, digest="earlier"))
    assert EU1 not in take_up(earlier, fleet(silent(EU1)), orders=[order(1, Verb.RETRY, EU1)]).record.restarts


def test_the_retry_of_one_relay_gives_no_other_its_time_anew() -> None:
    stuck = [footing(name, NEW, health=Health.UNHEALTHY) for name in (EU1, US1)]
    found = take_up(TWO_FAILED, fleet(*stuck), orders=[order(1, Verb.RETRY, EU1)], after=MINUTE)
    assert {name: restart.at for name, restart in found.record.restarts.items()} == {
        **{name: restart.at for name, restart in TWO_FAILED.restarts.items()},
        EU1: NOW + MINUTE,
    }


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


def test_the_retry_of_a_relay_that_is_not_to_blame_lifts_no_halt() -> None:
    found = take_up(under_way(HALTED, because="by ops: lunch"), orders=[order(1, Verb.RETRY, EU1)])
    assert (found.rollout.state, found.rollout.because) == (HALTED, "by ops: lunch")


@pytest.mark.parametrize("state", [PAUSED, ROLLING_BACK, ROLLED_BACK])
def test_a_retry_lifts_nothing_but_a_halt(state: RolloutState) -> None:
    found = take_up(under_way(state, failed={EU1: "exit 1"}), orders=[order(1, Verb.RETRY, EU1)])
    assert (found.rollout.state, found.rollout.failed) == (state, {})


@pytest.mark.parametrize(
    ("digest", "staging"), [("other", True), (NEW, False), ("other", False)], ids=["earlier", "not staging", "neither"]
)
def test_what_failed_for_another_wish_or_when_it_ran_is_no_staging_to_be_retried(digest: str, staging: bool) -> None:
    failures = {digest: replace(BAD, digest=digest, relay=US1, staging=staging)}
    halted = under_way(HALTED, failed={EU1: "exit 1"}, record=RolloutRecord(failures=failures))
    found = take_up(halted, orders=[order(1, Verb.RETRY, EU1), order(2, Verb.RETRY, US1)])
    assert found.rollout.state is RUNNING
    alone = take_up(replace(halted, current=replace(halted.current, failed={})), orders=[order(1, Verb.RETRY, US1)])
    assert alone.rollout.state is HALTED


def test_who_is_down_with_what_it_ran_before_is_not_judged_for_the_wish() -> None:
    found = take_up(TWO_FAILED, fleet(footing(EU1, health=Health.UNHEALTHY)), orders=[order(1, Verb.RESUME)])
    assert list(found.record.restarts) == [EU2]


def test_an_operators_halt_is_not_lifted_by_the_retry_of_what_failed_before_it() -> None:
    orders = [order(1, Verb.HALT), order(2, Verb.RETRY, EU1), order(3, Verb.RETRY, US1)]
    found = take_up(TWO_FAILED, orders=orders)
    assert (found.rollout.state, found.rollout.by, found.rollout.failed) == (HALTED, "ops", {})
    assert (
        take_up(replace(found.record, current=found.rollout), orders=[*orders, order(4, Verb.RESUME)]).rollout.state
        is RUNNING
    )


def test_an_operators_halt_is_not_said_twice() -> None:
    found = take_up(TWO_FAILED, orders=[order(1, Verb.HALT), order(2, Verb.HALT)])
    assert told_of(found) == ["halted"]


def test_an_operators_halt_is_not_lifted_because_staging_may_be_tried_again() -> None:
    record = under_way(HALTED, record=RolloutRecord(failures={NEW: replace(BAD, staging=True)}))
    assert take_up(record).rollout.state is RUNNING
    assert take_up(record, orders=[order(1, Verb.HALT)]).rollout.state is HALTED


def test_the_retry_of_the_relay_that_could_not_be_staged_lifts_the_halt() -> None:
    record = under_way(HALTED, record=RolloutRecord(failures={NEW: replace(BAD, staging=True)}))
    attempts = [Attempt(US1, "stage", 4, NOW, "404")]
    assert take_up(record, orders=[order(1, Verb.RETRY, US1)], attempts=attempts).rollout.state is HALTED
    found = take_up(record, orders=[order(1, Verb.RETRY, EU1)], attempts=attempts)
    assert (found.rollout.state, found.record.failures) == (RUNNING, {})


# --- what could not be told ------------------------------------------------------------------------------------------


def test_who_resumes_vouches_for_those_that_it_was_paused_for() -> None:
    record = under_way(PAUSED, doubtful=frozenset({EU3}), vouched=frozenset({US1}))
    found = take_up(record, orders=[order(1, Verb.RESUME)])
    assert (found.rollout.vouched, found.rollout.doubtful) == ({EU3, US1}, frozenset())


def test_who_resumes_what_an_operator_paused_vouches_for_nobody() -> None:
    record = under_way(PAUSED, record=RolloutRecord(settling={EU3: Settling(NEW, NOW - 60 * MINUTE, looks=3)}))
    assert take_up(record, orders=[order(1, Verb.RESUME)]).rollout.vouched == frozenset()
