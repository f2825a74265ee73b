"""A rollout as people see it: each relay's step in words and numbers, what is left, what holds it, what is found before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import UnitState, Verdict
from orchestrator.fleet.rollout import RolloutRecord, Settling, Verb
from orchestrator.planning.findings import Level
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Plan
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.rollout_report import BAKE, UPDATE
from orchestrator.planning.rollout_view import Progress
from tests.rollout_looks import order
from tests.upgrades import (
    LOOK_EVERY,
    NAMES,
    NEW,
    OLD,
    carry_out,
    change,
    digest_of,
    give,
    keep,
    probe,
    run,
    serving_look,
    updated,
    upgrading,
    view_of,
    wants,
)

SHORT: dict[str, object] = {
    "canary_bake": timedelta(minutes=4),
    "bake": timedelta(minutes=1),
    "drain_time": None,
    "healthy_looks": 2,
}
DRAINING = {**SHORT, "drain_time": timedelta(minutes=1)}

CANARY = "demo-us-east-1-04"
WAITING = "demo-us-east-1-01"


def shown(look: Look, name: str) -> tuple[Progress, str]:
    relay = view_of(plan_fleet(look)).relays[name]
    return relay.progress, relay.text


def holds_of(plan: Plan, name: str) -> list[tuple[str, str, bool]]:
    return [(hold.wanted, hold.because, hold.passes) for hold in plan.holds if hold.relay == name]


def told(policy=SHORT) -> Look:
    """The look after the canary was told to restart; nothing is to be seen of it yet."""
    return keep(upgrading(policy), plan_fleet(upgrading(policy)))


def baking(looks: int = 1) -> Look:
    """The look in which the canary has served the new release for so many looks."""
    look = carry_out(upgrading(SHORT), plan_fleet(upgrading(SHORT)))
    for _ in range(looks - 1):
        look = keep(look, plan_fleet(look))
    return look


def crashed() -> Look:
    look = change(baking(), CANARY, unit=UnitState.FAILED, running_restart_digest="", detail="exit 1")
    return probe(look, CANARY, Verdict.REFUSED)


# --- one relay -------------------------------------------------------------------------------------------------------


def test_who_waits_is_shown_for_whom() -> None:
    assert shown(upgrading(SHORT), WAITING) == (Progress.WAITS, f"its turn comes after the canary ({CANARY})")


def test_who_is_told_to_restart_restarts() -> None:
    progress, text = shown(upgrading(SHORT), CANARY)
    assert progress is Progress.RESTARTS
    assert "differ" in text


def test_who_was_told_is_shown_since_when() -> None:
    look = told()
    down = probe(change(look, CANARY, unit=UnitState.ACTIVATING, running_restart_digest=""), CANARY, Verdict.REFUSED)
    down = run_files(down)
    assert shown(down, CANARY) == (Progress.RESTARTS, "for 10 s: the node starts")


def run_files(look: Look) -> Look:
    """The canary has the new release's files; its node is only starting."""
    return change(
        run(look, CANARY, NEW), CANARY, unit=UnitState.ACTIVATING, running_restart_digest="", running_reload_digest=""
    )


def test_who_drains_is_shown_to_drain() -> None:
    assert shown(upgrading(DRAINING), CANARY)[0] is Progress.DRAINS
    assert "is out of the names since 10 of 60 s" in shown(told(DRAINING), CANARY)[1]


def test_whose_turn_it_is_and_who_waits_for_the_budget_is_next() -> None:
    plan = plan_fleet(upgrading({**SHORT, "canaries": 0}))
    first, *others = view_of(plan).waves[0].relays
    assert updated(plan) == [first]
    for name in others:
        relay = view_of(plan).relays[name]
        assert relay.progress is Progress.NEXT
        assert relay.text.endswith(f"1 of 1 relays that may be out are out ({first})")


def test_a_bake_counts_looks_first_and_time_then() -> None:
    assert shown(baking(), CANARY) == (Progress.BAKES, "serves in 1 of 2 looks")
    progress, text = shown(baking(13), CANARY)
    assert progress is Progress.BAKES
    assert text.startswith("2 min of 4 min; tip age ")
    assert "20 inbound (others 20)" in text


