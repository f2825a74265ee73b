"""What one look decides about a rollout, asked directly: aims, whom nothing holds, when it ends, which waves are told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from orchestrator.fleet.observation import InFlight, UnitState, Verdict
from orchestrator.fleet.record import NO_EVIDENCE
from orchestrator.fleet.rollout import Restart, Rollout, RolloutState, Settling
from orchestrator.planning.assess import assess_relay, list_slots
from orchestrator.planning.look import Look
from orchestrator.planning.mesh import render_fleet
from orchestrator.planning.rollout import Course, count_connected, note_restarts, steer_rollout
from tests.rollout_looks import CALM
from tests.upgrades import NAMES, NEW, OLD, bundle_of, change, digest_of, probe, run, target_of, upgrading

POLICY: dict[str, object] = {
    "canary_bake": timedelta(minutes=2),
    "bake": timedelta(minutes=1),
    "drain_time": None,
    "healthy_looks": 2,
}
EU1, EU2, EU3, SOLE, US1, US2, US3, CANARY = NAMES
WAVES = ((CANARY,), (EU1, US1), (EU2, US2), (EU3, US3), (SOLE,))


def course_of(look: Look, releases: Mapping[str, str] | None = None) -> Course:
    """What is decided while everybody is on one chain; `releases` is what relays are known to run."""
    slots = list_slots(look.wanted.relays, look)
    views = {slot.relay.name: assess_relay(slot, look) for slot in slots}
    judged = replace(CALM, evidence=replace(NO_EVIDENCE, releases=dict(releases or {})))
    return steer_rollout(look, slots, views, render_fleet(look.wanted, look.seen), {}, judged)


def rollout(state: RolloutState, since: datetime, **changes: object) -> Rollout:
    regions = {name: digest_of(NEW) for name in ("eu-central-1", "eu-central-2", "us-east-1")}
    return replace(
        Rollout(
            target=target_of(NEW),
            version=NEW,
            started_at=since,
            state=state,
            wish=regions,
            good=dict.fromkeys(regions, digest_of(OLD)),
            waves=WAVES,
            canaries=1,
        ),
        **changes,  # type: ignore[arg-type]
    )


def under_way(
    *new: str,
    settled: tuple[str, ...] = (),
    state: RolloutState = RolloutState.RUNNING,
    policy: Mapping[str, object] | None = None,
    **changes: object,
) -> Look:
    """A rollout of which these relays run what is wished for, and these have served out their bake."""
    look = upgrading({**POLICY, **(policy or {})}, new=new)
    begun = look.now - timedelta(minutes=30)
    kept = {name: Settling(digest_of(NEW), begun, looks=9, settled=True) for name in settled}
    told = {name: Restart(digest_of(NEW), begun, served_at=begun) for name in new}
    record = replace(look.record.rollout, current=rollout(state, begun, **changes), settling=kept, restarts=told)
    bundles = {digest_of(release): bundle_of(release) for release in (OLD, NEW)}
    return replace(look, record=replace(look.record, rollout=record, bundles=bundles))


def events(course: Course) -> list[tuple[str, str]]:
    return [(event.what, event.text) for event in course.events]


# --- aims --------------------------------------------------------------------------------------------------------------


def test_each_relay_is_to_be_what_it_runs_until_its_turn_comes() -> None:
    course = course_of(under_way())
    assert course.aims == {name: digest_of(NEW if name == CANARY else OLD) for name in NAMES}
    assert {name: made.release.version for name, made in course.rendered.items()} == {
        name: NEW if name == CANARY else OLD for name in NAMES
    }


def test_who_serves_on_what_nobody_could_make_again_is_to_be_what_is_wished_for() -> None:
    look = under_way()
    look = change(look, EU1, running_restart_digest="another", release="9" * 64)
    course = course_of(look)
    assert course.aims[EU1] == digest_of(NEW)
    assert EU1 in course.barred


def test_who_waits_may_be_made_again_what_it_is_to_stay() -> None:
    course = course_of(under_way())
    assert course.gates.keys() == set(NAMES) - {CANARY}
    assert course.barred == {}


def test_who_cannot_be_made_what_it_is_to_go_back_to_is_held() -> None:
    look = under_way(CANARY, state=RolloutState.ROLLING_BACK, version="10.4.1")
    bundles = {
        digest_of(OLD): replace(bundle_of(OLD), version="10.3.1"),
        digest_of(NEW): replace(bundle_of(NEW), version="10.4.1"),
    }
    course = course_of(replace(look, record=replace(look.record, bundles=bundles)))
    assert course.going_back == {CANARY}
    assert course.barred.keys() & {CANARY} == course.gates.keys() & {CANARY} == {CANARY}


@pytest.mark.parametrize(
    ("state", "stages"),
    [(RolloutState.RUNNING, True), (RolloutState.PAUSED, True), (RolloutState.HALTED, False)],
)
def test_what_is_wished_for_is_staged_while_it_may_still_come_to_that(state: RolloutState, stages: bool) -> None:
    assert course_of(under_way(state=state)).stages_wish is stages


def test_each_instance_is_to_be_of_the_kind_that_belongs_to_what_its_relay_is_to_be() -> None:
    look = under_way()
    kept = {**look.record.bundles, digest_of(OLD): replace(bundle_of(OLD), instance_type="r5.large")}
    course = course_of(replace(look, record=replace(look.record, bundles=kept)))
    assert (course.kinds[EU1].instance_type, course.kinds[CANARY].instance_type) == ("r5.large", "r6a.large")


# --- who comes by itself -------------------------------------------------------------------------------------------------


def recovering(told: Restart, look: Look | None = None, name: str = CANARY) -> bool:
    return name in course_of(down(with_told(look or under_way(), name, told), name)).recovering


def with_told(look: Look, name: str, told: Restart) -> Look:
    restarts = {**look.record.rollout.restarts, name: told}
    return replace(look, record=replace(look.record, rollout=replace(look.record.rollout, restarts=restarts)))


def down(look: Look, name: str) -> Look:
    """The same with a relay that does not serve, for now."""
    look = change(look, name, unit=UnitState.ACTIVATING, running_restart_digest="", running_reload_digest="")
    return probe(look, name, Verdict.REFUSED)


def test_who_was_told_to_be_what_it_is_to_be_and_gets_on_comes_by_itself() -> None:
    now = under_way().now
    assert recovering(Restart(digest_of(NEW), now))
    assert recovering(Restart(digest_of(OLD), now), name=EU1)


def test_who_shows_no_progress_served_since_or_was_told_something_else_does_not() -> None:
    now = under_way().now
    shown = course_of(down(with_told(under_way(), CANARY, Restart(digest_of(NEW), now)), CANARY)).record.restarts[
        CANARY
    ]
    assert not recovering(replace(shown, at=now - timedelta(hours=3), marked_at=now - timedelta(hours=3)))
    assert not recovering(Restart(digest_of(NEW), now, served_at=now))
    assert not recovering(Restart(digest_of(OLD), now))


def test_who_is_to_be_made_the_wish_for_want_of_anything_else_comes_by_itself_as_well() -> None:
    look = change(
        under_way(state=RolloutState.ROLLING_BACK, good={}), EU1, running_restart_digest="another", release="9" * 64
    )
    look = with_told(probe(look, EU1, Verdict.REFUSED), EU1, Restart(digest_of(NEW), look.now))
    assert EU1 in course_of(look).recovering


# --- what is kept of a restart ---------------------------------------------------------------------------------------------


def test_a_restart_is_written_down_with_who_was_connected_before() -> None:
    look = under_way()
    course = course_of(look)
    record = note_restarts(course, {CANARY: False, "demo-gone-01": True}, look)
    assert record.restarts[CANARY] == Restart(digest_of(NEW), look.now, 20)
    assert "demo-gone-01" not in record.restarts


def test_who_was_connected_before_the_drain_counts_more_than_who_is_left() -> None:
    look = under_way()
    record = replace(look.record.rollout, connected={CANARY: 55})
    course = course_of(replace(look, record=replace(look.record, rollout=record)))
    assert (count_connected(CANARY, course), count_connected(EU1, course)) == (55, 20)


# --- the order -----------------------------------------------------------------------------------------------------------


def test_whoever_has_to_choose_takes_them_by_wave_and_those_that_failed_first() -> None:
    course = course_of(under_way(CANARY, state=RolloutState.HALTED, failed={US2: "why"}))
    assert course.order[US2] == -1
    assert [course.order[name] for name in (CANARY, EU1, EU2, EU3, SOLE)] == [0, 1, 2, 3, 4]


# --- the end -------------------------------------------------------------------------------------------------------------


def ended(look: Look) -> bool:
    return course_of(look).rollout.state is RolloutState.COMPLETE


def everybody(**changes: object) -> Look:
    return under_way(*NAMES, settled=tuple(NAMES), **changes)  # type: ignore[arg-type]


def test_it_is_complete_once_everybody_is_there_serves_and_has_baked() -> None:
    look = everybody()
    course = course_of(look)
    assert (course.rollout.state, course.rollout.since) == (RolloutState.COMPLETE, look.now)
    assert ("complete", "") in events(course)


@pytest.mark.parametrize(
    "look",
    [
        run(everybody(), SOLE, OLD),
        down(everybody(), SOLE),
        under_way(*NAMES, settled=tuple(name for name in NAMES if name != SOLE)),
    ],
    ids=["one runs something else", "one does not serve", "one bakes"],
)
def test_it_is_not_complete_before(look: Look) -> None:
    assert not ended(look)


def test_it_is_not_complete_while_somebody_is_worked_on() -> None:
    look = everybody()
    work = {SOLE: InFlight("deploy", look.now, disturbs=True)}
    assert not ended(replace(look, seen=replace(look.seen, in_flight=work)))


def test_what_relays_showed_on_their_way_is_forgotten_at_the_end() -> None:
    look = everybody()
    told = {name: replace(each, mark="replay 97") for name, each in look.record.rollout.restarts.items()}
    record = replace(look.record, rollout=replace(look.record.rollout, restarts=told))
    course = course_of(replace(look, record=record))
    assert {restart.mark for restart in course.record.restarts.values()} == {""}


def test_the_way_back_is_done_once_everybody_serves_on_what_was_proven() -> None:
    look = under_way(state=RolloutState.ROLLING_BACK, because="ops: why")
    assert course_of(look).rollout.state is RolloutState.ROLLED_BACK
    for not_yet in (down(look, SOLE), run(look, SOLE, NEW), probe(look, SOLE, Verdict.REFUSED)):
        assert course_of(not_yet).rollout.state is RolloutState.ROLLING_BACK


def test_a_wish_that_nobody_has_to_be_updated_for_is_complete_from_the_look_that_finds_it_so() -> None:
    look = replace(upgrading(POLICY, new=NAMES))
    look = replace(look, record=replace(look.record, rollout=replace(look.record.rollout, current=None)))
    course = course_of(look)
    assert course.rollout.waves == ()
    assert (course.rollout.state, course.rollout.since) == (RolloutState.COMPLETE, look.now)


# --- waves that are done ---------------------------------------------------------------------------------------------------


def waves_done(*names: str, looked: tuple[str, ...] = (), **changes: object) -> list[str]:
    """Of which waves a look tells, after these settled by the last one (`looked`) and these have baked now."""
    look = under_way(*names, settled=looked, policy={"bake": None, "canary_bake": None}, **changes)  # type: ignore[arg-type]
    baked = {
        name: Settling(digest_of(NEW), look.now - timedelta(minutes=20), looks=9, settled=name in looked)
        for name in names
    }
    record = replace(look.record, rollout=replace(look.record.rollout, settling=baked))
    return [detail for what, detail in events(course_of(replace(look, record=record))) if what == "wave done"]


def test_the_canary_and_each_wave_are_told_of_by_their_numbers() -> None:
    assert waves_done(CANARY) == [f"canary: {CANARY}"]
    assert waves_done(CANARY, EU1, US1, looked=(CANARY,)) == [f"wave 1 of 4: {EU1}, {US1}"]
    last = tuple(name for name in NAMES if name != SOLE)
    assert waves_done(*NAMES, looked=last) == [f"wave 4 of 4: {SOLE}"]


def test_without_canaries_the_first_wave_is_wave_one() -> None:
    assert waves_done(CANARY, canaries=0)[0] == f"wave 1 of 5: {CANARY}"


def test_of_an_earlier_wishs_waves_nothing_is_told() -> None:
    assert waves_done(CANARY, target="another") == []


# --- what is checked before ------------------------------------------------------------------------------------------------

RUNNING = dict.fromkeys(NAMES, OLD)


def found(look: Look, releases: Mapping[str, str] = RUNNING) -> list[str]:
    return [finding.text for finding in course_of(look, releases).findings]


def test_before_the_first_relay_is_updated_the_step_and_the_fleet_are_checked() -> None:
    texts = found(down(under_way(), SOLE))
    assert any("release 10.6.0 is known" in text for text in texts)
    assert any(f"7 of 8 relays serve, and at most 1 may be out (out: {SOLE})" in text for text in texts)


def test_the_step_is_judged_by_wanted_relays_alone() -> None:
    texts = found(under_way(), {**RUNNING, "demo-gone-01": "9.2.1"})
    assert not any("9.2.1" in text for text in texts)


def test_in_whatever_order_relays_are_known_the_step_is_the_same() -> None:
    mixed = {name: "10.4.1" if name in (EU1, US2) else OLD for name in NAMES}
    assert found(under_way(), mixed) == found(under_way(), dict(reversed(mixed.items())))


def test_nothing_is_checked_of_a_step_that_nobody_takes() -> None:
    assert found(under_way(), dict.fromkeys(NAMES, NEW)) == []


@pytest.mark.parametrize(
    "look",
    [under_way(CANARY), everybody(state=RolloutState.COMPLETE), under_way(state=RolloutState.COMPLETE)],
    ids=["one is updated", "complete", "complete, and all went back"],
)
def test_afterwards_it_is_too_late_to_ask(look: Look) -> None:
    assert found(look) == []


def test_where_nobody_has_to_be_updated_what_one_ran_before_it_was_lost_is_no_matter() -> None:
    look = upgrading(POLICY, new=NAMES)
    cloud = look.seen.cloud
    left = replace(cloud, instances=tuple(i for i in cloud.instances if i.relay != SOLE))
    look = replace(look, seen=replace(look.seen, cloud=left))
    course = course_of(look, RUNNING)
    assert (course.rollout.state, course.rollout.waves, course.findings) == (RolloutState.RUNNING, (), ())


def test_a_relay_that_is_gone_from_the_fleet_file_was_not_updated() -> None:
    waves = (WAVES[0], ("demo-gone-01", *WAVES[1]), *WAVES[2:])
    assert found(under_way(waves=waves)) != []
