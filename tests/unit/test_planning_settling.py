"""How updated relays come along: looks in a row, progress, and how long a bake is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import Sighting, UnitState, Verdict
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import Restart, RolloutRecord, RolloutState, Settling
from orchestrator.planning.plan import Health
from orchestrator.planning.settling import (
    MOST_DURATIONS,
    bake_time,
    describe_span,
    follow_restarts,
    has_baked,
    list_others,
    settle_relays,
    typical_restart,
)
from tests.rollout_looks import (
    EU1,
    EU2,
    MINUTE,
    NEW,
    NOW,
    OLD,
    SECOND,
    SOUND,
    US1,
    WAVES,
    fleet,
    footing,
    make_facts,
    make_look,
    make_rollout,
    settled,
    silent,
    told,
)

DOWN = Health.UNHEALTHY


def settle(mine, known: Settling | None = None, **look) -> Settling | None:
    """One look at one updated relay; nobody else is compared with."""
    record = RolloutRecord(settling={EU1: known} if known is not None else {})
    return settle_relays([EU1], {EU1: mine}, make_look(record, **look), comparing=False).get(EU1)


def known(**changes) -> Settling:
    return replace(Settling(NEW, NOW, looks=2), **changes)


# --- since when it serves --------------------------------------------------------------------------------------------


def test_a_relay_settles_from_the_look_on_in_which_it_first_serves() -> None:
    assert settle(footing(EU1, NEW), after=MINUTE) == Settling(NEW, NOW + MINUTE, looks=1, seen_at=NOW + MINUTE)


def test_looks_are_counted_up_to_as_many_as_are_wanted() -> None:
    first = settle(footing(EU1, NEW))
    assert first is not None
    second = settle(footing(EU1, NEW), first)
    assert (second.looks, second.since) == (2, NOW)
    assert settle(footing(EU1, NEW), known(looks=3), policy={"healthy_looks": 3}).looks == 3


@pytest.mark.parametrize(
    ("mine", "expected"),
    [
        (footing(EU1, NEW, health=DOWN), None),
        (footing(EU1, OLD), None),
        (footing(EU1, "another"), None),
        (silent(EU1), known()),
        (footing(EU1, NEW, health=Health.UNKNOWN), known()),
        (footing(EU1, "", facts=None), known()),
    ],
    ids=["does not serve", "runs the old", "runs another", "was not asked", "may serve", "host was not asked"],
)
def test_what_a_look_makes_of_a_relay_that_had_begun_to_settle(mine, expected) -> None:
    assert settle(mine, known()) == expected


def test_a_relay_under_work_is_neither_better_nor_worse_for_it() -> None:
    assert settle(footing(EU1, NEW), known(), in_flight=[EU1]) == known()


def test_a_relay_that_could_not_be_asked_has_not_begun_to_settle() -> None:
    assert settle(silent(EU1)) is None


def test_time_in_which_nobody_looked_is_not_counted_as_served() -> None:
    blink = 5 * make_look().spec.controller.look_every + 30 * SECOND
    before = known(seen_at=NOW)
    assert settle(footing(EU1, NEW), before, after=blink).since == NOW
    later = settle(footing(EU1, NEW), before, after=blink + SECOND)
    assert (later.since, later.seen_at) == (NOW + blink + SECOND, NOW + blink + SECOND)


def test_nothing_more_is_noted_of_a_relay_that_has_settled() -> None:
    before = known(settled=True, looks=3, seen_at=NOW)
    assert settle(footing(EU1, NEW), before, after=MINUTE) == before


def test_a_settled_relay_that_falls_out_stays_settled_and_counts_its_looks_anew() -> None:
    assert settle(footing(EU1, NEW, health=DOWN), known(settled=True)) == known(settled=True, looks=0)


def test_what_was_settled_for_another_wish_counts_for_nothing() -> None:
    assert settle(footing(EU1, NEW), known(digest=OLD, settled=True)) == Settling(NEW, NOW, looks=1, seen_at=NOW)
    assert settle(silent(EU1), known(digest=OLD, settled=True)) is None


# --- compared with whom ----------------------------------------------------------------------------------------------


def compared_with(footings, *names: str, settling=()) -> int:
    look = make_look(RolloutRecord(settling=dict(settling)))
    return len(list_others(names, footings, look))


def test_updated_relays_are_measured_by_those_that_are_not_updated_yet() -> None:
    assert compared_with(fleet(footing(EU1, NEW), footing(EU2, NEW)), EU1, EU2) == 4


def test_who_does_not_serve_is_no_measure() -> None:
    assert compared_with(fleet(footing(EU1, NEW), footing(EU2, health=DOWN), silent(US1)), EU1) == 3


def test_the_last_ones_are_measured_by_those_that_have_proven_themselves() -> None:
    everybody = fleet(others=NEW)
    proven = [name for name in everybody if name not in (EU1, EU2)]
    assert compared_with(everybody, *everybody, settling=settled(*proven)) == 4


@pytest.mark.parametrize(
    ("mine", "in_flight", "compared"),
    [
        (footing(EU1, NEW), (), 1),
        (footing(EU1, NEW), (EU1,), 0),
        (footing(EU1, NEW, health=Health.UNKNOWN), (), 0),
        (silent(EU1), (), 0),
    ],
)
def test_only_a_relay_that_serves_and_was_asked_is_compared(mine, in_flight, compared: int) -> None:
    look = make_look(RolloutRecord(settling={EU1: known()}), in_flight=in_flight)
    found = settle_relays([EU1], fleet(mine), look, comparing=True)
    assert found[EU1].compared == compared


def test_a_settled_relay_is_not_compared_any_more() -> None:
    look = make_look(RolloutRecord(settling=settled(EU1)))
    assert settle_relays([EU1], fleet(footing(EU1, NEW)), look, comparing=True)[EU1].compared == 0


def test_on_the_way_to_what_was_proven_nobody_is_compared() -> None:
    assert settle_relays([EU1], fleet(footing(EU1, NEW)), make_look(), comparing=False)[EU1].compared == 0


# --- progress --------------------------------------------------------------------------------------------------------


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
    found = follow(mine, RESTARTED, after=MINUTE, sightings=sightings).restarts[EU1]
    assert found.marked_at == (NOW + MINUTE if moves else None)


@pytest.mark.parametrize(("ages", "moves"), [((900, 899), True), ((900, 900), False), ((900, 950), False)])
def test_a_tip_that_moves_and_grows_no_younger_is_no_progress(ages: tuple[int, int], moves: bool) -> None:
    before = follow(replaying(None), RESTARTED, sightings={EU1: stale(ages[0])}).restarts[EU1]
    after = follow(replaying(None), before, after=MINUTE, sightings={EU1: stale(ages[1])}).restarts[EU1]
    assert after.marked_at == (NOW + MINUTE if moves else NOW)


def test_a_tip_that_was_young_once_has_to_grow_younger_still() -> None:
    before = follow(replaying(None), RESTARTED, sightings={EU1: stale(100)}).restarts[EU1]
    older = follow(replaying(None), before, after=MINUTE, sightings={EU1: stale(900)}).restarts[EU1]
    again = follow(replaying(None), older, after=2 * MINUTE, sightings={EU1: stale(800)}).restarts[EU1]
    assert again.marked_at == NOW


def test_who_serves_is_not_stuck_from_before_when_it_falls_out() -> None:
    before = replace(RESTARTED, mark="5", marked_at=NOW, youngest_tip=5.0, served_at=NOW)
    serving = {EU1: Sighting(Verdict.OK, tip_age_seconds=5.0)}
    found = follow(footing(EU1, NEW), before, after=60 * MINUTE, sightings=serving).restarts[EU1]
    assert found.marked_at == NOW + 60 * MINUTE


def test_a_percent_that_stands_still_is_no_progress() -> None:
    before = follow(replaying(10.0), RESTARTED).restarts[EU1]
    assert follow(replaying(10.0), before, after=MINUTE).restarts[EU1] == before
    assert follow(replaying(10.2), before, after=MINUTE).restarts[EU1].marked_at == NOW + MINUTE


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
    record = follow(mine, RESTARTED, after=MINUTE)
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
    ],
    ids=["never begun", "under way", "another's run", "failed", "failed before", "is out", "not known", "not asked"],
)
def test_a_restart_that_never_began_is_forgotten(mine, look, kept: bool) -> None:
    assert (EU1 in follow(mine, RESTARTED, after=MINUTE, **look).restarts) is kept


def test_a_restart_is_measured_once() -> None:
    served = replace(RESTARTED, served_at=NOW + MINUTE)
    record = follow(footing(EU1, NEW), served, after=5 * MINUTE, durations=(60.0,))
    assert record.durations == (60.0,)
    assert record.restarts[EU1].served_at == NOW + MINUTE


@pytest.mark.parametrize(("state", "kept"), [(RolloutState.COMPLETE, None), (RolloutState.RUNNING, NOW + MINUTE)])
def test_once_the_rollout_is_complete_a_tip_that_moves_is_nothing_to_keep(state: RolloutState, kept) -> None:
    served = replace(RESTARTED, served_at=NOW)
    record = RolloutRecord(make_rollout(state), restarts={EU1: served})
    look = make_look(record, after=MINUTE, sightings={EU1: Sighting(Verdict.OK, tip_age_seconds=7.0)})
    assert follow_restarts({EU1: footing(EU1, NEW)}, look).restarts[EU1].marked_at == kept


def test_who_has_not_served_yet_is_followed_though_the_rollout_is_complete() -> None:
    look = make_look(RolloutRecord(make_rollout(RolloutState.COMPLETE), restarts={EU1: RESTARTED}))
    assert follow_restarts({EU1: replaying(5.0)}, look).restarts[EU1].marked_at == NOW


def test_another_instance_in_its_place_is_no_measure_of_restarts() -> None:
    assert follow(footing(EU1, NEW), replace(RESTARTED, replaced=True), after=MINUTE).durations == ()


def test_the_newest_durations_are_remembered() -> None:
    durations = tuple(float(n) for n in range(MOST_DURATIONS))
    found = follow(footing(EU1, NEW), RESTARTED, after=MINUTE, durations=durations).durations
    assert found == (*durations[1:], 60.0)


def test_restarts_of_relays_that_nobody_wants_any_more_are_forgotten() -> None:
    look = make_look(RolloutRecord(restarts=told(EU1, EU2)))
    assert list(follow_restarts({EU1: footing(EU1, NEW)}, look).restarts) == [EU1]


# --- how long --------------------------------------------------------------------------------------------------------


def test_canaries_bake_longer_than_who_comes_after_them() -> None:
    look = make_look(policy={"canary_bake": timedelta(minutes=9), "bake": None})
    assert bake_time(WAVES[0][0], WAVES, 1, look) == timedelta(minutes=9)
    assert bake_time(WAVES[1][0], WAVES, 1, look) is None
    assert bake_time(WAVES[0][0], WAVES, 0, look) is None


@pytest.mark.parametrize(("looks", "minutes", "done"), [(3, 2, True), (2, 2, False), (3, 1, False), (3, 60, True)])
def test_a_bake_is_over_after_its_time_and_enough_looks(looks: int, minutes: int, done: bool) -> None:
    assert has_baked(known(looks=looks), 2 * MINUTE, make_look(after=minutes * MINUTE)) is done


def test_without_a_bake_the_looks_are_enough() -> None:
    assert has_baked(known(looks=3), None, make_look())


@pytest.mark.parametrize(("durations", "expected"), [((), 300), ((10.0,), 10), ((10.0, 50.0, 20.0), 20)])
def test_a_typical_restart_is_the_middle_of_those_measured(durations, expected: int) -> None:
    assert typical_restart(RolloutRecord(durations=durations), 300 * SECOND) == expected * SECOND


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (5400, "90 min")])
def test_spans_are_told_in_the_unit_that_fits(seconds: int, text: str) -> None:
    assert describe_span(seconds * SECOND) == text


def test_signals_of_the_others_are_what_was_measured() -> None:
    assert list_others([EU1], fleet(footing(EU1, NEW)), make_look()) == [SOUND] * 5
