"""What a policy came to on a trace, in the figures that operators compare: how often too few, how much too many, and at what price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.simulation.demand.replay import Course, relays_for

WARM_UP_MINUTES = 7 * 24 * 60
"""The first week is not scored: whoever learns from history has none before."""


@dataclass(frozen=True, slots=True)
class Score:
    """All figures over the scored minutes; the first three in percent."""

    under_time_percent: float
    """Share of minutes with fewer relays serving than needed."""
    under_depth_percent: float
    """Mean of max(needed - serving, 0) / needed."""
    over_percent: float
    """Mean of max(serving - needed, 0) / needed."""
    node_hours: float
    """Relays that boot included."""
    actions: int
    """Relays launched plus retired."""
    worst_shortfall: int
    """Relays."""


def score_course(demand: Sequence[float], course: Course, warm_up: int = WARM_UP_MINUTES) -> Score:
    """Judge at the utilisation that counts, whatever the policy aimed at. Raises ValueError if nothing is left to be scored."""
    if warm_up >= len(demand):
        raise ValueError(f"a trace of {len(demand)} minutes ends before its warm-up of {warm_up}")
    needed = [relays_for(load) for load in demand[warm_up:]]
    serving = course.serving[warm_up:]
    short = [max(need - have, 0) for need, have in zip(needed, serving, strict=True)]
    over = [max(have - need, 0) for need, have in zip(needed, serving, strict=True)]
    minutes = len(needed)
    return Score(
        under_time_percent=100 * sum(1 for each in short if each) / minutes,
        under_depth_percent=100 * sum(each / need for each, need in zip(short, needed, strict=True)) / minutes,
        over_percent=100 * sum(each / need for each, need in zip(over, needed, strict=True)) / minutes,
        node_hours=sum(course.there[warm_up:]) / 60,
        actions=sum(course.actions[warm_up:]),
        worst_shortfall=max(short),
    )
