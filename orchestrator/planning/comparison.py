"""Are updated relays worse than the others? Compared in every look, on the same signals, at the same moment. Pure.

A difference is what counts, not a threshold: when the whole network is slow, an updated relay is not to blame. What could not be
measured, here or there, says nothing; too much of it makes the answer inconclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from orchestrator.fleet.rollout import Settling
from orchestrator.planning.trust import Stand
from orchestrator.spec.policies import HealthSpec

TIP_AGE = "tip age"
HANDSHAKE = "handshake"
RESTARTS = "restarts"
INBOUND = "inbound connections"
AGREEMENT = "agreement"

SIGNALS = (TIP_AGE, HANDSHAKE, RESTARTS, INBOUND, AGREEMENT)

TIP_SHARE = 4
"""A tip is worse if it is older than the others' by more than one in so many parts of the largest allowed age."""

HANDSHAKE_TIMES = 3
"""A handshake is worse if it takes this many times as long as the others', and half the time called slow longer."""

FEW_CONNECTIONS = 4
"""So few connections tell nothing: there may be no more to come back."""

REGAINED_SHARE = 4
"""Connections are worse if fewer than one in so many have come back of what it had, or of what the others have."""


LONG_ROW = 5
"""A signal that was worse in so many last looks has become worse, however long it was not."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What one look measured of one relay; None could not be measured."""

    tip_age_seconds: float | None
    handshake_seconds: float | None
    restarts: int | None
    """Times that its node was restarted by itself since it was last started on purpose."""
    inbound: int | None
    """Connections that others have to it."""
    stand: Stand | None
    before: int | None = None
    """Connections it had before it was updated."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the looks since a relay serves come to."""

    verdict: str
    """`no worse`, `worse`, `not yet` (others have not come back to it) or `inconclusive`."""
    text: str


def compare(settling: Settling, mine: Signals, others: Sequence[Signals], health: HealthSpec) -> Settling:
    """Return the comparison with one more look in it. Without others there is nothing to add."""
    if not others:
        return settling
    if mine.restarts is not None:  # fewer than before: systemd counts anew since somebody started it on purpose
        mine = replace(mine, restarts=max(mine.restarts - settling.restarts_before, 0))
    measured, worse, row = dict(settling.measured), dict(settling.worse), dict(settling.row)
    for signal in SIGNALS:
        found = _is_worse(signal, mine, others, health)
        if found is not None:
            measured[signal] = measured.get(signal, 0) + 1
            # Connections come back by and by: what counts is whether they have, not how often they had not yet.
            worse[signal] = int(found) if signal == INBOUND else worse.get(signal, 0) + found
            row[signal] = row.get(signal, 0) + 1 if found else 0
    row = {signal: looks for signal, looks in row.items() if looks}
    return replace(settling, compared=settling.compared + 1, measured=measured, worse=worse, row=row)


def judge_bake(settling: Settling) -> Answer:
    """Return what all looks together say: worse in most of those that measured a signal, or in many at the end; too few that did."""
    unmeasured = [signal for signal in SIGNALS if settling.measured.get(signal, 0) * 2 < settling.compared]
    lately = [signal for signal in SIGNALS if signal in settling.row and signal not in (INBOUND, *unmeasured)]
    for signal in SIGNALS:
        seen, bad = settling.measured.get(signal, 0), settling.worse.get(signal, 0)
        if signal != INBOUND and signal not in unmeasured and bad * 2 > seen:
            return Answer("worse", f"worse than the others in {signal}, in {bad} of {seen} looks")
        if signal in lately and settling.row[signal] >= LONG_ROW:
            return Answer("worse", f"worse than the others in {signal}, in the last {settling.row[signal]} looks")
    if settling.compared == 0:
        return Answer("inconclusive", "there was nobody to compare it with")
    if settling.worse.get(INBOUND, 0):
        return Answer("not yet", "most of those that had been connected to it have not come back")
    if lately:
        return Answer("not yet", f"worse than the others in {lately[0]} just now")
    if unmeasured:
        counts = ", ".join(f"{signal} in {settling.measured.get(signal, 0)}" for signal in unmeasured)
        return Answer("inconclusive", f"too little could be measured: {counts} of {settling.compared} looks")
    return Answer("no worse", f"no worse than the others in {settling.compared} looks")


def describe(mine: Signals, others: Sequence[Signals]) -> str:
    """Return the signals of this look side by side."""
    parts = [
        f"tip age {_number(mine.tip_age_seconds)} s (others {_middle([o.tip_age_seconds for o in others])} s)",
        f"handshake {_number(mine.handshake_seconds, 2)} s (others {_middle([o.handshake_seconds for o in others], 2)} s)",
        f"{_number(mine.inbound)} inbound (others {_middle([o.inbound for o in others])})",
        f"{_number(mine.restarts)} restarts (others {_middle([o.restarts for o in others])})",
        f"chain {mine.stand.value if mine.stand is not None else 'not compared'}",
    ]
    return ", ".join(parts)


def _is_worse(signal: str, mine: Signals, others: Sequence[Signals], health: HealthSpec) -> bool | None:
    """Return whether a signal is worse here than there; None if it is not known."""
    match signal:
        case "tip age":
            theirs = _median([other.tip_age_seconds for other in others])
            if mine.tip_age_seconds is None or theirs is None:
                return None
            return mine.tip_age_seconds - theirs > health.max_tip_age.total_seconds() / TIP_SHARE
        case "handshake":
            theirs = _median([other.handshake_seconds for other in others])
            if mine.handshake_seconds is None or theirs is None:
                return None
            slower = mine.handshake_seconds - theirs > health.slow_after.total_seconds() / 2
            return slower and mine.handshake_seconds > HANDSHAKE_TIMES * theirs
        case "restarts":
            theirs = _median([other.restarts for other in others])
            if mine.restarts is None or theirs is None:
                return None
            return mine.restarts > theirs
        case "inbound connections":
            return _has_lost_connections(mine, others)
        case _:
            known = [other for other in others if other.stand in (Stand.AGREES, Stand.LAGS)]
            if not known or mine.stand in (None, Stand.CANNOT_TELL):
                return None
            return mine.stand not in (Stand.AGREES, Stand.LAGS)


def _has_lost_connections(mine: Signals, others: Sequence[Signals]) -> bool | None:
    theirs = _median([other.inbound for other in others])
    if mine.inbound is None or theirs is None:
        return None
    expected = theirs if mine.before is None else min(mine.before, theirs)
    return expected > FEW_CONNECTIONS and mine.inbound * REGAINED_SHARE < expected


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _middle(values: Sequence[float | None], digits: int = 0) -> str:
    return _number(_median(values), digits)


def _number(value: float | None, digits: int = 0) -> str:
    return "?" if value is None else f"{value:.{digits}f}"
