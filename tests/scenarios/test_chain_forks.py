"""One relay is on another chain, or another network, and is put aside; or only seems to be, and is not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from orchestrator.execution.cycle import Ending
from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.record import NO_EVIDENCE
from orchestrator.planning.plan import Deploy, Health, Phase
from orchestrator.rendering.values import ChangeClass
from orchestrator.simulation.chain import SLOTS_A_BLOCK
from orchestrator.simulation.rehearsal import Rehearsal
from tests.scenarios.builders import fleet_spec, serving_fleet
from tests.scenarios.chain_acts import (
    EU1,
    PARTNERS,
    US1,
    follow,
    fork,
    named_by,
    pass_time,
    published,
    quarantined,
    slot_now,
    unasked,
    view_of,
    watched_fleet,
)
from tests.scenarios.judge import host_of, serving


@pytest.fixture
def made() -> Rehearsal:
    return watched_fleet()


def test_a_healthy_fleet_agrees_and_is_published_whole(made: Rehearsal) -> None:
    found = follow(made, 1)
    assert {view.chain for view in found.plan.relays} == {"agrees with the others"}
    assert published(found) == {view.name for view in found.plan.relays}
    assert found.plan.warnings == ()


def test_a_fork_is_suspected_first_and_quarantined_when_it_is_proven(made: Rehearsal) -> None:
    fork(made, EU1)
    stories = []
    while not stories or stories[-1][0] is not Phase.QUARANTINED:
        view = view_of(follow(made, 1), EU1)
        stories.append((view.phase, view.chain))
        assert len(stories) < 20
    phases = [phase for phase, _ in stories]
    assert phases.count(Phase.SYNCING) == made.wanted.spec.trust.fork_looks - 1
    assert "forked at slot" in stories[-1][1]
    assert "proven in 1 more looks" in stories[-2][1]


@pytest.mark.parametrize("slowness", [2, 3, 5])
@pytest.mark.parametrize("names", [(EU1,), (EU1, US1)], ids=["alone", "two together"])
def test_a_fork_with_little_stake_is_proven_by_its_own_blocks(
    made: Rehearsal, names: tuple[str, ...], slowness: int
) -> None:
    fork(made, *names, slowness=slowness)
    blocks = made.wanted.spec.trust.fork_depth + 1 + made.wanted.spec.trust.fork_looks
    found = follow(made, 1 + (blocks + 1) * slowness * SLOTS_A_BLOCK // 30)
    assert quarantined(found) == set(names)
    assert "depth" in view_of(found, EU1).reason
    assert "-" not in view_of(found, EU1).reason.partition("depth")[2].partition("blocks")[0]


def test_one_block_number_that_cannot_be_does_not_blind_later_looks(made: Rehearsal) -> None:
    made.world.chain.false_tips["beta"] = (ChainPoint(slot_now(made), "ab" * 32), 10**12)
    follow(made, 2)
    made.world.chain.false_tips.clear()
    fork(made, EU1)
    assert quarantined(follow(made, 12)) == {EU1}


def test_who_says_nothing_about_points_is_neither_believed_nor_cleared(made: Rehearsal) -> None:
    fork(made, EU1)
    while EU1 not in (before := made.store.load().evidence).suspicions:
        follow(made, 1)
    unasked(made, EU1)
    found = follow(made, 2)
    assert "agrees" not in view_of(found, EU1).chain
    assert made.store.load().evidence.suspicions[EU1].common == before.suspicions[EU1].common


def test_who_says_nothing_about_points_is_not_published_anew(made: Rehearsal) -> None:
    before = made.store.load().evidence
    made.store.save_evidence(replace(before, published=before.published - {EU1}), before)
    fork(made, EU1, blocks=1)
    unasked(made, EU1)
    assert published(follow(made, 1)) == before.published - {EU1}


def test_partners_that_are_silent_now_and_then_clear_nobody(made: Rehearsal) -> None:
    fork(made, EU1)
    for _ in range(8):
        follow(made, 2)
        made.world.faults.saturated.update(PARTNERS)
        follow(made, 1)
        made.world.faults.saturated.clear()
    assert quarantined(follow(made, 1)) == {EU1}


def test_a_fleet_does_not_take_its_own_relay_back_on_its_own_word() -> None:
    made = serving_fleet(fleet_spec({"eu-central-1": 1}))
    follow(made, 8)
    made.world.faults.other_network.add(EU1)
    assert quarantined(follow(made, 1)) == {EU1}
    made.world.faults.other_network.clear()
    made.world.faults.saturated.update(PARTNERS)
    assert quarantined(follow(made, 15)) == {EU1}


def test_a_fresh_instance_is_not_suspected_for_its_forerunner(made: Rehearsal) -> None:
    fork(made, EU1)
    while EU1 not in made.store.load().evidence.suspicions:
        follow(made, 1)
    made.world.terminate(host_of(made.world, EU1).instance.instance_id)
    del made.world.chain.branches[EU1]
    made.run()
    assert EU1 not in made.store.load().evidence.suspicions


def test_a_relay_whose_tip_is_far_ahead_of_everybody_does_not_serve(made: Rehearsal) -> None:
    _, block = made.world.chain.tip_of(EU1, slot_now(made))
    made.world.chain.false_tips[EU1] = (ChainPoint(slot_now(made) + 100_000_000, "ab" * 32), block)
    view = view_of(follow(made, 1), EU1)
    assert view.phase is Phase.SYNCING
    assert "ahead of the others" in view.reason


def test_the_depth_of_a_fork_is_counted_from_the_newest_common_block(made: Rehearsal) -> None:
    parted = slot_now(made) // SLOTS_A_BLOCK
    fork(made, EU1)
    found = follow(made, 14, seconds=20)
    depth = slot_now(made) // SLOTS_A_BLOCK - parted
    assert f"forked at slot {parted * SLOTS_A_BLOCK} (depth {depth} blocks)" in view_of(found, EU1).reason


def test_a_quarantined_relay_leaves_every_topology_by_reload_and_the_others_serve(made: Rehearsal) -> None:
    fork(made, EU1, blocks=3)
    found = follow(made, 6)
    assert quarantined(found) == {EU1}
    assert EU1 not in published(found)
    named = named_by(made, found)
    assert named
    assert all(EU1 not in peers for peers in named.values())
    deploys = [a for a in found.plan.actions if isinstance(a, Deploy)]
    assert {a.change for a in deploys} == {ChangeClass.RELOAD}
    assert not any(a.disturbs for a in deploys)
    ending, last = made.run()
    assert ending is Ending.HELD
    assert serving(made.world) == {view.name for view in last.plan.relays}
    assert not any(isinstance(a, Deploy) for a in made.look().plan.actions)


def test_a_relay_comes_back_after_it_has_agreed_for_a_while(made: Rehearsal) -> None:
    fork(made, EU1, blocks=3)
    assert quarantined(follow(made, 6)) == {EU1}
    del made.world.chain.branches[EU1]
    found = follow(made, 1)
    assert "agrees again for 0 of 300 s" in view_of(found, EU1).reason
    assert quarantined(follow(made, 9)) == {EU1}
    found = follow(made, 1)
    assert quarantined(found) == set()
    assert EU1 in published(found)


def test_an_apply_waits_for_a_relay_that_agrees_again_and_takes_it_back(made: Rehearsal) -> None:
    fork(made, EU1, blocks=3)
    assert quarantined(follow(made, 6)) == {EU1}
    del made.world.chain.branches[EU1]
    ending, last = made.run()
    assert ending is Ending.CONVERGED
    assert quarantined(last) == set()


def test_a_relay_that_agrees_only_now_and_then_stays_in_quarantine(made: Rehearsal) -> None:
    fork(made, EU1, blocks=3)
    follow(made, 6)
    branch = made.world.chain.branches[EU1]
    for _ in range(3):
        del made.world.chain.branches[EU1]
        follow(made, 8)
        made.world.chain.branches[EU1] = branch
        assert quarantined(follow(made, 1)) == {EU1}


def test_looks_that_bring_no_new_block_prove_nothing(made: Rehearsal) -> None:
    fork(made, EU1)
    while EU1 not in made.store.load().evidence.suspicions:
        follow(made, 1, seconds=SLOTS_A_BLOCK)
    pass_time(made, -slot_now(made) % SLOTS_A_BLOCK)
    follow(made, 2, seconds=0.5)
    before = made.store.load().evidence.suspicions[EU1].looks
    follow(made, 10, seconds=0.5)
    assert made.store.load().evidence.suspicions[EU1].looks == before


def test_a_lone_look_after_a_long_time_does_not_take_a_slot_battle_for_a_deep_fork(made: Rehearsal) -> None:
    pass_time(made, 86400)
    made.world.chain.battles[EU1] = 2
    found = made.look()
    assert view_of(found, EU1).phase is Phase.SERVING
    assert "a slot battle or a fork; the next looks will tell" in view_of(found, EU1).chain


def test_a_new_store_learns_of_a_fork_from_a_few_looks(made: Rehearsal) -> None:
    fork(made, EU1, blocks=10)
    made.store.save_evidence(NO_EVIDENCE, made.store.load().evidence)
    assert "cannot tell" in view_of(follow(made, 1), EU1).chain
    assert quarantined(follow(made, 8)) == {EU1}


def test_a_stalled_relay_lags_and_is_not_forked(made: Rehearsal) -> None:
    made.world.chain.stalled_at[EU1] = slot_now(made)
    found = follow(made, 12)
    view = view_of(found, EU1)
    assert view.phase is Phase.SYNCING
    assert view.chain.startswith("lags by ")
    assert "stale" in view.reason
    assert quarantined(found) == set()


def test_a_relay_that_fell_silent_while_suspected_stays_suspected(made: Rehearsal) -> None:
    fork(made, EU1, blocks=6)
    follow(made, 1)
    made.world.faults.saturated.add(EU1)
    follow(made, 2)
    made.world.faults.saturated.clear()
    assert made.store.load().evidence.suspicions[EU1].looks == 1
    assert quarantined(follow(made, 2)) == {EU1}


@pytest.mark.parametrize("seed", range(4))
def test_in_a_thousand_blocks_with_slot_battles_no_healthy_relay_is_quarantined(made: Rehearsal, seed: int) -> None:
    chance = Random(seed)
    names = [view.name for view in made.look().plan.relays] + list(PARTNERS)
    blocks = 0
    while blocks < 250:
        seconds = chance.choice((5, 20, 40, 120))
        blocks += seconds / SLOTS_A_BLOCK
        made.world.chain.battles = {name: chance.choice((1, 1, 2)) for name in names if chance.random() < 0.3}
        found = follow(made, 1, seconds)
        assert quarantined(found) == set()
        assert found.plan.warnings == ()
        assert {view.health for view in found.plan.relays} == {Health.HEALTHY}


def test_a_relay_on_another_network_is_quarantined_at_once(made: Rehearsal) -> None:
    made.world.faults.other_network.add(EU1)
    found = follow(made, 1)
    assert quarantined(found) == {EU1}
    assert "another network" in view_of(found, EU1).reason


def test_nobody_is_quarantined_for_the_magic_when_no_partner_takes_it_either(made: Rehearsal) -> None:
    made.world.faults.other_network.update([EU1, *PARTNERS])
    found = follow(made, 1)
    assert quarantined(found) == set()
    assert "no partner is there to confirm it" in view_of(found, EU1).reason
