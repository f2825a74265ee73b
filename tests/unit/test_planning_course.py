"""What each relay is to be by now, whose turn it is, and what is kept to go back to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import Sighting, UnitState, Verdict
from orchestrator.fleet.record import Quarantine
from orchestrator.fleet.rollout import Failure, RolloutRecord, RolloutState
from orchestrator.planning.course import (
    Situation,
    goes_back,
    keep_bundles,
    list_allowed,
    list_gates,
    pick_aim,
)
from orchestrator.planning.footing import Footing, lend_bundles
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.settling import stays_down
from tests.rendering_builders import fleet_spec as rendering_spec
from tests.rendering_builders import rendered
from tests.rollout_looks import (
    EU1,
    EU2,
    EU3,
    EVERYBODY,
    MINUTE,
    NETWORK,
    NEW,
    NOW,
    OLD,
    US1,
    US2,
    US3,
    fleet,
    footing,
    make_bundle,
    make_facts,
    make_look,
    settled,
    silent,
    situation,
    told,
    wished,
)

RUNNING, PAUSED, HALTED = RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED
ROLLING_BACK, ROLLED_BACK, COMPLETE = RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK, RolloutState.COMPLETE

DOWN = footing(EU2, health=Health.UNHEALTHY, phase=Phase.DEPLOYING, facts=make_facts(unit=UnitState.FAILED))


def allowed(now: Situation, **look) -> set[str]:
    return set(list_allowed(now, make_look(**look)))


def aim(name: str, now: Situation) -> str:
    return pick_aim(now.footings[name], now, list_allowed(now, make_look()))


# --- whose turn it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("open_wave", "expected"),
    [(0, {EU3}), (1, {EU3, EU1, US1}), (2, {EU3, EU1, US1, EU2, US2}), (3, set(EVERYBODY)), (None, set(EVERYBODY))],
)
def test_the_open_wave_and_those_before_it_have_their_turn(open_wave: int | None, expected: set[str]) -> None:
    assert allowed(situation(open_wave=open_wave)) == expected


TOGETHER = ((EU1, EU2, US1), (EU3,))
"""A wave that was not planned like that: a canary's place was taken, or relays came and went."""


@pytest.mark.parametrize(
    ("done", "changed", "expected"),
    [
        ({}, (), {EU1, US1}),
        ({"restarts": told(EU1)}, (), {EU1, US1}),
        ({"restarts": told(EU1), "settling": settled(EU1)}, (), {EU1, EU2, US1}),
        ({}, (DOWN,), {EU1, EU2, US1}),
        ({}, (silent(EU1),), {EU1, EU2, US1}),
    ],
    ids=["nobody has begun", "one has begun", "one is done", "one is down", "one cannot be asked"],
)
def test_of_a_region_no_more_go_together_than_may_however_a_wave_came_to_be(done, changed, expected) -> None:
    updated = [footing(EU1, NEW)] if done else []
    now = situation(fleet(*updated, *changed), record=RolloutRecord(**done), waves=TOGETHER, canaries=0)
    assert allowed(replace(now, waves=TOGETHER)) & set(TOGETHER[0]) == expected


def crowd(*changed: Footing, wave: tuple[str, ...] = (EU1, EU2), restarted: str = EU2, **policy: object) -> set[str]:
    """Who of a wave has its turn, where one was told to restart."""
    waves = (wave, (US1,))
    now = situation(fleet(*changed), record=RolloutRecord(restarts=told(restarted)), waves=waves, canaries=0)
    return allowed(replace(now, waves=waves), policy=policy) & set(wave)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (footing(EU2, NEW), {EU2}),
        (footing(EU2, OLD, health=Health.UNHEALTHY), {EU2}),
        (footing(EU2, OLD), {EU1}),
    ],
    ids=["it runs it", "it is out for it", "it was put off"],
)
def test_who_has_begun_goes_before_who_comes_before_it_by_name(second: Footing, expected: set[str]) -> None:
    assert crowd(second) == expected


def test_who_has_begun_takes_one_place_of_its_region() -> None:
    wave = (EU1, EU2, EU3)
    assert crowd(footing(EU1, NEW), wave=wave, restarted=EU1, wave_share=2) == {EU1, EU2}
    assert crowd(wave=wave, restarted=US3, wave_share=2) == {EU1, EU2}


