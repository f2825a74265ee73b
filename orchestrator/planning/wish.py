"""From the fleet file's wish and the operators' orders to the rollout that is under way. Pure.

A wish is the digest of every region. Another wish supersedes an unfinished one at once; a wish that has failed before is halted
before it begins. Orders are taken up in the order in which they came, each once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from orchestrator.fleet.relay import Relay
from orchestrator.fleet.rollout import Failure, Order, Rollout, RolloutEvent, RolloutRecord, RolloutState, Verb
from orchestrator.planning.footing import UNBORN, Footing, lend_bundles
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health
from orchestrator.planning.waves import Links, plan_waves

BACKWARD = (RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK)

STOPPED = (RolloutState.HALTED, *BACKWARD)
"""States in which nobody further is updated until somebody says so."""


@dataclass(frozen=True, slots=True)
class Wished:
    """The rollout of the present wish, and what became of it in this look."""

    rollout: Rollout
    record: RolloutRecord
    """Everything else that is kept."""
    events: tuple[RolloutEvent, ...] = field(default=())

    def turn(self, state: RolloutState, because: str, what: str, look: Look, *, user: str = "") -> Wished:
        """Return it in another state, with the event that tells so."""
        rollout = replace(self.rollout, state=state, because=because, since=look.now)
        return replace(self, rollout=rollout).tell(what, because, look, user=user)

    def tell(self, what: str, text: str, look: Look, *, user: str = "") -> Wished:
        """Return it with one more event."""
        event = RolloutEvent(look.now, self.rollout.target, self.rollout.version, what, text, user)
        return replace(self, events=(*self.events, event))


def take_up_wish(footings: Mapping[str, Footing], links: Links, record: RolloutRecord, look: Look) -> Wished:
    """Return the rollout of what the fleet file asks for now: the one under way, or a new one."""
    wish = {footing.region: footing.wish for footing in footings.values()}
    target = hashlib.sha256("\n".join(sorted(set(wish.values()))).encode()).hexdigest()[:16]
    before = record.current
    unheard = _newest_stop(before, look)
    events: tuple[RolloutEvent, ...] = ()
    if before is not None:
        heard = _hear_orders(Wished(before, record), look)
        before, record, events = heard.rollout, heard.record, heard.events
        if before.target == target or _differ_in_regions_alone(before.wish, wish):
            lent = lend_bundles(before.good, look.record.bundles, look.spec)
            good = {**before.good, **{region: bundle.digest for region, bundle in lent.items()}}
            before = _keep_canary(replace(before, target=target, good=good), footings)
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
    return rollout.state is RolloutState.HALTED and staged and not rollout.failed and not tried


def _keep_canary(rollout: Rollout, footings: Mapping[str, Footing]) -> Rollout:
    """Let another relay be the canary if the fleet file no longer asks for the one that was, before it had proven anything."""
    waves = list_wanted_waves(rollout, footings)
    if not rollout.canaries or not waves or waves[0] or any(footings[n].arrived for wave in waves for n in wave):
        return rollout
    rest = [list(wave) for wave in waves if wave]
    if not rest:
        return rollout
    canary = rest[0].pop(0)
    return replace(rollout, waves=((canary,), *(tuple(wave) for wave in rest if wave)))


def _newest_stop(before: Rollout | None, look: Look) -> Order | None:
    """Return the newest order, if nobody has taken it up yet and it is one to stop."""
    newest = look.record.orders[-1] if look.record.orders else None
    if newest is None or before is None or newest.number <= before.heard:
        return None
    return newest if newest.verb in (Verb.PAUSE, Verb.HALT) else None


def is_trusted(rollout: Rollout) -> bool:
    """Whether the wish is what the fleet had proven before: the way back needs no canary."""
    return bool(rollout.good) and all(rollout.good.get(region) == digest for region, digest in rollout.wish.items())


def list_wanted_waves(rollout: Rollout, footings: Mapping[str, Footing]) -> tuple[tuple[str, ...], ...]:
    """Return the waves without relays that the fleet file no longer asks for; a wave may be empty."""
    return tuple(tuple(name for name in wave if name in footings) for wave in rollout.waves)


def _start(
    target: str,
    wish: Mapping[str, str],
    before: Rollout | None,
    footings: Mapping[str, Footing],
    links: Links,
    look: Look,
) -> Rollout:
    good = _find_good(before, footings, look)
    behind = [f for f in footings.values() if not f.arrived and (f.runs or _may_run(f))]
    if behind:  # who has nothing to run until then, and nothing to lose, goes along
        behind += [f for f in footings.values() if not f.runs and not _may_run(f) and f.region not in good]
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
    trusted = is_trusted(started)
    policy = look.spec.rollout.model_copy(update={"canaries": 0}) if trusted else look.spec.rollout
    waves = plan_waves(relays, whole, links, failed or down, policy)
    return replace(started, waves=waves, canaries=1 if waves and policy.canaries else 0)


def _add_newcomers(rollout: Rollout, footings: Mapping[str, Footing], links: Links, look: Look) -> Rollout:
    """Give relays that were launched meanwhile, on what was trusted then, waves of their own after the others."""
    waved = {name for wave in rollout.waves for name in wave}
    newcomers = [f for f in footings.values() if f.runs and not f.arrived and f.name not in waved]
    if not newcomers or not rollout.waves or rollout.state is RolloutState.COMPLETE:
        return rollout
    policy = look.spec.rollout.model_copy(update={"canaries": 0})
    more = plan_waves([_slot_of(f) for f in newcomers], _count_relays(look), links, (), policy)
    return replace(rollout, waves=(*rollout.waves, *more))


def _slot_of(footing: Footing) -> Relay:
    return Relay(footing.name, footing.region, int(footing.name.rpartition("-")[2]))


def _count_relays(look: Look) -> Mapping[str, int]:
    return {region: look.spec.relay_count(region) for region in look.spec.regions}


def _may_run(footing: Footing) -> bool:
    """Whether something may run on a relay that could not be asked what."""
    return footing.facts is None and footing.view.phase not in UNBORN


def _find_good(before: Rollout | None, footings: Mapping[str, Footing], look: Look) -> Mapping[str, str]:
    """Return what the fleet had proven last: the wish before, if it was completed, else what that one would have gone back to."""
    if before is None:
        return {}
    serving = {footing.runs for footing in footings.values() if footing.healthy}
    proven = before.state is RolloutState.COMPLETE or (not before.good and serving & set(before.wish.values()))
    good = before.wish if proven else before.good
    known = {region: digest for region, digest in good.items() if digest in look.record.bundles}
    lent = lend_bundles(known, look.record.bundles, look.spec)
    return {**known, **{region: bundle.digest for region, bundle in lent.items()}}


def _newest(look: Look) -> int:
    return look.record.orders[-1].number if look.record.orders else 0


# --- orders ----------------------------------------------------------------------------------------------------------


def _hear_orders(wished: Wished, look: Look) -> Wished:
    for order in look.record.orders:
        if order.number > wished.rollout.heard:
            wished = _obey(wished, order, look)
            wished = replace(wished, rollout=replace(wished.rollout, heard=order.number))
    return wished


def _obey(wished: Wished, order: Order, look: Look) -> Wished:
    rollout, state = wished.rollout, wished.rollout.state
    said = f"{order.user}: {order.reason}"
    match order.verb:
        case Verb.PAUSE if state is RolloutState.RUNNING:
            return wished.turn(RolloutState.PAUSED, f"by {said}", "paused", look, user=order.user)
        case Verb.HALT if state in (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.ROLLING_BACK):
            return wished.turn(RolloutState.HALTED, f"by {said}", "halted", look, user=order.user)
        case Verb.RESUME if state is RolloutState.PAUSED:
            vouched = rollout.vouched | rollout.doubtful
            wished = replace(wished, rollout=replace(rollout, vouched=vouched, doubtful=frozenset()))
            return _go_on(wished, "resumed", order, look)
        case Verb.RESUME if state in STOPPED:
            return _go_on(_forgive(wished, frozenset(rollout.failed)), "resumed", order, look)
        case Verb.RETRY if state is not RolloutState.COMPLETE:
            lifts = state is RolloutState.HALTED and _was_to_blame(order.relay, wished)
            forgiven = _forgive(wished, frozenset({order.relay}))
            if lifts and not forgiven.rollout.failed:
                return _go_on(forgiven, "retried", order, look)
            return forgiven.tell("retried", f"{order.relay}, by {said}", look, user=order.user)
        case Verb.ROLLBACK if state not in BACKWARD and rollout.good and not is_trusted(rollout):
            return wished.turn(RolloutState.ROLLING_BACK, f"by {said}", "rolling back", look, user=order.user)
        case _:
            return wished


def _was_to_blame(relay: str, wished: Wished) -> bool:
    """Whether a relay's failure is what halted the rollout, so that trying it again lifts the halt."""
    rollout, wish = wished.rollout, set(wished.rollout.wish.values())
    staged = {f.relay for digest, f in wished.record.failures.items() if digest in wish and f.staging}
    return relay in rollout.failed or relay in staged


def _go_on(wished: Wished, what: str, order: Order, look: Look) -> Wished:
    wished = wished.turn(RolloutState.RUNNING, f"by {order.user}: {order.reason}", what, look, user=order.user)
    return replace(wished, rollout=replace(wished.rollout, because=""))


def _forgive(wished: Wished, relays: frozenset[str]) -> Wished:
    """Let these relays, and what failed on them, be tried again."""
    rollout, record = wished.rollout, wished.record
    failed = {name: because for name, because in rollout.failed.items() if name not in relays}
    wish = set(rollout.wish.values())
    kept = {digest: failure for digest, failure in record.failures.items() if digest not in wish}
    restarts = {name: told for name, told in record.restarts.items() if name not in relays}
    settling = {name: found for name, found in record.settling.items() if name not in relays}
    return replace(
        wished,
        rollout=replace(rollout, failed=failed),
        record=replace(record, failures=record.failures if failed else kept, restarts=restarts, settling=settling),
    )


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
