"""What a node says of itself, beside what the wire shows of it: in sentences for `status` and holds. Pure; decides nothing.

A figure that is absent says nothing. Readiness stays the wire's verdict: what is told here explains it, or doubts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import Sighting, Verdict

SLOTS_APART = 120
"""Six blocks' worth where a block comes every 20 slots: metrics and tip are read some seconds apart, and blocks come in bursts."""

JUST_STARTED = timedelta(minutes=10)
"""A node this young has every excuse: it opens its chain, dials its peers, and has not grown yet."""

CLOCKS_APART = timedelta(minutes=1)
"""A start this far in the future is a wrong clock, here or there."""

REPLAYED_PERCENT = 99.9
"""The last of the progress is never told: nodes that have long served were seen to stay a thousandth short of 100."""


class HangingCause(StrEnum):
    """Why somebody who connects gets no handshake."""

    SATURATED = "saturated"
    REPLAYING = "replaying"
    HANGS = "hangs"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Hanging:
    """The cause, and the sentence."""

    cause: HangingCause
    text: str


def tell_hanging_apart(
    metrics: NodeMetrics | None, now: datetime, *, hard_limit: int, soft_limit: int | None = None, missing: str = ""
) -> Hanging:
    """Tell why a node lets connect and does not shake hands; `missing` says why there are no metrics."""
    replay = describe_replay(metrics, now)
    if replay is not None:
        return Hanging(HangingCause.REPLAYING, replay)
    if metrics is None or metrics.inbound is None:
        why = f" ({missing})" if missing else ""
        return Hanging(HangingCause.UNKNOWN, f"connects, but no handshake, and its metrics do not tell why{why}")
    full = f"{metrics.inbound} of {hard_limit} connections"
    if metrics.inbound >= hard_limit:
        return Hanging(HangingCause.SATURATED, f"saturated: {full}")
    if soft_limit is not None and metrics.inbound > soft_limit:
        return Hanging(HangingCause.SATURATED, f"nearly saturated: {full}, and it accepts slowly above {soft_limit}")
    return Hanging(HangingCause.HANGS, f"hangs: connects, but no handshake, with {full}")


def describe_replay(metrics: NodeMetrics | None, now: datetime) -> str | None:
    """Say how far a replay has come and about how long it will take; None for a node that is not known to replay.

    The estimate takes the replay to have begun with the node, and to go on as it went.
    """
    if metrics is None or metrics.replay_percent is None or metrics.tip_slot is not None:
        return None  # a tip is told only once the chain has grown, and it grows after the replay
    percent = metrics.replay_percent
    if percent >= REPLAYED_PERCENT:
        return None
    shown = f"replays its chain: {percent:.0f} %"
    took = _age(metrics, now)
    if took is None or took <= timedelta():
        return shown
    if percent <= 0:
        return f"{shown} after {describe_span(took)}"
    return f"{shown} after {describe_span(took)}, about {describe_span(took * (100 - percent) / percent)} left"


def list_disagreements(
    metrics: NodeMetrics | None,
    sighting: Sighting | None,
    now: datetime,
    *,
    missing: str = "",
    hard_limit: int,
    soft_limit: int | None = None,
    slots_apart: int = SLOTS_APART,
) -> tuple[str, ...]:
    """Say where metrics and wire disagree, both sides in each sentence; empty where they agree or one is not known."""
    if sighting is None or sighting.verdict is Verdict.NOT_ASKED:
        return ()
    if metrics is None:
        speaks = sighting.verdict in (Verdict.OK, Verdict.STALE_TIP)
        return (f"answers on the wire, and tells no metrics: {missing or 'not asked'}",) if speaks else ()
    return tuple(_disagreements(metrics, sighting, now, hard_limit, soft_limit, slots_apart))


def _disagreements(
    metrics: NodeMetrics, sighting: Sighting, now: datetime, hard: int, soft: int | None, slots_apart: int
) -> Iterator[str]:
    if metrics.tip_slot is not None and sighting.tip_slot is not None:
        ahead = metrics.tip_slot - sighting.tip_slot
        if abs(ahead) > slots_apart:
            stale = "stale " if sighting.verdict is Verdict.STALE_TIP and ahead > 0 else ""
            yield (
                f"its metrics say slot {metrics.tip_slot}, the wire shows the {stale}tip {sighting.tip_slot}: "
                f"{abs(ahead)} slots apart"
            )
    if sighting.verdict in (Verdict.HANDSHAKE_TIMEOUT, Verdict.ANSWER_TIMEOUT):
        hanging = tell_hanging_apart(metrics, now, hard_limit=hard, soft_limit=soft)
        if hanging.cause is HangingCause.SATURATED:
            yield hanging.text
    age = _age(metrics, now)
    if age is not None and age < -CLOCKS_APART:
        yield f"says that it started {describe_span(-age)} from now: its clock or ours is wrong"
    elif age is not None and age < JUST_STARTED and sighting.verdict is not Verdict.OK:
        yield f"its node started {describe_span(max(age, timedelta()))} ago, and the wire says {sighting.verdict.value}"


def _age(metrics: NodeMetrics, now: datetime) -> timedelta | None:
    """Return how long the node has run, by its own clock against ours."""
    return None if metrics.started_at is None else timedelta(seconds=now.timestamp() - metrics.started_at)


def describe_span(span: timedelta) -> str:
    """Return a span of time as people say it: in its two largest units at most."""
    seconds = round(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