# --- who has nothing to run ------------------------------------------------------------------------------------------


BARE = footing(EU1, "", health=Health.UNHEALTHY, phase=Phase.ABSENT, facts=None)
FAILED = Failure(NEW, "10.6.0", US1, "exit 1", NOW)
NO_GOOD = {"us": OLD}


@pytest.mark.parametrize(
    ("mine", "failure", "good", "begins"),
    [
        (BARE, FAILED, NO_GOOD, False),
        (BARE, None, NO_GOOD, True),
        (BARE, replace(FAILED, staging=True), NO_GOOD, True),
        (BARE, FAILED, {"eu": OLD, "us": OLD}, True),
        (footing(EU1, OLD), FAILED, NO_GOOD, True),
    ],
    ids=["it failed", "it has not failed", "only staging it did", "there is something better", "it runs something"],
)
def test_who_has_nothing_to_run_does_not_begin_with_what_failed_elsewhere(mine, failure, good, begins: bool) -> None:
    record = RolloutRecord(failures={NEW: failure} if failure is not None else {})
    now = situation(fleet(mine), record=record, waves=(), open_wave=None, good=good)
    assert (EU1 in allowed(now)) is begins
    why = f"10.6.0 failed before, on {US1}: exit 1; `rollout retry {EU1}` tries it all the same"
    gates = list_gates(now, dict.fromkeys(EVERYBODY, NEW), list_allowed(now, make_look()))
    assert gates.get(EU1) == (None if begins else why)


@pytest.mark.parametrize("canaries", [0, 1])
def test_nor_does_it_because_its_turn_has_come_or_because_it_costs_nothing(canaries: int) -> None:
    canary = replace(BARE, name=EU3)
    record = RolloutRecord(failures={NEW: FAILED})
    assert EU3 not in allowed(situation(fleet(canary), record=record, canaries=canaries, good=NO_GOOD))


@pytest.mark.parametrize("state", [RUNNING, PAUSED, HALTED, COMPLETE])
def test_without_waves_there_is_nobody_to_wait_for(state: RolloutState) -> None:
    assert allowed(situation(state=state, waves=(), open_wave=None)) == set(EVERYBODY)


def test_once_it_is_complete_everybody_is_to_be_what_is_wished() -> None:
    assert allowed(situation(state=COMPLETE, open_wave=2)) == set(EVERYBODY)


@pytest.mark.parametrize("state", [ROLLING_BACK, ROLLED_BACK])
def test_on_the_way_back_nobody_is_to_be_what_was_wished(state: RolloutState) -> None:
    everybody = fleet(footing(EU3, NEW))
    assert allowed(situation(everybody, state, stopped="it was taken back", open_wave=1)) == set()


def test_who_failed_has_no_turn_any_more() -> None:
    assert allowed(situation(open_wave=1, failed={EU1: "exit 1"})) == {EU3, US1}


@pytest.mark.parametrize("stopped", [None, "the rollout is paused"])
def test_who_runs_it_already_stays_so(stopped: str | None) -> None:
    assert US3 in allowed(situation(fleet(footing(US3, NEW)), stopped=stopped))


def test_who_was_told_and_is_out_for_it_goes_on_though_nobody_further_is_updated() -> None:
    away = footing(EU1, OLD, health=Health.UNHEALTHY)
    now = situation(fleet(away), HALTED, stopped="halted", record=RolloutRecord(restarts=told(EU1, US1)))
    assert allowed(now) == {EU1}


def test_who_was_only_stopped_for_what_has_failed_by_now_does_not_go_on_with_it() -> None:
    away = footing(EU1, OLD, health=Health.UNHEALTHY)
    record = RolloutRecord(restarts=told(EU1), failures={NEW: Failure(NEW, "10.6.0", EU3, "exit 1", NOW)})
    assert allowed(situation(fleet(away), HALTED, stopped="halted", record=record)) == set()


def test_nobody_is_updated_further_while_it_is_stopped() -> None:
    assert allowed(situation(fleet(DOWN), PAUSED, stopped="paused", open_wave=2)) == set()


