"""What became of rollouts, and what operators asked of them, in the order of time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table

from orchestrator.cli.tables import Column, fit_table
from orchestrator.fleet.rollout import Order, RolloutEvent


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the history."""

    at: datetime
    kind: str
    """`event` or `order`."""
    what: str
    version: str
    """Release of the wish; empty for an order."""
    target: str
    relay: str
    user: str
    text: str


def merge_history(events: Iterable[RolloutEvent], orders: Iterable[Order], limit: int) -> tuple[Entry, ...]:
    """Return the newest of both, oldest first. At the same moment an order comes before what it led to."""
    asked = [Entry(o.at, "order", f"{o.verb.value} asked", "", "", o.relay, o.user, o.reason) for o in orders]
    became = [Entry(e.at, "event", e.what, e.version, e.target, "", e.user, e.text) for e in events]
    return tuple(sorted([*asked, *became], key=lambda entry: entry.at)[-limit:])


def history_table(entries: Sequence[Entry], width: int) -> Table:
    """Return a line for each."""
    columns = [
        Column("at (UTC)", [f"{entry.at:%Y-%m-%d %H:%M:%S}" for entry in entries]),
        Column("release", [entry.version or "–" for entry in entries], goes=2),
        Column("what", [entry.what for entry in entries]),
        Column("who", [entry.user or "–" for entry in entries], goes=1),
        Column("why", [": ".join(filter(None, (entry.relay, entry.text))) for entry in entries]),
    ]
    return fit_table(columns, width)


def history_json(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return the same for `--json`."""
    return [
        {
            "at": entry.at.isoformat(),
            "kind": entry.kind,
            "what": entry.what,
            "release": entry.version or None,
            "target": entry.target or None,
            "relay": entry.relay or None,
            "user": entry.user or None,
            "text": entry.text,
        }
        for entry in entries
    ]
