"""From the fleet file's wish and the operators' orders to the rollout that is under way. Pure.

A wish is the digest of every region. Another wish supersedes an unfinished one at once; a wish that has failed before is halted
before it begins. Orders are taken up in the order in which they came, each once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from orchestrator.fleet.relay import Relay
from orchestrator.fleet.rollout import Failure, Rollout, RolloutEvent, RolloutRecord, RolloutState, Verb
from orchestrator.planning.canary import keep_canary
from orchestrator.planning.footing import UNBORN, Footing, lend_bundles
from orchestrator.planning.look import Look
from orchestrator.planning.orders import find_unheard_stop, hear_orders
from orchestrator.planning.plan import Health
from orchestrator.planning.waves import Links, plan_waves
from orchestrator.planning.wished import STOPPED, Wished, is_settled, is_trusted


def take_up_wish(footings: Mapping[str, Footing], links: Links, record: RolloutRecord, look: Look) -> Wished:
    """Return the rollout of what the fleet file asks for now: the one under way, or a new one."""
    wish = {footing.region: footing.wish for footing in footings.values()}
    target = hashlib.sha256("\n".join(sorted(set(wish.values()))).encode()).hexdigest()[:16]
    before = record.current
    unheard = find_unheard_stop(before, look)
    events: tuple[RolloutEvent, ...] = ()
    if before is not None:
        heard = hear_orders(Wished(before, record), footings, look)
        before, record, events = heard.rollout, heard.record, heard.events
        if before.target == target or _differ_in_regions_alone(before.wish, wish):
            lent = lend_bundles(before.good, look.record.bundles, look.spec)
            good = {**before.good, **{region: bundle.digest for region, bundle in lent.items()}}
            before = keep_canary(replace(before, target=target, good=good), footings, record, look)
            if _may_stage_again(before, record, look):
                record = replace(record, failures={d: f for d, f in record.failures.items() if not f.staging})
                again = Wished(replace(before, wish=wish), record, events)
                return again.turn(RolloutState.RUNNING, "", "retried", look)
            return Wished(_add_newcomers(replace(before, wish=wish), footings, links, look), record, events)
    started = _start(target, wish, before, footings, links, look)
    wished = Wished(started, record, events)
    if not started.waves:
        return wished
    if before is not None and before.state is not RolloutState.COMPLETE and before.waves:
        wished = wished.tell("superseded", f"{before.version} had come to: {before.state.value}", look)
    wished = wished.tell("started", f"{sum(map(len, started.waves))} relays in {len(started.waves)} waves", look)
    if before is not None and before.state is RolloutState.PAUSED and before.by and unheard is None:
        # A wish may be made by an edit, or by another controller's templates: neither is the word to go on that was asked for.
        wished = wished.turn(RolloutState.PAUSED, before.because, "paused", look, user=before.by)
    if unheard is not None:
        # Nobody was at work to hear it before: it may as well be meant for this wish.
        state = RolloutState.PAUSED if unheard.verb is Verb.PAUSE else RolloutState.HALTED
        said = f"by {unheard.user}: {unheard.reason}"
        wished = wished.turn(state, said, state.value, look, user=unheard.user)
    known = (record.failures[digest] for digest in wish.values() if digest in record.failures)
    failure = next((failure for failure in known if not failure.staging), None)
    if failure is None or is_trusted(started):
        return wished
    because = f"it failed before, on {failure.relay or 'staging'}: {failure.because}"
    return wished.turn(RolloutState.HALTED, because, "halted", look)


def _differ_in_regions_alone(before: Mapping[str, str], wish: Mapping[str, str]) -> bool:
    """Whether the wish is the same wherever both know a region: regions that come and go are no other wish."""
    shared = before.keys() & wish.keys()
    return bool(shared) and all(before[region] == wish[region] for region in shared)


def _may_stage_again(rollout: Rollout, record: RolloutRecord, look: Look) -> bool:
    """Whether a rollout halted because staging failed, and an operator's new apply has had those failures forgotten.

    Nothing was disturbed then, so that word is enough: whoever made room on a disk, or mended an address, need not say more.
    """
    wish = set(rollout.wish.values())
    staged = any(failure.staging for digest, failure in record.failures.items() if digest in wish)
    tried = any(intent == "stage" for _, intent in look.record.attempts)
    return rollout.state is RolloutState.HALTED and not rollout.by and staged and not rollout.failed and not tried


def _start(
    target: str,
    wish: Mapping[str, str],
    before: Rollout | None,
    footings: Mapping[str, Footing],
    links: Links,
    look: Look,
) -> Rollout:
    good = _find_good(before, footings, look)
    ahead = _list_ahead(footings, good, look)
    behind = [f for f in footings.values() if not f.arrived and f.name not in ahead and (f.runs or _may_run(f))]
    if behind:  # who has nothing to run until then, and nothing to lose, goes along
        behind += [f for f in footings.values() if _is_bare(f, good) and f.name not in ahead]
    started = Rollout(
        target=target,
        version=look.spec.release,
        started_at=look.now,
        state=RolloutState.RUNNING,
        wish=wish,
        good=good,
        heard=before.heard if before is not None else _newest(look),
    )
    failed = {f.name for f in behind if f.runs in look.record.rollout.failures}
    down = {f.name for f in behind if f.view.health is Health.UNHEALTHY}
    whole = _count_relays(look)
    relays = [_slot_of(footing) for footing in behind]
    wanted = 0 if is_trusted(started) else look.spec.rollout.canaries
    policy = look.spec.rollout.model_copy(update={"canaries": max(0, wanted - len(ahead))})
    waves = plan_waves(relays, whole, links, failed or down, policy)
    if waves and ahead:
        waves = (tuple(sorted((*ahead, *waves[0]))), *waves[1:]) if policy.canaries else (ahead, *waves)
    return replace(started, waves=waves, canaries=1 if waves and wanted else 0)


def _list_ahead(footings: Mapping[str, Footing], good: Mapping[str, str], look: Look) -> tuple[str, ...]:
    """Name the relays that run the wish already, or are out for it, since an earlier time that it was wished for, and have not shown that it works."""
    settling, told = look.record.rollout.settling, look.record.rollout.restarts
    shown = {n for n, f in footings.items() if is_settled(n, settling) and settling[n].digest == f.wish}
    shown |= {n for n, f in footings.items() if good.get(f.region) == f.wish}
    begun = {n for n, f in footings.items() if n in told and told[n].digest == f.wish and not f.healthy}
    return tuple(sorted(n for n, f in footings.items() if (f.arrived or n in begun) and n not in shown))


def _add_newcomers(rollout: Rollout, footings: Mapping[str, Footing], links: Links, look: Look) -> Rollout:
    """Give relays that came meanwhile waves of their own after the others: on what was trusted then, or with nothing to run.

    Where there are none, nothing ran when it was wished for; what was started since on something else is as careful a matter.
    """
    waved = {name for wave in rollout.waves for name in wave}
    newcomers = [f for f in footings.values() if f.runs and not f.arrived and f.name not in waved]
    if rollout.waves or newcomers:
        newcomers += [f for f in footings.values() if _is_bare(f, rollout.good) and f.name not in waved]
    if not newcomers or rollout.state is RolloutState.COMPLETE:
        return rollout
    policy = look.spec.rollout
    if rollout.waves or is_trusted(rollout):
        policy = policy.model_copy(update={"canaries": 0})
    more = plan_waves([_slot_of(f) for f in newcomers], _count_relays(look), links, (), policy)
    canaries = rollout.canaries if rollout.waves else min(policy.canaries, 1)
    return replace(rollout, waves=(*rollout.waves, *more), canaries=canaries)


def _slot_of(footing: Footing) -> Relay:
    return Relay(footing.name, footing.region, int(footing.name.rpartition("-")[2]))


def _count_relays(look: Look) -> Mapping[str, int]:
    return {region: look.spec.relay_count(region) for region in look.spec.regions}


def _may_run(footing: Footing) -> bool:
    """Whether something may run on a relay that could not be asked what."""
    return footing.facts is None and footing.view.phase not in UNBORN


def _is_bare(footing: Footing, good: Mapping[str, str]) -> bool:
    """Whether nothing runs on a relay, and nothing is proven that it could start with."""
    return not footing.runs and not _may_run(footing) and footing.region not in good


def _find_good(before: Rollout | None, footings: Mapping[str, Footing], look: Look) -> Mapping[str, str]:
    """Return what the fleet had proven last: the wish before, if it was completed, else what that one would have gone back to."""
    if before is None:
        return {}
    proven = before.state is RolloutState.COMPLETE or (not before.good and _serves_mostly(before.wish, footings))
    good = before.wish if proven else before.good
    known = {region: digest for region, digest in good.items() if digest in look.record.bundles}
    lent = lend_bundles(known, look.record.bundles, look.spec)
    return {**known, **{region: bundle.digest for region, bundle in lent.items()}}


def _serves_mostly(wish: Mapping[str, str], footings: Mapping[str, Footing]) -> bool:
    """Whether most of the fleet serves with a wish: one alone may be a probe's mistake, or have been its canary."""
    return 2 * sum(f.healthy and f.runs in wish.values() for f in footings.values()) > len(footings)


