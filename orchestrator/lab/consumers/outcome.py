"""What consumers saw, as values: each visit to a relay, how each consumer ended, and all of them in a few numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Visit:
    """One address that was tried. `problem` is None if nothing was wrong with it."""

    address: str
    began: timedelta
    """Since the consumer began."""
    headers: int
    blocks: int
    problem: str | None

    @property
    def unusable(self) -> bool:
        """Whether nothing at all came of it."""
        return self.problem is not None and self.headers == 0 and self.blocks == 0


@dataclass(frozen=True, slots=True)
class Stall:
    """The longest time without a header or a block more, and when it began."""

    duration: timedelta
    began: timedelta
    """Since the consumer began."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What every consumer can tell, however it ended."""

    number: int
    took: timedelta
    blocks: int
    stall: Stall
    visits: tuple[Visit, ...]
    lookups: int

    @property
    def reconnects(self) -> int:
        """How often it went on elsewhere, after a connection that was of use."""
        return sum(1 for visit in self.visits[:-1] if not visit.unusable)

    @property
    def unusable(self) -> int:
        """Addresses of which nothing came."""
        return sum(1 for visit in self.visits if visit.unusable)


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """It has the chain, to within a few slots of the tip."""

    seen: Seen


@dataclass(frozen=True, slots=True)
class Failed:
    """It gave up, and why."""

    seen: Seen
    reason: str


@dataclass(frozen=True, slots=True)
class CutShort:
    """It was well on its way when all were sent home."""

    seen: Seen


Outcome: TypeAlias = Bootstrapped | Failed | CutShort


@dataclass(frozen=True, slots=True)
class Usage:
    """What one address was to all consumers."""

    visits: int
    blocks: int
    unusable: int


@dataclass(frozen=True, slots=True)
class Summary:
    """All consumers together. Stalls are None as long as there are none."""

    bootstrapped: int
    failed: int
    cut_short: int
    blocks: int
    reconnects: int
    unusable: int
    slowest_stall: timedelta | None
    median_stall: timedelta | None
    median_time: timedelta | None
    """Of those that bootstrapped: how long it took."""


def summarize(outcomes: Collection[Outcome]) -> Summary:
    """Count, and find the slowest and the median of every consumer's longest stall. Those cut short count as well."""
    stalls = [outcome.seen.stall.duration for outcome in outcomes]
    times = [outcome.seen.took for outcome in outcomes if isinstance(outcome, Bootstrapped)]
    return Summary(
        bootstrapped=len(times),
        failed=sum(1 for outcome in outcomes if isinstance(outcome, Failed)),
        cut_short=sum(1 for outcome in outcomes if isinstance(outcome, CutShort)),
        blocks=sum(outcome.seen.blocks for outcome in outcomes),
        reconnects=sum(outcome.seen.reconnects for outcome in outcomes),
        unusable=sum(outcome.seen.unusable for outcome in outcomes),
        slowest_stall=max(stalls, default=None),
        median_stall=_median(stalls),
        median_time=_median(times),
    )


def count_usage(outcomes: Collection[Outcome]) -> dict[str, Usage]:
    """Return what each address was used for, by address."""
    visits, blocks, unusable = Counter[str](), Counter[str](), Counter[str]()
    for outcome in outcomes:
        for visit in outcome.seen.visits:
            visits[visit.address] += 1
            blocks[visit.address] += visit.blocks
            unusable[visit.address] += visit.unusable
    return {address: Usage(visits[address], blocks[address], unusable[address]) for address in sorted(visits)}


def _median(durations: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=median(duration.total_seconds() for duration in durations)) if durations else None
