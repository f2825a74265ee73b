"""`run` as it is seen: its lines, what it leaves in the store, and an `apply` that follows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.adapters.store import Store, open_store
from orchestrator.cli.following import find_runner, follow_runner
from orchestrator.cli.journal import StoreJournal
from orchestrator.errors import FleetError, PlanRefused
from orchestrator.execution.execute import Event
from orchestrator.fleet.record import Lease
from orchestrator.fleet.revision import Draft, Revision
from orchestrator.simulation.time import BEGINNING, VirtualClock
from tests.command_line import LAB_FLEET, Run, make_run
from tests.scenarios.builders import SMALL, fleet_spec, serving_fleet

RUNNER = "ops@host pid 7 abc"
LEASE = Lease(RUNNER, 3, BEGINNING + timedelta(hours=1))
MINUTE = timedelta(minutes=1)


class Stage:
    """A runner's journal and an operator's console, on one store, in virtual time."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.written = store, VirtualClock(), []
        self.journal = StoreJournal(store.revisions, self.clock, RUNNER, self.written.append)
        self.found = serving_fleet(fleet_spec(SMALL)).look()
        self.shown = StringIO()
        store.acquire_lease(RUNNER, self.clock.now(), LEASE.until, 0)
        self.first = self.submit("first")
        self.journal.show_revision(self.first, LEASE)

    def submit(self, content: str) -> Revision:
        return self.store.revisions.submit(Draft(content, {}), "ops", self.clock.now())

    def then(self, seconds: int, what: Callable[[], object]) -> None:
        self.clock.at(timedelta(seconds=seconds), lambda: what() and None)

    def follow(self, revision: Revision) -> int:
        console = Console(file=self.shown, width=200)
        return follow_runner(self.store, self.clock, revision, RUNNER, console, as_json=False)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    store = open_store(f"sqlite:///{tmp_path}/store.db", "demo")
    yield Stage(store)
    store.close()


def event(outcome: str, text: str) -> Event:
    return Event("demo-us-east-1-01", "deploy", outcome, text)


# --- lines -----------------------------------------------------------------------------------------------------------


def test_a_decision_and_its_outcome_are_a_line_each(stage: Stage) -> None:
    stage.journal.show_event(event("started", "release differs"))
    stage.journal.show_event(event("failed", "disk full"))
    decided, came = stage.lines()[1:]
    what = {"revision": 1, "relay": "demo-us-east-1-01", "intent": "deploy"}
    assert decided == {
        "at": BEGINNING.isoformat(),
        "level": "info",
        "event": "started",
        **what,
        "reason": "release differs",
    }
    assert came == {"at": BEGINNING.isoformat(), "level": "warning", "event": "failed", **what, "text": "disk full"}


def test_a_round_like_the_one_before_says_nothing(stage: Stage) -> None:
    stage.journal.show_round(stage.found, {}, "converged")
    told = len(stage.written)
    assert stage.lines()[-1]["event"] == "summary"
    stage.journal.show_round(stage.found, {}, "converged")
    assert len(stage.written) == told


def test_what_stands_in_the_way_is_told_once_as_long_as_it_is_the_same(stage: Stage) -> None:
    for _ in range(3):
        stage.journal.show_trouble("round", FleetError("the cloud is silent", next_step="wait"))
    troubles = [line for line in stage.lines() if line["event"] == "trouble"]
    assert [(line["what"], line["text"], line["next_step"]) for line in troubles] == [
        ("round", "the cloud is silent", "wait")
    ]


# --- following -------------------------------------------------------------------------------------------------------


def test_a_runner_is_whoever_tells_of_itself_and_has_the_lease(stage: Stage) -> None:
    assert find_runner(stage.store, stage.clock) == RUNNER
    stage.store.release_lease(LEASE.__class__(RUNNER, stage.store.load().token, LEASE.until))
    assert find_runner(stage.store, stage.clock) is None
    stage.store.acquire_lease("an apply", stage.clock.now(), LEASE.until, 0)
    assert find_runner(stage.store, stage.clock) is None


def test_an_apply_follows_its_own_revision_to_its_end(stage: Stage) -> None:
    mine = stage.submit("second")
    stage.then(1, lambda: stage.journal.show_round(stage.found, {}, "converged"))  # of the revision before
    stage.then(2, lambda: stage.journal.show_revision(mine, LEASE))
    stage.then(3, lambda: stage.journal.show_event(event("started", "release differs")))
    stage.then(3, lambda: stage.journal.show_round(stage.found, {}, ""))
    stage.then(9, lambda: stage.journal.show_round(stage.found, {}, "converged"))
    assert stage.follow(mine) == 0
    assert stage.clock.now() >= BEGINNING + timedelta(seconds=9)
    assert stage.shown.getvalue().splitlines() == [
        f"revision 2 is with {RUNNER}",
        "demo-us-east-1-01: deploy started: release differs",
        "= 4 of 4 serving · partners alpha: ok, beta: ok",
        "converged: 4 of 4 serving · partners alpha: ok, beta: ok",
    ]


@pytest.mark.parametrize(("ending", "code"), [("converged", 0), ("held", 2)])
def test_an_apply_that_follows_ends_as_one_that_did_it_itself(stage: Stage, ending: str, code: int) -> None:
    stage.then(1, lambda: stage.journal.show_round(stage.found, {}, ending))
    assert stage.follow(stage.first) == code


def test_what_the_runner_refuses_is_told(stage: Stage) -> None:
    stage.then(1, lambda: stage.journal.show_trouble("round", PlanRefused("it would go dark", next_step="--confirm")))
    assert stage.follow(stage.first) == PlanRefused.exit_code
    assert "✗ refused: it would go dark" in stage.shown.getvalue()


def test_a_runner_that_goes_away_is_told_with_what_to_do(stage: Stage) -> None:
    stage.clock.at(timedelta(hours=2), lambda: None)
    with pytest.raises(FleetError, match=r"ended before revision 1 was carried out"):
        stage.follow(stage.first)


# --- the unit --------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def test_the_controller_s_unit_is_printed(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "render", "--controller", "--user", "fleet")
    assert ended.code == 0
    assert "\nUser=fleet\n" in ended.out
    assert f" --fleet {LAB_FLEET} run\n" in ended.out


def test_render_wants_a_relay_or_the_controller_and_not_both(run: Run) -> None:
    assert run("--fleet", LAB_FLEET, "render").code == 64
    assert run("--fleet", LAB_FLEET, "render", "demo-us-east-1-01", "--controller").code == 64


def test_times_are_written_with_their_zone(stage: Stage) -> None:
    assert datetime.fromisoformat(stage.lines()[0]["at"]).tzinfo == UTC
