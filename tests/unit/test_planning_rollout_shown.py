"""What a plan tells of a rollout, from decisions made by hand: who is told, who is shown at which step, how long it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.rollout import Failure, Restart, RolloutRecord, RolloutState, Settling
from orchestrator.planning.draining import DRAIN
from orchestrator.planning.estimate import RESTART
from orchestrator.planning.footing import Footing
from orchestrator.planning.plan import Action, Deploy, Health, Hold, Plan, RelayView, Stage, Stop
from orchestrator.planning.rollout import Course
from orchestrator.planning.rollout_report import BAKE, UPDATE, report_rollout, wait_for_rollout
from orchestrator.planning.rollout_view import Progress, RolloutView
from orchestrator.rendering.values import ChangeClass
from tests.rendering_builders import fleet_spec as rendering_spec
from tests.rendering_builders import rendered
from tests.rollout_looks import (
    EU1,
    EU2,
    EU3,
    MINUTE,
    NEW,
    NOW,
    OLD,
    SECOND,
    SOUND,
    US1,
    US2,
    US3,
    WAVES,
    fleet,
    footing,
    make_look,
    make_rollout,
    settled,
    told,
)
from tests.scenarios.looks import serving_look

POLICY: dict[str, object] = {
    "canary_bake": 10 * MINUTE,
    "bake": 5 * MINUTE,
    "drain_time": None,
    "healthy_looks": 1,
    "max_unavailable": 3,
    "max_unavailable_per_region": 1,
}
INSTANCE = serving_look().seen.cloud.instances[0]
OUTSIDER = "demo-eu-04"


def course(
    *footings: Footing,
    state: RolloutState = RolloutState.RUNNING,
    record: RolloutRecord | None = None,
    gates: Mapping[str, str] | None = None,
    going_back: tuple[str, ...] = (),
    waves: tuple[tuple[str, ...], ...] = WAVES,
    open_wave: int | None = 0,
    **changes: object,
) -> Course:
    """Decisions about a rollout from OLD to NEW, of which only what is named was decided."""
    there = fleet(*footings)
    return Course(
        rollout=make_rollout(state, **changes),
        record=record or RolloutRecord(),
        events=(),
        bundles={},
        footings=there,
        waves=waves,
        open_wave=open_wave,
        aims=dict.fromkeys(there, NEW),
        rendered={},
        kinds={},
        gates=gates or {},
        barred={},
        moving=False,
        withheld=frozenset(),
        going_back=frozenset(going_back),
        recovering=frozenset(),
        findings=(),
        order={},
    )


def deploy(relay: str, change: ChangeClass = ChangeClass.RESTART, release: str = "10.6.0") -> Deploy:
    return Deploy(relay, INSTANCE, rendered(rendering_spec(release)), change, disturbs=True, reason="release differs")


def report(made: Course, *steps: Action | Hold, policy: Mapping[str, object] | None = None) -> RolloutView:
    actions = tuple(step for step in steps if not isinstance(step, Hold))
    holds = tuple(step for step in steps if isinstance(step, Hold))
    look = make_look(made.record, policy={**POLICY, **(policy or {})})
    return report_rollout(made, {}, Plan((), actions, holds), look)


def shown(made: Course, name: str, *steps: Action | Hold) -> tuple[Progress, str]:
    relay = report(made, *steps).relays[name]
    return relay.progress, relay.text


# --- what waits for it -------------------------------------------------------------------------------------------------


def waits(made: Course, name: str = EU3) -> Hold | None:
    view: RelayView = footing(name).view
    return wait_for_rollout(made, view, make_look(made.record, policy=POLICY))


BAKING = {EU3: Settling(NEW, NOW, looks=0)}


@pytest.mark.parametrize(
    ("made", "hold"),
    [
        (course(gates={EU3: "its turn comes later"}), Hold(EU3, UPDATE, "its turn comes later")),
        (course(), Hold(EU3, BAKE, "it has to serve first")),
        (course(record=RolloutRecord(settling=BAKING)), Hold(EU3, BAKE, "serves in 0 of 1 looks", passes=True)),
        (course(record=RolloutRecord(settling=settled(EU3))), None),
        (course(state=RolloutState.COMPLETE), None),
        (course(waves=WAVES[1:]), None),
        (
            course(state=RolloutState.PAUSED, because="by ops"),
            Hold(EU3, BAKE, "the rollout is paused: by ops"),
        ),
    ],
    ids=["a gate", "it does not serve yet", "it bakes", "it has settled", "complete", "it has no wave", "paused"],
)
def test_what_keeps_a_relay_from_being_done(made: Course, hold: Hold | None) -> None:
    assert waits(made) == hold


# --- who is told -------------------------------------------------------------------------------------------------------


RUNS_NOTHING = footing(EU3, "", health=Health.UNHEALTHY)


@pytest.mark.parametrize(
    ("made", "action", "noted"),
    [
        (course(), deploy(EU3), False),
        (course(), deploy(EU3, ChangeClass.REPLACE), False),
        (course(), Stop(EU3, INSTANCE, "replaced"), True),
        (course(RUNS_NOTHING), deploy(EU3), True),
        (course(record=RolloutRecord(restarts={EU3: Restart(OLD, NOW, replaced=True)})), deploy(EU3), True),
        (course(record=RolloutRecord(restarts={EU3: Restart(OLD, NOW)})), deploy(EU3), False),
        (
            course(record=RolloutRecord(restarts={EU3: Restart(OLD, NOW, replaced=True, served_at=NOW)})),
            deploy(EU3),
            False,
        ),
    ],
    ids=[
        "it restarts",
        "it is made anew",
        "its instance goes",
        "nothing ran on it",
        "its new instance never served",
        "it was restarted, and never served",
        "its new instance has served",
    ],
)
def test_who_is_told_to_restart_is_kept_with_whether_its_instance_is_new(made, action: Action, noted: bool) -> None:
    restart = report(made, action).record.restarts[EU3]
    assert restart == Restart(NEW, NOW, SOUND.inbound, replaced=noted)


@pytest.mark.parametrize(
    "action",
    [deploy(EU3, ChangeClass.RELOAD), Stage(EU3, INSTANCE, rendered(), "not staged"), deploy(OUTSIDER)],
    ids=["it reloads", "it stages", "it is no relay of the fleet"],
)
def test_nobody_else_is_kept_as_told(action: Action) -> None:
    assert report(course(), action).record.restarts == {}


def test_who_drains_is_kept_with_its_connections_if_they_are_known() -> None:
    mute = footing(EU1, signals=replace(SOUND, inbound=None))
    drains = [Hold(name, DRAIN, "leaves the names") for name in (EU1, EU3)]
    record = report(course(mute), *drains).record
    assert (record.draining, record.connected) == ({EU1: NOW, EU3: NOW}, {EU3: SOUND.inbound})


def test_who_drains_to_leave_for_good_is_kept_without_connections() -> None:
    record = report(course(), Hold(OUTSIDER, DRAIN, "leaves the names")).record
    assert (record.draining, record.connected) == ({OUTSIDER: NOW}, {})


# --- who is shown ------------------------------------------------------------------------------------------------------


def test_besides_those_with_a_wave_who_failed_and_who_goes_back_is_shown() -> None:
    made = course(waves=((EU3,),), failed={EU1: "exit 1"}, going_back=(EU2,))
    view = report(made)
    assert set(view.relays) == {EU1, EU2, EU3}
    assert [wave.relays for wave in view.waves] == [(EU3,)]


@pytest.mark.parametrize(("most", "out"), [(1, 1), (3, 2), (2, 2)])
def test_no_more_are_out_at_once_than_the_largest_wave_and_the_budget_have(most: int, out: int) -> None:
    assert report(course(), policy={"max_unavailable": most}).out_at_most == out


BAD = RolloutRecord(failures={"bad": Failure("bad", "10.5.9", US1, "exit 1", NOW)})
DOWN = footing(EU3, health=Health.UNHEALTHY)
ANYWAY, STAND_IN = (
    "goes first: it is down anyway, or runs what failed",
    "goes first: of its region most others can stand in",
)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (course(), STAND_IN),
        (course(DOWN), ANYWAY),
        (course(DOWN, waves=((EU3, US3), (EU1, US1))), ANYWAY),
        (course(footing(EU3, "bad"), record=BAD), ANYWAY),
        (course(record=BAD), STAND_IN),
        (course(DOWN, record=RolloutRecord(restarts=told(EU3))), STAND_IN),
    ],
    ids=["it serves", "it is down", "one of two is", "it runs what failed", "nobody does", "it is out for the wish"],
)
def test_the_canary_is_told_why_it_is(made: Course, why: str) -> None:
    assert report(made).waves[0].why == why


def test_without_waves_nobody_is_out() -> None:
    assert report(course(waves=(), open_wave=None)).out_at_most == 0


@pytest.mark.parametrize(
    ("made", "steps", "expected"),
    [
        (course(), [Hold(EU1, DRAIN, "drains for 5 s")], (Progress.DRAINS, "drains for 5 s")),
        (course(), [deploy(EU1)], (Progress.RESTARTS, "release differs")),
        (course(), [deploy(EU1, release="10.5.1")], (Progress.GOES_BACK, "as seen")),
        (course(going_back=(EU1,)), [], (Progress.GOES_BACK, "as seen")),
        (course(going_back=(EU1,), because="by ops"), [], (Progress.GOES_BACK, "by ops; as seen")),
        (
            course(going_back=(EU1,), because="by ops", failed={EU1: "exit 1"}),
            [Hold(EU1, "restart", "others are out")],
            (Progress.GOES_BACK, "exit 1; others are out"),
        ),
        (
            course(gates={EU1: "its turn comes later"}),
            [deploy(EU1, ChangeClass.RELOAD, "10.5.1")],
            (Progress.WAITS, "its turn comes later"),
        ),
        (course(failed={EU1: "exit 1"}), [], (Progress.FAILED, "exit 1")),
        (course(), [Hold(EU1, "restart", "others are out")], (Progress.NEXT, "others are out")),
        (course(), [], (Progress.NEXT, "as seen")),
        (
            course(record=RolloutRecord(restarts=told(EU1, at=NOW - 9 * SECOND))),
            [],
            (Progress.RESTARTS, "for 9 s: as seen"),
        ),
        (
            course(record=RolloutRecord(restarts={EU1: Restart(NEW, NOW, served_at=NOW)})),
            [],
            (Progress.NEXT, "as seen"),
        ),
        (course(record=RolloutRecord(restarts=told(EU1, digest=OLD))), [], (Progress.NEXT, "as seen")),
        (
            course(record=RolloutRecord(settling={EU1: replace(settled(EU1)[EU1], since=NOW - 3 * SECOND)})),
            [],
            (Progress.DONE, "serves since 3 s"),
        ),
        (
            course(record=RolloutRecord(settling={EU1: Settling(NEW, NOW)})),
            [],
            (Progress.BAKES, "serves in 0 of 1 looks"),
        ),
    ],
)
def test_each_relay_is_shown_at_its_step(made: Course, steps: list[Action | Hold], expected: tuple[str, str]) -> None:
    assert shown(made, EU1, *steps) == expected


# --- how long it takes -------------------------------------------------------------------------------------------------


LOOK_EVERY = make_look(policy=POLICY).spec.controller.look_every
CANARY = RESTART + 10 * MINUTE + LOOK_EVERY
WAVE = RESTART + 5 * MINUTE + LOOK_EVERY


def left(made: Course, **policy: object) -> timedelta:
    return report(made, policy=policy).left


def test_each_wave_takes_its_restarts_and_its_bake() -> None:
    assert left(course()) == CANARY + 3 * WAVE
    assert left(course(), max_unavailable=1) == CANARY + 2 * (WAVE + RESTART) + WAVE


def test_what_is_done_takes_no_more_time_wherever_it_is() -> None:
    assert left(course(record=RolloutRecord(settling=settled(EU3)))) == 3 * WAVE
    assert left(course(record=RolloutRecord(settling=settled(EU1, US1)))) == CANARY + 2 * WAVE
    one_of_two = course(record=RolloutRecord(settling=settled(EU1)))
    assert left(one_of_two, max_unavailable=1) == left(course(), max_unavailable=1) - RESTART


def test_what_was_baked_of_the_open_wave_is_not_left_and_of_a_later_one_it_is() -> None:
    canary = {EU3: Settling(NEW, NOW - MINUTE)}
    assert left(course(record=RolloutRecord(settling=canary))) == CANARY - RESTART - MINUTE + 3 * WAVE
    later = {US3: Settling(NEW, NOW - MINUTE)}
    assert left(course(record=RolloutRecord(settling=later))) == CANARY + 2 * WAVE + WAVE - RESTART


def test_where_nobody_bakes_only_the_looks_are_left() -> None:
    made = course(record=RolloutRecord(settling={EU3: Settling(NEW, NOW - MINUTE)}))
    assert left(made, canary_bake=None) == LOOK_EVERY + 3 * WAVE


@pytest.mark.parametrize(
    ("wave", "here", "rounds"),
    [
        ((EU1, EU2), 1, 2),
        ((EU1, EU2), 2, 1),
        ((EU1, EU2, US1), 1, 2),
        ((EU1, EU2, US1, US2), 2, 2),
        ((EU1,), 3, 1),
    ],
)
def test_as_many_of_a_wave_restart_at_once_as_may_be_out_here_and_everywhere(wave, here: int, rounds: int) -> None:
    made = course(waves=(wave,), canaries=0)
    expected = rounds * RESTART + 5 * MINUTE + LOOK_EVERY
    assert left(made, max_unavailable_per_region=here) == expected


def test_what_stands_takes_no_time() -> None:
    assert [left(course(state=state)) for state in RolloutState if state is not RolloutState.RUNNING] == (
        [timedelta()] * (len(RolloutState) - 1)
    )
