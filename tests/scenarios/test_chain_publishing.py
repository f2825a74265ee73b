"""Who is published while regions, relays and evidence come and go; and what is told of those who are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.execution.cycle import Ending
from orchestrator.fleet.observation import InFlight, Sighting, Verdict
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.publishing import pick_published
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.trust import Stand, judge_chain
from orchestrator.simulation.rehearsal import Rehearsal
from tests.scenarios.builders import MEDIUM, SMALL, fleet_spec, resubmit, serving_fleet
from tests.scenarios.chain_acts import (
    EU1,
    EU2,
    US1,
    follow,
    fork,
    pass_time,
    published,
    quarantined,
    slot_now,
    view_of,
    watched_fleet,
)
from tests.scenarios.judge import host_of, serving


@pytest.fixture
def made() -> Rehearsal:
    return watched_fleet()


def test_a_region_that_relays_elsewhere_have_lost_too_is_unpublished_and_kept(made: Rehearsal) -> None:
    made.world.faults.cut_regions.add("eu-central-1")
    found = follow(made, 1)
    assert not {EU1, EU2} & published(found)
    assert any(w.startswith("eu-central-1 is dark") for w in found.plan.warnings)
    assert found.plan.actions == ()
    assert len(serving(made.world)) == sum(MEDIUM.values()) - 2


def test_a_region_that_is_half_of_the_fleet_may_go_dark_without_the_controller_doubting_itself() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    follow(made, 3)
    made.world.faults.cut_regions.add("eu-central-1")
    found = follow(made, 1)
    assert published(found) == {US1, "demo-us-east-1-02"}
    assert not any("probably cut off" in w for w in found.plan.warnings)


def test_a_region_that_only_we_do_not_see_stays_published(made: Rehearsal) -> None:
    made.world.faults.unreachable.update([EU1, EU2])
    before = made.store.load().evidence.published
    for name in sorted(before - {EU1, EU2})[:3]:
        made.world.faults.unreachable.add(name)
    found = follow(made, 1)
    assert published(found) == before
    assert any("probably cut off" in w for w in found.plan.warnings)


def test_a_region_that_answers_on_the_wire_is_not_dark(made: Rehearsal) -> None:
    made.world.faults.unreachable_by_ssh.update([EU1, EU2])
    for host in made.world.hosts.values():
        host.named -= {host_of(made.world, EU1).instance.address, host_of(made.world, EU2).instance.address}
        if host.instance.region == "eu-central-1":
            host.named = frozenset()
    found = follow(made, 1)
    assert not any("is dark" in w for w in found.plan.warnings)


def test_a_dark_region_of_one_relay_is_not_taken_for_a_dead_relay() -> None:
    made = serving_fleet(fleet_spec({"eu-central-1": 1, "us-east-1": 2, "sa-east-1": 2}))
    follow(made, 3)
    made.world.faults.cut_regions.add("eu-central-1")
    made.run()
    pass_time(made, 3600)
    found = follow(made, 1)
    assert any(w.startswith("eu-central-1 is dark") for w in found.plan.warnings)
    assert found.plan.actions == ()


def test_a_dark_region_is_dark_also_with_a_quarantined_relay_in_it(made: Rehearsal) -> None:
    fork(made, EU1, blocks=3)
    assert quarantined(follow(made, 6)) == {EU1}
    made.world.faults.cut_regions.add("eu-central-1")
    found = follow(made, 1)
    assert any(w.startswith("eu-central-1 is dark") for w in found.plan.warnings)


def test_a_relay_at_its_limit_and_one_that_hangs_are_told_apart(made: Rehearsal) -> None:
    made.world.faults.saturated.add(EU1)
    made.world.faults.hanging.add(US1)
    found = follow(made, 1)
    assert view_of(found, EU1).reason.startswith("saturated: ")
    assert view_of(found, US1).reason.startswith("hangs: ")
    assert not [a for a in found.plan.actions if a.relay in (EU1, US1)]


def test_a_replay_shows_its_progress_and_how_long_it_will_take() -> None:
    made = serving_fleet(fleet_spec(MEDIUM))
    made.world.unclean.clear()
    made.world.start_node(host_of(made.world, EU1), made.world.clock.now())
    pass_time(made, 15)
    assert view_of(made.look(), EU1).reason == "replays its chain: 25 % after 15 s, about 45 s left"


def test_a_reload_that_was_not_taken_up_is_reported(made: Rehearsal) -> None:
    deaf = {view.name for view in made.look().plan.relays}
    made.world.faults.deaf_to_reload.update(deaf)
    ending, last = resubmit(made, fleet_spec({**MEDIUM, "eu-central-1": 3})).run()
    assert ending is Ending.HELD
    holds = [hold for hold in last.plan.holds if hold.wanted == "reload"]
    told = {h.instance.relay for h in made.world.hosts.values() if h.reloaded_at is not None}
    assert {hold.relay for hold in holds} == told & deaf
    assert told & deaf
    assert all("its log does not confirm it" in hold.because for hold in holds)


def test_a_joining_relay_changes_the_topology_of_few_and_restarts_nobody(made: Rehearsal) -> None:
    before = {host.instance.instance_id: host.node_started for host in made.world.hosts.values()}
    joined = resubmit(made, fleet_spec({**MEDIUM, "eu-central-1": 3}))
    ending, _ = joined.run()
    assert ending is Ending.CONVERGED
    told = {h.instance.relay for h in made.world.hosts.values() if h.reloaded_at is not None}
    assert 0 < len(told) < sum(MEDIUM.values())
    assert {i: made.world.hosts[i].node_started for i in before} == before


def test_lack_of_evidence_never_takes_the_published_below_the_floor(made: Rehearsal) -> None:
    names = sorted(view.name for view in made.look().plan.relays)
    for name in names[:6]:
        made.world.chain.stalled_at[name] = slot_now(made)
    found = follow(made, 12)
    floor = 4
    assert len(published(found)) == floor
    assert set(names[6:]) <= published(found)


def test_a_suspected_fork_is_the_last_to_fill_the_floor() -> None:
    made = serving_fleet(fleet_spec(MEDIUM, publish={"floor_percent": 85}))
    found = follow(made, 8)
    judged = judge_chain(found.look, {})
    suspected = replace(judged.verdicts[EU1], stand=Stand.SUSPECTED)
    judged = replace(judged, verdicts={**judged.verdicts, EU1: suspected})
    doubtful = [
        replace(view, phase=Phase.SYNCING, health=Health.UNHEALTHY) if view.name in (EU1, US1) else view
        for view in found.plan.relays
    ]
    names = {view.name for view in found.plan.relays}
    assert pick_published(doubtful, judged, found.look, frozen=False) == names - {EU1}


def test_relays_at_work_in_silence_stay_published_while_the_controller_is_cut_off(made: Rehearsal) -> None:
    before = made.store.load().evidence.published
    look = made.look().look
    busy = {name: InFlight("deploy", look.now) for name in before}
    silent = {name: Sighting(Verdict.CONNECT_TIMEOUT, "no answer") for name in look.seen.sightings}
    seen = replace(look.seen, hosts={}, in_flight=busy, sightings=silent)
    plan = plan_fleet(replace(look, seen=seen))
    assert {view.name for view in plan.relays if view.published} == before
    assert any("probably cut off" in w for w in plan.warnings)


def test_a_proven_fork_is_unpublished_even_below_the_floor(made: Rehearsal) -> None:
    names = sorted(view.name for view in made.look().plan.relays)
    for name in names[:4]:
        made.world.chain.stalled_at[name] = slot_now(made)
    follow(made, 12)
    fork(made, names[4], blocks=3)
    found = follow(made, 6)
    assert quarantined(found) == {names[4]}
    assert names[4] not in published(found)
    assert any("the floor is 4" in w for w in found.plan.warnings)


def test_a_relay_that_was_never_published_is_not_published_for_want_of_evidence(made: Rehearsal) -> None:
    fork(made, EU1, blocks=6)
    before = made.store.load().evidence
    unseen = type(before)(before.points, {}, {}, before.published - {EU1})
    made.store.save_evidence(unseen, before)
    assert EU1 not in published(follow(made, 1))
    assert timedelta(0) < made.wanted.spec.trust.return_after
