"""Many relays in few words: runs of numbers abbreviated, relays of one region together. For people; JSON lists every name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

SHORT = 64
"""Names up to this many characters stay in the line; more are listed below it, a line a region."""


def abbreviate_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return `demo-eu-01…03,05` for each prefix that numbered names share, in name order; other names as they are."""
    numbered = sorted({_split(name) for name in names})
    return tuple(
        f"{prefix}{_runs([digits for _, digits in group])}"
        for prefix, group in groupby(numbered, key=lambda parts: parts[0])
    )


def name_lines(before: str, names: Sequence[str], after: str) -> list[str]:
    """Return one line that names the relays between two texts, or, where they are many, counts them and lists them below."""
    short = abbreviate_names(names)
    if len(", ".join(short)) <= SHORT:
        return [f"{before} {', '.join(short)}{after}"]
    return [f"{before} {len(names)} relays{after}", *(f"    {line}" for line in short)]


def _split(name: str) -> tuple[str, str]:
    prefix, dash, digits = name.rpartition("-")
    return (f"{prefix}{dash}", digits) if dash and digits.isdecimal() else (name, "")


def _runs(numbers: Sequence[str]) -> str:
    """Join numbers, three or more in a row as first…last."""
    runs: list[list[str]] = []
    for digits in sorted(filter(None, numbers), key=int):
        if runs and int(digits) == int(runs[-1][-1]) + 1:
            runs[-1].append(digits)
        else:
            runs.append([digits])
    return ",".join(f"{run[0]}…{run[-1]}" if len(run) > 2 else ",".join(run) for run in runs)
