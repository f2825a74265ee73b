"""How a wish goes through a fleet, look after look: canary, waves, bakes, partners, orders in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from orchestrator.fleet.observation import InFlight, UnitState, Verdict
from orchestrator.fleet.relay import wanted_relays
from orchestrator.fleet.rollout import RolloutState, Verb
from orchestrator.planning.plan import Deploy
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.rendering import layout
from tests.rendering_builders import content
from tests.rollout_looks import order
from tests.scenarios.builders import fleet_spec, wanted
from tests.upgrades import (
    COUNTS,
    LOOK_EVERY,
    NAMES,
    NEW,
    OLD,
    change,
    events,
    give,
    is_complete,
    keep,
    play,
    probe,
    rendered,
    run,
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
AT_ONCE = {**SHORT, "canaries": 0, "canary_bake": None, "bake": None, "healthy_looks": 1}

CANARY = "demo-us-east-1-04"
"""The last of the largest region."""

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


# --- partners and orders ---------------------------------------------------------------------------------------------


def test_it_waits_while_a_partner_is_out_and_goes_on_by_itself() -> None:
    look = upgrading(SHORT)
    plan = plan_fleet(probe(look, "alpha", Verdict.REFUSED))
    assert updated(plan) == []
    assert all("partners are out: alpha" in hold.because and hold.passes for hold in plan.holds)
    assert updated(plan_fleet(keep(look, plan))) == [CANARY]


def test_it_does_not_begin_where_too_few_serve_to_measure_a_canary_by_unless_that_is_confirmed() -> None:
    look = upgrading(SHORT)
    down = [relay.name for relay in wanted_relays(look.spec) if relay.name != CANARY][:4]
    for name in down:
        look = probe(look, name, Verdict.REFUSED)
    plan = plan_fleet(look)
    assert updated(plan) == []
    assert any("unhealthy-fleet" in hold.because for hold in plan.holds)
    confirmed = replace(look, record=replace(look.record, confirmed_retirements=frozenset({"unhealthy-fleet"})))
    assert updated(plan_fleet(confirmed)) != []


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
