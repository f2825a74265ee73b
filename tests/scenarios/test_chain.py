"""Who is believed, told as stories: forks, slot battles, splits, other networks, everybody stale, and the operator's word."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from orchestrator.execution.cycle import Ending, Round, save_evidence
from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import InFlight, Sighting, Verdict
from orchestrator.fleet.record import NO_EVIDENCE, Pin
from orchestrator.planning.plan import Deploy, Health, Phase
from orchestrator.planning.publishing import pick_published
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.trust import Stand, judge_chain
from orchestrator.rendering import layout
from orchestrator.rendering.values import ChangeClass
from orchestrator.simulation.chain import SLOTS_A_BLOCK, Branch
from orchestrator.simulation.rehearsal import Rehearsal
from tests.scenarios.builders import MEDIUM, SMALL, fleet_spec, resubmit, serving_fleet
from tests.scenarios.judge import host_of, serving

EU1, EU2, US1 = "demo-eu-central-1-01", "demo-eu-central-1-02", "demo-us-east-1-01"
PARTNERS = ("alpha", "beta")
OLD, NEW = "10.5.1", "10.6.0"


def slot_now(made: Rehearsal) -> int:
    return int(made.world.clock.now().timestamp())


def pass_time(made: Rehearsal, seconds: float) -> None:
    made.world.clock.wait(seconds, until=lambda: False)


def follow(made: Rehearsal, looks: int, seconds: float = 30) -> Round:
    """Look again and again, as a loop would, and keep what was seen; the last look."""
    for _ in range(looks):
        pass_time(made, seconds)
        found = made.look()
        save_evidence(made.store, found)
    return found


def fork(made: Rehearsal, *names: str, branch: str = "fork", blocks: int = 0, slowness: int = 1) -> None:
    """From so many blocks ago, these are on a branch of their own."""
    since = (slot_now(made) // SLOTS_A_BLOCK - blocks + 1) * SLOTS_A_BLOCK
    for name in names:
        made.world.chain.branches[name] = Branch(branch, since, slowness)


def view_of(found: Round, relay: str):
    return next(view for view in found.plan.relays if view.name == relay)


def quarantined(found: Round) -> set[str]:
    return {view.name for view in found.plan.relays if view.phase is Phase.QUARANTINED}


def published(found: Round) -> set[str]:
    return {view.name for view in found.plan.relays if view.published}


def named_by(made: Rehearsal, found: Round) -> dict[str, set[str]]:
    """Relay → which addresses of ours its topology would name, by relay."""
    addresses = {view.address: view.name for view in found.plan.relays}
    deploys = {a.relay: a.rendered for a in found.plan.actions if isinstance(a, Deploy)}
    return {
        relay: {
            addresses[point["address"]]
            for group in json.loads(topology_of(rendered))["localRoots"]
            for point in group["accessPoints"]
            if point["address"] in addresses
        }
        for relay, rendered in deploys.items()
    }


def topology_of(rendered) -> str:
    return next(file.content for file in rendered.files if file.path == layout.TOPOLOGY)


@pytest.fixture
def made() -> Rehearsal:
    found = serving_fleet(fleet_spec(MEDIUM))
    follow(found, 8)
    return found


# --- one relay -------------------------------------------------------------------------------------------------------


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


def unasked(made: Rehearsal, *names: str) -> None:
    """These hang up before they answer about points."""
    made.world.faults.tells_no_points.update(names)


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
    assert "agrees again for 0 s" in view_of(found, EU1).reason
    assert quarantined(follow(made, 9)) == {EU1}
    found = follow(made, 1)
    assert quarantined(found) == set()
    assert EU1 in published(found)


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


# --- another network -------------------------------------------------------------------------------------------------


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


# --- splits ----------------------------------------------------------------------------------------------------------


def upgraded(made: Rehearsal, *relays: str) -> None:
    """Let these relays run the other release already, as a rollout leaves them half way."""
    sha256 = made.wanted.spec.releases[NEW]["x86_64"].sha256
    for relay in relays:
        host_of(made.world, relay).release = sha256


def test_a_split_along_releases_quarantines_nobody_and_halts(made: Rehearsal) -> None:
    upgraded(made, EU1, US1)
    fork(made, EU1, US1, blocks=3)
    found = follow(made, 6)
    assert quarantined(found) == set()
    warning = next(w for w in found.plan.warnings if "along releases" in w)
    assert OLD in warning
    assert NEW in warning
    restarts = [h for h in found.plan.holds if h.wanted == "restart"]
    assert restarts
    assert all("trust pin" in h.because for h in restarts)
    assert not any(isinstance(a, Deploy) and a.disturbs for a in found.plan.actions)


def test_a_fork_within_one_release_is_no_split_along_releases(made: Rehearsal) -> None:
    upgraded(made, EU1, US1)
    fork(made, EU1, blocks=3)
    assert quarantined(follow(made, 6)) == {EU1}


def test_each_side_of_a_split_has_a_point_that_the_other_lacks(made: Rehearsal) -> None:
    fork(made, EU1, "alpha", blocks=3)
    found = follow(made, 6)
    ours, theirs = found.plan.sides
    assert (theirs.relays, theirs.partners, theirs.releases) == ((EU1,), ("alpha",), (OLD,))
    assert ours.partners == ("beta",)
    seen = found.look.seen.sightings
    assert theirs.point in seen["alpha"].has | {seen["alpha"].tip}
    assert theirs.point not in seen["beta"].has
    assert ours.point not in seen["alpha"].has
    assert ours.point in seen["beta"].has | {seen["beta"].tip}


def test_a_chain_that_is_not_split_has_no_sides(made: Rehearsal) -> None:
    assert follow(made, 1).plan.sides == ()


def test_most_of_a_release_on_the_other_side_is_a_split_along_releases_too(made: Rehearsal) -> None:
    upgraded(made, EU1, EU2, US1, "demo-us-east-1-02")
    fork(made, EU1, EU2, US1, blocks=3)
    found = follow(made, 6)
    assert quarantined(found) == set()
    assert any("along releases" in w and "trust pin" in w for w in found.plan.warnings)


def test_a_canary_that_cannot_be_asked_any_more_is_spared_by_what_it_last_ran(made: Rehearsal) -> None:
    upgraded(made, EU1)
    follow(made, 1)
    fork(made, EU1)
    made.world.faults.unreachable_by_ssh.add(EU1)
    found = follow(made, 10)
    assert quarantined(found) == set()
    assert any("along releases" in w for w in found.plan.warnings)


def test_a_split_that_takes_a_partner_along_quarantines_nobody(made: Rehearsal) -> None:
    fork(made, EU1, "alpha", blocks=3)
    found = follow(made, 6)
    assert quarantined(found) == set()
    assert any("split" in w and "alpha" in w for w in found.plan.warnings)


def test_a_fleet_against_all_partners_is_a_warning_of_its_own(made: Rehearsal) -> None:
    fork(made, *PARTNERS, branch="theirs", blocks=3)
    found = follow(made, 6)
    assert quarantined(found) == set()
    assert any("agrees only with itself, against all partners" in w for w in found.plan.warnings)
    assert published(found) == {view.name for view in found.plan.relays}


def test_one_of_two_partners_on_a_chain_of_its_own_is_named_and_halts_nothing(made: Rehearsal) -> None:
    fork(made, "beta", blocks=3)
    found = follow(made, 6)
    assert "forked" in found.plan.partners["beta"]
    assert any("a partner is on a chain of its own" in w for w in found.plan.warnings)
    ending, last = resubmit(made, fleet_spec(MEDIUM, release=NEW)).run()
    assert ending is Ending.CONVERGED
    assert {view.release for view in last.plan.relays} == {NEW}


def test_a_rollout_stands_still_while_the_chain_is_split(made: Rehearsal) -> None:
    fork(made, EU1, "alpha", blocks=3)
    follow(made, 6)
    upgrade = resubmit(made, fleet_spec(MEDIUM, release=NEW))
    ending, last = upgrade.run()
    assert ending is Ending.HELD
    assert {view.release for view in last.plan.relays} == {OLD}


def pin(made: Rehearsal, name: str) -> None:
    tip, _ = made.world.chain.tip_of(name, slot_now(made))
    made.store.save_pin(Pin(tip, "operator", "the explorers agree", made.world.clock.now()))


def test_the_operators_pin_rules_over_releases(made: Rehearsal) -> None:
    upgraded(made, EU1, US1)
    fork(made, EU1, US1, blocks=8)
    follow(made, 3)
    pin(made, EU1)  # the newer nodes are right
    found = follow(made, 1)
    assert quarantined(found) == {v.name for v in found.plan.relays} - {EU1, US1}
    assert any("partners against the pinned point: alpha, beta" in w for w in found.plan.warnings)


def test_the_operators_pin_rules_over_partners(made: Rehearsal) -> None:
    fork(made, EU1, "alpha", blocks=8)
    follow(made, 3)
    pin(made, "beta")
    assert quarantined(follow(made, 1)) == {EU1}


def test_under_a_pin_a_later_fork_is_proven_as_any_other(made: Rehearsal) -> None:
    pin(made, "alpha")
    follow(made, 4)
    fork(made, EU1)
    assert quarantined(follow(made, 12)) == {EU1}


def test_under_a_pin_a_later_split_along_releases_halts_as_any_other(made: Rehearsal) -> None:
    pin(made, "alpha")
    follow(made, 4)
    upgraded(made, EU1, US1)
    fork(made, EU1, US1)
    found = follow(made, 12)
    assert quarantined(found) == set()
    assert any("along releases" in w for w in found.plan.warnings)


def test_the_agreed_tip_is_what_most_have_and_not_one_rival_block(made: Rehearsal) -> None:
    made.world.chain.battles["beta"] = 1
    pass_time(made, -slot_now(made) % SLOTS_A_BLOCK + 1)
    found = follow(made, 1, seconds=0)
    rival, _ = made.world.chain.tip_of("beta", slot_now(made))
    common, _ = made.world.chain.tip_of("alpha", slot_now(made))
    assert found.plan.agreed_tip == common != rival


def test_a_pin_that_nobody_has_halts_and_quarantines_nobody(made: Rehearsal) -> None:
    made.world.chain.branches["nobody"] = Branch("elsewhere", 0)
    pin(made, "nobody")
    found = follow(made, 2)
    assert quarantined(found) == set()
    assert any("nobody who answers has the pinned point" in w for w in found.plan.warnings)


# --- time ------------------------------------------------------------------------------------------------------------


def test_when_everybody_is_stale_the_clock_or_the_chain_is_suspected_and_nothing_is_done(made: Rehearsal) -> None:
    for name in [view.name for view in made.look().plan.relays] + list(PARTNERS):
        made.world.chain.stalled_at[name] = slot_now(made)
    found = follow(made, 12)
    assert any("clock is wrong, or the chain itself stands still" in w for w in found.plan.warnings)
    assert found.plan.actions == ()
    assert {view.health for view in found.plan.relays} == {Health.HEALTHY}
    assert published(found) == {view.name for view in found.plan.relays}


def test_when_everybody_is_stale_one_far_behind_the_others_still_does_not_serve(made: Rehearsal) -> None:
    made.world.chain.stalled_at[EU1] = slot_now(made)
    follow(made, 8)
    for name in [view.name for view in made.look().plan.relays if view.name != EU1] + list(PARTNERS):
        made.world.chain.stalled_at[name] = slot_now(made)
    assert view_of(follow(made, 12), EU1).phase is Phase.SYNCING


def test_with_no_partner_answering_the_fleet_is_said_to_agree_with_itself_alone(made: Rehearsal) -> None:
    made.world.faults.saturated.update(PARTNERS)
    found = follow(made, 2)
    assert any("the fleet agrees with itself alone" in w for w in found.plan.warnings)
    assert {view.health for view in found.plan.relays} == {Health.HEALTHY}
    assert found.plan.agreed_tip is None


# --- regions ---------------------------------------------------------------------------------------------------------


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


# --- told apart ------------------------------------------------------------------------------------------------------


def test_a_relay_at_its_limit_and_one_that_hangs_are_told_apart(made: Rehearsal) -> None:
    made.world.faults.saturated.add(EU1)
    made.world.faults.hanging.add(US1)
    found = follow(made, 1)
    assert view_of(found, EU1).reason.startswith("saturated: ")
    assert view_of(found, US1).reason.startswith("hangs: ")
    assert not [a for a in found.plan.actions if a.relay in (EU1, US1)]


def test_a_replay_shows_its_progress_and_how_long_it_will_take() -> None:
    made = serving_fleet(fleet_spec(MEDIUM))
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


# --- who is published ------------------------------------------------------------------------------------------------


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
