"""Derives where each relay is in its life from one observation. Pure; plans nothing.

Order matters and reads from the outside in: is there an instance, does the cloud say it lives, does the host answer,
is it prepared, staged, deployed, does the node run, does the wire say that it serves. The first thing that is missing
names the phase.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.fleet.generations import follows
from orchestrator.fleet.observation import (
    HostFacts,
    Instance,
    InstanceState,
    Observation,
    Sighting,
    UnitState,
    Unreachable,
    Unreadable,
    Verdict,
    WrongHostKey,
)
from orchestrator.fleet.relay import Relay
from orchestrator.planning.look import GONE, Look
from orchestrator.planning.plan import Health, Phase, RelayView
from orchestrator.planning.silence import is_identified, why_dead, why_keys_disagree

MAY_SERVE = (Verdict.OK, Verdict.STALE_TIP, Verdict.HANDSHAKE_TIMEOUT, Verdict.ANSWER_TIMEOUT)
"""Verdicts behind which consumers may hang. A saturated relay is the busiest of all, and never finishes a handshake."""

_View = Callable[[Phase, Health, str], RelayView]

STOPPED = (UnitState.ABSENT, UnitState.INACTIVE, UnitState.FAILED)
"""States of a unit whose node does not run and is not about to."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A relay with the instances that carry its name, newest generation first."""

    relay: Relay
    instances: tuple[Instance, ...]
    """But for a successor."""
    successor: Instance | None = None
    """A newer instance of another kind that waits until the current one has been stopped for it."""

    @property
    def current(self) -> Instance | None:
        """The instance that stands for the relay: the newest generation's, unless that one is only to follow it."""
        return self.instances[0] if self.instances else None


def list_slots(relays: Sequence[Relay], look: Look) -> tuple[Slot, ...]:
    """Match instances to relays. Among equals of one generation the one that the record knows comes first."""
    known = {intent.instance_id for intent in look.record.intents}
    present: dict[str, list[Instance]] = {}
    for instance in look.seen.cloud.instances:
        if instance.state not in GONE:
            present.setdefault(instance.relay, []).append(instance)

    def newest_first(instance: Instance) -> tuple[int, bool, datetime, str]:
        return -instance.generation, instance.instance_id not in known, instance.launched_at, instance.instance_id

    return tuple(_make_slot(relay, sorted(present.get(relay.name, ()), key=newest_first), look) for relay in relays)


def _make_slot(relay: Relay, newest_first: Sequence[Instance], look: Look) -> Slot:
    """Let an older instance stand while a newer one of another kind only waits to follow it."""
    newest = newest_first[0] if newest_first else None
    standing = next(
        (i for i in newest_first[1:] if newest is not None and follows(newest, i) and _still_stands(i, look)), None
    )
    if standing is None:
        return Slot(relay, tuple(newest_first))
    others = (i for i in newest_first if i is not standing and i is not newest)
    return Slot(relay, (standing, *others), successor=newest)


def _still_stands(instance: Instance, look: Look) -> bool:
    """Whether an instance has neither died nor been stopped on purpose."""
    if instance.state is not InstanceState.RUNNING or why_dead(instance, look) is not None:
        return False
    facts = look.seen.hosts.get(instance.instance_id)
    return not isinstance(facts, HostFacts) or facts.unit not in STOPPED


def assess_relay(slot: Slot, look: Look) -> RelayView:
    """Return this relay's view, without what depends on rendered files (see `reconcile`)."""
    relay, instance = slot.relay, slot.current

    def view(phase: Phase, health: Health, reason: str) -> RelayView:
        address = instance.address if instance else None
        return RelayView(relay.name, relay.region, phase, health, reason, instance, address)

    if (silent := look.seen.cloud.silent_regions.get(relay.region)) is not None:
        return view(Phase.UNKNOWN, Health.UNKNOWN, f"the cloud does not answer for {relay.region}: {silent}")
    if instance is None:
        return view(Phase.ABSENT, Health.UNHEALTHY, "has no instance")
    if (death := why_dead(instance, look)) is not None:
        return view(Phase.DEAD, Health.UNHEALTHY, death)
    if instance.state is InstanceState.PENDING:
        return view(Phase.LAUNCHING, Health.UNHEALTHY, "the cloud is starting the instance")
    if instance.address is None:
        return view(Phase.LAUNCHING, Health.UNHEALTHY, "the instance has no public address yet")
    if (quarrel := why_keys_disagree(instance, look.record)) is not None:
        return view(Phase.UNKNOWN, Health.UNKNOWN, quarrel)
    if (
        (work := look.seen.in_flight.get(relay.name)) is not None
        and work.intent in ("prepare", "stage")
        and not _is_seen_to_serve(relay.name, look.seen)
        and relay.name not in look.record.evidence.published
    ):
        phase = Phase.PREPARING if work.intent == "prepare" else Phase.STAGING
        return view(phase, Health.UNHEALTHY, work.progress or f"{work.intent} is under way")
    return _from_host(view, instance, look)


