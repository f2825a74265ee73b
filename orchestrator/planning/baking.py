"""What a look finds of the relays of a wish: who has failed, who has served out its bake, of whom that cannot be told. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.fleet.rollout import Failure, RolloutState
from orchestrator.planning.comparison import judge_bake
from orchestrator.planning.failing import why_failed
from orchestrator.planning.footing import Footing
from orchestrator.planning.look import Look
from orchestrator.planning.retries import GIVE_UP_AFTER
from orchestrator.planning.settling import bake_time, has_baked, has_measure, settle_relays
from orchestrator.planning.trust import Judgement
from orchestrator.planning.wish import fail_wish
from orchestrator.planning.wished import Wished, is_trusted


def note_failures(wished: Wished, footings: Mapping[str, Footing], judged: Judgement, look: Look) -> Wished:
    """Take note of relays that failed on the wish since the last look. What the fleet has proven is not to blame."""
    wished = _note_what_failed_before(wished, footings, judged, look)
    rollout = wished.rollout
    if not rollout.waves or rollout.state is RolloutState.COMPLETE or is_trusted(rollout):
        return wished
    failed = {
        name: why
        for name, footing in footings.items()
        if name not in rollout.failed
        if (why := why_failed(footing, wished.record.restarts.get(name), judged, look)) is not None
    }
    if failed:
        return fail_wish(wished, failed, footings, look, updated=True)
    if rollout.state is not RolloutState.RUNNING:
        return wished
    unstaged = {
        name: f"staging failed {attempt.failures} times, last: {attempt.error}"
        for name, footing in footings.items()
        # Who has nothing to run yet is given first what was proven, where there is such a thing: that is no fault of the wish.
        if footing.runs or footing.region not in rollout.good
        if (attempt := look.record.attempts.get((name, "stage"))) is not None and attempt.failures >= GIVE_UP_AFTER
    }
    return fail_wish(wished, unstaged, footings, look, updated=False) if unstaged else wished


def _note_what_failed_before(wished: Wished, footings: Mapping[str, Footing], judged: Judgement, look: Look) -> Wished:
    """Keep in mind that a relay fails on what it was updated to for an earlier wish: it may be wished for again."""
    record, proven = wished.record, set(wished.rollout.good.values())
    failures = dict(record.failures)
    for name, footing in footings.items():
        if footing.arrived or not footing.runs or footing.runs in proven or footing.runs in failures:
            continue
        earlier = replace(footing, wish=footing.runs)
        if (why := why_failed(earlier, record.restarts.get(name), judged, look)) is not None:
            version = look.record.bundles[footing.runs].version if footing.runs in look.record.bundles else ""
            failures[footing.runs] = Failure(footing.runs, version, name, why, look.now)
    return replace(wished, record=replace(record, failures=failures)) if failures != record.failures else wished


def judge_bakes(wished: Wished, waves: Sequence[Sequence[str]], footings: Mapping[str, Footing], look: Look) -> Wished:
    """Settle the relays whose bake is over; halt if one is worse than the others, pause if that cannot be told."""
    rollout = wished.rollout
    names = {name for wave in waves for name in wave}
    trusted = is_trusted(rollout) or rollout.state is RolloutState.COMPLETE  # then nobody waits for a verdict
    settling = dict(settle_relays(names, footings, wished.record, look, comparing=not trusted))
    worse: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    for name, found in settling.items():
        bake = None if trusted else bake_time(name, waves, rollout.canaries, look)
        leaves = name in rollout.failed or name in look.seen.in_flight  # or may: what it runs is not seen meanwhile
        if found.settled or leaves or not footings[name].healthy or not has_baked(found, bake, look):
            continue
        answer = judge_bake(found)
        vouched = name in rollout.vouched and answer.verdict == "inconclusive"
        # Where nothing was ever proven, those that do not serve are no measure.
        alone = not has_measure(name, footings, settling) or (not rollout.good and not found.compared)
        if bake is None or vouched or alone or answer.verdict == "no worse":
            settling[name] = replace(found, settled=True)
        elif answer.verdict == "inconclusive":
            doubtful[name] = answer.text
        elif answer.verdict == "worse" or look.now - found.since > bake + look.spec.rollout.progress_deadline:
            worse[name] = answer.text
    wished = replace(wished, record=replace(wished.record, settling=settling))
    if worse:
        return fail_wish(wished, worse, footings, look, updated=True)
    if doubtful and rollout.state is RolloutState.RUNNING:
        name, why = min(doubtful.items())
        because = f"inconclusive, {name}: {why}; `rollout resume` accepts it, `rollout rollback` goes back"
        wished = replace(wished, rollout=replace(wished.rollout, doubtful=frozenset(doubtful)))
        return wished.turn(RolloutState.PAUSED, because, "paused", look)
    return wished
