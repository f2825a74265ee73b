"""Rollouts as logs that read like a story, one for each way in which they go. `pytest --update-golden` rewrites them.

Beside its log each story says what must be so in the end; and an oracle that sees the world alone must have found nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.execution.cycle import Ending
from orchestrator.fleet.rollout import RolloutState, Verb
from orchestrator.planning.rollout_view import Progress
from orchestrator.simulation.faults import ReleaseFault
from orchestrator.spec.model import FleetSpec
from tests.scenarios.builders import SMALL, fleet_spec
from tests.scenarios.tale import Tale, has_opened, is_at

EU1, EU2, US1, US2 = (f"demo-{region}-0{n}" for region in sorted(SMALL) for n in (1, 2))

ALL = {EU1, EU2, US1, US2}

CANARY = EU2

OLD, NEW, NEWER = "10.5.1", "10.6.0", "10.6.1"

CHECKSUMS = {OLD: "a" * 64, NEW: "b" * 64, NEWER: "d" * 64}

SIX = {"eu-central-1": 3, "us-east-1": 3}

EIGHT = {"ap-southeast-1": 2, "eu-central-1": 3, "us-east-1": 3}


def spec(release: str = NEW, counts: dict[str, int] | None = None, **changes: object) -> FleetSpec:
    """The fleet file."""
    releases = {
        version: {"x86_64": {"url": f"https://releases.example/{version}.tar.gz", "sha256": sha256}}
        for version, sha256 in CHECKSUMS.items()
    }
    return fleet_spec(counts or SMALL, **{"releases": releases, "release": release, **changes})


def fleet(counts: dict[str, int] | None = None, rollout: Mapping[str, object] | None = None) -> Tale:
    """A fleet that serves the old release."""
    return Tale(spec(OLD, counts, rollout=rollout or {}))


def with_bad(fault: ReleaseFault, rollout: Mapping[str, object] | None = None) -> Tale:
    tale = fleet(rollout=rollout)
    tale.world.faults.bad_releases[CHECKSUMS[NEW]] = fault
    return tale


# --- all is well -----------------------------------------------------------------------------------------------------


def a_good_release_goes_through_a_small_fleet() -> Tale:
    tale = fleet()
    assert tale.apply("anna", spec()) is Ending.CONVERGED
    assert (tale.running(), tale.fewest, tale.state()) == ({NEW: ALL}, 3, RolloutState.COMPLETE)
    return tale


def region_after_region() -> Tale:
    counts = {"eu-central-1": 3, "us-east-1": 2}
    tale = fleet(counts)
    assert tale.apply("anna", spec(counts=counts, rollout={"order": "by-region"})) is Ending.CONVERGED
    assert tale.fewest == 4
    return tale


def a_share_of_the_fleet_may_be_out() -> Tale:
    policy = {"max_unavailable": "30%", "max_unavailable_per_region": "50%"}
    tale = fleet(EIGHT, rollout=policy)
    assert tale.apply("anna", spec(counts=EIGHT, rollout=policy)) is Ending.CONVERGED
    assert tale.fewest == 6
    return tale


def the_only_relay_of_a_region_goes_while_all_others_serve() -> Tale:
    counts = {"eu-central-1": 1, "us-east-1": 3}
    policy = {"max_unavailable": 2, "max_unavailable_per_region": 2}
    tale = fleet(counts, rollout=policy)
    assert tale.apply("anna", spec(counts=counts, rollout=policy)) is Ending.CONVERGED
    assert tale.fewest == 3
    return tale


def another_instance_type_is_launched_before_the_old_one_stops() -> Tale:
    tale = fleet()
    larger = spec(OLD)
    regions = {
        name: region.model_copy(update={"instance_type": "r6a.xlarge"}) for name, region in larger.regions.items()
    }
    assert tale.apply("anna", larger.model_copy(update={"regions": regions})) is Ending.CONVERGED
    assert tale.fewest == 3
    return tale


# --- bad releases ----------------------------------------------------------------------------------------------------


def a_wrong_checksum_is_found_before_anybody_is_disturbed() -> Tale:
    tale = fleet()
    tale.publish_wrong_checksum(CHECKSUMS[NEW])
    assert tale.apply("anna", spec()) is Ending.HELD
    assert (tale.running(), tale.stopped(), tale.fewest) == ({OLD: ALL}, set(), 4)
    return tale


def a_node_of_another_version_is_found_before_anybody_is_disturbed() -> Tale:
    tale = fleet()
    tale.world.faults.mislabelled.add(CHECKSUMS[NEW])
    assert tale.apply("anna", spec()) is Ending.HELD
    assert (tale.running(), tale.stopped(), tale.fewest) == ({OLD: ALL}, set(), 4)
    return tale


def stopped_at_the_canary(tale: Tale) -> Tale:
    """It failed on the canary alone, which went back; nobody else was touched, and all serve."""
    assert tale.apply("anna", spec()) is Ending.HELD
    assert (tale.stopped(), tale.fewest, tale.state()) == ({CANARY}, 3, RolloutState.HALTED)
    assert tale.running() == {OLD: ALL}
    assert tale.oracle.who_serves() == frozenset(ALL)
    return tale


def a_canary_that_exits_at_start_goes_back() -> Tale:
    return stopped_at_the_canary(with_bad(ReleaseFault.NEVER_STARTS))


def a_canary_that_never_answers_goes_back() -> Tale:
    return stopped_at_the_canary(with_bad(ReleaseFault.HANGS))


def a_canary_of_another_network_goes_back() -> Tale:
    return stopped_at_the_canary(with_bad(ReleaseFault.WRONG_MAGIC))


def a_canary_that_goes_stale_while_it_bakes_goes_back() -> Tale:
    return stopped_at_the_canary(with_bad(ReleaseFault.GOES_STALE))


def a_canary_that_forks_goes_back() -> Tale:
    return stopped_at_the_canary(with_bad(ReleaseFault.FORKS))


def one_fails_in_a_wave(policy: Mapping[str, object]) -> Tale:
    """The canary has proven itself; the relay after it hangs with the new release, and does not with the old one."""
    tale = fleet(rollout=policy)
    hang_later(tale, EU1)
    tale.upon(is_at(EU1, Progress.GOES_BACK), "", lambda: tale.later("", lambda: revive(tale, EU1), seconds=20))
    assert tale.apply("anna", spec(rollout=policy)) is Ending.HELD
    assert tale.fewest == 3
    assert tale.oracle.who_serves() == frozenset(ALL)
    return tale


def hang_later(tale: Tale, relay: str) -> None:
    """Let a node that was told to restart accept connections once it runs, and never answer."""
    text = f"the node of {relay} comes up, and never answers"
    hang = lambda: tale.world.faults.hanging.add(relay)  # noqa: E731
    tale.upon(is_at(relay, Progress.RESTARTS), "", lambda: tale.later(text, hang, seconds=60))


def revive(tale: Tale, relay: str) -> None:
    tale.world.faults.hanging.discard(relay)


def on_failure_the_whole_fleet_goes_back() -> Tale:
    tale = one_fails_in_a_wave({"on_failure": "rollback"})
    assert (tale.running(), tale.state()) == ({OLD: ALL}, RolloutState.ROLLED_BACK)
    return tale


def on_failure_those_updated_before_stay() -> Tale:
    tale = one_fails_in_a_wave({})
    assert (tale.running(), tale.state()) == ({OLD: ALL - {CANARY}, NEW: {CANARY}}, RolloutState.HALTED)
    return tale


def a_long_replay_is_waited_for() -> Tale:
    tale = with_bad(ReleaseFault.REPLAYS_LONG, rollout={"slowest_restart": None})
    tale.world.durations = replace(tale.world.durations, long_replay=timedelta(minutes=40))
    assert tale.apply("anna", spec(rollout={"slowest_restart": None})) is Ending.CONVERGED
    assert (tale.running(), tale.fewest) == ({NEW: ALL}, 3)
    return tale


def a_node_that_makes_no_progress_has_failed() -> Tale:
    return stopped_at_the_canary(with_bad(ReleaseFault.NEVER_LISTENS))


# --- operators -------------------------------------------------------------------------------------------------------


def an_operator_pauses_and_resumes() -> Tale:
    tale = fleet()
    tale.upon(is_at(EU1, Progress.RESTARTS), "", lambda: tale.order("bert", Verb.PAUSE, "partners upgrade now"))
    assert tale.apply("anna", spec()) is Ending.HELD
    assert tale.state() is RolloutState.PAUSED
    tale.wait(minutes=30)
    tale.order("bert", Verb.RESUME, "they are done")
    assert tale.apply("anna") is Ending.CONVERGED
    assert (tale.running(), tale.fewest) == ({NEW: ALL}, 3)
    return tale


def an_operator_halts_and_then_rolls_back() -> Tale:
    tale = fleet()
    tale.upon(is_at(EU1, Progress.BAKES), "", lambda: tale.order("bert", Verb.HALT, "peers complain"))
    assert tale.apply("anna", spec()) is Ending.HELD
    assert tale.state() is RolloutState.HALTED
    tale.order("bert", Verb.ROLLBACK, "it is the new release")
    assert tale.apply("anna") is Ending.HELD
    assert (tale.running(), tale.state(), tale.fewest) == ({OLD: ALL}, RolloutState.ROLLED_BACK, 3)
    return tale


def an_operator_lets_a_failed_relay_try_again() -> Tale:
    tale = stopped_at_the_canary(with_bad(ReleaseFault.NEVER_STARTS))
    tale.say("the cause is found: a kernel setting of the hosts, and mended")
    tale.world.faults.bad_releases.clear()
    tale.order("bert", Verb.RETRY, "hosts are mended", CANARY)
    assert tale.apply("anna") is Ending.CONVERGED
    assert tale.running() == {NEW: ALL}
    return tale


def a_newer_wish_takes_the_place_of_one_that_goes_wrong() -> Tale:
    """Whoever is on what went wrong goes first, at once, and is the canary; nobody waits until it has failed."""
    tale = fleet(SIX)
    hang_later(tale, EU1)
    tale.upon(lambda found: EU1 in tale.world.faults.hanging, "", tale.interrupt)
    assert tale.apply("anna", spec(counts=SIX)) is None
    tale.upon(is_at(EU1, Progress.RESTARTS), "", lambda: tale.later("", lambda: revive(tale, EU1), seconds=20))
    assert tale.apply("anna", spec(NEWER, SIX)) is Ending.CONVERGED
    assert tale.fewest == 5
    return tale


def the_budget_is_widened_in_the_middle() -> Tale:
    tale = fleet(SIX)
    tale.upon(has_opened(1), "", tale.interrupt)
    assert tale.apply("anna", spec(counts=SIX)) is None
    tale.say("anna lets two relays be out at once, and writes it into the fleet file")
    assert tale.apply("anna", spec(counts=SIX, rollout={"max_unavailable": 2})) is Ending.CONVERGED
    assert tale.fewest == 4
    return tale


def the_fleet_grows_in_the_middle_on_the_trusted_release() -> Tale:
    tale = fleet()
    tale.upon(is_at(CANARY, Progress.BAKES), "", tale.interrupt)
    assert tale.apply("anna", spec()) is None
    more = {"eu-central-1": 2, "us-east-1": 3}
    assert tale.apply("anna", spec(counts=more)) is Ending.CONVERGED
    assert tale.running() == {NEW: {*ALL, "demo-us-east-1-03"}}
    return tale


# --- the world -------------------------------------------------------------------------------------------------------


def an_outage_elsewhere_makes_the_rollout_wait() -> Tale:
    tale = fleet(SIX)
    back = tale.world.faults.unreachable.clear
    tale.upon(
        has_opened(1),
        "nobody reaches demo-us-east-1-03",
        lambda: tale.world.faults.unreachable.add("demo-us-east-1-03"),
        lambda: tale.later("demo-us-east-1-03 is back", back, minutes=10),
    )
    ending = tale.apply("anna", spec(counts=SIX))
    if ending is Ending.HELD:
        tale.wait(minutes=10)
        assert tale.apply("anna") is Ending.CONVERGED
    assert tale.fewest == 5
    return tale


def a_relay_that_is_down_goes_first_and_costs_nothing() -> Tale:
    tale = fleet(SIX)
    down = "demo-us-east-1-01"
    tale.say(f"the node of {down} hangs, whatever is asked of it")
    tale.world.faults.hanging.add(down)
    heals = lambda: tale.later("", lambda: revive(tale, down), seconds=20)  # noqa: E731
    tale.upon(is_at(down, Progress.RESTARTS), "", heals)
    assert tale.apply("anna", spec(counts=SIX)) is Ending.CONVERGED
    assert tale.fewest == 5
    return tale


def a_partner_that_is_out_makes_the_rollout_wait() -> Tale:
    tale = fleet()
    tale.say("beta, a partner, does not answer")
    tale.world.faults.hanging.add("beta")
    tale.later("beta is back", lambda: tale.world.faults.hanging.discard("beta"), minutes=15)
    assert tale.apply("anna", spec()) is Ending.CONVERGED
    assert tale.running() == {NEW: ALL}
    return tale


def a_controller_dies_in_a_wave_and_the_next_goes_on() -> Tale:
    tale = fleet()
    tale.upon(is_at(EU1, Progress.DRAINS), "", tale.crash)
    assert tale.apply("anna", spec()) is None
    tale.wait(seconds=tale.spec.controller.lease.total_seconds() + 1)
    assert tale.apply("bert") is Ending.CONVERGED
    assert (tale.running(), tale.fewest) == ({NEW: ALL}, 3)
    return tale


STORIES: tuple[Callable[[], Tale], ...] = (
    a_good_release_goes_through_a_small_fleet,
    region_after_region,
    a_share_of_the_fleet_may_be_out,
    another_instance_type_is_launched_before_the_old_one_stops,
    the_only_relay_of_a_region_goes_while_all_others_serve,
    a_wrong_checksum_is_found_before_anybody_is_disturbed,
    a_node_of_another_version_is_found_before_anybody_is_disturbed,
    a_canary_that_exits_at_start_goes_back,
    a_canary_that_never_answers_goes_back,
    a_canary_of_another_network_goes_back,
    a_canary_that_goes_stale_while_it_bakes_goes_back,
    a_canary_that_forks_goes_back,
    on_failure_the_whole_fleet_goes_back,
    on_failure_those_updated_before_stay,
    a_long_replay_is_waited_for,
    a_node_that_makes_no_progress_has_failed,
    an_operator_pauses_and_resumes,
    an_operator_halts_and_then_rolls_back,
    an_operator_lets_a_failed_relay_try_again,
    a_newer_wish_takes_the_place_of_one_that_goes_wrong,
    the_budget_is_widened_in_the_middle,
    the_fleet_grows_in_the_middle_on_the_trusted_release,
    an_outage_elsewhere_makes_the_rollout_wait,
    a_relay_that_is_down_goes_first_and_costs_nothing,
    a_partner_that_is_out_makes_the_rollout_wait,
    a_controller_dies_in_a_wave_and_the_next_goes_on,
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_rollout_goes_as_told(story: Callable[[], Tale], golden: Callable[[str, str], None]) -> None:
    tale = story()
    assert tale.oracle.breaches == []
    title = story.__name__.replace("_", " ").capitalize()
    golden(f"rollouts/{story.__name__}.txt", "\n".join([title, "", *tale.lines()]) + "\n")


def test_no_more_are_out_of_the_names_than_may_be_out() -> None:
    assert a_good_release_goes_through_a_small_fleet().most_unpublished == 1