def _from_host(view: _View, instance: Instance, look: Look) -> RelayView:
    sighting = look.seen.sightings.get(instance.relay)
    match look.seen.hosts.get(instance.instance_id):
        case Unreachable(reason):
            return _unreachable(view, reason, instance, look)
        case Unreadable(reason):
            return view(Phase.UNKNOWN, Health.UNKNOWN, f"answers, and could not be inspected: {reason}")
        case WrongHostKey(reason):
            return view(Phase.UNKNOWN, Health.UNKNOWN, f"refused to talk to {instance.address}: {reason}")
        case HostFacts() as facts:
            return _from_node(view, facts, sighting)
        case None:
            if _is_seen_to_serve(instance.relay, look.seen):
                return view(Phase.SERVING, Health.HEALTHY, "serves")
            work = look.seen.in_flight.get(instance.relay)
            if work is None or work.disturbs or instance.relay not in look.record.evidence.published:
                return view(Phase.DEPLOYING, Health.UNHEALTHY, "work on the host is under way")
            # Such work takes nobody out: its node, which served, is silent, and its host was not asked.
            why = f"its node does not answer, and its host is not asked while {work.intent} is under way"
            return view(Phase.UNKNOWN, Health.UNKNOWN, why)


def may_serve(relay: str, seen: Observation, facts: HostFacts | None = None) -> bool:
    """Whether a relay that does not count as serving still answers, and so may have consumers: stale, or saturated.

    A saturated one does not even let connect once its queue is full; then its own figures tell that others hang on to it.
    """
    sighting = seen.sightings.get(relay)
    if sighting is None:
        return False
    connected = facts is not None and facts.metrics is not None and (facts.metrics.inbound or 0) > 0
    return sighting.verdict in MAY_SERVE or (sighting.verdict is Verdict.CONNECT_TIMEOUT and connected)


def is_only_doubted(view: RelayView, seen: Observation) -> bool:
    """Whether a relay answers with a fresh tip, and only what others show of the chain speaks against it, which is no proof."""
    return view.phase is Phase.SYNCING and _is_seen_to_serve(view.name, seen)


def _is_seen_to_serve(relay: str, seen: Observation) -> bool:
    sighting = seen.sightings.get(relay)
    return sighting is not None and sighting.verdict is Verdict.OK


def _unreachable(view: _View, reason: str, instance: Instance, look: Look) -> RelayView:
    if not is_identified(instance, look.record):
        age = look.now - instance.launched_at
        if age <= look.spec.rollout.boot_deadline:
            return view(Phase.LAUNCHING, Health.UNHEALTHY, "boots; SSH does not answer yet")
        minutes = age.total_seconds() / 60
        return view(
            Phase.UNKNOWN,
            Health.UNKNOWN,
            f"has not answered in the {minutes:.0f} minutes since its launch, and too few others answer to tell why: {reason}",
        )
    return view(Phase.UNKNOWN, Health.UNKNOWN, f"could not be asked: {reason}")


def _from_node(view: _View, facts: HostFacts, sighting: Sighting | None) -> RelayView:
    match facts.unit:
        case UnitState.ABSENT | UnitState.INACTIVE:
            return view(Phase.DEPLOYING, Health.UNHEALTHY, "the node does not run")
        case UnitState.FAILED:
            return view(
                Phase.DEPLOYING, Health.UNHEALTHY, f"the node's unit failed: {facts.detail or 'no reason given'}"
            )
        case UnitState.ACTIVATING:
            return view(Phase.SYNCING, Health.UNHEALTHY, f"the node starts{_suffix(facts.detail)}")
        case UnitState.DEACTIVATING:
            return view(Phase.DEPLOYING, Health.UNHEALTHY, f"the node stops{_suffix(facts.detail)}")
        case UnitState.ACTIVE | UnitState.RELOADING:
            return _from_wire(view, sighting)


def _from_wire(view: _View, sighting: Sighting | None) -> RelayView:
    if sighting is None:
        return view(Phase.UNKNOWN, Health.UNKNOWN, "was not probed")
    match sighting.verdict:
        case Verdict.OK:
            return view(Phase.SERVING, Health.HEALTHY, "serves")
        case Verdict.NOT_ASKED:
            return view(Phase.UNKNOWN, Health.UNKNOWN, f"could not be probed: {sighting.detail}")
        case Verdict.WRONG_MAGIC:
            return view(Phase.QUARANTINED, Health.UNHEALTHY, f"is on another network: {sighting.detail}")
        case Verdict.STALE_TIP:
            return view(Phase.SYNCING, Health.UNHEALTHY, f"its tip is stale: {sighting.detail}")
        case Verdict.REFUSED:
            return view(Phase.SYNCING, Health.UNHEALTHY, "the node runs, its port is not open yet")
        case Verdict.HANDSHAKE_TIMEOUT:
            return view(Phase.SYNCING, Health.UNHEALTHY, "connects, but no handshake: it starts, or is saturated")
        case (
            Verdict.NO_ROUTE
            | Verdict.CONNECT_TIMEOUT
            | Verdict.NO_COMMON_VERSION
            | Verdict.REFUSED_BY_PEER
            | Verdict.PROTOCOL_ERROR
            | Verdict.UNKNOWN_NAME
            | Verdict.CLOSED_BEFORE_ANSWER
            | Verdict.CLOSED_AFTER_HANDSHAKE
            | Verdict.ANSWER_TIMEOUT
        ):
            return view(Phase.SYNCING, Health.UNHEALTHY, f"does not serve: {sighting.detail}")


def _suffix(detail: str) -> str:
    return f": {detail}" if detail else ""
