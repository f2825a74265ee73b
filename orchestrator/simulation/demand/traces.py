"""Traces: demand by the minute, in relay-loads, from a CSV with the columns `minute,demand`."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from orchestrator.errors import FleetError

COLUMNS = ["minute", "demand"]
MOST_MINUTES = 366 * 24 * 60
MOST_DEMAND = 500.0


def read_trace(path: Path) -> tuple[float, ...]:
    """Read a trace. Raises FleetError naming file and line for whatever is none."""
    demand: list[float] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            if (header := next(reader, None)) != COLUMNS:
                raise _wrong(path, 1, f"found {','.join(header or ['nothing'])}, expected the columns minute,demand")
            for row in reader:
                demand.append(_read_row(path, reader.line_num, row, len(demand)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _wrong(path, len(demand) + 2, f"found what is no CSV: {error}") from error
    if not demand:
        raise _wrong(path, 2, "found no minute, expected one a line")
    return tuple(demand)


def _read_row(path: Path, line: int, row: list[str], expected: int) -> float:
    if len(row) != len(COLUMNS):
        raise _wrong(path, line, f"found {len(row)} values, expected two")
    if row[0] != str(expected):
        raise _wrong(path, line, f"found minute {row[0]}, expected {expected}: every minute once, from 0 on")
    if expected >= MOST_MINUTES:
        raise _wrong(path, line, "found more than a year, expected less")
    try:
        value = float(row[1])
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST_DEMAND:
        raise _wrong(
            path, line, f"found a demand of {row[1]}, expected a number from 0 to {MOST_DEMAND:.0f} relay-loads"
        )
    return value


def _wrong(path: Path, line: int, text: str) -> FleetError:
    return FleetError(f"{path}:{line}: {text}", next_step="see docs/autoscaling.md for what a trace looks like")
