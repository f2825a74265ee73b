"""How updated relays come along: looks in a row, progress, failure, and how long a bake is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import Sighting, UnitState, Verdict
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import Restart, RolloutRecord, RolloutState, Settling
from orchestrator.planning.plan import Health, Phase, Side
from orchestrator.planning.retries import GIVE_UP_AFTER
from orchestrator.planning.settling import (
    FEW_DURATIONS,
    MOST_DURATIONS,
    MOST_RESTARTS,
    bake_time,
    describe_span,
    follow_restarts,
    has_baked,
    list_others,
    settle_relays,
    typical_restart,
    why_failed,
)
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
    assert settle(footing(EU1, NEW), after=MINUTE) == Settling(NEW, NOW + MINUTE, looks=1)


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


def test_a_settled_relay_that_falls_out_stays_settled_and_counts_its_looks_anew() -> None:
    assert settle(footing(EU1, NEW, health=DOWN), known(settled=True)) == known(settled=True, looks=0)


def test_what_was_settled_for_another_wish_counts_for_nothing() -> None:
    assert settle(footing(EU1, NEW), known(digest=OLD, settled=True)) == Settling(NEW, NOW, looks=1)
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


@pytest.mark.parametrize(
    ("mine", "slot", "moves"),
    [
        (replaying(10.0), None, True),
        (replaying(10.04), None, True),
        (replaying(None), None, False),
        (replaying(None), 5, True),
        (replaying(None, UnitState.DEACTIVATING), None, True),
        (silent(EU1), 5, False),
    ],
    ids=["replays", "replays slowly", "shows nothing", "its tip moves", "is still stopping", "was not asked"],
)
def test_what_counts_as_progress(mine, slot, moves: bool) -> None:
    sightings = {EU1: Sighting(Verdict.STALE_TIP, tip_slot=slot)} if slot is not None else {}
    found = follow(mine, RESTARTED, after=MINUTE, sightings=sightings).restarts[EU1]
    assert found.marked_at == (NOW + MINUTE if moves else None)


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
    [footing(EU1, OLD), footing(EU1, NEW, health=DOWN), footing(EU1, NEW, health=Health.UNKNOWN), silent(EU1)],
)
def test_who_does_not_serve_on_what_it_was_told_has_not_come_back(mine) -> None:
    record = follow(mine, RESTARTED, after=MINUTE)
    assert record.durations == ()
    assert record.restarts[EU1].served_at is None


def test_a_restart_is_measured_once() -> None:
    served = replace(RESTARTED, served_at=NOW + MINUTE)
    record = follow(footing(EU1, NEW), served, after=5 * MINUTE, durations=(60.0,))
    assert record.durations == (60.0,)
    assert record.restarts[EU1].served_at == NOW + MINUTE


@pytest.mark.parametrize(("state", "kept"), [(RolloutState.COMPLETE, None), (RolloutState.RUNNING, NOW + MINUTE)])
def test_once_the_rollout_is_complete_a_tip_that_moves_is_nothing_to_keep(state: RolloutState, kept) -> None:
    served = replace(RESTARTED, served_at=NOW)
    record = RolloutRecord(make_rollout(state), restarts={EU1: served})
    look = make_look(record, after=MINUTE, sightings={EU1: Sighting(Verdict.OK, tip_slot=7)})
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
    assert list(follow_restarts({EU1: footing(EU1)}, look).restarts) == [EU1]


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
        footing(EU1, NEW, health=Health.UNKNOWN),
        footing(EU1, NEW, health=DOWN, phase=Phase.UNKNOWN),
        footing(EU1, NEW, health=DOWN, phase=Phase.LAUNCHING),
        footing(EU1, OLD, health=DOWN),
    ],
    ids=["serves", "was not asked", "may serve", "is not known", "is launched anew", "still runs the old"],
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
        (GIVE_UP_AFTER - 1, NOW + SECOND, False),
        (GIVE_UP_AFTER, NOW - SECOND, False),
    ],
)
def test_a_relay_on_which_the_deploy_keeps_failing_has_failed(failures: int, last_at, fails: bool) -> None:
    attempt = Attempt(EU1, "deploy", failures, last_at, "no space left")
    text = failure(footing(EU1, OLD), attempts=[attempt])
    assert (text == f"deploying it failed {failures} times, last: no space left") is fails


@pytest.mark.parametrize(
    ("stand", "fails"),
    [(Stand.FORKED, True), (Stand.OTHER_NETWORK, True), (Stand.SUSPECTED, False), (Stand.LAGS, False)],
)
def test_a_relay_on_another_chain_has_failed_once_that_is_proven(stand: Stand, fails: bool) -> None:
    judged = replace(CALM, verdicts={EU1: ChainVerdict(stand, "what the chain says")})
    assert (failure(STUCK, judged=judged) == "what the chain says") is fails


def test_a_quarantined_relay_has_failed_for_the_reason_of_its_quarantine() -> None:
    assert failure(footing(EU1, NEW, health=DOWN, phase=Phase.QUARANTINED, reason="forked at 7")) == "forked at 7"


def sides(*members: tuple[tuple[str, ...], tuple[str, ...]]):
    return replace(CALM, sides=tuple(Side(relays, partners, (), None) for relays, partners in members))


@pytest.mark.parametrize(
    ("split", "fails"),
    [
        (sides(((EU1,), ()), ((EU2, US1), ("alpha", "beta"))), True),
        (sides(((EU1,), ("beta",)), ((EU2, US1), ("alpha",))), False),
        (sides(((EU1,), ()), ((EU2,), ("alpha",)), ((US1,), ("beta",))), False),
        (sides(((EU1,), ()), ((EU2, US1), ())), False),
        (sides(((EU2,), ()), ((EU1, US1), ("alpha",))), False),
    ],
    ids=["alone", "with a partner", "partners are split themselves", "no partner anywhere", "on their side"],
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


def test_slowness_can_be_left_unjudged() -> None:
    policy = {"slowest_restart": None}
    assert failure(footing(EU1, NEW), served(400), durations=(1.0,) * 3, policy=policy, after=400 * SECOND) is None


def test_who_served_in_time_does_not_become_slow_because_later_restarts_are_quicker() -> None:
    assert failure(footing(EU1, NEW), served(400), durations=(400.0, 10.0, 10.0, 10.0), after=900 * SECOND) is None


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
