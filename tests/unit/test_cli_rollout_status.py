"""`rollout status`: what is known of a rollout, once or again and again, on a terminal or not."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.adapters.keys import Ed25519Keys
from orchestrator.adapters.store import open_store
from orchestrator.cli.rollouts import draw, is_over, page, state_of, status_json
from orchestrator.execution.cycle import Round
from orchestrator.fleet.rollout import NO_ROLLOUT, RolloutState
from tests.command_line import Run, make_run, on_loopback, write_fleet
from tests.rollout_views import complete_view, make_order, rollout_record, rollout_view, with_rollout
from tests.scenarios.builders import SMALL, fleet_spec, serving_fleet


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    keys = Ed25519Keys().make_host_key("tests")
    (tmp_path / "key").write_text(keys.private)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "key.pub").write_text(keys.public)
    return write_fleet(tmp_path, on_loopback())


@pytest.fixture(scope="module")
def serving() -> Round:
    return serving_fleet(fleet_spec(SMALL)).look()


def recorded(found: Round, state: RolloutState, **changes: object) -> Round:
    record = replace(found.look.record, rollout=rollout_record(state, **changes), orders=(make_order(1),))
    return replace(found, look=replace(found.look, record=record))


@pytest.mark.parametrize("watch", [(), ("--watch",)])
def test_without_a_rollout_a_status_says_so(run: Run, fleet: Path, watch: tuple[str, ...]) -> None:
    ended = run("--fleet", fleet, "rollout", "status", *watch)
    assert (ended.code, ended.out) == (0, "no rollout is known of\n")
    document = run("--fleet", fleet, "rollout", "status", "--json").document
    assert document == {"rollout": None, "state": None, "pending": []}


def test_a_status_says_what_is_on_record_where_a_look_tells_nothing(serving: Round) -> None:
    found = recorded(with_rollout(serving, None), RolloutState.PAUSED, because="anna")
    assert "paused when it was last seen (anna)" in str(draw(found))
    assert not is_over(found)


def test_a_status_has_the_orders_that_nobody_took_up(serving: Round) -> None:
    document = status_json(recorded(with_rollout(serving, rollout_view()), RolloutState.RUNNING))
    assert document.keys() == {"rollout", "state", "pending"}
    assert document["state"] == "running"
    assert [order["verb"] for order in document["pending"]] == ["pause"]


def test_a_watch_is_over_when_the_rollout_is(serving: Round) -> None:
    over = {state: is_over(with_rollout(serving, rollout_view(state=state))) for state in RolloutState}
    assert {state for state, ended in over.items() if ended} == {RolloutState.COMPLETE, RolloutState.ROLLED_BACK}
    assert state_of(with_rollout(serving, complete_view())) == "complete"


@pytest.mark.parametrize(("state", "code"), [(RolloutState.COMPLETE, 0), (RolloutState.ROLLED_BACK, 2)])
def test_a_watch_tells_by_its_exit_code_how_it_ended(run: Run, fleet: Path, state: RolloutState, code: int) -> None:
    store = open_store(f"sqlite:///{fleet.parent}/state/store.db", "demo")
    assert store.save_rollout(rollout_record(state), NO_ROLLOUT, {}, [])
    store.close()
    ended = run("--fleet", fleet, "rollout", "status", "--watch")
    assert (ended.code, f"rollout to 11.0.1: {state}" in ended.out) == (code, True)


def test_a_page_without_a_terminal_says_nothing_twice(serving: Round, capsys: pytest.CaptureFixture[str]) -> None:
    with page(as_json=False, watch=True) as lines:
        for view in (rollout_view(), rollout_view(), complete_view()):
            lines.show(with_rollout(serving, view))
    said = capsys.readouterr().out
    assert (said.count("rollout to 11.0.1: running"), said.count("rollout to 11.0.1: complete")) == (1, 1)


def test_a_page_of_json_is_one_object_a_look(serving: Round, capsys: pytest.CaptureFixture[str]) -> None:
    with page(as_json=True, watch=True) as lines:
        for view in (rollout_view(), rollout_view()):
            lines.show(with_rollout(serving, view))
    states = [json.loads(line)["rollout"]["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["running", "running"]


def test_a_page_on_a_terminal_is_drawn_in_the_same_place(serving: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=12, _environ={"TERM": "xterm"})
    monkeypatch.setattr("orchestrator.cli.rollouts.data_console", lambda: console)
    with page(as_json=False, watch=True) as shown:
        shown.show(with_rollout(serving, rollout_view()))
        shown.show(with_rollout(serving, complete_view()))
    up = screen.getvalue().count("\x1b[1A")
    assert 5 <= up < 12
    assert "complete, 20 of 20 done" in screen.getvalue()
