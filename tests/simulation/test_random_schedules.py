"""Random schedules: the oracle finds nothing, the same seed is the same story, and each rule of the oracle can be broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.fleet.relay import wanted_relays
from orchestrator.simulation.leftovers import find_leftovers
from orchestrator.simulation.machines import Effect, SimulatedHost
from orchestrator.simulation.many import play_seeds, replay_command
from orchestrator.simulation.oracle import Oracle
from orchestrator.simulation.play import play
from orchestrator.simulation.rehearsal import Rehearsal
from orchestrator.simulation.rules import Rules
from orchestrator.simulation.schedule import make_schedule
from tests.scenarios.builders import SMALL, fleet_spec, serving_fleet, wanted
from tests.scenarios.judge import host_of

STEPS = 40
PORTIONS = 8
SEEDS = 200
EU1, EU2, US1, US2 = (f"demo-{region}-0{n}" for region in sorted(SMALL) for n in (1, 2))


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_no_random_schedule_breaks_what_always_holds(portion: int) -> None:
    found = play_seeds(range(portion, SEEDS, PORTIONS), steps=STEPS, templates=wanted().templates)
    assert found.seeds == SEEDS // PORTIONS
    assert [f"{breach}; replay: {replay_command(seed, STEPS)}" for seed, breach in found.breaches] == []


def test_a_seed_tells_the_same_story_every_time() -> None:
    once, again = (play(make_schedule(7, STEPS), wanted().templates, tell=True) for _ in range(2))
    assert once == again
    assert len(once.story) > STEPS


def test_telling_the_story_changes_nothing_about_it() -> None:
    told, silent = (play(make_schedule(8, STEPS), wanted().templates, tell=tell) for tell in (True, False))
    assert replace(told, story=()) == silent


# --- the oracle ------------------------------------------------------------------------------------------------------


def watched(*, most_out: int = 1, **changes: object) -> tuple[Rehearsal, Oracle]:
    """A serving fleet of two regions with two relays each, and an oracle that has just seen a look at it."""
    made = serving_fleet(fleet_spec(SMALL))
    spec = made.wanted.spec
    rules = Rules(
        wanted={relay.name: relay.region for relay in wanted_relays(spec)},
        most_out=most_out,
        most_out_in=dict.fromkeys(spec.regions, 2),
        replace_after=spec.rollout.replace_after,
        max_tip_age=spec.health.max_tip_age,
        return_after=spec.trust.return_after,
        verified=frozenset({"a" * 64}),
    )
    oracle = Oracle(made.world, replace(rules, **changes))
    made.world.witness = oracle.witness
    oracle.note_look(truth(made))
    return made, oracle


def truth(made: Rehearsal, **lies: Verdict) -> dict[str, Sighting]:
    """What honest probes say, but for some."""
    serving = {host.instance.relay for host in made.world.hosts.values() if made.world.serves(host)}
    told = {name: Verdict.OK if name in serving else Verdict.REFUSED for name in (EU1, EU2, US1, US2)}
    return {name: Sighting(lies.get(name.replace("-", "_"), verdict)) for name, verdict in told.items()}


def stop(made: Rehearsal, relay: str) -> SimulatedHost:
    host = host_of(made.world, relay)
    made.world.stop_node(host, then_start=False)
    return host


def test_one_relay_within_the_budget_is_no_breach() -> None:
    made, oracle = watched()
    stop(made, EU1)
    assert oracle.breaches == []


def test_a_second_relay_taken_out_is_a_breach_of_the_budget() -> None:
    made, oracle = watched()
    stop(made, EU1)
    stop(made, US1)
    assert oracle.breaches == [f"{US1} is taken out though 1 of 1 are out ({EU1})"]


def test_a_relay_that_was_out_by_itself_counts_as_well() -> None:
    made, oracle = watched()
    made.world.stop_instance(EU1)
    oracle.note_look(truth(made))
    stop(made, US1)
    assert len(oracle.breaches) == 1


def test_a_relay_that_went_out_after_the_look_is_nobody_s_fault() -> None:
    made, oracle = watched()
    made.world.stop_instance(EU1)
    stop(made, US1)
    assert oracle.breaches == []


def test_a_relay_that_a_probe_said_to_serve_is_nobody_s_fault() -> None:
    made, oracle = watched()
    made.world.stop_instance(EU1)
    oracle.note_look(truth(made, **{EU1.replace("-", "_"): Verdict.OK}))
    stop(made, US1)
    assert oracle.breaches == []


def test_the_last_relay_of_a_region_is_a_breach_unless_it_was_confirmed() -> None:
    for confirmed, breaches in ((frozenset[str](), 1), (frozenset({"dark-region:eu-central-1"}), 0)):
        made, oracle = watched(most_out=4, confirmed=confirmed)
        stop(made, EU1)
        stop(made, EU2)
        assert len(oracle.breaches) == breaches


def test_a_release_that_was_not_verified_on_its_host_is_a_breach() -> None:
    made, oracle = watched()
    host = host_of(made.world, EU1)
    host.release = "b" * 64
    made.world.stop_node(host, then_start=True)
    made.world.clock.wait(60, until=lambda: False)
    made.world.settle(host)
    assert oracle.breaches == [f"{EU1} starts release bbbbbbbb…, which was never verified there"]


def test_work_with_a_lower_token_than_before_is_a_breach() -> None:
    made, oracle = watched()
    host = host_of(made.world, EU1)
    host.token = 9
    oracle.witness(Effect.WORK, host)
    host.token = 8
    oracle.witness(Effect.WORK, host)
    assert len(oracle.breaches) == 1


def test_a_call_to_the_cloud_after_another_took_the_lease_is_a_breach() -> None:
    made, oracle = watched()
    oracle.note_lease(5)
    oracle.acting = 4
    oracle.witness(Effect.LAUNCH, host_of(made.world, EU1))
    assert len(oracle.breaches) == 1


def test_ending_an_instance_whose_node_runs_is_a_breach_and_one_that_stopped_is_none() -> None:
    made, oracle = watched()
    oracle.witness(Effect.TERMINATE, host_of(made.world, EU1))
    assert oracle.breaches == ["i-00000001 of demo-eu-central-1-01 is ended while its node runs"]
    host = stop(made, EU2)
    made.world.clock.wait(60, until=lambda: False)
    made.world.settle(host)
    oracle.witness(Effect.TERMINATE, host)
    assert len(oracle.breaches) == 1


def test_publishing_a_relay_that_the_wire_did_not_show_to_serve_is_a_breach() -> None:
    made, oracle = watched()
    oracle.note_published(frozenset({EU1}))
    assert oracle.breaches == []
    stop(made, EU2)
    oracle.note_look(truth(made))
    oracle.note_published(frozenset({EU1, EU2}))
    assert oracle.breaches == [f"newly published without serving: {EU2}"]


def test_what_is_doubled_or_left_behind_is_found() -> None:
    made, _ = watched()
    relays = {EU1, EU2, US1, US2}
    assert find_leftovers(made.world, relays) == []
    assert find_leftovers(made.world, relays - {EU1}) == [
        f"{EU1} has 1 instances",
        f"{EU1} has 1 disks",
        f"{EU1} has 1 addresses",
    ]