def test_who_has_baked_is_done() -> None:
    progress, text = shown(baking(26), CANARY)
    assert (progress, text) == (Progress.DONE, "serves since 4 min")


def test_who_failed_goes_back_for_a_stated_cause() -> None:
    progress, text = shown(crashed(), CANARY)
    assert progress is Progress.GOES_BACK
    assert text.startswith("its node does not start: exit 1; ")


def test_who_failed_and_is_back_has_failed() -> None:
    look = crashed()
    look = probe(carry_out(look, plan_fleet(look)), CANARY, Verdict.OK)
    assert shown(look, CANARY) == (Progress.FAILED, "its node does not start: exit 1")


def test_who_goes_back_without_a_known_cause_is_shown_what_differs() -> None:
    look = run(upgrading(SHORT), WAITING, NEW)
    plan = plan_fleet(give(keep(look, plan_fleet(look)), order(1, Verb.ROLLBACK)))
    text = view_of(plan).relays[WAITING].text
    assert view_of(plan).relays[WAITING].progress is Progress.GOES_BACK
    assert text.startswith("by ops: because; ")


def test_only_those_that_take_part_are_shown() -> None:
    look = run(upgrading(SHORT), WAITING, NEW)
    shown_before = Settling(digest_of(NEW), look.now, looks=2, settled=True)
    record = replace(look.record, rollout=RolloutRecord(settling={WAITING: shown_before}))
    assert set(view_of(plan_fleet(replace(look, record=record))).relays) == set(NAMES) - {WAITING}


# --- the whole -------------------------------------------------------------------------------------------------------


def test_a_rollout_is_shown_with_its_waves_and_how_many_are_out() -> None:
    view = view_of(plan_fleet(upgrading({**SHORT, "max_unavailable": 3, "max_unavailable_per_region": 2})))
    assert (view.version, view.state, view.because, view.open_wave) == (NEW, "running", "", 0)
    assert [wave.title for wave in view.waves][:2] == ["canary", "wave 1"]
    assert sorted(name for wave in view.waves for name in wave.relays) == NAMES
    assert 1 <= view.out_at_most <= 3


def test_a_fleet_in_which_nothing_is_to_be_done_shows_no_waves() -> None:
    view = view_of(plan_fleet(serving_look()))
    assert (view.state, view.waves, dict(view.relays), view.open_wave) == ("complete", (), {}, None)
    assert (view.left, view.out_at_most, view.findings) == (timedelta(), 0, ())


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.HALT])
def test_a_rollout_that_stands_has_no_time_left_to_tell(verb: Verb) -> None:
    assert view_of(plan_fleet(give(told(), order(1, verb)))).left == timedelta()


# --- what is left ----------------------------------------------------------------------------------------------------


def left(look: Look) -> timedelta:
    return view_of(plan_fleet(look)).left


def test_what_is_left_is_restarts_and_bakes_of_one_wave_after_another() -> None:
    look = upgrading(SHORT)
    looks = 2 * look.spec.controller.look_every
    restarts, waves = timedelta(minutes=5), len(view_of(plan_fleet(look)).waves)
    typical = replace(look.record.rollout, durations=(300.0,))
    look = replace(look, record=replace(look.record, rollout=typical))
    bakes = timedelta(minutes=4) + (waves - 1) * timedelta(minutes=1)
    assert left(look) == len(NAMES) * restarts + bakes + waves * looks


def test_draining_adds_to_each_restart() -> None:
    assert left(upgrading(DRAINING)) - left(upgrading(SHORT)) == len(NAMES) * timedelta(minutes=1)


def test_a_larger_budget_takes_less_time() -> None:
    wider = {**SHORT, "max_unavailable": 3, "max_unavailable_per_region": 2}
    assert left(upgrading(wider)) < left(upgrading(SHORT))


def test_time_that_was_baked_is_not_left_any_more() -> None:
    assert left(baking(3)) - left(baking(9)) == 6 * LOOK_EVERY


