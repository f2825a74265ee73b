"""Plays a policy on a trace: relays that serve a lead time after their launch, and what a policy can see meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

SERVES_AT = 0.7
"""A relay is well used up to this share of its connection limit: what all policies are judged by."""

MOST_RELAYS = 1000

ROUNDING = 1e-9
"""2.1 relay-loads at 0.7 are three relays, whatever binary fractions say."""


def relays_for(load: float, target: float = SERVES_AT) -> int:
    """Return how many relays carry so many relay-loads, each up to this share of its limit; at least one."""
    return max(ceil(load / target - ROUNDING), 1)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a policy knows in one minute."""

    minute: int
    demand: float
    """In relay-loads, as far as the relays that serve can have it: each at most its limit."""
    serving: int
    booting: int

    @property
    def full(self) -> bool:
        """Whether the relays are at their limit, and demand may be any higher."""
        return self.demand >= self.serving


class Policy(Protocol):
    """Says every minute how many relays there are to be."""

    def want(self, seen: Seen) -> int:
        """Return the wanted count, those on their way included."""


@dataclass(slots=True)
class Course:
    """What a policy came to, minute by minute."""

    serving: list[int] = field(default_factory=list)
    there: list[int] = field(default_factory=list)
    """Relays that cost: those that boot included."""
    actions: list[int] = field(default_factory=list)
    """Relays launched plus retired in that minute."""


def play_trace(demand: Sequence[float], policy: Policy, lead_minutes: int) -> Course:
    """Let a policy scale through a trace; it begins with what the first minute needs."""
    course = Course()
    serving = relays_for(demand[0])
    due: list[int] = []
    """Minutes in which those on their way begin to serve, soonest first."""
    for minute, wanted_load in enumerate(demand):
        while due and due[0] <= minute:
            due.pop(0)
            serving += 1
        seen = Seen(minute, min(wanted_load, float(serving)), serving, len(due))
        wanted = min(max(policy.want(seen), 1), MOST_RELAYS)
        change = wanted - serving - len(due)
        if change > 0:
            due += [minute + lead_minutes] * change
        for _ in range(-change):  # the last launched goes first; who serves goes when nobody is on the way
            if due:
                due.pop()
            else:
                serving -= 1
        course.serving.append(serving)
        course.there.append(serving + len(due))
        course.actions.append(abs(change))
    return course
