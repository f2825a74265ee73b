"""The chain itself parts: along releases, with partners, or in time; and the operator's word."""

from __future__ import annotations

import pytest

from orchestrator.execution.cycle import Ending
from orchestrator.planning.plan import Deploy, Health, Phase
from orchestrator.simulation.chain import SLOTS_A_BLOCK, Branch
from orchestrator.simulation.rehearsal import Rehearsal
from tests.scenarios.builders import MEDIUM, fleet_spec, resubmit
from tests.scenarios.chain_acts import (
    EU1,
    EU2,
    NEW,
    OLD,
    PARTNERS,
    US1,
    follow,
    fork,
    pass_time,
    pin,
    published,
    quarantined,
    slot_now,
    upgraded,
    view_of,
    watched_fleet,
)


@pytest.fixture
def made() -> Rehearsal:
    return watched_fleet()


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
