"""The live view of an apply: a table that is redrawn on a terminal, a line per event elsewhere. On stderr, always."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from orchestrator.cli.present import describe_hold, status_table, summary_line
from orchestrator.execution.cycle import Round
from orchestrator.execution.execute import Event
from orchestrator.fleet.observation import InFlight

LAST_EVENTS = 6


class LiveView:
    """Shows rounds and events. Safe to call from the effects' threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._events: deque[str] = deque(maxlen=LAST_EVENTS)
        self._round: Round | None = None
        self._in_flight: Mapping[str, InFlight] = {}
        self._told: set[str] = set()
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show_event(self, event: Event) -> None:
        """Show that something started, ended or failed."""
        line = f"{self._elapsed():>6} {event.relay}: {event.intent} {event.outcome}: {event.text}"
        with self._lock:
            self._events.append(line)
            if self._live is None:
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                self._draw()

    def show_round(self, found: Round, in_flight: Mapping[str, InFlight]) -> None:
        """Show a new look; without a terminal, only what has changed since the last."""
        with self._lock:
            self._round, self._in_flight = found, in_flight
            if self._live is not None:
                self._draw()
                return
            holds = {describe_hold(hold) for hold in found.plan.holds if hold.relay not in in_flight}
            stable = {
                hold for hold in holds if not any(character.isdigit() for character in hold.rpartition("since")[2])
            }
            for hold in sorted(stable - self._told):
                self._console.print(f"{self._elapsed():>6} … {hold}", markup=False, highlight=False, soft_wrap=True)
            self._told |= stable
            line = f"{self._elapsed():>6} = {summary_line(found.plan)}"
            if line.partition("=")[2] not in self._told:
                self._told.add(line.partition("=")[2])
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _draw(self) -> None:
        if self._live is None:
            return
        parts: list[object] = []
        if self._round is not None:
            # Header, a blank line, the events and the summary have to fit in as well.
            rows = self._console.height - len(self._events) - 4
            parts += [status_table(self._round.plan, self._console.width, self._in_flight, rows), Text("")]
        parts += [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._events]
        if self._round is not None:
            parts.append(Text(f"{self._elapsed()} · {summary_line(self._round.plan)}", style="bold"))
        self._live.update(Group(*parts), refresh=True)  # type: ignore[arg-type]

    def _elapsed(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60}:{seconds % 60:02d}"
