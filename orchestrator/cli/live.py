"""The live view of an apply: drawn again and again on a terminal, a line per event elsewhere. On stderr, always.

What is drawn is a table of relays, or, while a rollout goes through its waves, one tree of these.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from orchestrator.cli.present import hold_lines, status_table, summary_line
from orchestrator.cli.rollout_text import is_under_way, pending_orders, tell_changes
from orchestrator.cli.rollout_tree import rollout_tree
from orchestrator.execution.cycle import Round
from orchestrator.execution.execute import Event
from orchestrator.fleet.observation import InFlight
from orchestrator.planning.plan import Hold

LAST_EVENTS = 6

NUMBERED = re.compile(r"\S*\d\S*")
"""Words with figures in them: times, percents, relays."""


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
            before = self._round
            self._round, self._in_flight = found, in_flight
            if self._live is not None:
                self._draw()
            else:
                self._tell(before, found)

    def _tell(self, before: Round | None, found: Round) -> None:
        """Print a line for whatever is new: of the rollout, of what waits, of the whole."""
        for change in tell_changes(before.plan.rollout if before is not None else None, found.plan.rollout):
            self._print(f"* {change}")
        waits = [hold for hold in found.plan.holds if not self._is_told_otherwise(hold, found)]
        fresh = {hold: kind for hold in waits if (kind := hold_kind(hold)) not in self._told}
        for line in hold_lines(tuple(fresh)):
            self._print(line)
        summary = summary_line(found.plan)
        if summary not in self._told:
            self._print(f"= {summary}")
        self._told |= {*fresh.values(), summary}

    def _is_told_otherwise(self, hold: Hold, found: Round) -> bool:
        """Tell whether a hold needs no line of its own: its relay is being worked on, or its rollout says how far it is."""
        rollout = found.plan.rollout
        return hold.relay in self._in_flight or (
            rollout is not None and is_under_way(rollout) and hold.relay in rollout.relays
        )

    def _print(self, line: str) -> None:
        self._console.print(f"{self._elapsed():>6} {line}", markup=False, highlight=False, soft_wrap=True)

    def _draw(self) -> None:
        if self._live is None:
            return
        events = list(self._events)[-max(self._console.height // 4, 1) :]
        parts: list[RenderableType] = []
        if self._round is not None:
            # Header, a blank line, the events and the summary have to fit in as well.
            parts += [self._main_part(self._round, self._console.height - len(events) - 4), Text("")]
        parts += [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in events]
        if self._round is not None:
            summary = f"{self._elapsed()} · {summary_line(self._round.plan)}"
            parts.append(Text(summary, style="bold", no_wrap=True, overflow="ellipsis"))
        self._live.update(Group(*parts), refresh=True)

    def _main_part(self, found: Round, rows: int) -> RenderableType:
        """Return the tree of a rollout that is under way, else the table of all relays."""
        rollout = found.plan.rollout
        if rollout is not None and is_under_way(rollout):
            return rollout_tree(rollout, pending_orders(found.look.record), self._in_flight, rows, acting=True)
        return status_table(found.plan, self._console.width, self._in_flight, rows)

    def _elapsed(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60}:{seconds % 60:02d}"


def hold_kind(hold: Hold) -> str:
    """Return what a hold says but for its figures and names: a wait whose numbers move is told once."""
    return f"{hold.relay} {hold.wanted} {NUMBERED.sub('#', hold.because)}"
