"""How many relays a region is to have, from how its demand went and what is expected of it, with the reason. Pure.

A relay that is launched now serves a lead time later, so what counts is the demand of then, with what forecasts usually miss by. What
comes faster than any forecast is answered at once. A relay goes only if it is not needed for so long that launching it again
would have cost more than keeping it; one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from orchestrator.planning.forecast import Forecast, Model

MORE_THAN_SEEN = 1.25
"""A region whose relays are full has at least so many times the demand that can be seen."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a region is scaled for."""

    target: float = 0.7
    """Share of a relay's connection limit that is aimed at."""
    least: int = 1
    most: int = 1000
    tolerance: float = 0.1
    """Parts of a relay by which the need may exceed what is there."""
    keep_slots: int = 12
    """For so many slots ahead a relay must not be needed before it goes."""
    calm_slots: int = 6
    """For so many slots back it must not have been needed either."""


@dataclass(frozen=True, slots=True)
class Need:
    """How many relays demand asks for, and why; limits, cost and the budget are not its business."""

    wanted: int
    because: str
    expected: Forecast
    seen: float
    """Demand now, in relay-loads; more than was seen where relays are full."""


def count_needed(model: Model, seen: float, present: int, aim: Aim, *, full: bool = False) -> Need:
    """Return how many relays a region is to have. `present` counts those on their way; `full`: the relays that serve are at their limit."""
    now = seen * MORE_THAN_SEEN if full else seen
    # Reality beats the forecast: what is there now is what the rest is expected from, as far as such surprises last.
    expected = model.forecast(max(now, model.history[-1]))
    need = _relays(expected.upper, aim)
    if need > present:
        suffix = "; its relays are full, so there is more than can be seen" if full else ""
        because = f"{expected.upper:.1f} relay-loads are expected a lead time from now ({_by(expected)}), {now:.1f} are there now{suffix}"
        return _within(need, because, expected, now, aim)
    lately = max(model.history[-aim.calm_slots :], default=now)
    highest = max(model.highest(aim.keep_slots), lately, now)
    kept = _relays(highest, aim)
    if kept < present:
        because = f"no more than {highest:.1f} relay-loads for long enough, before and to come; one goes at a time"
        return _within(present - 1, because, expected, now, aim)
    return _within(present, f"{highest:.1f} relay-loads are expected at most", expected, now, aim)


def _relays(demand: float, aim: Aim) -> int:
    return max(ceil(demand / aim.target - aim.tolerance), 0)


def _within(wanted: int, because: str, expected: Forecast, seen: float, aim: Aim) -> Need:
    """Apply min and max; a cap says that it capped."""
    if wanted > aim.most:
        return Need(aim.most, f"{because}: {wanted} relays, but max is {aim.most}", expected, seen)
    if wanted < aim.least:
        return Need(aim.least, f"{because}: {wanted} relays would do, but min is {aim.least}", expected, seen)
    return Need(wanted, because, expected, seen)


def _by(expected: Forecast) -> str:
    return {"now": "as now", "day": "as on other days", "week": "as in other weeks"}[expected.by]
