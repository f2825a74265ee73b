"""One look's understanding of a rollout, as data for people and for the record. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from orchestrator.fleet.rollout import NO_ROLLOUT, Bundle, RolloutEvent, RolloutRecord
from orchestrator.planning.preflight import Finding


class Progress(StrEnum):
    """How far one relay is."""

    WAITS = "waits"
    """Its wave is not open, or nobody may be updated."""
    NEXT = "is next"
    """May be updated, and waits for the budget, for its staging, or for the next look."""
    DRAINS = "drains"
    RESTARTS = "restarts"
    """Was told to; does not serve yet."""
    BAKES = "bakes"
    DONE = "done"
    FAILED = "failed"
    GOES_BACK = "goes back"


@dataclass(frozen=True, slots=True)
class Wave:
    """Relays that go before the next wave does. How many of them are out at the same time is the budget's word."""

    title: str
    """`canary`, `wave 1` …"""
    relays: tuple[str, ...]
    why: str
    """Why these, in this place."""


@dataclass(frozen=True, slots=True)
class RelayProgress:
    """One relay's way, in words with numbers."""

    progress: Progress
    text: str


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout as a plan shows it."""

    version: str
    state: str
    """One of `RolloutState`."""
    because: str
    waves: tuple[Wave, ...]
    relays: Mapping[str, RelayProgress]
    """By name; relays beside the waves are in it too once they take part."""
    open_wave: int | None
    """Index of the wave that is under way; None if none is."""
    left: timedelta
    """Estimated time until it is complete."""
    out_at_most: int
    """Relays that it takes out at the same time, at most."""
    findings: tuple[Finding, ...] = ()
    """Of the pre-flight."""
    record: RolloutRecord = NO_ROLLOUT
    """To be kept before any effect of this plan."""
    events: tuple[RolloutEvent, ...] = ()
    """What this look adds to the history."""
    bundles: Mapping[str, Bundle] = field(default_factory=lambda: MappingProxyType({}))
    """All that are to be kept."""
