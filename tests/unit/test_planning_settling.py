"""How updated relays settle: looks in a row, who is compared with whom, how long a bake is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.rollout import NO_ROLLOUT, RolloutRecord, Settling
from orchestrator.planning.plan import Health
from orchestrator.planning.settling import (
    bake_time,
    describe_span,
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
    make_look,
    settled,
    silent,
    told,
)

DOWN = Health.UNHEALTHY


def settle(mine, known: Settling | None = None, **look) -> Settling | None:
    """One look at one updated relay; nobody else is compared with."""
    record = RolloutRecord(settling={EU1: known} if known is not None else {})
    return settle_relays([EU1], {EU1: mine}, record, make_look(record, **look), comparing=False).get(EU1)


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
    found = settle_relays([EU1], fleet(mine), look.record.rollout, look, comparing=True)
    assert found[EU1].compared == compared


@pytest.mark.parametrize(("told_to", "worse"), [(NEW, 1), (OLD, 0), (None, 0)])
def test_restarts_from_before_a_bake_that_nobody_restarted_it_for_do_not_count(told_to, worse: int) -> None:
    restarts = told(EU1, digest=told_to) if told_to is not None else {}
    record = RolloutRecord(restarts=restarts)
    crashed = footing(EU1, NEW, signals=replace(SOUND, restarts=2))
    found = settle_relays([EU1], fleet(crashed), record, make_look(record), comparing=True)
    assert found[EU1].worse["restarts"] == worse
    again = footing(EU1, NEW, signals=replace(SOUND, restarts=3))
    later = replace(record, settling=found)
    assert (
        settle_relays([EU1], fleet(again), later, make_look(later), comparing=True)[EU1].worse["restarts"] == worse + 1
    )


def test_what_an_operator_has_forgiven_is_not_measured_on() -> None:
    look = make_look(RolloutRecord(settling={EU1: replace(known(), compared=70)}))
    found = settle_relays([EU1], fleet(footing(EU1, NEW)), NO_ROLLOUT, look, comparing=True)
    assert found[EU1].compared == 1


def test_a_settled_relay_is_not_compared_any_more() -> None:
    look = make_look(RolloutRecord(settling=settled(EU1)))
    assert settle_relays([EU1], fleet(footing(EU1, NEW)), look.record.rollout, look, comparing=True)[EU1].compared == 0


def test_on_the_way_to_what_was_proven_nobody_is_compared() -> None:
    assert settle_relays([EU1], fleet(footing(EU1, NEW)), NO_ROLLOUT, make_look(), comparing=False)[EU1].compared == 0


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
