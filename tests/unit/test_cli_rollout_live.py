"""What `apply` shows while a rollout goes through its waves: one tree on a terminal, a line per change elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.cli.live import LiveView
from orchestrator.cli.present import hold_lines
from orchestrator.execution.cycle import Round
from orchestrator.execution.execute import Event
from orchestrator.planning.plan import Hold
from orchestrator.planning.rollout_view import Progress, RelayProgress, RolloutView
from tests.rollout_views import BAKES, RELAYS, RESTARTS, UNDER_WAY, WAVES, complete_view, rollout_view, with_rollout
from tests.scenarios.builders import SMALL, fleet_spec, serving_fleet

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def serving() -> Round:
    return serving_fleet(fleet_spec(SMALL)).look()


def frame(found: Round, width: int, height: int, events: int = 0) -> list[str]:
    """Draw one look on a terminal of this size."""
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=width, height=height, _environ={"TERM": "xterm"})
    with LiveView(console) as view:
        for number in range(events):
            view.show_event(Event(RESTARTS, "deploy", "done", f"event {number}"))
        screen.seek(0)
        screen.truncate()
        view.show_round(found, {})
        return [ESCAPES.sub("", line) for line in screen.getvalue().splitlines()]


def lines_of(rounds: Iterable[Round]) -> list[str]:
    """Return what is said where there is no terminal."""
    said = StringIO()
    with LiveView(Console(file=said, width=40)) as view:
        for found in rounds:
            view.show_round(found, {})
    return [line.split(maxsplit=1)[1] for line in said.getvalue().splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (132, 40), (60, 14), (80, 10)])
@pytest.mark.parametrize("view", [rollout_view(), rollout_view(because="x" * 300), rollout_view({}, open_wave=None)])
def test_the_tree_never_outgrows_the_terminal(serving: Round, view: RolloutView, width: int, height: int) -> None:
    drawn = frame(with_rollout(serving, view), width, height, events=9)
    assert len(drawn) <= height
    assert max(map(cell_len, drawn)) <= width


def test_the_tree_takes_the_place_of_the_table_and_events_stand_below(serving: Round) -> None:
    drawn = frame(with_rollout(serving, rollout_view()), 100, 30, events=2)
    assert "rollout to 11.0.1: running, 1 of 20 done, about 42 min left, at most 2 out" in drawn
    assert any("replayed 40 %" in line for line in drawn)
    assert not any(line.startswith("relay ") for line in drawn)
    assert [line.rpartition(": ")[2] for line in drawn[-3:-1]] == ["event 0", "event 1"]
    assert "4 of 4 serving" in drawn[-1]


@pytest.mark.parametrize("view", [None, complete_view(), rollout_view(waves=(), relays={}, open_wave=None)])
def test_without_waves_under_way_the_table_is_shown(serving: Round, view: RolloutView | None) -> None:
    assert any(line.startswith("relay ") for line in frame(with_rollout(serving, view), 100, 30))


def test_without_a_terminal_each_change_is_one_line(serving: Round) -> None:
    further = rollout_view({**UNDER_WAY, RESTARTS: RelayProgress(Progress.BAKES, "bakes for 0 of 10 min")})
    said = lines_of(with_rollout(serving, view) for view in (rollout_view(), rollout_view(), further, complete_view()))
    assert said[:2] == [
        "* rollout to 11.0.1: running (wave 1: 0 of 4), 1 of 20 done, about 42 min left, at most 2 out",
        f"* wave 1 opens: demo-ap-southeast-1-02, demo-eu-central-1-01, demo-sa-east-1-01, demo-us-east-1-01; {WAVES[1].why}",
    ]
    assert said.count(f"* {RESTARTS} bakes for 0 of 10 min") == 1
    assert "* rollout to 11.0.1: complete, 20 of 20 done" in said
    assert "* wave 1 ends: 4 of 4 done" in said
    assert len(said) == len(set(said))


def test_holds_of_relays_whose_rollout_says_how_far_they_are_are_not_told_twice(serving: Round) -> None:
    holds = (Hold(BAKES, "restart", "its wave is not open"), Hold("demo-mars-01", "launch", "no capacity"))
    found = replace(serving, plan=replace(serving.plan, holds=holds))
    assert [line for line in lines_of([with_rollout(found, rollout_view())]) if line[0] == "…"] == [
        "… demo-mars-01: launch waits: no capacity"
    ]
    assert len([line for line in lines_of([with_rollout(found, None)]) if line[0] == "…"]) == 2


def test_a_wait_whose_numbers_move_is_told_once(serving: Round) -> None:
    rounds = [
        replace(serving, plan=replace(serving.plan, holds=(Hold(BAKES, "serve", f"replayed {percent} %", True),)))
        for percent in range(10)
    ]
    assert [line for line in lines_of(rounds) if line[0] == "…"] == [f"… {BAKES}: serve waits: replayed 0 %"]


def test_relays_whose_wave_is_not_open_share_one_line_of_a_plan() -> None:
    because = "differs in release; waits for wave 1 (2 of 4 done), 2 of 2 relays that may be out are out"
    lines = hold_lines(tuple(Hold(relay, "restart", because) for relay in RELAYS))
    assert lines[0] == f"… 20 relays: restart waits: {because}"
    assert len(lines) == 5
