"""Each rule of the oracle about single effects can be broken, and what nobody could have known is nobody's fault."""

from __future__ import annotations

from orchestrator.fleet.observation import Verdict
from orchestrator.simulation.leftovers import find_leftovers
from orchestrator.simulation.machines import Effect
from tests.scenarios.judge import host_of
from tests.simulation.watching import EU1, EU2, US1, US2, look, stop, watched


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
    look(made, oracle)
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
    look(made, oracle, **{EU1.replace("-", "_"): Verdict.OK})
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
    look(made, oracle)
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
