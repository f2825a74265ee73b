"""Look, plan, check, start, look again: the rounds that `apply` runs until there is nothing left to do or only holds.

Level-triggered: every round begins with a fresh look, so it does not matter what an earlier round, or an earlier
controller, left half done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from orchestrator.errors import NotOurStore, PlanRefused
from orchestrator.execution.execute import Executor, Hands
from orchestrator.execution.forgetting import forget_what_nobody_needs
from orchestrator.execution.observe import Eyes, highest_token, observe_confirmations, observe_fleet, update_missed
from orchestrator.execution.ports import ClockPort, StorePort
from orchestrator.fleet.observation import HostFacts, InFlight, Observation
from orchestrator.fleet.record import FleetRecord, LaunchIntent, Lease, Pin
from orchestrator.planning.checks import why_unsafe
from orchestrator.planning.look import GONE, Look, Wanted
from orchestrator.planning.plan import Plan
from orchestrator.planning.reconcile import plan_fleet

LEAST_REST = 4
"""After the slowest of rounds, one in so many parts of the usual time passes before the next."""

IDLE: Mapping[str, InFlight] = MappingProxyType({})


class Ending(StrEnum):
    """How an apply ended."""

    CONVERGED = "converged"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Round:
    """One look, the plan made from it, and every reason to refuse that plan."""

    look: Look
    plan: Plan
    refusals: tuple[str, ...]


def look_and_plan(
    eyes: Eyes,
    store: StorePort,
    clock: ClockPort,
    wanted: Wanted,
    in_flight: Mapping[str, InFlight] = IDLE,
    confirmed: frozenset[str] = frozenset(),
    *,
    afresh: bool = False,
    pin: Pin | None = None,
) -> Round:
    """Look once and plan; starts nothing and writes nothing. `confirmed` are confirmations not on record yet.

    `afresh` plans as if nothing had failed before: an operator asks for another try of what was given up. `pin` plans as
    if this were the operator's word already.
    """
    record = store.load()
    if confirmed:
        record = replace(record, confirmed_retirements=record.confirmed_retirements | confirmed)
    if afresh:
        record = replace(record, attempts={})
    if pin is not None:
        record = replace(record, pin=pin)
    seen = observe_fleet(eyes, wanted.spec, record, in_flight)
    look = Look(wanted, seen, record, clock.now())
    plan = plan_fleet(look)
    return Round(look, plan, why_unsafe(plan, wanted.spec, seen, record))


def why_not_ours(seen: Observation, record: FleetRecord) -> str | None:
    """Return why this controller may only read: another store's name in an instance's tag or on the host itself."""
    owners = list_owners(seen)
    others = sorted({store for stores in owners.values() for store in stores} - {record.store_id})
    if not others:
        return None
    count = sum(1 for stores in owners.values() if stores - {record.store_id})
    whose = f"{count} instance{'s' if count > 1 else ''} of fleet {record.fleet} belong{'' if count > 1 else 's'}"
    return f"{whose} to store {', '.join(others)}, this one is {record.store_id}"


def list_owners(seen: Observation) -> Mapping[str, frozenset[str]]:
    """Return the stores that each living instance names, in its tag or in the marker on the host; one, when all is well."""
    return {
        instance.instance_id: frozenset(
            {instance.store_id, host.store_id if isinstance(host, HostFacts) else ""} - {""}
        )
        for instance in seen.cloud.instances
        if instance.state not in GONE
        for host in (seen.hosts.get(instance.instance_id),)
    }


def require_ours(seen: Observation, record: FleetRecord) -> None:
    """Raise NotOurStore unless every instance was launched from this store."""
    quarrel = why_not_ours(seen, record)
    if quarrel is not None:
        raise NotOurStore(
            f"{quarrel}; nothing is changed",
            next_step="use that store (controller.store in the fleet file), or take the fleet over with `genesis-fleet adopt`",
        )


def require_safe(found: Round) -> None:
    """Raise PlanRefused if the plan does what no plan may do unasked."""
    if found.refusals:
        raise PlanRefused(
            "; ".join(found.refusals), next_step="correct the fleet file, or give the confirmation named above"
        )


def run_until_settled(
    eyes: Eyes,
    hands: Hands,
    wanted: Wanted,
    lease: Lease,
    executor: Executor,
    report: Callable[[Round, Mapping[str, InFlight]], None],
) -> tuple[Ending, Round]:
    """Run rounds until the fleet has converged, or only holds remain that time alone will not end."""
    while True:
        began, ended = hands.clock.now(), executor.ended()
        found, ending = run_round(eyes, hands, wanted, lease, executor)
        report(found, executor.in_flight())
        if ending is not None:
            return ending, found
        pause = rest_after(hands.clock.now() - began, wanted.spec.controller.look_every)
        hands.clock.wait(pause.total_seconds(), until=lambda ended=ended: executor.ended() != ended)  # type: ignore[misc]


def run_round(
    eyes: Eyes, hands: Hands, wanted: Wanted, lease: Lease, executor: Executor
) -> tuple[Round, Ending | None]:
    """Look, plan, keep what was seen, start what is to be done; an ending if nothing is left that time alone brings on."""
    hands.background.raise_failures()
    in_flight = executor.in_flight()
    found = look_and_plan(eyes, hands.store, hands.clock, wanted, in_flight)
    hands.store.check_lease(lease, hands.clock.now())
    require_ours(found.look.seen, found.look.record)
    require_safe(found)
    confirmed = _save_what_was_seen(eyes, hands, executor, found.look)
    heard = newest_heard(found)
    if save_evidence(hands.store, found) and save_rollout(hands.store, found):
        # Who leaves the names leaves them first: what stops a node waits until the zone was seen without it.
        executor.start_names(found.plan.names.changes if found.plan.names is not None else ())
        executor.start(found.plan.actions, heard)
    idle = found.plan.nothing_to_do and not hands.background.busy() and not confirmed
    if idle and not any(hold.passes for hold in found.plan.holds) and hands.store.newest_order() <= heard:
        hands.background.raise_failures()  # of what ended since this round began
        return found, (Ending.HELD if found.plan.holds else Ending.CONVERGED)
    return found, None


def newest_heard(found: Round) -> int:
    """Return the number of the newest order that this round knew of."""
    return found.look.record.orders[-1].number if found.look.record.orders else 0


def rest_after(took: timedelta, look_every: timedelta) -> timedelta:
    """Return how long to wait after a round that took so long; hosts that are slow to tell are not asked without a rest."""
    return max(look_every - took, look_every / LEAST_REST)


def save_evidence(store: StorePort, found: Round) -> bool:
    """Keep what this look saw of the chain, and who left the names. False if another look wrote meanwhile: then nothing is begun."""
    unchanged = found.plan.evidence == found.look.record.evidence
    return unchanged or store.save_evidence(found.plan.evidence, found.look.record.evidence)


def save_rollout(store: StorePort, found: Round) -> bool:
    """Keep how far the rollout is, before any effect that rests on it. False if the record has changed since this look."""
    rollout, record = found.plan.rollout, found.look.record
    if rollout is None or not has_rollout_news(found):
        return True
    return store.save_rollout(rollout.record, record.rollout, rollout.bundles, rollout.events)


def has_rollout_news(found: Round) -> bool:
    """Whether a look has found of the rollout what is not kept yet: an apply that has nothing else to do keeps it, too."""
    rollout, record = found.plan.rollout, found.look.record
    if rollout is None:
        return False
    unchanged = rollout.record == record.rollout and dict(rollout.bundles) == dict(record.bundles)
    return bool(rollout.events) or not unchanged


def save_points(store: StorePort, found: Round) -> None:
    """Keep what a look without the lease saw of the chain: who is quarantined and published is the holder's word alone."""
    before, seen = found.look.record.evidence, found.plan.evidence
    noted = replace(before, points=seen.points, suspicions=seen.suspicions, releases=seen.releases)
    if noted != before:
        store.save_evidence(noted, before)


