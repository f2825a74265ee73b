"""The next step of one relay, where the hosts of a serving fleet show one thing that is odd."""

from __future__ import annotations

from orchestrator.fleet.observation import UnitState, Verdict
from orchestrator.planning.reconcile import plan_fleet
from tests.scenarios.looks import EU1, serving_look, steps_of, with_facts, with_sighting


def test_a_node_between_two_tries_to_start_is_waited_for_and_not_deployed_again() -> None:
    look = with_facts(
        serving_look(), EU1, unit=UnitState.ACTIVATING, running_restart_digest="", running_reload_digest="", restarts=1
    )
    look = with_sighting(look, EU1, Verdict.REFUSED)
    assert [word for word, _ in steps_of(plan_fleet(look), EU1)] == ["hold serve"]


def test_a_node_that_starts_with_what_was_written_before_is_deployed_again() -> None:
    look = with_facts(serving_look(), EU1, unit=UnitState.ACTIVATING, running_restart_digest="another")
    look = with_sighting(look, EU1, Verdict.REFUSED)
    assert steps_of(plan_fleet(look), EU1) == [("deploy", "running node differs")]
