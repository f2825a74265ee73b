"""How many consumers are to be there, and when: a CSV file with the columns `minute,consumers`, as demand comes and goes.

A number holds from its minute until the next row's. Minutes may be fractions; the last row says when it is over.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from orchestrator.errors import FleetError

COLUMNS = ["minute", "consumers"]

MOST_CONSUMERS = 1000
"""At a time; more are too many for one process."""


@dataclass(frozen=True, slots=True)
class Step:
    """From when on, how many."""

    after: timedelta
    consumers: int


def read_profile(path: Path) -> tuple[Step, ...]:
    """Read a profile. Raises FleetError that names the line."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise FleetError(f"{path} cannot be read: {why}") from error
    if not rows or [name.strip() for name in rows[0]] != COLUMNS:
        raise _refused(path, 1, f"found {','.join(rows[0]) if rows else 'nothing'!r}")
    steps: list[Step] = []
    for line, row in enumerate(rows[1:], start=2):
        step = _read_row(row)
        if step is None:
            raise _refused(path, line, f"found {','.join(row)!r}")
        if steps and step.after <= steps[-1].after:
            raise _refused(path, line, f"found minute {row[0].strip()} after one that is no earlier")
        steps.append(step)
    if len(steps) < 2:
        raise _refused(path, len(rows), f"found {len(steps)} rows, and the last one says when it is over")
    return tuple(steps)


def _read_row(row: list[str]) -> Step | None:
    try:
        minute, consumers = float(row[0]), int(row[1])
    except (ValueError, IndexError):
        return None
    if len(row) != len(COLUMNS) or not math.isfinite(minute) or minute < 0 or not 0 <= consumers <= MOST_CONSUMERS:
        return None
    return Step(timedelta(minutes=minute), consumers)


def _refused(path: Path, line: int, found: str) -> FleetError:
    return FleetError(
        f"{path}:{line}: {found}, expected {','.join(COLUMNS)}: minutes that grow, and 0 to {MOST_CONSUMERS} consumers",
        next_step="write a row for each change, such as `0,10`, `5,200`, `20,10`, `30,0`",
    )
