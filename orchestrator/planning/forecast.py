"""What demand will be a lead time from now: trend and season learnt from history, with an upper quantile. Pure arithmetic.

History comes in slots of equal length; a slot's value is the highest demand in it, in relay-loads. Three forecasters compete: the value of
now; the usual course of a day; the usual course of a week, the latter two moved by as much of today's deviation as has lasted that
long before. Whichever would have been the cheapest lately is believed, and what it has missed by, at the wanted quantile, is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

DAY_MINUTES = 24 * 60
DAYS_OF_A_WEEK = 7

FORGET_A_DAY = 0.35
"""Weight of the newest day in the usual course of days, and of the newest week in that of weeks."""

FORGET_ERRORS = 0.9995
"""What is kept a slot of how well a forecaster did: with five-minute slots, half is forgotten in about five days."""

STEP_OF_QUANTILE = 0.05
"""By how much of the usual error a miss moves the quantile."""

STEP_OF_SPREAD = 0.01
LARGEST_ERROR, LEAST_ERROR = 4.0, 0.01
"""No single error counts for more than so many usual ones, so that a flash crowd says little about ordinary days."""

SURPRISE = 4.0
"""Deviations beyond so many usual errors are surprises."""

LEAST_LEVEL = 0.25
"""Errors are counted in parts of the forecast, or of this many relay-loads if it is less."""


@dataclass(slots=True)
class _Course:
    """The usual value of each slot of a period."""

    values: list[float | None]

    def at(self, slot: int) -> float | None:
        return self.values[slot % len(self.values)]

    def learn(self, slot: int, value: float) -> None:
        before = self.at(slot)
        place = slot % len(self.values)
        self.values[place] = value if before is None else before + FORGET_A_DAY * (value - before)


def _make_course(slots: int) -> _Course:
    return _Course([None for _ in range(slots)])


@dataclass(slots=True)
class _Lasting:
    """How much of a deviation from the usual course is left a horizon later."""

    together: float
    """Deviations then, times those a horizon later …"""
    squared: float
    """… and squared."""

    @property
    def share(self) -> float:
        return min(max(self.together / self.squared, 0.0), 1.0)

    def keep(self, deviation: float, later: float) -> None:
        self.together = FORGET_ERRORS * self.together + deviation * later
        self.squared = FORGET_ERRORS * self.squared + deviation * deviation


@dataclass(slots=True)
class _Forecaster:
    """One way to forecast, at one horizon, and how it has done."""

    course: _Course | None
    usual: _Lasting = field(default_factory=lambda: _Lasting(1.0, 1.0))
    surprises: _Lasting = field(default_factory=lambda: _Lasting(0.5, 1.0))
    """Of what goes far beyond the usual error: a flash crowd goes as it came, a slow drift stays."""
    spread: float = 0.05
    """Usual error, in parts of the level."""
    quantile: float = 0.1
    """Error that only so many are above, in parts of the level."""
    loss: float = 0.0
    weight: float = 0.0

    def forecast(self, slot: int, value: float, ahead: int) -> float | None:
        """Return the value `ahead` slots after `slot`, which has `value`; None while nothing is known of that time."""
        if self.course is None:
            return value
        now, then = self.course.at(slot), self.course.at(slot + ahead)
        if now is None or then is None:
            return None
        return max(then + self.lasting(value - now, now).share * (value - now), 0.0)

    def lasting(self, deviation: float, level: float) -> _Lasting:
        """Return what applies to a deviation of this size."""
        return self.surprises if deviation > SURPRISE * self.spread * max(level, LEAST_LEVEL) else self.usual

    def remember(self, slot: int, value: float) -> None:
        """Let the usual course learn of a slot; of a surprise no more than the largest of what is none, for it is not usual."""
        if self.course is None:
            return
        usual = self.course.at(slot)
        most = value if usual is None else usual + SURPRISE * self.spread * max(usual, LEAST_LEVEL)
        self.course.learn(slot, min(value, most))

    def judge(self, forecast: float, value: float, tau: float) -> None:
        """Learn from how a forecast came out."""
        level = max(forecast, LEAST_LEVEL)
        error = (value - forecast) / level
        missed = error - self.quantile
        self.loss = FORGET_ERRORS * self.loss + (tau * missed if missed > 0 else (tau - 1) * missed) + abs(error) * 0.05
        self.weight = FORGET_ERRORS * self.weight + 1
        self.spread += STEP_OF_SPREAD * (min(abs(error), LARGEST_ERROR * self.spread + LEAST_ERROR) - self.spread)
        self.quantile += STEP_OF_QUANTILE * self.spread * (tau if missed > 0 else tau - 1)

    @property
    def usual_loss(self) -> float:
        return self.loss / self.weight if self.weight else float("inf")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected."""

    expected: float
    upper: float
    """What demand stays below at the quantile."""
    by: str
    """`now`, `day` or `week`: what was believed."""