@pytest.mark.parametrize(("open_wave", "goes"), [(0, False), (1, True)])
def test_who_is_down_anyway_goes_once_the_canaries_have_shown_that_it_works(open_wave: int, goes: bool) -> None:
    assert (EU2 in allowed(situation(fleet(DOWN), open_wave=open_wave))) is goes


def test_without_canaries_who_is_down_anyway_goes_at_once() -> None:
    assert EU2 in allowed(situation(fleet(DOWN), open_wave=0, canaries=0))


@pytest.mark.parametrize("verdict", [Verdict.ANSWER_TIMEOUT, Verdict.HANDSHAKE_TIMEOUT])
def test_who_is_full_of_consumers_is_not_down(verdict: Verdict) -> None:
    now = situation(fleet(DOWN), open_wave=1)
    assert EU2 not in allowed(now, sightings={EU2: Sighting(verdict)})


@pytest.mark.parametrize(("inbound", "goes"), [(0, True), (1, False), (None, False)])
def test_who_hangs_with_nobody_connected_is_down(inbound: int | None, goes: bool) -> None:
    metrics = NodeMetrics("new", inbound=inbound)
    hangs = footing(EU2, health=Health.UNHEALTHY, facts=make_facts(metrics=metrics))
    now = situation(fleet(hangs), open_wave=1)
    assert (EU2 in allowed(now, sightings={EU2: Sighting(Verdict.HANDSHAKE_TIMEOUT)})) is goes


def test_who_stands_still_is_down_unless_it_was_just_restarted() -> None:
    stale = {EU2: Sighting(Verdict.STALE_TIP)}
    assert EU2 in allowed(situation(fleet(DOWN), open_wave=1), sightings=stale)
    comes = RolloutRecord(settling=settled(EU3), restarts=told(EU3) | told(EU2, digest=OLD))
    assert EU2 not in allowed(situation(fleet(DOWN), open_wave=1, record=comes), sightings=stale)


@pytest.mark.parametrize(("since", "goes"), [(NOW + MINUTE, True), (NOW, True), (NOW - MINUTE, False)])
def test_who_left_the_chain_with_what_it_runs_is_down_and_who_did_before_is_no_measure(since, goes: bool) -> None:
    record = RolloutRecord(settling=settled(EU3), restarts=told(EU3) | told(EU2, digest=OLD))
    look = make_look()
    evidence = replace(look.record.evidence, quarantines={EU2: Quarantine(EU2, since, "forked")})
    look = replace(look, record=replace(look.record, evidence=evidence))
    assert stays_down(DOWN, record, look) is goes
    # Nobody follows it, so it costs nothing either way, once the canaries have shown that what is wished works.
    assert EU2 in list_allowed(situation(fleet(DOWN), open_wave=1, record=record), look)


@pytest.mark.parametrize("stopped", [None, "paused"])
def test_who_has_nothing_to_run_and_is_to_start_with_what_was_proven_waits_for_nobody(stopped: str | None) -> None:
    new = footing("demo-ap-01", "", wish=OLD, health=Health.UNHEALTHY, facts=make_facts(unit=UnitState.ABSENT))
    now = situation({**fleet(), "demo-ap-01": new}, stopped=stopped, good={"eu": OLD, "us": OLD, "ap": OLD})
    found = allowed(now)
    assert "demo-ap-01" in found
    assert "demo-ap-01" not in list_gates(now, dict.fromkeys(now.footings, OLD), frozenset(found))


def test_who_runs_something_else_than_what_was_proven_waits_for_its_turn_to_go_back_to_it() -> None:
    now = situation(fleet(footing(EU1, "third")), good={"eu": NEW, "us": NEW})
    assert allowed(now) == {EU3}


def test_who_serves_is_not_updated_out_of_turn_because_it_was_in_quarantine() -> None:
    look = make_look()
    evidence = replace(look.record.evidence, quarantines={EU2: Quarantine(EU2, NOW, "forked")})
    look = replace(look, record=replace(look.record, evidence=evidence))
    assert EU2 not in list_allowed(situation(open_wave=1), look)
    assert EU2 in list_allowed(situation(fleet(DOWN), open_wave=1), look)


def test_who_could_not_be_asked_is_not_down() -> None:
    assert EU2 not in allowed(situation(fleet(silent(EU2)), open_wave=1))


