"""Replaces an instance that serves by one of another image or type: the new one is launched first, the old one stopped after. Pure.

Disk and address go from one to the other, so the relay is out from the stop until its node serves on the new instance. That the cloud
has room for the new one is known before anything is stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from orchestrator.fleet.observation import HostFacts, Instance, InstanceState, InstanceStatus, UnitState
from orchestrator.planning.assess import Slot, is_only_doubted, may_serve
from orchestrator.planning.budget import Budget
from orchestrator.planning.draining import wait_for_drain
from orchestrator.planning.launching import plan_launch
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Action, Health, Hold, Kind, RelayView, Stop
from orchestrator.planning.retiring import plan_leaving
from orchestrator.planning.retries import why_not_retry
from orchestrator.planning.silence import why_dead

REPLACE = "replace"


def is_other_kind(instance: Instance, kind: Kind) -> bool:
    """Whether an instance is of another image or type than its relay is to have."""
    wanted = (kind.image or instance.image, kind.instance_type or instance.instance_type)
    return (instance.image, instance.instance_type) != wanted


def plan_replacement(
    slot: Slot,
    view: RelayView,
    kind: Kind,
    look: Look,
    budget: Budget,
    planned: Mapping[str, int],
    named_by: Collection[str] = (),
) -> Action | Hold:
    """Return the next step: launch the successor, wait until it runs, drain and stop the instance that serves."""
    instance = slot.current
    assert instance is not None  # noqa: S101 - callers pass slots with an instance only
    name, facts = view.name, look.seen.hosts.get(instance.instance_id)
    what = _describe(instance, kind)
    if (gate := budget.gates.get(name)) is not None:
        return Hold(name, REPLACE, f"{what}; {gate}")
    if slot.successor is None or is_other_kind(slot.successor, kind):
        return plan_launch(slot, what, look, planned, kind)
    if (waits := _why_not_up(slot.successor, look)) is not None:
        return waits
    if (hold := why_not_retry(look, name, "stop")) is not None:
        return hold
    if not isinstance(facts, HostFacts) or view.health is Health.UNKNOWN:
        return Hold(name, REPLACE, f"{what}; whether it serves is not known, so it is not stopped: {view.reason}")
    if facts.unit is UnitState.DEACTIVATING:
        return Hold(name, REPLACE, f"{what}; its node is stopping {facts.detail}".rstrip(), passes=True)
    serves = view.health is Health.HEALTHY
    if serves or may_serve(name, look.seen, facts):
        charged = serves or is_only_doubted(view, look.seen)
        full = budget.why_not_disturb(name, view.region) if charged else budget.why_not_touch(name, view.region)
        if full is not None:
            return Hold(name, "stop", f"{what}; {full}")
    if serves and (drain := wait_for_drain(name, what, facts, look, named_by)) is not None:
        return drain
    return Stop(name, instance, f"{what}; {slot.successor.instance_id} takes its place")


def plan_idle_successor(slot: Slot, kind: Kind, look: Look) -> list[Action | Hold]:
    """Let a successor go that is dead, or that nobody waits for any more."""
    current, successor = slot.current, slot.successor
    if current is None or successor is None or successor.relay in look.seen.in_flight:
        return []
    if is_other_kind(successor, kind) or not is_other_kind(current, kind) or why_dead(successor, look) is not None:
        return [plan_leaving(successor, f"it is not needed any more beside {current.instance_id}", look)]
    return []


def _why_not_up(successor: Instance, look: Look) -> Hold | None:
    """Return what a successor waits for until it is known to run; the cloud's word, since it has no address of its own yet."""
    up = successor.state is InstanceState.RUNNING and successor.status in (InstanceStatus.OK, InstanceStatus.UNKNOWN)
    if up:
        return None
    age = look.now - successor.launched_at
    because = f"{successor.instance_id} is {successor.state.value} ({successor.status.value}) since {age.total_seconds():.0f} s"
    return Hold(successor.relay, REPLACE, because, passes=age <= look.spec.rollout.boot_deadline)


def _describe(instance: Instance, kind: Kind) -> str:
    differing = [
        f"{what} {found} (wanted {wanted})"
        for what, found, wanted in (
            ("image", instance.image, kind.image),
            ("instance type", instance.instance_type, kind.instance_type),
        )
        if wanted and found != wanted
    ]
    return f"it was launched with {' and '.join(differing)}"