def _newest(look: Look) -> int:
    return look.record.orders[-1].number if look.record.orders else 0


def fail_wish(
    wished: Wished, failed: Mapping[str, str], footings: Mapping[str, Footing], look: Look, *, updated: bool
) -> Wished:
    """Return the rollout after relays have failed: halted, or on its way back; what failed is kept in mind.

    `updated` is False for those that failed before anything was disturbed, and so have nothing to go back from.
    """
    rollout, record = wished.rollout, wished.record
    relay, because = min(failed.items())
    version = rollout.version
    failures = {
        footings[name].wish: Failure(footings[name].wish, version, name, why, look.now, staging=not updated)
        for name, why in failed.items()
    }
    kept = replace(record, failures={**record.failures, **failures})
    wished = replace(wished, record=kept)
    if updated:
        wished = replace(wished, rollout=replace(rollout, failed={**rollout.failed, **failed}))
    for name, why in sorted(failed.items()):
        wished = wished.tell("failed", f"{name}: {why}", look)
    if rollout.state in STOPPED:
        return wished
    text = f"{relay}: {because}"
    if updated and look.spec.rollout.on_failure == "rollback" and rollout.good:
        return wished.turn(RolloutState.ROLLING_BACK, text, "rolling back", look)
    return wished.turn(RolloutState.HALTED, text, "halted", look)