@pytest.mark.parametrize(("open_wave", "goes"), [(0, False), (1, True)])
def test_a_relay_launched_meanwhile_is_updated_once_the_canaries_have_shown_that_it_works(
    open_wave: int,
    goes: bool,
) -> None:
    now = situation({**fleet(), "demo-eu-04": footing("demo-eu-04", OLD)}, open_wave=open_wave)
    assert ("demo-eu-04" in allowed(now)) is goes


# --- what a relay is to be -------------------------------------------------------------------------------------------


def test_who_waits_stays_what_it_is() -> None:
    assert aim(US3, situation()) == OLD


def test_whose_turn_it_is_is_to_be_what_is_wished() -> None:
    assert aim(EU3, situation()) == NEW


def test_who_waits_on_something_else_than_the_others_stays_that() -> None:
    now = situation(fleet(footing(US3, "third")), bundles=(OLD, NEW, "third"))
    assert aim(US3, now) == "third"


def test_who_serves_on_what_cannot_be_made_again_waits_for_the_wish_and_is_not_restarted_twice() -> None:
    now = situation(fleet(footing(US3, "forgotten")))
    assert aim(US3, now) == ""
    assert US3 not in allowed(now)


def test_who_is_down_for_another_reason_stays_what_it_is() -> None:
    now = situation(fleet(footing(US3, "third", health=Health.UNHEALTHY)), bundles=(OLD, NEW, "third"))
    assert aim(US3, now) == "third"


def test_who_serves_and_does_not_say_what_it_runs_is_to_be_what_was_proven_meanwhile() -> None:
    assert aim(US3, situation(fleet(footing(US3, "", facts=None)))) == OLD


def test_who_is_down_on_what_cannot_be_made_again_gets_what_was_proven() -> None:
    assert aim(US3, situation(fleet(footing(US3, "forgotten", health=Health.UNHEALTHY)))) == OLD


def test_who_failed_goes_back_to_what_was_proven() -> None:
    now = situation(fleet(footing(EU3, NEW, health=Health.UNHEALTHY)), HALTED, stopped="halted", failed={EU3: "exit 1"})
    assert aim(EU3, now) == OLD
    assert goes_back(now.footings[EU3], OLD)


@pytest.mark.parametrize("state", [ROLLING_BACK, ROLLED_BACK])
def test_on_the_way_back_all_who_were_updated_go_back(state: RolloutState) -> None:
    now = situation(fleet(footing(EU3, NEW)), state, open_wave=1, stopped="taken back")
    assert (aim(EU3, now), aim(US3, now)) == (OLD, OLD)


def test_who_is_down_on_what_failed_goes_back_rather_than_wait() -> None:
    bad = replace(Failure("bad", "10.5.9", EU1, "exit 1", NOW))
    record = RolloutRecord(failures={"bad": bad})
    down = footing(US3, "bad", health=Health.UNHEALTHY)
    assert aim(US3, situation(fleet(down), record=record, bundles=(OLD, NEW, "bad"))) == OLD
    serves = footing(US3, "bad")
    assert aim(US3, situation(fleet(serves), record=record, bundles=(OLD, NEW, "bad"))) == "bad"


def test_a_relay_launched_before_the_canaries_are_done_starts_on_what_was_proven() -> None:
    unborn = footing("demo-eu-04", "", health=Health.UNHEALTHY, phase=Phase.ABSENT, facts=None)
    assert aim("demo-eu-04", situation({**fleet(), "demo-eu-04": unborn})) == OLD
    assert aim("demo-eu-04", situation({**fleet(), "demo-eu-04": unborn}, open_wave=1)) == NEW


def test_a_relay_launched_while_it_is_halted_starts_on_what_was_proven() -> None:
    unborn = footing("demo-eu-04", "", health=Health.UNHEALTHY, phase=Phase.ABSENT, facts=None)
    now = situation({**fleet(), "demo-eu-04": unborn}, HALTED, stopped="halted", open_wave=2)
    assert aim("demo-eu-04", now) == OLD


def test_where_nothing_is_known_to_go_back_to_only_the_wish_is() -> None:
    now = situation(fleet(footing(EU3, NEW)), HALTED, stopped="halted", failed={EU3: "exit 1"}, good={})
    assert aim(EU3, now) == ""


