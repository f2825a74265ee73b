"""How updated relays settle: looks in a row, who is compared with whom, how long a bake is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.fleet.record import Quarantine
from orchestrator.fleet.rollout import NO_ROLLOUT, Restart, RolloutRecord, Settling
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.settling import (
    bake_time,
    describe_span,
    has_baked,
    has_measure,
    list_others,
    settle_relays,
    stays_down,
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
    assert settle(footing(EU1, NEW, health=DOWN)) is None


def test_after_one_that_does_not_settle_the_others_do() -> None:
    both = {EU1: footing(EU1, OLD), EU2: footing(EU2, NEW)}
    assert list(settle_relays([EU1, EU2], both, NO_ROLLOUT, make_look(), comparing=False)) == [EU2]


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
    assert settle(footing(EU1, NEW), known(settled=True, looks=0)) == known(settled=True, looks=1)


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


def test_who_came_when_all_had_been_updated_is_a_measure_and_who_still_bakes_is_none() -> None:
    everybody = fleet(others=NEW)
    waved = [name for name in everybody if name != US1]
    assert compared_with(everybody, *waved, settling={EU2: known()}) == 1


@pytest.mark.parametrize(
    ("other", "settling", "measure"),
    [
        (footing(EU2, OLD, health=DOWN), {}, True),
        (footing(EU2, OLD), {EU2: known()}, True),
        (footing(EU2, NEW), {}, True),
        (footing(EU2, NEW), {EU2: known()}, False),
        (footing(EU2, NEW), settled(EU2), True),
        (footing(EU1, OLD), {EU1: known()}, False),
    ],
    ids=["not updated", "no more updated", "updated by others", "bakes too", "has proven itself", "only itself"],
)
def test_whether_there_is_anybody_to_measure_a_relay_by(other, settling, measure: bool) -> None:
    assert has_measure(EU1, {other.name: other}, settling) is measure


@pytest.mark.parametrize(
    ("mine", "in_flight", "compared"),
    [
        (footing(EU1, NEW), (), 1),
        (footing(EU1, NEW), (EU1,), 0),
        (footing(EU1, NEW, health=Health.UNKNOWN), (), 0),
        (footing(EU1, NEW, facts=None), (), 0),
        (silent(EU1), (), 0),
    ],
)
def test_only_a_relay_that_serves_and_was_asked_is_compared(mine, in_flight, compared: int) -> None:
    look = make_look(RolloutRecord(settling={EU1: known()}), in_flight=in_flight)
    found = settle_relays([EU1], fleet(mine), look.record.rollout, look, comparing=True)
    assert found[EU1].compared == compared


@pytest.mark.parametrize(
    ("told_to", "baked", "worse"),
    [(NEW, {}, 1), (OLD, {}, 0), (None, {}, 0), (None, {EU1: Settling(OLD, NOW)}, 0)],
    ids=["for this bake", "for another", "never", "never, and it baked for another wish before"],
)
def test_restarts_from_before_a_bake_that_nobody_restarted_it_for_do_not_count(told_to, baked, worse: int) -> None:
    restarts = told(EU1, digest=told_to) if told_to is not None else {}
    record = RolloutRecord(restarts=restarts, settling=baked)
    crashed = footing(EU1, NEW, signals=replace(SOUND, restarts=2))
    found = settle_relays([EU1], fleet(crashed), record, make_look(record), comparing=True)
    assert found[EU1].worse["restarts"] == worse
    again = footing(EU1, NEW, signals=replace(SOUND, restarts=3))
    later = replace(record, settling=found)
    assert (
        settle_relays([EU1], fleet(again), later, make_look(later), comparing=True)[EU1].worse["restarts"] == worse + 1
    )


def test_restarts_are_counted_from_none_where_a_bake_began_before_they_could_be_told() -> None:
    mute = footing(EU1, NEW, signals=replace(SOUND, restarts=None))
    begun = RolloutRecord(settling=settle_relays([EU1], fleet(mute), NO_ROLLOUT, make_look(), comparing=True))
    crashed = footing(EU1, NEW, signals=replace(SOUND, restarts=1))
    found = settle_relays([EU1], fleet(crashed), begun, make_look(begun), comparing=True)
    assert found[EU1].worse["restarts"] == 1


def test_what_an_operator_has_forgiven_is_not_measured_on() -> None:
    look = make_look(RolloutRecord(settling={EU1: replace(known(), compared=70)}))
    found = settle_relays([EU1], fleet(footing(EU1, NEW)), NO_ROLLOUT, look, comparing=True)
    assert found[EU1].compared == 1


def test_a_settled_relay_is_not_compared_any_more() -> None:
    look = make_look(RolloutRecord(settling=settled(EU1)))
    assert settle_relays([EU1], fleet(footing(EU1, NEW)), look.record.rollout, look, comparing=True)[EU1].compared == 0


def test_on_the_way_to_what_was_proven_nobody_is_compared() -> None:
    assert settle_relays([EU1], fleet(footing(EU1, NEW)), NO_ROLLOUT, make_look(), comparing=False)[EU1].compared == 0


# --- who is out for good ---------------------------------------------------------------------------------------------


IDLE = make_facts(metrics=NodeMetrics("new", inbound=0))
HANGS = footing(EU1, OLD, health=DOWN, facts=IDLE)


def down(mine, verdict: Verdict = Verdict.REFUSED, before: Restart | None = None, **look) -> bool:
    record = RolloutRecord(restarts={EU1: before} if before is not None else {})
    return stays_down(mine, record, make_look(record, sightings={EU1: Sighting(verdict)}, **look))


@pytest.mark.parametrize(
    ("mine", "verdict", "is_down"),
    [
        (footing(EU1, OLD, health=DOWN), Verdict.REFUSED, True),
        (footing(EU1, OLD), Verdict.REFUSED, False),
        (footing(EU1, OLD, health=Health.UNKNOWN), Verdict.REFUSED, False),
        (HANGS, Verdict.HANDSHAKE_TIMEOUT, True),
        (HANGS, Verdict.OK, False),
    ],
    ids=["refuses", "serves", "may serve", "hangs with nobody connected", "answers, and nobody is connected yet"],
)
def test_who_is_out_and_answers_nobody_is_out_for_good(mine, verdict: Verdict, is_down: bool) -> None:
    assert down(mine, verdict) is is_down


def test_who_is_worked_on_is_not_out_for_good() -> None:
    assert not down(HANGS, in_flight=[EU1])


@pytest.mark.parametrize(
    ("before", "minutes", "is_down"),
    [
        (Restart(OLD, NOW), 1, False),
        (Restart(OLD, NOW, served_at=NOW), 1, True),
        (Restart(NEW, NOW), 1, True),
        (Restart(OLD, NOW), 16, True),
    ],
    ids=["it was just restarted", "it has served since", "with something else", "long ago"],
)
def test_who_was_restarted_with_what_it_runs_is_waited_for_while_it_gets_on(before, minutes: int, is_down) -> None:
    assert down(footing(EU1, OLD, health=DOWN), before=before, after=minutes * MINUTE) is is_down


def test_who_is_quarantined_and_was_never_restarted_is_out_for_good() -> None:
    look = make_look()
    evidence = replace(look.record.evidence, quarantines={EU1: Quarantine(EU1, NOW, "forked")})
    look = replace(look, record=replace(look.record, evidence=evidence))
    assert stays_down(footing(EU1, OLD, health=DOWN, phase=Phase.QUARANTINED), NO_ROLLOUT, look)


# --- how long --------------------------------------------------------------------------------------------------------


def test_canaries_bake_longer_than_who_comes_after_them() -> None:
    look = make_look(policy={"canary_bake": timedelta(minutes=9), "bake": None})
    assert bake_time(WAVES[0][0], WAVES, 1, look) == timedelta(minutes=9)
    assert bake_time(WAVES[1][0], WAVES, 1, look) is None
    assert bake_time(WAVES[0][0], WAVES, 0, look) is None
    assert bake_time(WAVES[0][0], (), 1, look) is None


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
