"""`apply` as it is seen: simulated to its end, asked about, and drawn on a terminal of any size."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

import pexpect
import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.cli.applying import ask
from orchestrator.cli.live import LiveView
from orchestrator.errors import FleetError
from orchestrator.execution.cycle import Round
from orchestrator.execution.execute import Event
from orchestrator.fleet.observation import InFlight
from tests.command_line import LAB_FLEET, ROOT, Run, make_run
from tests.scenarios.builders import rehearsal

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Played:
    """What an apply showed."""

    rounds: Sequence[tuple[Round, Mapping[str, InFlight]]]
    events: Sequence[Event]

    def sample(self) -> Sequence[tuple[Round, Mapping[str, InFlight]]]:
        """The first, the last, and some between."""
        return [*self.rounds[:: max(len(self.rounds) // 6, 1)], self.rounds[-1]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def test_a_simulated_apply_ends_with_all_relays_serving(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "apply", "--simulate")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == "+ launch 20 relays: has no instance"
    assert ended.out.splitlines()[-1] == "20 of 20 serving · partners alpha: ok, beta: ok"
    assert "simulation: no host, no cloud, virtual time" in ended.err
    assert "\x1b" not in ended.out + ended.err


def test_a_simulated_apply_prints_nothing_but_its_json(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "apply", "--simulate", "--json")
    assert ended.code == 0
    assert ended.document["ending"] == "converged"
    assert ended.document["summary"]["serving"] == len(ended.document["relays"]) == 20
    assert {relay["phase"] for relay in ended.document["relays"]} == {"serving"}


def test_nothing_breaks_on_a_terminal_of_eighty_columns() -> None:
    arguments = ["-m", "orchestrator.cli.main", "--fleet", str(LAB_FLEET), "apply", "--simulate"]
    terminal = pexpect.spawn(sys.executable, arguments, cwd=ROOT, dimensions=(24, 80), encoding="utf-8", timeout=60)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    lines = [ESCAPES.sub("", line) for line in terminal.before.splitlines()]
    table = lines[next(number for number, line in enumerate(lines) if line.startswith("relay ")) :]
    assert len([line for line in table if re.match(r"demo-\S+-0\d .* serves", line)]) == 20
    assert max(map(cell_len, table)) <= 80


@pytest.fixture(scope="module")
def played() -> Played:
    """A whole apply: what was seen in each round, and every event."""
    rounds: list[tuple[Round, Mapping[str, InFlight]]] = []
    rehearsed = rehearsal()
    rehearsed.report = lambda found, in_flight: rounds.append((found, dict(in_flight)))
    rehearsed.run()
    return Played(rounds, [event for _, event in rehearsed.events])


def draw(played: Played, width: int, height: int) -> list[list[str]]:
    """Draw rounds from first to last on a terminal of this size; return the lines of each frame."""
    frames: list[list[str]] = []
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=width, height=height, _environ={"TERM": "xterm"})
    with LiveView(console) as view:
        for number, (found, in_flight) in enumerate(played.sample()):
            view.show_event(played.events[number])
            screen.seek(0)
            screen.truncate()
            view.show_round(found, in_flight)
            frames.append([ESCAPES.sub("", line) for line in screen.getvalue().splitlines()])
    return frames


@pytest.mark.parametrize(("width", "height"), [(80, 24), (132, 40), (60, 14)])
def test_a_live_view_never_outgrows_its_terminal(played: Played, width: int, height: int) -> None:
    for frame in draw(played, width, height):
        assert max(cell_len(line) for line in frame) <= width
        assert len(frame) <= height


def test_a_live_view_says_why_and_how_far_on_a_small_terminal(played: Played) -> None:
    first, *_, last = ["\n".join(frame) for frame in draw(played, 80, 24)]
    assert "has no instance" in first
    assert re.search(r"… \d+ more", first)
    assert "0 of 20 serving" in first
    assert "20 of 20 serving" in last


def test_without_a_terminal_each_event_is_one_line(played: Played) -> None:
    said = StringIO()
    with LiveView(Console(file=said, width=40)) as view:
        for event in played.events:
            view.show_event(event)
        for found, in_flight in played.rounds:
            view.show_round(found, in_flight)
    lines = said.getvalue().splitlines()
    assert len([line for line in lines if re.match(r" +0:00 demo-\S+: launch started: has no instance", line)]) == 20
    assert lines.count(next(line for line in lines if "20 of 20 serving" in line)) == 1


def answering(answer: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    monkeypatch.setattr("sys.stdin", StringIO(answer))
    return lambda: ask("Apply?")


def test_yes_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering("y\n", monkeypatch)()
    said = capsys.readouterr()
    assert said.out == ""
    assert "Apply? [y/N]" in said.err


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_anything_but_yes_changes_nothing_and_says_so(
    answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FleetError, match="nothing was changed"):
        answering(answer, monkeypatch)()