def test_what_was_proven_and_not_kept_cannot_be_gone_back_to() -> None:
    now = situation(fleet(footing(EU3, NEW)), HALTED, stopped="halted", failed={EU3: "exit 1"}, bundles=(NEW,))
    assert aim(EU3, now) == ""


@pytest.mark.parametrize(("staged", "expected"), [(frozenset(), ""), (frozenset({NETWORK}), OLD)])
def test_an_older_network_folder_must_lie_on_the_host_already(staged: frozenset[str], expected: str) -> None:
    failed = footing(EU3, NEW, facts=make_facts(staged=staged))
    now = situation(fleet(failed), HALTED, stopped="halted", failed={EU3: "exit 1"}, network="another")
    assert aim(EU3, now) == expected


def test_a_host_that_was_not_asked_is_not_known_to_have_an_older_network_folder() -> None:
    now = situation(
        fleet(silent(EU3)), HALTED, stopped="halted", failed={EU3: "exit 1"}, network="another", bundles=(OLD,)
    )
    assert aim(EU3, now) == ""


def test_regions_go_back_to_what_was_proven_there() -> None:
    now = situation(
        fleet(footing(EU3, NEW), footing(US1, NEW)),
        ROLLING_BACK,
        stopped="taken back",
        good={"eu": "old of eu", "us": "old of us"},
        bundles=("old of eu", "old of us", NEW),
    )
    assert (aim(EU3, now), aim(US1, now)) == ("old of eu", "old of us")


@pytest.mark.parametrize(
    ("runs", "target", "back"),
    [(NEW, OLD, True), (OLD, OLD, False), (OLD, NEW, False), ("", OLD, False), (NEW, "", False)],
)
def test_going_back_is_to_leave_what_runs_for_something_else_than_the_wish(runs: str, target: str, back: bool) -> None:
    assert goes_back(footing(EU1, runs), target) is back


# --- what is kept ----------------------------------------------------------------------------------------------------


def kept(footings, *, bundles=(), record: RolloutRecord | None = None, **changes) -> dict[str, str]:
    """Digest → release of what is kept after a look at relays that are all to be NEW."""
    look = make_look(bundles=[make_bundle(digest) for digest in bundles])
    files = dict.fromkeys(footings, rendered(rendering_spec("10.6.0")))
    made = keep_bundles(wished(RUNNING, record or RolloutRecord(), **changes), footings, files, look)
    return {digest: bundle.version for digest, bundle in made.items()}


def test_what_is_wished_for_is_kept() -> None:
    assert kept(fleet(), good={}) == {NEW: "10.6.0"}


def test_what_was_proven_and_what_somebody_runs_is_kept_and_nothing_else() -> None:
    found = kept(fleet(footing(EU1, "third")), bundles=(OLD, "third", "fourth", "good"), good={"eu": "good"})
    assert found == {OLD: "10.5.1", "third": "10.5.1", "good": "10.5.1", NEW: "10.6.0"}


def test_what_was_never_kept_cannot_be_made_up() -> None:
    assert kept(fleet(footing(EU1, "third"))) == {NEW: "10.6.0"}


def test_what_a_relay_was_last_told_to_be_is_kept_though_it_cannot_be_asked() -> None:
    record = RolloutRecord(restarts=told(EU1, digest="third"))
    assert "third" in kept(fleet(silent(EU1)), bundles=("third", OLD), record=record)
    assert "third" not in kept(
        fleet(), bundles=("third", OLD), record=RolloutRecord(restarts=told("demo-eu-09", digest="third"))
    )


def test_what_a_region_is_lent_by_another_is_kept_though_it_was_not_before() -> None:
    spec, bundles = make_look().spec, {OLD: make_bundle(OLD)}
    lent = lend_bundles({"us": OLD}, bundles, spec)["eu"].digest
    assert kept(fleet(), bundles=(OLD,), good={"us": OLD, "eu": lent}).keys() == {OLD, NEW, lent}


def test_each_region_keeps_its_own() -> None:
    both = {EU1: footing(EU1, wish="of eu"), US1: footing(US1, wish="of us")}
    assert kept(both, good={}).keys() == {"of eu", "of us"}
