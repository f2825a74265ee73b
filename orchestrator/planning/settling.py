"""How updated relays come along: since when they serve, whether they got on, whether they have failed. Pure.

Nobody is given a flat time: a relay that replays and gets on is waited for; one without progress past the deadline has failed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median

from orchestrator.fleet.observation import UnitState, Verdict
from orchestrator.fleet.rollout import Restart, RolloutRecord, RolloutState, Settling
from orchestrator.planning.assess import may_serve
from orchestrator.planning.comparison import Signals, compare
from orchestrator.planning.footing import Footing
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health
from orchestrator.planning.wished import told_digest

MOST_DURATIONS = 50
"""How many restarts are remembered."""

LONGEST_BLINK, BLINK = 5, timedelta(seconds=30)
"""Between two looks there may be so many pauses and so much time; what is longer is not counted as served."""


def settle_relays(
    names: Collection[str], footings: Mapping[str, Footing], record: RolloutRecord, look: Look, *, comparing: bool
) -> Mapping[str, Settling]:
    """Return for these relays since when they serve on what is wanted, this look included.

    What could not be asked has neither served nor failed. `record` is what is kept by now, with what an operator has forgiven.
    `comparing`: whether they are measured by the others.
    """
    known = record.settling
    others = _list_others(names, footings, known)
    found = {}
    for name in names:
        settling = _settle(footings[name], known.get(name), look)
        if settling is None:
            continue
        begins = name not in known or known[name].digest != settling.digest
        if begins and told_digest(record, name) != settling.digest:  # nobody restarted it for this bake
            settling = replace(settling, restarts_before=footings[name].signals.restarts or 0)
        measured = footings[name].healthy and footings[name].facts is not None and name not in look.seen.in_flight
        if comparing and measured and not settling.settled:
            settling = compare(settling, footings[name].signals, others, look.spec.health)
        found[name] = settling
    return found


def list_others(names: Collection[str], footings: Mapping[str, Footing], look: Look) -> list[Signals]:
    """Return the signals of those that updated relays are measured by."""
    return _list_others(names, footings, look.record.rollout.settling)


def follow_restarts(footings: Mapping[str, Footing], look: Look) -> RolloutRecord:
    """Return the record with what restarted relays show of progress, and how long those took that serve again."""
    record = look.record.rollout
    done = record.current is not None and record.current.state is RolloutState.COMPLETE
    restarts: dict[str, Restart] = {}
    durations = list(record.durations)
    for name, before in sorted(record.restarts.items()):
        if name not in footings:
            continue
        footing = footings[name]
        if _was_never_begun(before, footing, look):
            continue
        if done and before.served_at and footing.healthy:
            restarts[name] = _rest(before)
            continue
        told = _mark(_skip_gap(before, look), footing, look)
        serves_again = told.served_at is None and footing.healthy and footing.runs == told.digest
        if serves_again and not (told.replaced or told.overlooked):
            durations.append((look.now - told.at).total_seconds())
        restarts[name] = replace(told, served_at=look.now) if serves_again else told
    return replace(record, restarts=restarts, durations=tuple(durations[-MOST_DURATIONS:]))


def _skip_gap(told: Restart, look: Look) -> Restart:
    """Take the time out in which nobody looked: neither slowness nor standing still can be told from it."""
    if told.served_at is not None:
        return told
    gap = _count_gap(told.seen_at or told.at, look)
    if not gap:
        return replace(told, seen_at=look.now)
    return replace(told, marked_at=(told.marked_at or told.at) + gap, seen_at=look.now, overlooked=True)


def _count_gap(seen_at: datetime, look: Look) -> timedelta:
    """Return the time since a look, if it is more than a pause or two."""
    unseen = look.now - seen_at
    return unseen if unseen > LONGEST_BLINK * look.spec.controller.look_every + BLINK else timedelta()


def _was_never_begun(told: Restart, footing: Footing, look: Look) -> bool:
    """Whether a relay serves on as what it was: the restart was put off, or its controller died before it."""
    busy = footing.name in look.seen.in_flight or footing.facts is None or footing.facts.working
    attempt = look.record.attempts.get((footing.name, "deploy"))
    tried = attempt is not None and attempt.last_at >= told.at
    elsewhere = bool(footing.runs) and footing.runs != told.digest
    return told.served_at is None and elsewhere and footing.healthy and not (busy or tried or told.replaced)


def has_measure(name: str, footings: Mapping[str, Footing], settling: Mapping[str, Settling]) -> bool:
    """Whether there is anybody, well or not, that a relay could be measured by: not yet updated, or proven."""
    return any(
        not footing.arrived or other not in settling or settling[other].settled
        for other, footing in footings.items()
        if other != name
    )


def gets_on(told: Restart, look: Look) -> bool:
    """Whether a relay was told to restart, or showed progress since, not too long ago."""
    return look.now - max(told.at, told.marked_at or told.at) <= look.spec.rollout.progress_deadline


def stays_down(footing: Footing, record: RolloutRecord, look: Look) -> bool:
    """Whether a relay is out, and nothing that it runs lets hope that it comes back: updating it costs nobody anything.

    One that is full of consumers is not out for them; one that hangs with nobody connected is. One that was on another chain before it was given what it runs is not
    mended by anything else either, so it is no measure of that.
    """
    if footing.view.health is not Health.UNHEALTHY or footing.name in look.seen.in_flight:
        return False
    told, sighting = record.restarts.get(footing.name), look.seen.sightings.get(footing.name)
    quarantine = look.record.evidence.quarantines.get(footing.name)
    if quarantine is not None:
        return told is None or quarantine.since >= told.at
    metrics = footing.facts.metrics if footing.facts is not None else None
    deserted = (
        sighting is not None and sighting.verdict is not Verdict.OK and metrics is not None and metrics.inbound == 0
    )
    stale = sighting is not None and sighting.verdict is Verdict.STALE_TIP
    comes = told is not None and told.served_at is None and told.digest == footing.runs and gets_on(told, look)
    return not comes and (stale or deserted or not may_serve(footing.name, look.seen, footing.facts))


def describe_span(span: timedelta) -> str:
    """Return a span in words."""
    seconds = span.total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def typical_restart(record: RolloutRecord, default: timedelta) -> timedelta:
    """Return how long a restart takes until the relay serves: the middle of those measured, else the default."""
    return timedelta(seconds=median(record.durations)) if record.durations else default


def _list_others(
    names: Collection[str], footings: Mapping[str, Footing], known: Mapping[str, Settling]
) -> list[Signals]:
    """Those not yet updated, or else those that have been updated and proven."""
    healthy = [footing for footing in footings.values() if footing.healthy]
    old = [footing.signals for footing in healthy if not footing.arrived]
    if old:
        return old
    proven = [f for f in healthy if f.name not in names or ((s := known.get(f.name)) is not None and s.settled)]
    return [footing.signals for footing in proven]


def _settle(footing: Footing, known: Settling | None, look: Look) -> Settling | None:
    if known is not None and known.digest != footing.wish:
        known = None
    unknown = footing.view.health is Health.UNKNOWN or footing.facts is None
    if unknown or footing.name in look.seen.in_flight:
        return known
    if not footing.arrived:
        return None
    if not footing.healthy:
        return replace(known, looks=0) if known is not None and known.settled else None
    settling = known or Settling(footing.wish, look.now)
    looks = min(settling.looks + 1, look.spec.rollout.healthy_looks)
    if settling.settled:
        return replace(settling, looks=looks)  # nothing is counted any more, so nothing else is to be kept
    gap = _count_gap(settling.seen_at or look.now, look)
    return replace(settling, looks=looks, since=settling.since + gap, seen_at=look.now)


def rest_restarts(record: RolloutRecord) -> RolloutRecord:
    """Forget what relays that serve showed while they were waited for: if one goes out again, what it shows is measured anew."""
    restarts = {name: _rest(told) if told.served_at is not None else told for name, told in record.restarts.items()}
    return replace(record, restarts=restarts)


def _rest(told: Restart) -> Restart:
    return told if not told.mark else replace(told, mark="", youngest_tip=None)


def _mark(told: Restart, footing: Footing, look: Look) -> Restart:
    """Note whether a restarted relay has got on since the last look."""
    if footing.facts is None:
        return told
    sighting = look.seen.sightings.get(footing.name)
    metrics = footing.facts.metrics
    percent = metrics.replay_percent if metrics is not None else None
    age = sighting.tip_age_seconds if sighting is not None else None
    # A tip that moves and stays as old as it was is no progress: only one that grows younger catches up.
    youngest = min((each for each in (age, told.youngest_tip) if each is not None), default=None)
    stopping = look.now.isoformat() if footing.facts.unit is UnitState.DEACTIVATING else ""
    shown = (
        f"{percent:.1f}" if percent is not None else "",
        f"{youngest:.0f}" if youngest is not None else "",
        stopping,
    )
    mark = " ".join(part for part in shown if part) or ("out" if told.served_at is not None else "")
    if footing.healthy and told.marked_at is not None and mark == told.mark:
        return replace(told, marked_at=look.now)  # it served just now: what goes wrong begins from here
    if not mark or mark == told.mark:
        return told
    return replace(told, mark=mark, marked_at=look.now, youngest_tip=youngest)


def bake_time(name: str, waves: Sequence[Sequence[str]], canaries: int, look: Look) -> timedelta | None:
    """Return how long a relay must serve to count; None if it need not be measured at all."""
    policy = look.spec.rollout
    return policy.canary_bake if canaries and waves and name in waves[0] else policy.bake


def has_baked(settling: Settling, bake: timedelta | None, look: Look) -> bool:
    """Whether a relay has served for long enough, and in enough looks."""
    served = look.now - settling.since >= (bake or timedelta())
    return served and settling.looks >= look.spec.rollout.healthy_looks
