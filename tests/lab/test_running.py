"""The controller that runs by itself, in front of real machines: what it follows, what it mends, how it ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import Stage
from tests.lab_fleet import Fleet, Running, wait_for

pytestmark = pytest.mark.lab

LAB = "running"
HERE = "us-east-1"
ONE, THREE = f"{LAB}-{HERE}-01", f"{LAB}-{HERE}-03"
PARTNERS = "partners alpha: ok, beta: ok"


class Controller:
    """A `genesis-fleet run`, and the lines that it has written."""

    def __init__(self, started: Running, lines: Path) -> None:
        self._started = started
        self._lines = lines

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Its lines of one kind, as far as they are whole."""
        with self._lines.open() as file:
            found = [json.loads(line) for line in file if line.endswith("\n")]
        return [line for line in found if line["event"] == event]

    def wait_for(self, event: str, **parts: object) -> dict[str, Any]:
        """Wait for a line that has these parts."""

        def find() -> dict[str, Any] | None:
            assert self._started.process.poll() is None, self._started.said
            return next((line for line in self.lines(event) if parts.items() <= line.items()), None)

        found: dict[str, Any] = wait_for(find)
        return found

    def end(self) -> int:
        """Ask it to end as systemd would, and return its exit code."""
        self._started.process.send_signal(signal.SIGTERM)
        return self._started.process.wait(timeout=120)


@contextmanager
def running(fleet: Fleet) -> Iterator[Controller]:
    """Let a controller run meanwhile; killed if nobody ended it."""
    lines = fleet.folder / "run.jsonl"
    with lines.open("w") as out:
        started = fleet.start("run", out=out)
    try:
        yield Controller(started, lines)
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.end()


def want(fleet: Fleet, count: int) -> None:
    """Save a fleet file with so many relays, as an operator's editor would."""

    def edit(document: dict[str, Any]) -> None:
        document["controller"]["look_at_rest"] = "2s"
        document["regions"][HERE]["count"] = count

    fleet.variant("fleet", edit)


@pytest.fixture(scope="module")
def fleet(stage: Stage) -> Fleet:
    """Two relays that serve, applied once by hand."""
    made = stage.enter(LAB, {HERE: 2})
    want(made, 2)
    made.converge()
    return made


@pytest.fixture
def controller(fleet: Fleet) -> Iterator[Controller]:
    """A controller that runs, and has found everything as it is to be."""
    with running(fleet) as found:
        found.wait_for("summary", revision=1, text=f"2 of 2 serving · {PARTNERS}")
        yield found


def test_it_mends_what_an_apply_would_have_mended(fleet: Fleet, controller: Controller) -> None:
    fleet.shell(ONE, "systemctl stop cardano-node")
    controller.wait_for("started", relay=ONE, intent="deploy")
    controller.wait_for("done", relay=ONE, intent="deploy")
    wait_for(lambda: fleet.relays()[ONE]["phase"] == "serving")


def test_it_follows_what_was_submitted_and_an_apply_follows_it_in_turn(fleet: Fleet, controller: Controller) -> None:
    want(fleet, 3)
    fleet.shell(ONE, "systemctl stop cardano-node")  # it acts, and so has looked, after the file was saved
    controller.wait_for("done", relay=ONE, intent="deploy")
    assert [instance["name"] for instance in fleet.instances(THREE)] == []
    applied = fleet.run("apply", "--yes", "--json")
    assert applied.code == 0, applied.err
    assert "revision 2 is with " in applied.err
    assert f"{THREE}: launch started: has no instance" in applied.err
    assert (applied.document["ending"], applied.document["summary"]["serving"]) == ("converged", 3)
    assert controller.lines("done")[-1]["revision"] == 2
    assert controller.end() == 0
    assert controller.lines("rest")[-1]["text"] == "ended on request"


def test_ended_while_work_is_under_way_it_finishes_that_and_gives_the_lease_back(fleet: Fleet) -> None:
    with running(fleet) as controller:
        controller.wait_for("summary")
        fleet.shell(ONE, "systemctl stop cardano-node")
        controller.wait_for("started", relay=ONE, intent="deploy")
        assert controller.end() == 0
        assert [line["relay"] for line in controller.lines("done") if line["relay"] != "names"] == [ONE]
    applied = fleet.run("apply", "--yes", "--json")
    assert (applied.code, "holds the lease" in applied.err) == (0, False), applied.err
    assert "is with " not in applied.err


def test_killed_it_leaves_nothing_that_the_next_one_does_not_take_up(fleet: Fleet) -> None:
    with running(fleet) as controller:
        controller.wait_for("summary")
        fleet.shell(ONE, "systemctl stop cardano-node")
        controller.wait_for("started", relay=ONE, intent="deploy")
    with running(fleet) as controller:
        controller.wait_for("revision")
        wait_for(lambda: fleet.relays()[ONE]["phase"] == "serving")
        assert controller.end() == 0
