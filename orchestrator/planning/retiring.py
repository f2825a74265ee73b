"""Decides which instances go: surplus relays, older generations, doubles. A node is stopped cleanly before its instance goes.

An instance that could not be asked is never retired; a dead one needs no stopping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from orchestrator.fleet.generations import follows
from orchestrator.fleet.observation import ElasticAddress, HostFacts, Instance, InstanceState, UnitState, Volume
from orchestrator.planning.assess import STOPPED, Slot
from orchestrator.planning.budget import Budget
from orchestrator.planning.draining import wait_for_drain
from orchestrator.planning.look import GONE, Look
from orchestrator.planning.plan import Action, Health, Hold, Phase, RelayView, Release, Retire, Stop
from orchestrator.planning.retries import why_not_retry
from orchestrator.planning.silence import is_identified, why_dead


def plan_older_generations(slot: Slot, view: RelayView, look: Look) -> list[Action | Hold]:
    """Retire what an earlier generation, or a launch made twice, has left behind this slot's current instance."""
    current = slot.current
    steps: list[Action | Hold] = []
    for instance in slot.instances[1:]:
        double = current is not None and instance.generation == current.generation
        death = why_dead(instance, look)
        if double:
            step = plan_leaving(instance, f"was launched twice; {_id(current)} is the one on record", look)
            if isinstance(step, Stop) and view.health is not Health.HEALTHY:
                step = Hold(slot.relay.name, "stop", f"{step.reason}, and does not serve yet")
            steps.append(step)
        elif (death is not None and current is not None and current.state is InstanceState.RUNNING) or (
            view.health is Health.HEALTHY or _was_stopped_for(current, instance, look)
        ):
            steps.append(plan_leaving(instance, f"replaced by {_id(current)}", look))
    return steps


def _was_stopped_for(current: Instance | None, instance: Instance, look: Look) -> bool:
    """Whether an instance's node was stopped so that one of another kind may take its place."""
    facts = _facts(look.seen.hosts, instance)
    return current is not None and follows(current, instance) and facts is not None and facts.unit in STOPPED


def plan_surplus(
    wanted: AbstractSet[str], look: Look, budget: Budget
) -> tuple[list[RelayView], list[Action | Hold], Budget]:
    """Retire the instances of relays that the fleet file no longer asks for, no more at once than the budget allows."""
    views: list[RelayView] = []
    steps: list[Action | Hold] = []
    for instance in sorted(look.seen.cloud.instances, key=lambda i: (i.relay, i.generation)):
        if instance.relay in wanted or instance.state in GONE:
            continue
        reason = "the fleet file no longer asks for it"
        released = _is_released(instance, look)
        phase = Phase.GONE if released else Phase.RETIRING
        why = "nothing of ours is left on it; its entry may go" if released else reason
        view = RelayView(instance.relay, instance.region, phase, Health.UNKNOWN, why, instance, instance.address)
        views.append(replace(view, retiring=True))
        if released:
            continue
        if (work := look.seen.in_flight.get(instance.relay)) is not None:
            steps.append(Hold(instance.relay, "retire", work.progress or f"{work.intent} is under way", passes=True))
        else:
            step = plan_leaving(instance, reason, look)
            facts = _facts(look.seen.hosts, instance)
            # It has left the names with the fleet file that no longer asks for it, whoever else is out.
            drain = wait_for_drain(instance.relay, reason, facts, look) if facts is not None else None
            full = _why_not_stop(instance, look, budget) if isinstance(step, Stop) else None
            if isinstance(step, Stop) and drain is not None:
                step = drain
            elif full is not None:
                step = Hold(instance.relay, "stop", f"{reason}; {full}")
            elif isinstance(step, Stop):
                budget = budget.take(instance.relay, instance.region)
            steps.append(step)
    return views, steps, budget


def _why_not_stop(instance: Instance, look: Look, budget: Budget) -> str | None:
    stays = instance.region in look.spec.regions and look.spec.relay_count(instance.region) > 0
    return budget.why_not_retire(instance.relay, instance.region, region_stays=stays)