def acquire(hands: Hands, holder: str, seen: Observation, wanted: Wanted) -> Lease:
    """Take the lease with a token above whatever store and hosts have seen. Raises LeaseHeld."""
    now = hands.clock.now()
    return hands.store.acquire_lease(holder, now, now + wanted.spec.controller.lease, highest_token(seen))


def _save_what_was_seen(eyes: Eyes, hands: Hands, executor: Executor, look: Look) -> bool:
    """Save what later looks cannot see: what launches came to, since when hosts are missed, which keys were seen at work."""
    for intent in _answered_launches(look):
        hands.store.save_intent(intent)
    missed = update_missed(look.seen, look.record, look.now)
    if missed != look.record.missed_since:
        hands.store.save_missed(missed)
    if look.record.magic is None:
        hands.store.save_magic(look.spec.network.magic)
    confirmed = observe_confirmations(eyes.hosts, look.seen, look.spec, look.record)
    for identity in confirmed:
        hands.store.save_identity(identity)
    forget_what_nobody_needs(hands.store, look, confirmed)
    for instance in look.seen.cloud.instances:
        known = look.record.identities.get(instance.instance_id)
        if known is not None and instance.host_key is None and instance.state not in GONE:
            executor.save_tag(instance, known.public_key)
    return bool(confirmed)


def _answered_launches(look: Look) -> list[LaunchIntent]:
    """Complete the intents whose call was never answered, though the instance with their token is there, or was."""
    by_token = {i.launch_token: i.instance_id for i in look.seen.cloud.instances if i.launch_token}
    return [
        replace(intent, instance_id=by_token[intent.token])
        for intent in look.record.intents
        if intent.instance_id is None and intent.refused is None and intent.token in by_token
    ]
