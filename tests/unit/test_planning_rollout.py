"""How a wish goes through a fleet, look after look: canary, waves, bakes, failures, the way back, orders in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from orchestrator.fleet.observation import HostFacts, InFlight, UnitState, Verdict
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import RolloutState, Verb
from orchestrator.planning.look import Look, Wanted
from orchestrator.planning.plan import Deploy, Plan
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.retries import GIVE_UP_AFTER
from orchestrator.rendering import layout
from tests.rendering_builders import content
from tests.rollout_looks import order
from tests.scenarios.builders import fleet_spec, serving_fleet, wanted
from tests.upgrades import (
    COUNTS,
    LOOK_EVERY,
    NAMES,
    NEW,
    OLD,
    STAGED,
    carry_out,
    change,
    digest_of,
    give,
    keep,
    probe,
    rendered,
    run,
    running,
    serving_look,
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
AT_ONCE = {**SHORT, "canaries": 0, "canary_bake": None, "bake": None, "healthy_looks": 1}

CANARY = "demo-us-east-1-04"
"""The last of the largest region."""

MOST_LOOKS = 300


def state_of(plan: Plan) -> str:
    return view_of(plan).state


def events(plan: Plan) -> list[str]:
    return [event.what for event in view_of(plan).events]


def play(look: Look, until, mishap=lambda look: look) -> tuple[Look, Plan, list[list[str]], list[str]]:
    """Carry plans out, look after look, until one is as asked for.

    Returns that look and plan, who was restarted in each look before it, and all events. `mishap` happens to each look.
    """
    steps: list[list[str]] = []
    told: list[str] = []
    for _ in range(MOST_LOOKS):
        plan = plan_fleet(look)
        told += events(plan)
        if until(plan):
            return look, plan, steps, told
        steps.append(updated(plan))
        look = mishap(carry_out(look, plan))
    raise AssertionError(f"it never came to this: {view_of(plan)}")


def is_complete(plan: Plan) -> bool:
    return state_of(plan) == RolloutState.COMPLETE


def after_canary(policy=SHORT) -> Look:
    """The look in which the canary runs the new release, and nobody else."""
    look = upgrading(policy)
    return carry_out(look, plan_fleet(look))


def runs(look: Look) -> dict[str, str]:
    """Release by relay."""
    files = {"a" * 64: OLD, "b" * 64: NEW}
    hosts = {instance.instance_id: instance.relay for instance in look.seen.cloud.instances}
    return {hosts[key]: files[facts.release] for key, facts in look.seen.hosts.items()}


# --- all is well -----------------------------------------------------------------------------------------------------


def test_a_new_release_reaches_everybody_canary_first_and_wave_after_wave() -> None:
    look, plan, steps, told = play(upgrading(SHORT), is_complete)
    order_of_all = [name for names in steps for name in names]
    assert order_of_all[0] == CANARY
    assert sorted(order_of_all) == NAMES
    assert set(runs(look).values()) == {NEW}
    assert told == ["started", *["wave done"] * len(view_of(plan_fleet(upgrading(SHORT))).waves), "complete"]
    assert (plan.actions, plan.holds) == ((), ())


def test_nobody_follows_the_canary_before_it_has_baked() -> None:
    _, _, steps, _ = play(upgrading(SHORT), is_complete)
    second = next(index for index, names in enumerate(steps) if index > 0 and names)
    assert second * LOOK_EVERY >= timedelta(minutes=2)


def test_each_wave_bakes_before_the_next() -> None:
    look = upgrading({**SHORT, "canaries": 0, "canary_bake": None})
    _, _, steps, _ = play(look, is_complete)
    waves = [wave.relays for wave in view_of(plan_fleet(look)).waves]
    begun = [next(i for i, names in enumerate(steps) if set(names) & set(wave)) for wave in waves]
    assert all(later - earlier > 6 for earlier, later in pairwise(begun))


def test_without_canaries_and_bakes_the_budget_alone_sets_the_pace() -> None:
    _, _, steps, _ = play(upgrading(AT_ONCE), is_complete)
    assert len([names for names in steps if names]) <= 5


def test_a_wish_that_asks_for_no_restart_is_no_rollout() -> None:
    look = replace(serving_look(), wanted=wanted(fleet_spec(COUNTS, topology={"neighbours": 3})))
    plan = plan_fleet(look)
    assert view_of(plan).waves == ()
    assert (state_of(plan), events(plan)) == (RolloutState.COMPLETE, [])


def test_who_waits_has_todays_neighbours_in_yesterdays_release() -> None:
    spec = fleet_spec(COUNTS, release=NEW, rollout=SHORT, topology={"neighbours": 2})
    plan = plan_fleet(replace(upgrading(SHORT), wanted=wanted(spec)))
    deploys = [action for action in plan.actions if isinstance(action, Deploy) and action.relay != CANARY]
    assert deploys
    for deploy in deploys:
        assert deploy.rendered.release.version == OLD
        assert not deploy.disturbs
        assert content(deploy.rendered, layout.TOPOLOGY) != content(rendered(OLD)[deploy.relay], layout.TOPOLOGY)


# --- what was told and not done --------------------------------------------------------------------------------------


def test_a_controller_that_died_after_writing_it_down_tells_the_same_relay_again() -> None:
    look = upgrading(SHORT)
    first = plan_fleet(look)
    assert updated(plan_fleet(keep(look, first))) == updated(first) == [CANARY]


def test_a_controller_that_died_before_writing_anything_down_decides_the_same_again() -> None:
    look = upgrading(SHORT)
    assert plan_fleet(look) == plan_fleet(look)


def test_nobody_is_told_anything_while_work_on_it_is_under_way() -> None:
    look = keep(upgrading(SHORT), plan_fleet(upgrading(SHORT)))
    work = {CANARY: InFlight("deploy", look.now, disturbs=True)}
    plan = plan_fleet(replace(look, seen=replace(look.seen, in_flight=work)))
    assert updated(plan) == []
    assert state_of(plan) == RolloutState.RUNNING


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
    for _ in range(3):
        plan = plan_fleet(look)
        look = keep(look, plan, timedelta(minutes=2))
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


# --- partners and orders ---------------------------------------------------------------------------------------------


def test_it_waits_while_a_partner_is_out_and_goes_on_by_itself() -> None:
    look = upgrading(SHORT)
    plan = plan_fleet(probe(look, "alpha", Verdict.REFUSED))
    assert updated(plan) == []
    assert all(hold.because.endswith("partners are out: alpha") and hold.passes for hold in plan.holds)
    assert updated(plan_fleet(keep(look, plan))) == [CANARY]


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.HALT])
def test_an_order_stops_it_before_the_next_relay_and_lets_the_one_under_way_finish(verb: Verb) -> None:
    look = upgrading(SHORT)
    told = keep(look, plan_fleet(look))
    down = probe(change(told, CANARY, unit=UnitState.INACTIVE, running_restart_digest=""), CANARY, Verdict.REFUSED)
    plan = plan_fleet(give(down, order(1, verb)))
    (deploy,) = plan.actions
    assert isinstance(deploy, Deploy)
    assert (deploy.relay, deploy.rendered.release.version) == (CANARY, NEW)


def test_a_relay_that_is_told_and_not_taken_yet_is_left_alone_once_it_is_paused() -> None:
    look = keep(upgrading(SHORT), plan_fleet(upgrading(SHORT)))
    plan = plan_fleet(give(look, order(1, Verb.PAUSE)))
    assert (updated(plan), state_of(plan)) == ([], RolloutState.PAUSED)


def test_a_rollback_of_a_rollout_that_is_complete_takes_everybody_back() -> None:
    look, plan, _, _ = play(upgrading(SHORT), is_complete)
    look = give(keep(look, plan), order(1, Verb.ROLLBACK))
    look, plan, _, told = play(look, lambda plan: state_of(plan) == RolloutState.ROLLED_BACK)
    assert set(runs(look).values()) == {OLD}
    assert told == ["rolling back", "rolled back"]


def test_a_resume_after_the_way_back_begins_with_the_canary_again() -> None:
    look, plan, _, _ = play(upgrading(SHORT), is_complete)
    look = give(keep(look, plan), order(1, Verb.ROLLBACK))
    look, plan, _, _ = play(look, lambda plan: state_of(plan) == RolloutState.ROLLED_BACK)
    plan = plan_fleet(give(keep(look, plan), order(2, Verb.RESUME)))
    assert updated(plan) == [CANARY]


def test_another_wish_in_the_middle_supersedes_it_and_those_ahead_come_back_without_a_bake() -> None:
    look, _, _, _ = play(upgrading(SHORT), lambda plan: view_of(plan).open_wave == 2)
    ahead = sorted(name for name, release in runs(look).items() if release == NEW)
    back = replace(look, wanted=wants(OLD, SHORT))
    begun = plan_fleet(back)
    assert events(begun)[:2] == ["superseded", "started"]
    look, _, steps, _ = play(back, is_complete)
    assert sorted(name for names in steps for name in names) == ahead
    assert set(runs(look).values()) == {OLD}
    assert len(steps) < 12


def test_a_relay_that_falls_out_in_the_middle_makes_the_others_wait() -> None:
    look, plan, _, _ = play(upgrading({**SHORT, "max_unavailable": 1}), lambda plan: view_of(plan).open_wave == 1)
    waiting = view_of(plan).waves[2].relays[0]
    plan = plan_fleet(probe(look, waiting, Verdict.HANDSHAKE_TIMEOUT))
    assert updated(plan) == []
    assert f"1 of 1 relays that may be out are out ({waiting})" in str(plan.holds)


def test_a_relay_that_runs_something_nobody_remembers_is_updated_in_its_turn() -> None:
    look = run(upgrading(SHORT), NAMES[0], OLD)
    look = change(look, NAMES[0], running_restart_digest="f" * 64)
    plan = plan_fleet(look)
    assert updated(plan) == [CANARY]
    assert set(NAMES) == {name for wave in view_of(plan).waves for name in wave.relays}
