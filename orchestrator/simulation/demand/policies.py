"""The policies. Two rivals are written after their documents, with their defaults; the figures' sources are named at each."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import Literal

from orchestrator.planning.autoscale import Aim, count_needed
from orchestrator.planning.forecast import Model
from orchestrator.simulation.demand.replay import Policy, Seen, relays_for

SLOT_MINUTES = 5

PolicyName = Literal["ours", "hpa", "target-tracking", "oracle"]
POLICIES: tuple[PolicyName, ...] = ("ours", "hpa", "target-tracking", "oracle")

# Which share of times demand may exceed the forecast, and how long a relay is kept: tuned on the traces that benchmarks name for it.
TAU = 0.82
KEEP_LEADS = 8.0
LEAST_KEEP_MINUTES = 300
CALM_MINUTES = 45


class Ours:
    """This program's own: what the controller asks its planner, with nothing but demand to go by."""

    def __init__(self, target: float, lead_minutes: int) -> None:
        keep = max(KEEP_LEADS * lead_minutes, LEAST_KEEP_MINUTES)
        self._aim = Aim(target, keep_slots=ceil(keep / SLOT_MINUTES), calm_slots=ceil(CALM_MINUTES / SLOT_MINUTES))
        self._model = Model(SLOT_MINUTES, ceil(lead_minutes / SLOT_MINUTES) + 1, TAU)
        self._slot: list[float] = []

    def want(self, seen: Seen) -> int:
        """Decide on every slot's end, and at once when more is there than the relays are for."""
        self._slot.append(seen.demand)
        ends = len(self._slot) >= SLOT_MINUTES
        if ends:
            self._model.learn(max(self._slot))
            self._slot.clear()
        present = seen.serving + seen.booting
        if not self._model.history or not (ends or seen.demand > self._model.history[-1]):
            return present
        need = count_needed(self._model, seen.demand, present, self._aim, full=seen.full)
        return need.wanted if ends or need.wanted > present else present


class HorizontalPodAutoscaler:
    """Kubernetes' HPA with its defaults (kubernetes.io, Horizontal Pod Autoscaling): tolerance 0.1; pods that are not ready count
    with nothing when scaling up; up by at most the larger of four pods and 100 % each 15 s; down to the highest wish of five minutes.
    """

    TOLERANCE = 0.1
    STABILISATION_MINUTES = 5
    STEPS_A_MINUTE = 4
    PODS_A_STEP = 4

    def __init__(self, target: float) -> None:
        self._target = target
        self._wishes: deque[int] = deque(maxlen=self.STABILISATION_MINUTES)

    def want(self, seen: Seen) -> int:
        """Return the wanted count after this minute's four syncs."""
        present = seen.serving + seen.booting
        wish = self._recommend(seen, present)
        self._wishes.append(wish)
        if wish > present:
            limit = present
            for _ in range(self.STEPS_A_MINUTE):
                limit += max(limit, self.PODS_A_STEP)
            return min(wish, limit)
        return min(max(self._wishes), present)

    def _recommend(self, seen: Seen, present: int) -> int:
        ratio = seen.demand / max(seen.serving, 1) / self._target
        if abs(ratio - 1) <= self.TOLERANCE:
            return present
        if ratio < 1:
            return max(ceil(seen.serving * ratio), 1)
        again = seen.demand / max(present, 1) / self._target
        return present if again <= 1 + self.TOLERANCE else ceil(present * again)


class TargetTracking:
    """AWS target tracking with its defaults: an alarm after 3 minutes above the target, one after 15 minutes below nine tenths of it;
    relays that warm up are in no average, and no scale-in happens while any does (Amazon EC2 Auto Scaling user guide).
    """

    HIGH_PERIODS, LOW_PERIODS = 3, 15
    LOW_SHARE = 0.9

    def __init__(self, target: float) -> None:
        self._target = target
        self._high = self._low = 0

    def want(self, seen: Seen) -> int:
        """Return the wanted count after this minute's alarms."""
        present = seen.serving + seen.booting
        average = seen.demand / max(seen.serving, 1)
        self._high = self._high + 1 if average > self._target else 0
        self._low = self._low + 1 if average < self.LOW_SHARE * self._target else 0
        proportional = max(ceil(seen.serving * average / self._target), 1)
        if self._high >= self.HIGH_PERIODS:
            return max(proportional, present)
        if self._low >= self.LOW_PERIODS and not seen.booting:
            self._low = 0
            return min(proportional, present)
        return present


class Oracle:
    """Knows the future: never short at its target, and no relay-minute more than that takes.

    The k-th relay is needed in the minutes that k relays are; a pause shorter than the lead time is bridged, since booting costs as much.
    """

    def __init__(self, demand: Sequence[float], target: float, lead_minutes: int) -> None:
        needed = [relays_for(load, target) for load in demand]
        self._wanted = [0] * len(demand)
        for level in range(1, max(needed) + 1):
            for begin, end in _bridged([minute for minute, count in enumerate(needed) if count >= level], lead_minutes):
                for minute in range(max(begin - lead_minutes, 0), end + 1):
                    self._wanted[minute] += 1

    def want(self, seen: Seen) -> int:
        """Return what the future asks for."""
        return self._wanted[seen.minute]


def _bridged(minutes: Sequence[int], lead_minutes: int) -> list[tuple[int, int]]:
    """Return first and last minutes of the stretches that minutes form, pauses within the lead time bridged."""
    stretches: list[tuple[int, int]] = []
    for minute in minutes:
        if stretches and minute - stretches[-1][1] <= lead_minutes + 1:
            stretches[-1] = stretches[-1][0], minute
        else:
            stretches.append((minute, minute))
    return stretches


def make_policy(name: PolicyName, demand: Sequence[float], target: float, lead_minutes: int) -> Policy:
    """Return a fresh policy; only the oracle looks at the trace."""
    match name:
        case "ours":
            return Ours(target, lead_minutes)
        case "hpa":
            return HorizontalPodAutoscaler(target)
        case "target-tracking":
            return TargetTracking(target)
        case "oracle":
            return Oracle(demand, target, lead_minutes)