@dataclass(slots=True)
class Model:
    """What was learnt from a history, for one horizon."""

    slot_minutes: float
    ahead: int
    """Slots from the last one of the history to the one that is forecast."""
    tau: float
    """Share of times that demand stays below the upper value."""
    history: list[float] = field(default_factory=list)
    _first: int = 0
    """Number of the first slot, counted from a week's beginning."""
    _forecasters: dict[str, _Forecaster] = field(default_factory=dict)
    _courses: dict[str, _Course] = field(default_factory=dict)
    _told: dict[str, list[float | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        slots = max(round(DAY_MINUTES / self.slot_minutes), 1)
        self._courses = {"day": _make_course(slots), "week": _make_course(slots * DAYS_OF_A_WEEK)}
        self._forecasters = {"now": _Forecaster(None), **{name: _Forecaster(c) for name, c in self._courses.items()}}
        self._told = {name: [] for name in self._forecasters}

    def learn(self, value: float) -> None:
        """Take up the next slot. The usual course learns of it with the one after: until then it is what deviates from the course."""
        index = len(self.history)
        if index:
            for forecaster in self._forecasters.values():
                forecaster.remember(self._first + index - 1, self.history[-1])
        slot, before = self._first + index, index - self.ahead
        for name, forecaster in self._forecasters.items():
            told = self._told[name][before] if before >= 0 else None
            if told is not None:
                forecaster.judge(told, value, self.tau)
            course = forecaster.course
            if course is not None and before >= 0:
                then, now = course.at(slot - self.ahead), course.at(slot)
                if then is not None and now is not None:
                    deviation = self.history[before] - then
                    forecaster.lasting(deviation, then).keep(deviation, value - now)
        self.history.append(value)
        for name, forecaster in self._forecasters.items():
            self._told[name].append(forecaster.forecast(slot, value, self.ahead))

    def forecast(self, value: float | None = None) -> Forecast:
        """Return what is expected `ahead` slots from now, with this value now, or the last slot's. Raises ValueError without a history."""
        if not self.history:
            raise ValueError("nothing is known yet")
        return self._by(self._best(), self.ahead, self.history[-1] if value is None else value)

    def highest(self, slots: int) -> float:
        """Return the highest upper value within so many slots from now: what must be there before it could be launched again."""
        best = self._best()
        return max(self._by(best, ahead, self.history[-1]).upper for ahead in range(1, max(slots, 1) + 1))

    def _by(self, name: str, ahead: int, value: float) -> Forecast:
        forecaster = self._forecasters[name]
        found = forecaster.forecast(self._first + len(self.history) - 1, value, ahead)
        expected = value if found is None else found
        upper = expected + max(forecaster.quantile, 0.0) * max(expected, LEAST_LEVEL)
        return Forecast(expected, upper, name)

    def _best(self) -> str:
        known = [name for name, told in self._told.items() if told[-1] is not None]
        return min(known, key=lambda name: self._forecasters[name].usual_loss)


def learn(values: Sequence[float], slot_minutes: float, ahead: int, tau: float) -> Model:
    """Return what is learnt from a history, oldest value first."""
    model = Model(slot_minutes, ahead, tau)
    for value in values:
        model.learn(value)
    return model