def list_leaving(wanted: Sequence[str], look: Look) -> list[str]:
    """Name the surplus relays whose node is on its way down, or may be: they are out, and not gone yet."""
    # While an instance of theirs is retired they are not inspected, and another one may still be stopping.
    stopping = {name for name, work in look.seen.in_flight.items() if work.intent in ("stop", "retire")}
    units: dict[str, set[UnitState]] = {}
    for instance in look.seen.cloud.instances:
        if (facts := _facts(look.seen.hosts, instance)) is not None:
            units.setdefault(instance.relay, set()).add(facts.unit)
    # Where an older instance stops, the one that took its place may well serve.
    alone = {name for name, found in units.items() if UnitState.DEACTIVATING in found and UnitState.ACTIVE not in found}
    return sorted((stopping | alone) - set(wanted))


def plan_releases(slots: Sequence[Slot], views: Mapping[str, RelayView], look: Look) -> list[Action | Hold]:
    """Give back disks and addresses of ours that belong to no relay, or that its relay has replaced by another.

    A free disk or address of a wanted relay waits for that relay's next instance. Nothing of a region that does not
    answer is given back: what seems free may be in use.
    """
    cloud = look.seen.cloud
    present = {i.relay for i in cloud.instances if i.state not in GONE}
    current = {slot.relay.name: slot.current for slot in slots}
    have_disk = {volume.attached_to for volume in cloud.volumes}
    have_address = {address.attached_to for address in cloud.addresses}
    steps: list[Action | Hold] = []
    things: tuple[Volume | ElasticAddress, ...] = (
        *sorted(cloud.volumes, key=lambda v: v.volume_id),
        *sorted(cloud.addresses, key=lambda a: a.allocation_id),
    )
    for thing in things:
        if (
            thing.attached_to is not None
            or thing.store_id != look.record.store_id
            or thing.relay in look.seen.in_flight
            or thing.region in cloud.silent_regions
        ):
            continue
        name = thing.volume_id if isinstance(thing, Volume) else thing.address
        if thing.relay not in current and thing.relay not in present:
            steps.append(
                Release(thing.relay, thing, f"{name} belongs to a relay that the fleet file no longer asks for")
            )
            continue
        instance = current.get(thing.relay)
        settled = instance is not None and views[thing.relay].health is Health.HEALTHY
        if not settled or instance is None:
            continue
        if isinstance(thing, Volume) and instance.instance_id in have_disk:
            steps.append(
                Release(thing.relay, thing, f"{name} in {thing.zone} was left behind; the relay has another disk")
            )
        if isinstance(thing, ElasticAddress) and instance.instance_id in have_address:
            steps.append(Release(thing.relay, thing, f"{name} was left behind; the relay has another address"))
    return [why_not_retry(look, step.relay, "release") or step for step in steps if isinstance(step, Release)]


def plan_leaving(instance: Instance, reason: str, look: Look) -> Action | Hold:
    """Stop the node, then let the instance go; hold while that cannot be seen to be done."""
    name = instance.relay
    if (hold := why_not_retry(look, name, "retire") or why_not_retry(look, name, "stop")) is not None:
        return hold
    if (death := why_dead(instance, look)) is not None:
        return Retire(name, instance, f"{reason}; {death}")
    if instance.state is InstanceState.PENDING or not is_identified(instance, look.record):
        return Retire(name, instance, f"{reason}; it was never deployed")
    facts = _facts(look.seen.hosts, instance)
    if facts is None:
        return Hold(name, "retire", f"{reason}, but it could not be asked whether its node is stopped")
    if facts.unit in STOPPED:
        return Retire(name, instance, f"{reason}; its node is stopped")
    if facts.unit is UnitState.DEACTIVATING:
        return Hold(name, "retire", f"{reason}; its node is stopping {facts.detail}".rstrip(), passes=True)
    return Stop(name, instance, reason)


def _is_released(instance: Instance, look: Look) -> bool:
    """Whether a named host, which stays when its relay goes, has been given back already."""
    facts = _facts(look.seen.hosts, instance)
    named = look.spec.cloud.kind == "static"
    return named and facts is not None and facts.unit is UnitState.ABSENT and not facts.files and not facts.prepared


def _facts(hosts: Mapping[str, object], instance: Instance) -> HostFacts | None:
    facts = hosts.get(instance.instance_id)
    return facts if isinstance(facts, HostFacts) else None


def _id(instance: Instance | None) -> str:
    return instance.instance_id if instance is not None else "nothing"
