"""What restarted relays show of progress, which restarts never began, and how long those took that did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import Sighting, UnitState, Verdict
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import Restart, RolloutRecord, RolloutState
from orchestrator.planning.plan import Health
from orchestrator.planning.settling import follow_restarts, gets_on, rest_restarts
from tests.rollout_looks import (
    EU1,
    EU2,
    MINUTE,
    NEW,
    NOW,
    OLD,
    SECOND,
    footing,
    make_facts,
    make_look,
    make_rollout,
    silent,
    told,
)

DOWN = Health.UNHEALTHY


def follow(mine, before: Restart, *, durations=(), **look) -> RolloutRecord:
    return follow_restarts({EU1: mine}, make_look(RolloutRecord(restarts={EU1: before}, durations=durations), **look))


def replaying(percent: float | None, unit: UnitState = UnitState.ACTIVATING):
    metrics = NodeMetrics("new", replay_percent=percent) if percent is not None else None
    return footing(EU1, NEW, health=DOWN, facts=make_facts(unit=unit, metrics=metrics))


RESTARTED = Restart(NEW, NOW)


def stale(age: float) -> Sighting:
    return Sighting(Verdict.STALE_TIP, tip_age_seconds=age)


@pytest.mark.parametrize(
    ("mine", "age", "moves"),
    [
        (replaying(10.0), None, True),
        (replaying(10.04), None, True),
        (replaying(None), None, False),
        (replaying(None), 900.0, True),
        (replaying(None, UnitState.DEACTIVATING), None, True),
        (silent(EU1), 900.0, False),
    ],
    ids=["replays", "replays slowly", "shows nothing", "it has a tip", "is still stopping", "was not asked"],
)
def test_what_counts_as_progress(mine, age: float | None, moves: bool) -> None:
    sightings = {EU1: stale(age)} if age is not None else {}
    found = follow(mine, RESTARTED, after=30 * SECOND, sightings=sightings).restarts[EU1]
    assert found.marked_at == (NOW + 30 * SECOND if moves else None)


@pytest.mark.parametrize(("ages", "moves"), [((900, 899), True), ((900, 900), False), ((900, 950), False)])
def test_a_tip_that_moves_and_grows_no_younger_is_no_progress(ages: tuple[int, int], moves: bool) -> None:
    before = follow(replaying(None), RESTARTED, sightings={EU1: stale(ages[0])}).restarts[EU1]
    after = follow(replaying(None), before, after=30 * SECOND, sightings={EU1: stale(ages[1])}).restarts[EU1]
    assert after.marked_at == (NOW + 30 * SECOND if moves else NOW)


def test_a_tip_that_was_young_once_has_to_grow_younger_still() -> None:
    before = follow(replaying(None), RESTARTED, sightings={EU1: stale(100)}).restarts[EU1]
    older = follow(replaying(None), before, after=30 * SECOND, sightings={EU1: stale(900)}).restarts[EU1]
    again = follow(replaying(None), older, after=60 * SECOND, sightings={EU1: stale(800)}).restarts[EU1]
    assert again.marked_at == NOW


def test_who_serves_is_not_stuck_from_before_when_it_falls_out() -> None:
    before = replace(RESTARTED, mark="5", marked_at=NOW, youngest_tip=5.0, served_at=NOW)
    serving = {EU1: Sighting(Verdict.OK, tip_age_seconds=5.0)}
    found = follow(footing(EU1, NEW), before, after=60 * MINUTE, sightings=serving).restarts[EU1]
    assert found.marked_at == NOW + 60 * MINUTE


def test_what_a_relay_shows_while_it_serves_is_what_it_has_to_surpass_once_it_is_out() -> None:
    replayed = follow(replaying(37.0), RESTARTED).restarts[EU1]
    serving = {EU1: Sighting(Verdict.OK, tip_age_seconds=5.0)}
    served = follow(footing(EU1, NEW), replayed, after=30 * SECOND, sightings=serving).restarts[EU1]
    out = follow(replaying(None), served, after=60 * SECOND, sightings={EU1: stale(7)}).restarts[EU1]
    assert (served.marked_at, out.marked_at) == (NOW + 30 * SECOND, NOW + 30 * SECOND)


def test_who_serves_and_shows_nothing_has_shown_nothing() -> None:
    assert follow(footing(EU1, NEW), RESTARTED, after=30 * SECOND).restarts[EU1].marked_at is None


def test_a_percent_that_stands_still_is_no_progress() -> None:
    before = follow(replaying(10.0), RESTARTED).restarts[EU1]
    assert follow(replaying(10.0), before, after=30 * SECOND).restarts[EU1].marked_at == before.marked_at
    assert follow(replaying(None), before, after=30 * SECOND).restarts[EU1].marked_at == before.marked_at
    assert follow(replaying(10.2), before, after=30 * SECOND).restarts[EU1].marked_at == NOW + 30 * SECOND


def test_a_relay_that_serves_again_tells_how_long_that_took() -> None:
    record = follow(footing(EU1, NEW), RESTARTED, after=42 * SECOND, durations=(7.0,))
    assert record.durations == (7.0, 42.0)
    assert record.restarts[EU1].served_at == NOW + 42 * SECOND


@pytest.mark.parametrize(
    "mine",
    [
        footing(EU1, OLD, health=DOWN),
        footing(EU1, NEW, health=DOWN),
        footing(EU1, NEW, health=Health.UNKNOWN),
        silent(EU1),
    ],
)
def test_who_does_not_serve_on_what_it_was_told_has_not_come_back(mine) -> None:
    record = follow(mine, RESTARTED, after=30 * SECOND)
    assert record.durations == ()
    assert record.restarts[EU1].served_at is None


@pytest.mark.parametrize(
    ("mine", "look", "kept"),
    [
        (footing(EU1, OLD), {}, False),
        (footing(EU1, OLD), {"in_flight": [EU1]}, True),
        (footing(EU1, OLD, facts=make_facts(working="deploy")), {}, True),
        (footing(EU1, OLD), {"attempts": [Attempt(EU1, "deploy", 1, NOW, "no space")]}, True),
        (footing(EU1, OLD), {"attempts": [Attempt(EU1, "deploy", 1, NOW - SECOND, "no space")]}, False),
        (footing(EU1, OLD, health=DOWN), {}, True),
        (footing(EU1, OLD, health=Health.UNKNOWN), {}, True),
        (footing(EU1, "", facts=None), {}, True),
        (footing(EU1, ""), {}, True),
    ],
    ids=[
        "never begun",
        "under way",
        "another's run",
        "failed",
        "failed before",
        "is out",
        "not known",
        "not asked",
        "runs nobody knows what",
    ],
)
def test_a_restart_that_never_began_is_forgotten(mine, look, kept: bool) -> None:
    record = follow(mine, RESTARTED, after=30 * SECOND, **look)
    assert (EU1 in record.restarts) is kept
    assert record.durations == ()
    assert not kept or record.restarts[EU1].served_at is None


@pytest.mark.parametrize(
    "before",
    [replace(RESTARTED, served_at=NOW + SECOND), replace(RESTARTED, replaced=True)],
    ids=["it has served since", "its instance is another"],
)
def test_what_began_is_not_forgotten_though_another_digest_runs_by_now(before: Restart) -> None:
    assert EU1 in follow(footing(EU1, OLD), before, after=30 * SECOND).restarts


def test_a_restart_is_measured_once() -> None:
    served = replace(RESTARTED, served_at=NOW + 30 * SECOND)
    record = follow(footing(EU1, NEW), served, after=5 * MINUTE, durations=(60.0,))
    assert record.durations == (60.0,)
    assert record.restarts[EU1].served_at == NOW + 30 * SECOND


@pytest.mark.parametrize(("state", "kept"), [(RolloutState.COMPLETE, None), (RolloutState.RUNNING, NOW + 30 * SECOND)])
def test_once_the_rollout_is_complete_a_tip_that_moves_is_nothing_to_keep(state: RolloutState, kept) -> None:
    served = replace(RESTARTED, served_at=NOW)
    record = RolloutRecord(make_rollout(state), restarts={EU1: served})
    look = make_look(record, after=30 * SECOND, sightings={EU1: Sighting(Verdict.OK, tip_age_seconds=7.0)})
    assert follow_restarts({EU1: footing(EU1, NEW)}, look).restarts[EU1].marked_at == kept


def test_who_has_not_served_yet_is_followed_though_the_rollout_is_complete() -> None:
    look = make_look(RolloutRecord(make_rollout(RolloutState.COMPLETE), restarts={EU1: RESTARTED}))
    assert follow_restarts({EU1: replaying(5.0)}, look).restarts[EU1].marked_at == NOW
    found = follow_restarts({EU1: footing(EU1, NEW)}, replace(look, now=NOW + 9 * SECOND))
    assert (found.restarts[EU1].served_at, found.durations) == (NOW + 9 * SECOND, (9.0,))


def test_another_instance_in_its_place_is_no_measure_of_restarts() -> None:
    assert follow(footing(EU1, NEW), replace(RESTARTED, replaced=True), after=30 * SECOND).durations == ()


def test_the_newest_fifty_durations_are_remembered() -> None:
    durations = tuple(float(n) for n in range(50))
    found = follow(footing(EU1, NEW), RESTARTED, after=30 * SECOND, durations=durations).durations
    assert found == (*durations[1:], 30.0)


def test_restarts_of_relays_that_nobody_wants_any_more_are_forgotten() -> None:
    look = make_look(RolloutRecord(restarts=told(EU1, EU2)))
    assert list(follow_restarts({EU1: footing(EU1, NEW)}, look).restarts) == [EU1]
    assert list(follow_restarts({EU2: footing(EU2, NEW)}, look).restarts) == [EU2]


def test_after_one_whose_restart_never_began_the_others_are_followed() -> None:
    look = make_look(RolloutRecord(restarts=told(EU1, EU2)))
    assert list(follow_restarts({EU1: footing(EU1, OLD), EU2: footing(EU2, NEW)}, look).restarts) == [EU2]


def test_of_those_that_serve_again_in_one_look_durations_come_by_name() -> None:
    restarts = told(EU2, at=NOW - 20 * SECOND) | told(EU1, at=NOW - 10 * SECOND)
    both = {name: footing(name, NEW) for name in (EU2, EU1)}
    assert follow_restarts(both, make_look(RolloutRecord(restarts=restarts))).durations == (10.0, 20.0)


# --- who served once and is out again --------------------------------------------------------------------------------


SERVED = Restart(
    NEW, NOW - 60 * MINUTE, mark="0", marked_at=NOW - 59 * MINUTE, served_at=NOW - 59 * MINUTE, youngest_tip=0.1
)
COMPLETE = make_rollout(RolloutState.COMPLETE)


def follow_complete(mine, before: Restart, **look) -> Restart:
    record = RolloutRecord(current=COMPLETE, restarts={EU1: before})
    return follow_restarts({EU1: mine}, make_look(record, **look)).restarts[EU1]


def test_what_a_relay_showed_is_forgotten_once_nobody_waits_for_it() -> None:
    found = follow_complete(footing(EU1, NEW), SERVED)
    assert (found.mark, found.youngest_tip, found.served_at) == ("", None, SERVED.served_at)
    assert follow_complete(footing(EU1, NEW), found, after=MINUTE) == found


def test_only_what_relays_that_serve_showed_is_forgotten() -> None:
    waits = replace(RESTARTED, mark="37.0", marked_at=NOW)
    kept = rest_restarts(RolloutRecord(restarts={EU1: SERVED, EU2: waits}, durations=(7.0,)))
    assert kept == RolloutRecord(
        restarts={EU1: replace(SERVED, mark="", youngest_tip=None), EU2: waits}, durations=(7.0,)
    )


def test_after_a_relay_for_which_nobody_waits_the_others_are_followed() -> None:
    record = RolloutRecord(current=COMPLETE, restarts={EU1: SERVED, EU2: RESTARTED})
    both = {name: footing(name, NEW) for name in (EU1, EU2)}
    assert follow_restarts(both, make_look(record)).restarts[EU2].served_at == NOW


@pytest.mark.parametrize("age", [None, 62.0], ids=["silent", "stale"])
def test_a_relay_that_goes_out_later_is_given_its_time_anew(age: float | None) -> None:
    rested = follow_complete(footing(EU1, NEW), SERVED)
    sightings = {EU1: stale(age)} if age is not None else {}
    out = follow_complete(replaying(None), rested, sightings=sightings)
    look = make_look(after=look_deadline() + MINUTE, sightings=sightings)
    assert gets_on(out, make_look())
    assert not gets_on(follow_complete(replaying(None), out, after=MINUTE, sightings=sightings), look)


def test_until_its_deadline_a_relay_gets_on() -> None:
    assert gets_on(RESTARTED, make_look(after=look_deadline()))
    assert not gets_on(RESTARTED, make_look(after=look_deadline() + SECOND))


def look_deadline():
    return make_look().spec.rollout.progress_deadline


# --- time in which nobody looked -------------------------------------------------------------------------------------


def test_time_in_which_nobody_looked_is_not_held_against_a_relay() -> None:
    seen = follow(replaying(10.0), RESTARTED, after=30 * SECOND).restarts[EU1]
    found = follow(replaying(10.0), seen, after=40 * MINUTE).restarts[EU1]
    gap = 40 * MINUTE - 30 * SECOND
    assert (found.at, found.marked_at, found.overlooked) == (NOW, NOW + 30 * SECOND + gap, True)
    next_look = follow(replaying(10.0), found, after=40 * MINUTE + 30 * SECOND).restarts[EU1]
    assert next_look.marked_at == found.marked_at


def test_who_showed_nothing_yet_is_waited_for_from_when_somebody_looks_again() -> None:
    found = follow(replaying(None), RESTARTED, after=40 * MINUTE).restarts[EU1]
    assert found.marked_at == NOW + 40 * MINUTE
    assert gets_on(found, make_look(after=40 * MINUTE))


def test_who_came_back_while_nobody_looked_tells_no_duration() -> None:
    found = follow(footing(EU1, NEW), RESTARTED, after=40 * MINUTE, durations=(7.0,))
    assert found.durations == (7.0,)
    assert found.restarts[EU1].served_at == NOW + 40 * MINUTE


def test_looks_in_a_row_leave_no_gap() -> None:
    seen = follow(replaying(10.0), RESTARTED, after=30 * SECOND).restarts[EU1]
    again = follow(replaying(11.0), seen, after=60 * SECOND).restarts[EU1]
    assert (again.at, again.overlooked) == (NOW, False)
