"""The one step of one relay, decided directly: what comes before what, what differs, and what that asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import UnitState, Unreachable
from orchestrator.planning.assess import assess_relay
from orchestrator.planning.plan import Deploy, Health, Hold, Kind, Phase, Prepare, Stage
from orchestrator.planning.steps import Goal, plan_step
from orchestrator.rendering import layout
from orchestrator.rendering.values import ChangeClass
from tests.relay_steps import (
    EVERYTHING,
    NEW,
    OLD,
    WITHOUT_CONFIG,
    bare,
    budget_of,
    facts_of,
    rendered,
    slot_of,
    step,
)
from tests.scenarios.looks import (
    EU1,
    serving_look,
    with_host,
)

# --- what it shows -----------------------------------------------------------------------------------------------------


def test_a_relay_that_is_as_it_is_to_be_has_nothing_to_do_and_says_what_it_runs() -> None:
    view, nothing = step(bare())
    assert nothing is None
    assert (view.pending, view.drift, view.digest, view.release) == (None, (), rendered().digest, OLD)


def test_one_that_differs_does_not_claim_the_digest() -> None:
    view, _ = step(bare(unit_enabled=False))
    assert (view.digest, view.release) == (None, OLD)


CHANGED = replace(facts_of(serving_look()).files[layout.TOPOLOGY], sha256="0" * 64)
CHOWNED = replace(facts_of(serving_look()).files[layout.TOPOLOGY], owner="nobody")


@pytest.mark.parametrize(
    ("changes", "pending", "drift"),
    [
        ({"files": {**facts_of(serving_look()).files, layout.TOPOLOGY: CHANGED}}, ChangeClass.RELOAD, layout.TOPOLOGY),
        ({"files": {**facts_of(serving_look()).files, layout.TOPOLOGY: CHOWNED}}, ChangeClass.NONE, layout.TOPOLOGY),
        ({"release": "0" * 64}, ChangeClass.RESTART, "release"),
        ({"unit": UnitState.FAILED, "running_restart_digest": ""}, ChangeClass.RESTART, "unit"),
        ({"unit": UnitState.INACTIVE, "running_restart_digest": ""}, ChangeClass.RESTART, "unit"),
        ({"running_restart_digest": "another"}, ChangeClass.RESTART, "running node"),
        ({"unit": UnitState.RELOADING, "running_restart_digest": "another"}, ChangeClass.RESTART, "running node"),
        ({"unit": UnitState.ACTIVATING, "running_restart_digest": "another"}, ChangeClass.RESTART, "running node"),
        ({"running_reload_digest": "another"}, ChangeClass.RELOAD, "loaded topology"),
        ({"unit_enabled": False}, ChangeClass.NONE, "unit is not enabled"),
    ],
)
def test_what_differs_is_named_with_what_it_asks_for(
    changes: dict[str, object], pending: ChangeClass, drift: str
) -> None:
    view, _ = step(bare(**changes))
    assert (view.pending, view.drift) == (pending, (drift,))


@pytest.mark.parametrize(
    ("changes", "drift"),
    [
        ({"release": "0" * 64, "running_restart_digest": "another"}, ("release",)),
        ({"running_restart_digest": "another", "running_reload_digest": "another"}, ("running node",)),
        ({"running_reload_digest": "another", "unit_enabled": False}, ("loaded topology",)),
        ({"release": "0" * 64, "unit": UnitState.INACTIVE, "running_restart_digest": "x"}, ("release", "unit")),
    ],
)
def test_what_another_change_puts_right_anyway_is_not_named_as_well(
    changes: dict[str, object], drift: tuple[str, ...]
) -> None:
    view, _ = step(bare(**changes))
    assert view.drift == drift


def test_a_file_that_is_missing_is_written_by_what_its_change_asks_for() -> None:
    view, _ = step(bare(files=WITHOUT_CONFIG))
    assert (view.pending, view.drift) == (ChangeClass.RESTART, (layout.NODE_CONFIG,))


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": UnitState.ACTIVATING, "running_restart_digest": "", "running_reload_digest": ""},
        {"unit": UnitState.DEACTIVATING, "running_restart_digest": "another", "running_reload_digest": "another"},
        {"unit": UnitState.ABSENT, "unit_enabled": False, "running_restart_digest": ""},
    ],
    ids=["not begun", "stopping", "no unit yet"],
)
def test_what_does_not_run_is_not_out_of_date(changes: dict[str, object]) -> None:
    view, _ = step(bare(**changes))
    assert set(view.drift) <= {"unit"}


# --- what comes before what ----------------------------------------------------------------------------------------------


def test_a_host_at_work_is_left_alone_until_it_is_done() -> None:
    _, hold = step(bare(working="deploy", prepared=None))
    assert hold == Hold(EU1, "deploy", "another run is at work on the host (deploy)", passes=True)


def test_a_host_that_cannot_be_looked_at_is_waited_for() -> None:
    _, hold = step(with_host(serving_look(), EU1, Unreachable("no route")), health=Health.UNHEALTHY)
    assert isinstance(hold, Hold)
    assert hold.wanted == "inspect"


@pytest.mark.parametrize(
    ("health", "phase"), [(Health.UNHEALTHY, Phase.PREPARING), (Health.HEALTHY, Phase.SERVING)], ids=str
)
def test_a_host_is_prepared_before_anything_else_and_who_serves_goes_on_serving(health: Health, phase: Phase) -> None:
    view, prepare = step(bare(prepared="another", release="0" * 64), health=health)
    assert isinstance(prepare, Prepare)
    assert (view.phase, view.health) == (phase, health)
    assert (view.reason == prepare.reason) is (phase is Phase.PREPARING)
    assert prepare.reason == "its baseline differs from the wanted one"


@pytest.mark.parametrize(
    ("health", "phase"), [(Health.UNHEALTHY, Phase.STAGING), (Health.HEALTHY, Phase.SERVING)], ids=str
)
def test_what_is_wanted_is_staged_before_it_is_deployed(health: Health, phase: Phase) -> None:
    view, stage = step(bare(staged=frozenset({"c" * 64})), rendered(NEW), health=health)
    assert isinstance(stage, Stage)
    assert (stage.rendered.release.version, stage.reason) == (NEW, f"release {NEW} is not staged")
    assert (view.phase, view.reason == stage.reason) == (phase, phase is Phase.STAGING)


def test_the_network_folder_is_staged_as_well() -> None:
    _, stage = step(bare(staged=EVERYTHING - {rendered(NEW).network_digest}), rendered(NEW))
    assert isinstance(stage, Stage)
    assert stage.reason == "the network's files is not staged"


@pytest.mark.parametrize(
    ("changes", "health", "stages"),
    [
        ({}, Health.HEALTHY, True),
        ({}, Health.UNHEALTHY, True),
        ({"unit": UnitState.FAILED, "running_restart_digest": ""}, Health.UNHEALTHY, False),
        ({"running_restart_digest": "another"}, Health.HEALTHY, True),
    ],
    ids=["as it is to be", "as it is to be, but does not serve", "down: it is made whole first", "serves, but differs"],
)
def test_what_it_will_be_later_is_staged_early_unless_it_is_down_for_lack_of_something(
    changes: dict[str, object], health: Health, stages: bool
) -> None:
    now, later = rendered(), rendered(NEW)
    _, action = step(bare(staged=EVERYTHING - {later.release.sha256}, **changes), now, later, health=health)
    assert isinstance(action, Stage if stages else Deploy)
    assert not isinstance(action, Stage) or action.rendered is later


# --- nothing to deploy -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "passes"),
    [(Phase.SYNCING, True), (Phase.DEPLOYING, True), (Phase.QUARANTINED, False), (Phase.UNKNOWN, False)],
)
def test_a_node_that_does_not_serve_yet_is_waited_for(phase: Phase, passes: bool) -> None:
    look = bare()
    view = replace(assess_relay(slot_of(look), look), phase=phase, reason="as seen")
    goal = Goal(rendered(), None, Kind(), frozenset())
    _, hold = plan_step(slot_of(look), view, goal, facts_of(serving_look()).prepared, look, budget_of(look), {})
    assert hold == Hold(EU1, "serve", "as seen", passes=passes)
