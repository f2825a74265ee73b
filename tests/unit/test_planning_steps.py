"""The next step of one relay, where the hosts of a serving fleet show one thing that is odd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import UnitState, Unreachable, Verdict
from orchestrator.planning.plan import Hold
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.rendering.values import ChangeClass
from tests.relay_steps import step
from tests.scenarios.looks import EU1, serving_look, steps_of, with_facts, with_host, with_instance, with_sighting


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


def test_of_several_things_to_do_the_one_that_disturbs_most_is_asked_for() -> None:
    look = with_facts(serving_look(), EU1, running_restart_digest="another", files={})
    view, _ = step(look)
    assert view.pending is ChangeClass.RESTART
    assert len(view.drift) > 1


@pytest.mark.parametrize("unit", [UnitState.ACTIVE, UnitState.RELOADING])
def test_a_node_that_runs_with_nobody_knows_what_is_restarted(unit: UnitState) -> None:
    look = with_facts(serving_look(), EU1, unit=unit, running_restart_digest="")
    assert step(look)[0].drift == ("running node",)


@pytest.mark.parametrize("known", [True, False])
def test_a_host_that_boots_is_waited_for_and_one_that_fell_silent_does_not_come_back_by_waiting(known: bool) -> None:
    look = with_host(serving_look(), EU1, Unreachable("no answer"))
    if not known:
        look = with_instance(look, EU1, host_key=None)
        look = replace(look, record=replace(look.record, identities={}))
    hold = step(look)[1]
    assert isinstance(hold, Hold)
    assert (hold.wanted, hold.passes) == ("inspect", not known)