def test_a_wave_is_left_to_bake_as_long_as_the_one_of_it_that_began_last() -> None:
    policy = {**SHORT, "canaries": 2, "max_unavailable": 2}
    look = upgrading(policy)
    one, other = updated(plan_fleet(look))
    look = run(keep(look, plan_fleet(look)), one, NEW)
    for _ in range(9):
        look = keep(look, plan_fleet(look))
    look = run(look, other, NEW)
    look = keep(look, plan_fleet(look))
    kept = look.record.rollout
    assert kept.settling[other].since - kept.settling[one].since == 9 * LOOK_EVERY
    as_late = {**kept.settling, one: replace(kept.settling[one], since=kept.settling[other].since)}
    both_late = replace(look, record=replace(look.record, rollout=replace(kept, settling=as_late)))
    assert left(look) == left(both_late)


def test_going_back_to_what_was_proven_needs_no_time_to_bake() -> None:
    ahead = baking(3)
    back = replace(ahead, wanted=wants(OLD, SHORT))
    assert left(back) < timedelta(minutes=6)


# --- what waits for it -----------------------------------------------------------------------------------------------


def test_who_waits_for_its_turn_or_bakes_holds_the_apply() -> None:
    plan = plan_fleet(baking())
    ((wanted, because, passes),) = holds_of(plan, CANARY)
    assert (wanted, because, passes) == (BAKE, "serves in 1 of 2 looks", True)
    ((wanted, because, passes),) = holds_of(plan, WAITING)
    assert (wanted, passes) == (UPDATE, True)
    assert because == f"its turn comes after the canary ({CANARY})"


def test_who_has_baked_holds_nothing() -> None:
    assert holds_of(plan_fleet(baking(26)), CANARY) == []


def test_what_is_paused_does_not_pass_by_itself() -> None:
    plan = plan_fleet(give(baking(), order(1, Verb.PAUSE)))
    assert plan.actions == ()
    assert plan.holds
    assert not any(hold.passes for hold in plan.holds)


# --- the pre-flight --------------------------------------------------------------------------------------------------


def levels(look: Look) -> dict[str, Level]:
    return {finding.text: finding.level for finding in view_of(plan_fleet(look)).findings}


def test_findings_are_shown_until_the_first_relay_serves_on_what_is_wished() -> None:
    assert levels(upgrading(SHORT))
    assert levels(told())
    assert levels(baking(2)) == {}


def test_a_partner_that_is_out_is_among_the_findings() -> None:
    found = levels(probe(upgrading(SHORT), "alpha", Verdict.REFUSED))
    assert [level for text, level in found.items() if "1 partner visibly out (alpha)" in text] == [Level.WARNS]


@pytest.mark.parametrize("verdict", [Verdict.STALE_TIP, Verdict.NOT_ASKED])
def test_a_partner_that_still_answers_or_was_not_asked_is_not_visibly_out(verdict: Verdict) -> None:
    assert not [text for text in levels(probe(upgrading(SHORT), "alpha", verdict)) if "visibly out" in text]


def test_a_fleet_half_of_which_is_out_is_among_the_findings() -> None:
    look = upgrading(SHORT)
    for name in NAMES[:2]:
        look = probe(look, name, Verdict.HANDSHAKE_TIMEOUT)
    assert [text for text in levels(look) if text.startswith("6 of 8 relays serve")]


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_who_is_told_is_kept_with_its_connections_before_it_is() -> None:
    record = view_of(plan_fleet(upgrading(SHORT))).record
    restart = record.restarts[CANARY]
    assert (restart.digest, restart.at, restart.inbound) == (digest_of(NEW), serving_look().now, 20)
    assert not restart.replaced


def test_who_has_drained_is_measured_by_those_that_were_connected_before() -> None:
    look = upgrading(DRAINING)
    for _ in range(7):  # looks ten seconds apart
        look = change(keep(look, plan_fleet(look)), CANARY, metrics=NodeMetrics("new", inbound=1))
    plan = plan_fleet(look)
    assert updated(plan) == [CANARY]
    assert view_of(plan).record.restarts[CANARY].inbound == 20


def test_bundles_of_both_releases_are_kept() -> None:
    kept = view_of(plan_fleet(upgrading(SHORT))).bundles
    assert {digest: bundle.version for digest, bundle in kept.items()} == {digest_of(OLD): OLD, digest_of(NEW): NEW}
