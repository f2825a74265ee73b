"""Findings about what is asked of a fleet, before anything of it is done. Values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding weighs, the heaviest first."""

    REFUSES = "refuses"
    WARNS = "warns"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding."""

    level: Level
    name: str
    """Name of the confirmation that allows it, or empty."""
    text: str
    """What, why, and what to do about it."""


def sort_by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return refusals first, then warnings; of the same weight, in the order in which they were found."""
    weights = list(Level)
    return tuple(sorted(findings, key=lambda finding: weights.index(finding.level)))


def count(number: int, thing: str) -> str:
    """Return `1 relay`, `3 relays`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
