"""Whether an updated relay has failed on what it was given, and for what. Pure.

What was wrong before, or is not known, is not held against a release; one that gets on is waited for, however long it takes.
"""

from __future__ import annotations

from statistics import median

from orchestrator.fleet.observation import UnitState
from orchestrator.fleet.rollout import Restart
from orchestrator.planning.footing import UNBORN, Footing
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.retries import GIVE_UP_AFTER
from orchestrator.planning.settling import describe_span
from orchestrator.planning.trust import Judgement, Stand

MOST_RESTARTS = 3
"""A node that was restarted by itself so often since it was updated does not stay up."""

FEW_DURATIONS = 3
"""From so many restarts on there is something to compare a duration with."""

GETTING_ON = (Phase.DEPLOYING, Phase.SYNCING, Phase.QUARANTINED)
"""Phases of a relay whose node was told to run and does not serve."""


def why_failed(footing: Footing, told: Restart | None, judged: Judgement, look: Look) -> str | None:
    """Return why a relay has failed on what it was updated to; None if it has not, or if that is not known."""
    if told is None or told.digest != footing.wish or footing.name in look.seen.in_flight:
        return None
    attempt = look.record.attempts.get((footing.name, "deploy"))
    if attempt is not None and attempt.failures >= GIVE_UP_AFTER and attempt.last_at >= told.at:
        return f"deploying it failed {attempt.failures} times, last: {attempt.error}"
    awaited = look.now - max(told.at, told.marked_at or told.at)
    if told.replaced and footing.view.phase in UNBORN and awaited > 2 * look.spec.rollout.boot_deadline:
        return f"its new instance does not come up since {describe_span(look.now - told.at)}: {footing.view.reason}"
    if footing.facts is None or not footing.arrived:
        return None
    verdict = judged.verdicts.get(footing.name)
    if verdict is not None and verdict.stand is Stand.OTHER_NETWORK:
        return verdict.text
    if (forked := _why_forked(footing, told, judged)) is not None:
        return forked
    if (alone := _why_split_off(footing, judged)) is not None:
        return alone
    if footing.facts.unit is UnitState.FAILED:
        return f"its node does not start: {footing.facts.detail or footing.view.reason}"
    if not footing.healthy and (footing.facts.restarts or 0) >= MOST_RESTARTS:
        return f"its node was restarted {footing.facts.restarts} times and does not stay up: {footing.facts.detail or footing.view.reason}"
    agreeing = (held := judged.quarantines.get(footing.name)) is not None and held.agreeing_since is not None
    return _why_too_slow(told, look) or (None if agreeing else _why_stuck(footing, told, look))


def _why_forked(footing: Footing, told: Restart, judged: Judgement) -> str | None:
    """Return how a relay left the chain since it was restarted: what lay in its database before is not the release's doing."""
    quarantine, suspicion = judged.quarantines.get(footing.name), judged.evidence.suspicions.get(footing.name)
    if quarantine is None or quarantine.since < told.at or (suspicion is not None and suspicion.since < told.at):
        return None
    return footing.view.reason if footing.view.phase is Phase.QUARANTINED else quarantine.evidence


def _why_split_off(footing: Footing, judged: Judgement) -> str | None:
    """Return the split that leaves a relay on a side without any partner, while partners are on another one."""
    mine = next((side for side in judged.sides if footing.name in side.relays), None)
    others = [side for side in judged.sides if side.partners]
    if mine is None or mine.partners or len(others) != 1:
        return None  # where no partner, or partners themselves are split, the release is not to blame
    with_partners = ", ".join(others[0].partners)
    own = f", with {mine.point.short} on its own" if mine.point is not None else ""
    return f"it is on another chain than {with_partners} and {len(others[0].relays)} of our relays{own}"


def _why_too_slow(told: Restart, look: Look) -> str | None:
    times, before = look.spec.rollout.slowest_restart, look.record.rollout.durations
    if times is None or told.replaced or told.overlooked or len(before) < FEW_DURATIONS:
        return None
    if told.served_at != look.now:
        return (
            None  # judged in the look that saw it serve: who was in time does not become slow by quicker ones after it
        )
    usual, took = max(median(before), 1.0), (told.served_at - told.at).total_seconds()
    if took <= times * usual:
        return None
    return f"it took {took:.0f} s until it served, {took / usual:.0f} times as long as {len(before)} restarts before ({usual:.0f} s)"


def _why_stuck(footing: Footing, told: Restart, look: Look) -> str | None:
    if footing.view.health is not Health.UNHEALTHY or footing.view.phase not in GETTING_ON:
        return None
    still = look.now - max(told.at, told.marked_at or told.at)
    if still <= look.spec.rollout.progress_deadline:
        return None
    since = describe_span(look.now - told.at)
    return f"it was updated {since} ago and shows no progress for {describe_span(still)}: {footing.view.reason}"
