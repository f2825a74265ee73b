"""Which single step brings the node to what is written: start, restart, reload, or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from playbooks.module_utils.genesis.unit import UnitFound, pick_step

RUNS = UnitFound("active", True, False, False, "success", "0", 0, "restart-1", "reload-1", "")


def step(found: UnitFound, change: str = "none", restart: str = "restart-1", reload: str = "reload-1") -> str:
    return pick_step(found, change, restart, reload)


def test_a_node_that_runs_what_is_written_is_left_alone() -> None:
    assert step(RUNS) == "none"


@pytest.mark.parametrize("change", ["reload", "restart"])
def test_a_change_asks_for_its_own_step(change: str) -> None:
    assert step(RUNS, change) == change


def test_a_node_that_started_with_something_else_is_restarted_though_no_file_changes() -> None:
    assert step(RUNS, restart="restart-2") == "restart"


def test_a_node_that_loaded_another_topology_is_reloaded_though_no_file_changes() -> None:
    assert step(RUNS, reload="reload-2") == "reload"


def test_a_restart_takes_the_reload_with_it() -> None:
    assert step(RUNS, "reload", restart="restart-2") == "restart"


@pytest.mark.parametrize("owed", ["reload", "restart"])
def test_what_a_crash_left_owed_is_made_up_for(owed: str) -> None:
    assert step(replace(RUNS, owed=owed)) == owed


@pytest.mark.parametrize("state", ["absent", "inactive", "failed"])
def test_a_node_that_is_down_is_started(state: str) -> None:
    assert step(replace(RUNS, state=state, running_restart="", running_reload="")) == "start"


def test_a_node_that_stops_to_start_again_is_left_alone() -> None:
    assert step(replace(RUNS, state="deactivating", job=True), "restart") == "none"


def test_a_node_that_stops_for_good_is_started_after() -> None:
    assert step(replace(RUNS, state="deactivating")) == "start"


def test_a_node_that_is_just_starting_is_not_restarted_for_digests_it_has_not_shown_yet() -> None:
    assert step(replace(RUNS, state="activating", running_restart="", running_reload="")) == "none"


def test_a_node_that_fails_to_start_gets_the_new_files_at_once() -> None:
    assert step(replace(RUNS, state="activating", running_restart="", running_reload=""), "restart") == "restart"
