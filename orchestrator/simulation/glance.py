"""What there was at the moment of a look, and what a controller was told by it, in the words of the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orchestrator.simulation.rules import Rules


@dataclass(frozen=True, slots=True)
class Glance:
    """One look."""

    rules: Rules
    serving: frozenset[str]
    told_to_serve: frozenset[str]
    """By the wire; lies among it."""
    not_told: frozenset[str]
    """Relays whose probe is missing."""
    missed: Mapping[str, datetime]
    """Since when hosts have not answered, in looks in a row."""
    apart: frozenset[str]
    """Relays that were on a chain or network of their own, and have not been seen to agree for long enough."""
    inspected: frozenset[str] = frozenset()
    """Relays whose host told of itself in this look."""
    partners_out: frozenset[str] = frozenset()
    """Partners that were asked and did not answer."""
