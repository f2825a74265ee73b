"""What becomes of a rollout that goes wrong, look after look: failures, the way back, what could not be measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from orchestrator.fleet.observation import HostFacts, UnitState, Verdict
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import RolloutState, Verb
from orchestrator.planning.look import Look, Wanted
from orchestrator.planning.plan import Deploy, Plan
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.retries import GIVE_UP_AFTER
from tests.rollout_looks import order
from tests.scenarios.builders import fleet_spec, serving_fleet, wanted
from tests.upgrades import (
    NAMES,
    NEW,
    OLD,
    STAGED,
    carry_out,
    change,
    digest_of,
    events,
    give,
    is_complete,
    keep,
    play,
    probe,
    running,
    runs,
    serving_look,
    state_of,
    updated,
    upgrading,
    view_of,
    wants,
)

SHORT: dict[str, object] = {
    "canary_bake": timedelta(minutes=2),
    "bake": timedelta(minutes=1),
    "drain_time": None,
    "healthy_looks": 2,
    "max_unavailable": 3,
    "max_unavailable_per_region": 2,
}
CANARY = "demo-us-east-1-04"
"""The last of the largest region."""


def after_canary(policy=SHORT) -> Look:
    """The look in which the canary runs the new release, and nobody else."""
    look = upgrading(policy)
    return carry_out(look, plan_fleet(look))


# --- failures --------------------------------------------------------------------------------------------------------


def crash(look: Look, name: str = CANARY) -> Look:
    """If it runs the new release, its node exits at once."""
    if runs(look)[name] == OLD:
        return look
    down = {"unit": UnitState.FAILED, "running_restart_digest": "", "running_reload_digest": "", "detail": "exit 1"}
    return probe(change(look, name, **down), name, Verdict.REFUSED)


def halted(policy=SHORT) -> tuple[Look, Plan]:
    look = crash(after_canary(policy))
    return look, plan_fleet(look)


def mend(look: Look) -> Look:
    """On the old release the node answers again."""
    return probe(look, CANARY, Verdict.OK) if runs(look)[CANARY] == OLD else crash(look)


def test_a_canary_that_fails_halts_the_rollout_and_goes_back() -> None:
    _, plan = halted()
    assert state_of(plan) == RolloutState.HALTED
    assert view_of(plan).because == f"{CANARY}: its node does not start: exit 1"
    assert events(plan) == ["failed", "halted"]
    (deploy,) = plan.actions
    assert isinstance(deploy, Deploy)
    assert (deploy.relay, deploy.rendered.release.version) == (CANARY, OLD)


def test_what_failed_is_kept_in_mind_with_its_cause() -> None:
    look, plan = halted()
    (failure,) = view_of(plan).record.failures.values()
    assert (failure.digest, failure.version, failure.relay) == (digest_of(NEW), NEW, CANARY)
    assert (failure.because, failure.at) == ("its node does not start: exit 1", look.now)


def test_after_the_halt_all_serve_the_old_release_and_nothing_more_happens() -> None:
    look, plan = halted()
    for _ in range(10):
        look = mend(carry_out(look, plan))
        plan = plan_fleet(look)
    assert set(runs(look).values()) == {OLD}
    assert (plan.actions, state_of(plan)) == ((), RolloutState.HALTED)
    assert {hold.relay for hold in plan.holds} == set(NAMES)
    assert not any(hold.passes for hold in plan.holds)
    assert all("`rollout resume` or `rollout retry`" in hold.because for hold in plan.holds)


def test_a_failed_release_is_not_tried_again_by_itself_when_it_is_wished_for_again() -> None:
    look, plan = halted()
    look = mend(carry_out(look, plan))
    look, plan, _, _ = play(replace(look, wanted=wants(OLD, SHORT)), is_complete)
    again = plan_fleet(replace(keep(look, plan), wanted=wants(NEW, SHORT)))
    assert (state_of(again), again.actions) == (RolloutState.HALTED, ())
    assert view_of(again).because == f"it failed before, on {CANARY}: its node does not start: exit 1"


def test_what_fails_as_another_wish_comes_is_kept_in_mind_too() -> None:
    superseded = replace(crash(after_canary()), wanted=wants(OLD, SHORT))
    (failure,) = view_of(plan_fleet(superseded)).record.failures.values()
    assert (failure.digest, failure.version, failure.relay) == (digest_of(NEW), NEW, CANARY)


def test_a_retry_tries_the_relay_again_and_goes_on_if_that_works() -> None:
    look, plan = halted()
    look = give(mend(carry_out(look, plan)), order(1, Verb.RETRY, CANARY))
    assert updated(plan_fleet(look)) == [CANARY]
    _, _, _, told = play(look, is_complete)
    assert told[0] == "retried"
    assert told[-1] == "complete"


def test_with_rollback_all_who_were_updated_go_back_within_the_budget() -> None:
    look, _, _, _ = play(upgrading({**SHORT, "on_failure": "rollback"}), lambda plan: view_of(plan).open_wave == 2)
    ahead = sorted(name for name, release in runs(look).items() if release == NEW)
    assert len(ahead) > 2
    victim = next(name for name in ahead if name != CANARY)
    look = crash(look, victim)
    assert state_of(plan_fleet(look)) == RolloutState.ROLLING_BACK
    look, _, steps, told = play(
        look, lambda plan: state_of(plan) == RolloutState.ROLLED_BACK, lambda each: _heal(each, victim)
    )
    assert set(runs(look).values()) == {OLD}
    assert sorted(name for names in steps for name in names) == ahead
    assert max(map(len, steps)) <= 3
    assert told[-1] == "rolled back"


def _heal(look: Look, name: str) -> Look:
    return probe(look, name, Verdict.OK) if runs(look)[name] == OLD else look


def test_staging_that_keeps_failing_halts_it_before_anybody_was_disturbed() -> None:
    look = upgrading(SHORT)
    failed = Attempt(NAMES[0], "stage", GIVE_UP_AFTER, look.now, "404 Not Found")
    unstaged = change(look, NAMES[0], staged=STAGED - {"b" * 64})
    plan = plan_fleet(replace(unstaged, record=replace(look.record, attempts={(NAMES[0], "stage"): failed})))
    assert state_of(plan) == RolloutState.HALTED
    assert view_of(plan).because == f"{NAMES[0]}: staging failed 4 times, last: 404 Not Found"
    assert plan.actions == ()
    assert digest_of(NEW) in view_of(plan).record.failures


def test_nobody_is_disturbed_until_all_have_staged() -> None:
    plan = plan_fleet(change(upgrading(SHORT), NAMES[0], staged=STAGED - {"b" * 64}))
    assert updated(plan) == []
    assert [type(action).__name__ for action in plan.actions] == ["Stage"]


def test_a_relay_on_which_the_deploy_keeps_failing_halts_the_rollout() -> None:
    look = upgrading(SHORT)
    for failures in range(1, GIVE_UP_AFTER + 1):
        plan = plan_fleet(look)
        assert updated(plan) == [CANARY]
        look = keep(look, plan, timedelta(minutes=30))
        attempt = Attempt(CANARY, "deploy", failures, look.now - timedelta(minutes=29), "no space left")
        look = replace(look, record=replace(look.record, attempts={(CANARY, "deploy"): attempt}))
    plan = plan_fleet(look)
    assert (state_of(plan), updated(plan)) == (RolloutState.HALTED, [])
    assert view_of(plan).because == f"{CANARY}: deploying it failed 4 times, last: no space left"


# --- evidence --------------------------------------------------------------------------------------------------------


def stale_by(seconds: int):
    """A mishap: the canary's tip is so much older than the others' while it runs the new release."""

    def happen(look: Look) -> Look:
        age = 5.0 + (seconds if runs(look)[CANARY] == NEW else 0)
        sighting = replace(look.seen.sightings[CANARY], tip_age_seconds=age)
        return replace(look, seen=replace(look.seen, sightings={**look.seen.sightings, CANARY: sighting}))

    return happen


def test_a_canary_that_is_worse_than_the_others_halts_the_rollout() -> None:
    look, plan, steps, _ = play(after_canary(), lambda plan: state_of(plan) != RolloutState.RUNNING, stale_by(200))
    assert state_of(plan) == RolloutState.HALTED
    assert "worse than the others in tip age" in view_of(plan).because
    assert [names for names in steps if names] == []
    assert updated(plan) == [CANARY]
    assert look.now - serving_look().now >= timedelta(minutes=2)


def test_what_is_slow_everywhere_is_not_the_canarys_fault() -> None:
    def everybody_stale(look: Look) -> Look:
        sightings = {n: replace(s, tip_age_seconds=200.0) for n, s in look.seen.sightings.items()}
        return replace(look, seen=replace(look.seen, sightings=sightings))

    _, plan, _, _ = play(upgrading(SHORT), is_complete, everybody_stale)
    assert is_complete(plan)


def without_metrics(look: Look) -> Look:
    return change(look, CANARY, metrics=None)


def paused() -> tuple[Look, Plan]:
    look, plan, _, _ = play(
        without_metrics(after_canary()), lambda plan: state_of(plan) != RolloutState.RUNNING, without_metrics
    )
    return look, plan


def test_a_canary_that_could_not_be_measured_pauses_the_rollout() -> None:
    look, plan = paused()
    assert state_of(plan) == RolloutState.PAUSED
    assert f"inconclusive, {CANARY}: too little could be measured: inbound connections in 0 of" in view_of(plan).because
    assert updated(plan) == []
    assert runs(look)[CANARY] == NEW


def test_who_resumes_accepts_what_could_not_be_measured() -> None:
    look, plan = paused()
    look = give(keep(look, plan), order(1, Verb.RESUME))
    _, _, steps, told = play(look, is_complete)
    assert told[0] == "resumed"
    assert CANARY not in [name for names in steps for name in names]


def test_an_only_relay_has_nobody_to_be_measured_by_and_settles_all_the_same() -> None:
    look, newer = only_relay()
    plan = plan_fleet(replace(look, wanted=newer))
    (deploy,) = plan.actions
    look = keep(replace(look, wanted=newer), plan, timedelta(minutes=1))
    assert isinstance(deploy, Deploy)
    key = deploy.instance.instance_id
    facts = look.seen.hosts[key]
    assert isinstance(facts, HostFacts)
    look = replace(look, seen=replace(look.seen, hosts={key: running(facts, deploy.rendered)}))
    for _ in range(20):
        plan = plan_fleet(look)
        look = keep(look, plan)
    assert is_complete(plan)


def only_relay() -> tuple[Look, Wanted]:
    """A fleet of one that may go dark, and what it is to be."""
    counts = {"eu-central-1": 1}
    look = serving_fleet(fleet_spec(counts, rollout=SHORT)).look().look
    key = look.seen.cloud.instances[0].instance_id
    facts = look.seen.hosts[key]
    assert isinstance(facts, HostFacts)
    seen = replace(look.seen, hosts={key: replace(facts, staged=STAGED)})
    record = replace(look.record, confirmed_retirements=frozenset({"dark-region:eu-central-1"}))
    return replace(look, seen=seen, record=record), wanted(fleet_spec(counts, release=NEW, rollout=SHORT))
