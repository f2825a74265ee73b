"""The consumers of a lab while they run: one table that is redrawn on a terminal, a line now and then elsewhere. On stderr."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from statistics import median

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator.cli.consumers_text import failure_line, seconds
from orchestrator.lab.consumers.outcome import Failed, Outcome, Seen, summarize
from orchestrator.lab.consumers.visitors import Visitors

REDRAWN_EVERY_SECONDS = 0.5

LINE_EVERY_SECONDS = 10.0
"""Without a terminal: it says that somebody is still there."""

LAST_FAILURES = 6


class ConsumersView:
    """Shows how many there are, how the others ended, and the stalls so far."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._failures: list[str] = []

    def show_outcome(self, outcome: Outcome) -> None:
        """Show a failure when it happens."""
        if not isinstance(outcome, Failed):
            return
        line = failure_line(outcome)
        self._failures = [*self._failures, line][-LAST_FAILURES:]
        if not self._console.is_terminal:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    async def watch(self, visitors: Visitors) -> None:
        """Show them until cancelled."""
        if not self._console.is_terminal:
            while True:
                await asyncio.sleep(LINE_EVERY_SECONDS)
                self._console.print(self._line(visitors), markup=False, highlight=False, soft_wrap=True)
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(self._table(visitors), refresh=True)
                await asyncio.sleep(REDRAWN_EVERY_SECONDS)

    def _cells(self, visitors: Visitors) -> dict[str, str]:
        """Count once for both forms. Stalls are those of everybody who came, still here or not."""
        present = [consumer.seen() for consumer in visitors.present.values()]
        summary = summarize(visitors.outcomes)
        stalls = _stalls([*present, *(outcome.seen for outcome in visitors.outcomes)])
        return {
            "time": f"{time.monotonic() - self._began:.0f} s",
            "here": str(len(present)),
            "bootstrapped": str(summary.bootstrapped),
            "failed": str(summary.failed),
            "slowest stall": seconds(max(stalls, default=None)),
            "median": seconds(timedelta(seconds=median(s.total_seconds() for s in stalls)) if stalls else None),
            "lost": str(summary.reconnects + sum(seen.reconnects for seen in present)),
            "blocks": str(summary.blocks + sum(seen.blocks for seen in present)),
        }

    def _line(self, visitors: Visitors) -> str:
        cells = self._cells(visitors)
        return f"{cells.pop('time'):>6} " + ", ".join(f"{name} {value}" for name, value in cells.items())

    def _table(self, visitors: Visitors) -> Group:
        cells = self._cells(visitors)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in cells:
            table.add_column(title, no_wrap=True)
        table.add_row(*cells.values())
        failures = [Text(line, style="red", no_wrap=True, overflow="ellipsis") for line in self._failures]
        return Group(table, *failures)


def _stalls(seen: list[Seen]) -> list[timedelta]:
    return [each.stall.duration for each in seen]
