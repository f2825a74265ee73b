"""When an updated relay has failed, and when it has not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.observation import UnitState
from orchestrator.fleet.record import NO_EVIDENCE, Attempt, Quarantine, Suspicion
from orchestrator.fleet.rollout import Restart, RolloutRecord
from orchestrator.planning.failing import FEW_DURATIONS, MOST_RESTARTS, why_failed
from orchestrator.planning.plan import Health, Phase, Side
from orchestrator.planning.retries import GIVE_UP_AFTER
from orchestrator.planning.trust import ChainVerdict, Stand
from tests.rollout_looks import (
    CALM,
    EU1,
    EU2,
    MINUTE,
    NEW,
    NOW,
    OLD,
    SECOND,
    US1,
    footing,
    make_facts,
    make_look,
    silent,
)

DOWN = Health.UNHEALTHY


RESTARTED = Restart(NEW, NOW)

# --- failure ---------------------------------------------------------------------------------------------------------


def failure(mine, before: Restart | None = RESTARTED, judged=CALM, *, durations=(), **look) -> str | None:
    record = RolloutRecord(restarts={EU1: before} if before is not None else {}, durations=durations)
    return why_failed(mine, before, judged, make_look(record, **look))


LONG = {"after": 16 * MINUTE}
STUCK = footing(EU1, NEW, health=DOWN, facts=make_facts(unit=UnitState.ACTIVATING))
CRASHED = footing(
    EU1, NEW, health=DOWN, phase=Phase.DEPLOYING, facts=make_facts(unit=UnitState.FAILED, detail="exit 1")
)


def test_a_relay_without_progress_past_the_deadline_has_failed() -> None:
    assert failure(STUCK, after=15 * MINUTE) is None
    assert failure(STUCK, **LONG) == "it was updated 16 min ago and shows no progress for 16 min: as seen"


def test_a_relay_that_gets_on_is_waited_for_however_long_it_takes() -> None:
    hours = timedelta(hours=9)
    moving = replace(RESTARTED, mark="37.0", marked_at=NOW + hours)
    assert failure(STUCK, moving, after=hours + 15 * MINUTE) is None
    assert failure(STUCK, moving, after=hours + 16 * MINUTE) is not None


@pytest.mark.parametrize(
    "mine",
    [
        footing(EU1, NEW),
        silent(EU1),
        footing(EU1, NEW, health=DOWN, facts=None),
        footing(EU1, NEW, health=Health.UNKNOWN),
        footing(EU1, NEW, health=Health.UNKNOWN, phase=Phase.SYNCING),
        footing(EU1, NEW, health=DOWN, phase=Phase.UNKNOWN),
        footing(EU1, NEW, health=DOWN, phase=Phase.LAUNCHING),
        footing(EU1, OLD, health=DOWN),
    ],
    ids=[
        "serves",
        "was not asked",
        "its host was not asked",
        "may serve",
        "may serve while it syncs",
        "is not known",
        "is launched anew",
        "still runs the old",
    ],
)
def test_who_is_not_stuck_on_the_wish_has_not_failed_on_it(mine) -> None:
    assert failure(mine, **LONG) is None


def test_who_was_never_told_has_not_failed() -> None:
    assert failure(CRASHED, None) is None
    assert failure(CRASHED, Restart(OLD, NOW)) is None


def test_who_is_being_worked_on_has_not_failed_yet() -> None:
    assert failure(CRASHED, in_flight=[EU1]) is None


def test_a_node_whose_unit_failed_has_failed_at_once_and_its_last_words_are_told() -> None:
    assert failure(CRASHED) == "its node does not start: exit 1"


@pytest.mark.parametrize(
    ("mine", "restarts", "fails"),
    [
        (STUCK, MOST_RESTARTS - 1, False),
        (STUCK, MOST_RESTARTS, True),
        (STUCK, None, False),
        (footing(EU1, NEW), MOST_RESTARTS, False),
    ],
)
def test_a_node_that_exits_again_and_again_has_failed(mine, restarts: int | None, fails: bool) -> None:
    unit = UnitState.ACTIVE if mine.healthy else UnitState.ACTIVATING
    mine = replace(mine, facts=make_facts(unit=unit, restarts=restarts))
    assert (failure(mine) is not None) is fails


@pytest.mark.parametrize(
    ("failures", "last_at", "fails"),
    [
        (GIVE_UP_AFTER, NOW + SECOND, True),
        (GIVE_UP_AFTER, NOW, True),
        (GIVE_UP_AFTER - 1, NOW + SECOND, False),
        (GIVE_UP_AFTER, NOW - SECOND, False),
    ],
)
def test_a_relay_on_which_the_deploy_keeps_failing_has_failed(failures: int, last_at, fails: bool) -> None:
    attempt = Attempt(EU1, "deploy", failures, last_at, "no space left")
    text = failure(footing(EU1, OLD), attempts=[attempt])
    assert (text == f"deploying it failed {failures} times, last: no space left") is fails


@pytest.mark.parametrize(
    ("phase", "minutes", "replaced", "fails"),
    [
        (Phase.LAUNCHING, 21, True, True),
        (Phase.LAUNCHING, 20, True, False),
        (Phase.LAUNCHING, 21, False, False),
        (Phase.PREPARING, 21, True, False),
    ],
)
def test_a_new_instance_that_does_not_come_up_has_failed(
    phase: Phase, minutes: int, replaced: bool, fails: bool
) -> None:
    mine = footing(EU1, "", health=DOWN, phase=phase, facts=None)
    text = failure(mine, replace(RESTARTED, replaced=replaced), after=minutes * MINUTE)
    assert (text == f"its new instance does not come up since {minutes} min: as seen") is fails


@pytest.mark.parametrize(("minutes", "fails"), [(30, False), (31, True)])
def test_time_in_which_nobody_looked_is_not_held_against_a_new_instance(minutes: int, fails: bool) -> None:
    mine = footing(EU1, "", health=DOWN, phase=Phase.LAUNCHING, facts=None)
    overlooked = replace(RESTARTED, replaced=True, marked_at=NOW + 10 * MINUTE)
    assert (failure(mine, overlooked, after=minutes * MINUTE) is not None) is fails


@pytest.mark.parametrize(
    ("stand", "fails"),
    [(Stand.FORKED, False), (Stand.OTHER_NETWORK, True), (Stand.SUSPECTED, False), (Stand.LAGS, False)],
)
def test_a_relay_that_answers_for_another_network_has_failed_at_once(stand: Stand, fails: bool) -> None:
    judged = replace(CALM, verdicts={EU1: ChainVerdict(stand, "what the chain says")})
    assert (failure(STUCK, judged=judged) == "what the chain says") is fails


def quarantined(since=NOW, *, suspected=None, agreeing=None):
    found = {EU1: Quarantine(EU1, since, "forked at 7", agreeing_since=agreeing)}
    suspicions = {EU1: Suspicion(EU1, None, None, 7, 3, None, suspected)} if suspected else {}
    return replace(CALM, quarantines=found, evidence=replace(NO_EVIDENCE, suspicions=suspicions))


@pytest.mark.parametrize(
    ("since", "suspected", "fails"),
    [
        (NOW + MINUTE, NOW + MINUTE, True),
        (NOW, None, True),
        (NOW, NOW, True),
        (NOW - MINUTE, NOW - MINUTE, False),
        (NOW + MINUTE, NOW - MINUTE, False),
    ],
    ids=["since then", "by a pin, then", "in that very look", "before", "suspected before"],
)
def test_a_fork_is_held_against_what_it_began_with(since, suspected, fails: bool) -> None:
    judged = quarantined(since, suspected=suspected)
    mine = footing(EU1, NEW, health=DOWN, phase=Phase.QUARANTINED, reason="forked at 7")
    assert failure(mine, judged=judged) == ("forked at 7" if fails else None)


@pytest.mark.parametrize(
    ("phase", "text"),
    [(Phase.QUARANTINED, "forked at 7; agrees again for 5 s"), (Phase.DEAD, "forked at 7")],
)
def test_a_fork_is_told_as_it_is_shown_and_by_its_evidence_where_something_else_is(phase: Phase, text: str) -> None:
    mine = footing(EU1, NEW, health=DOWN, phase=phase, reason="forked at 7; agrees again for 5 s")
    assert failure(mine, judged=quarantined()) == text


def test_who_agrees_again_is_not_stuck_however_long_its_quarantine_lasts() -> None:
    mine = footing(EU1, NEW, health=DOWN, phase=Phase.QUARANTINED)
    assert failure(mine, judged=quarantined(NOW - MINUTE, agreeing=NOW), **LONG) is None
    assert "shows no progress" in str(failure(mine, judged=quarantined(NOW - MINUTE), **LONG))


def sides(*members: tuple[tuple[str, ...], tuple[str, ...]]):
    return replace(CALM, sides=tuple(Side(relays, partners, (), None) for relays, partners in members))


@pytest.mark.parametrize(
    ("split", "fails"),
    [
        (sides(((EU1,), ()), ((EU2, US1), ("alpha", "beta"))), True),
        (sides(((EU1,), ()), ((EU2,), ("alpha",)), ((US1,), ())), True),
        (sides(((EU1,), ("beta",)), ((EU2, US1), ("alpha",))), False),
        (sides(((EU1,), ()), ((EU2,), ("alpha",)), ((US1,), ("beta",))), False),
        (sides(((EU1,), ()), ((EU2, US1), ())), False),
        (sides(((EU2,), ()), ((EU1, US1), ("alpha",))), False),
    ],
    ids=[
        "alone",
        "not the only one",
        "with a partner",
        "partners are split themselves",
        "no partner anywhere",
        "on their side",
    ],
)
def test_a_relay_on_a_side_without_partners_has_failed_if_all_partners_are_on_one(split, fails: bool) -> None:
    assert (failure(footing(EU1, NEW), judged=split) is not None) is fails


# --- slowness --------------------------------------------------------------------------------------------------------


TWENTY: dict[str, object] = {"slowest_restart": 20}


def served(seconds: float) -> Restart:
    return replace(RESTARTED, served_at=NOW + seconds * SECOND)


@pytest.mark.parametrize(
    ("seconds", "before", "fails"),
    [
        (200, (10.0, 10.0, 10.0), False),
        (201, (10.0, 10.0, 10.0), True),
        (201, (10.0, 10.0), False),
        (201, (10.0, 11.0, 300.0), False),
    ],
    ids=["in time", "too slow", "too little to compare with", "as slow as the middle allows"],
)
def test_a_restart_is_measured_by_those_before(seconds: int, before: tuple[float, ...], fails: bool) -> None:
    text = failure(footing(EU1, NEW), served(seconds), durations=before, after=seconds * SECOND, policy=TWENTY)
    assert (text is not None) is fails
    assert len(before) >= FEW_DURATIONS or not fails


def test_restarts_that_took_no_time_at_all_are_a_measure_too() -> None:
    assert failure(footing(EU1, NEW), served(20), durations=(0.0, 0.0, 0.0), after=20 * SECOND, policy=TWENTY) is None
    assert (
        failure(footing(EU1, NEW), served(21), durations=(0.0, 0.0, 0.0), after=21 * SECOND, policy=TWENTY) is not None
    )


def test_slowness_is_told_in_numbers() -> None:
    text = failure(footing(EU1, NEW), served(400), durations=(10.0, 10.0, 10.0), after=400 * SECOND)
    assert text == "it took 400 s until it served, 40 times as long as 3 restarts before (10 s)"


def test_who_was_not_looked_at_meanwhile_is_not_called_slow() -> None:
    look = {"durations": (10.0, 10.0, 10.0), "after": 2400 * SECOND}
    assert failure(footing(EU1, NEW), served(2400), **look) is not None
    assert failure(footing(EU1, NEW), replace(served(2400), overlooked=True), **look) is None


def test_a_new_instance_is_not_called_slow_by_what_restarts_took() -> None:
    look = {"durations": (10.0, 10.0, 10.0), "after": 2400 * SECOND}
    assert failure(footing(EU1, NEW), replace(served(2400), replaced=True), **look) is None


def test_slowness_can_be_left_unjudged() -> None:
    policy = {"slowest_restart": None}
    assert failure(footing(EU1, NEW), served(400), durations=(1.0,) * 3, policy=policy, after=400 * SECOND) is None


def test_who_served_in_time_does_not_become_slow_because_later_restarts_are_quicker() -> None:
    assert failure(footing(EU1, NEW), served(400), durations=(400.0, 10.0, 10.0, 10.0), after=900 * SECOND) is None
