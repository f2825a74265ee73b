"""Start here: from what is wanted, seen and recorded to one plan. Pure: no clock, no I/O, no logging, no randomness.

Phases: assess (where is each relay) → mesh (who names whom) → render (what must lie on each host) → plan (one step a
relay, under one budget) → what is unsafe is refused by `checks`, by the caller, always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orchestrator.fleet.observation import Observation, Verdict
from orchestrator.fleet.record import FleetRecord
from orchestrator.fleet.relay import wanted_relays
from orchestrator.planning.assess import Slot, assess_relay, is_mostly_unknown, list_slots
from orchestrator.planning.budget import Budget, count_budget
from orchestrator.planning.estimate import estimate_time
from orchestrator.planning.launching import plan_launch
from orchestrator.planning.plan import Action, Deploy, Hold, Launch, Phase, Plan, RelayView
from orchestrator.planning.retiring import plan_older_generations, plan_surplus
from orchestrator.planning.steps import plan_step
from orchestrator.planning.topology import pick_neighbours, pick_partners
from orchestrator.rendering.relay import render_relay
from orchestrator.rendering.values import AccessPoint, NetworkFiles, RelayNeighbours, RenderedRelay, Templates
from orchestrator.rendering.variables import baseline_digest
from orchestrator.spec.model import FleetSpec

DARK_REGION = "dark-region:"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted, whole: the fleet file, the network's files, the templates."""

    spec: FleetSpec
    network: NetworkFiles
    templates: Templates


def plan_fleet(wanted: Wanted, observation: Observation, record: FleetRecord, now: datetime) -> Plan:
    """Decide the next step of every relay."""
    spec = wanted.spec
    relays = wanted_relays(spec)
    slots = list_slots(relays, observation, record)
    views = {slot.relay.name: assess_relay(slot, spec, observation, record, now) for slot in slots}
    rendered = render_fleet(wanted, observation, frozenset(_untrusted(views)))
    if is_mostly_unknown(list(views.values())):
        return _hold_all(views, observation)
    budget = _count_budget(views, spec, observation, record)
    out_before = len(budget.out)
    steps: list[Action | Hold] = []
    planned_subnets: list[str] = []
    for slot in _most_out_first(slots, views):
        view, step = _plan_slot(
            slot, views[slot.relay.name], rendered, wanted, observation, record, budget, planned_subnets, now
        )
        views[view.name] = view
        if isinstance(step, Launch):
            planned_subnets.append(step.subnet)
        if isinstance(step, Deploy) and step.disturbs:
            budget = budget.take(view.name, view.region)
        if step is not None:
            steps.append(step)
        steps.extend(plan_older_generations(slot, view, spec, observation, record, now))
    surplus_views, surplus_steps = plan_surplus([r.name for r in relays], spec, observation, record, now)
    steps.extend(surplus_steps)
    return _assemble([*views.values(), *surplus_views], steps, max(out_before, len(budget.out)), spec, observation)


def render_fleet(
    wanted: Wanted, observation: Observation, untrusted: frozenset[str] = frozenset()
) -> Mapping[str, RenderedRelay]:
    """Render every wanted relay's files, given the addresses that are known; quarantined relays are named by nobody."""
    spec = wanted.spec
    relays = wanted_relays(spec)
    trusted = [relay for relay in relays if relay.name not in untrusted]
    addresses = relay_addresses(observation)
    neighbours = pick_neighbours(trusted, spec.topology.neighbours)
    partners = pick_partners(
        [r.name for r in relays], [p.name for p in spec.partners], spec.topology.partners_per_relay
    )
    partner_points = {p.name: AccessPoint(p.address, p.port) for p in spec.partners}
    return {
        relay.name: render_relay(
            spec,
            wanted.network,
            wanted.templates,
            relay,
            RelayNeighbours(
                own=tuple(
                    AccessPoint(addresses[name], spec.ports.relay)
                    for name in neighbours.get(relay.name, ())
                    if name in addresses
                ),
                partners=tuple(partner_points[name] for name in partners[relay.name]),
            ),
        )
        for relay in relays
    }


def relay_addresses(observation: Observation) -> Mapping[str, str]:
    """Return each relay's address: its elastic one (also while it has no instance), else its newest instance's."""
    addresses = {
        i.relay: i.address
        for i in sorted(observation.cloud.instances, key=lambda i: i.generation)
        if i.address is not None
    }
    return addresses | {a.relay: a.address for a in observation.cloud.addresses}


def _plan_slot(
    slot: Slot,
    view: RelayView,
    rendered: Mapping[str, RenderedRelay],
    wanted: Wanted,
    observation: Observation,
    record: FleetRecord,
    budget: Budget,
    planned_subnets: list[str],
    now: datetime,
) -> tuple[RelayView, Action | Hold | None]:
    """Decide one slot: something under way, no instance, a dead one, or the next step of a living one."""
    work = observation.in_flight.get(view.name)
    if work is not None:
        seconds = (now - work.since).total_seconds()
        because = work.progress or f"{work.intent} is under way"
        return view, Hold(view.name, work.intent, f"{because} since {seconds:.0f} s", passes=True)
    match view.phase:
        case Phase.UNKNOWN if slot.current is None or view.instance is None:
            return view, Hold(view.name, "look", view.reason)
        case Phase.UNKNOWN if view.health.value == "unknown" and not _was_asked(slot, observation):
            return view, Hold(view.name, "look", view.reason)
        case Phase.ABSENT | Phase.DEAD:
            step = plan_launch(slot, view.reason, wanted.spec, observation, record, planned_subnets, now)
            return view, step
        case Phase.LAUNCHING if slot.current is not None and slot.current.address is None:
            return view, Hold(view.name, "launch", view.reason, passes=True)
        case _:
            return plan_step(
                slot,
                view,
                rendered[view.name],
                wanted.network.digest,
                baseline_digest(wanted.spec),
                wanted.spec,
                observation,
                record,
                budget,
                now,
            )


def _was_asked(slot: Slot, observation: Observation) -> bool:
    from orchestrator.fleet.observation import HostFacts

    return slot.current is not None and isinstance(observation.hosts.get(slot.current.instance_id), HostFacts)


def _untrusted(views: Mapping[str, RelayView]) -> list[str]:
    return [view.name for view in views.values() if view.phase is Phase.QUARANTINED]


def _count_budget(
    views: Mapping[str, RelayView], spec: FleetSpec, observation: Observation, record: FleetRecord
) -> Budget:
    busy = frozenset(
        name for name, work in observation.in_flight.items() if work.intent in ("deploy", "restart", "stop")
    )
    dark = frozenset(
        name.removeprefix(DARK_REGION) for name in record.confirmed_retirements if name.startswith(DARK_REGION)
    )
    return count_budget(views.values(), spec.rollout, busy, dark)


def _most_out_first(slots: tuple[Slot, ...], views: Mapping[str, RelayView]) -> list[Slot]:
    """Relays that are down anyway go first: they cost nothing, and mending them gives the budget back."""
    return sorted(slots, key=lambda slot: (views[slot.relay.name].phase is Phase.SERVING, slot.relay.name))


def _hold_all(views: Mapping[str, RelayView], observation: Observation) -> Plan:
    unknown = sum(1 for view in views.values() if view.phase is Phase.UNKNOWN)
    because = (
        f"{unknown} of {len(views)} relays are UNKNOWN: the controller itself is probably cut off; nothing is done"
    )
    holds = tuple(Hold(v.name, "look", f"{v.reason}" if v.phase is Phase.UNKNOWN else because) for v in views.values())
    return Plan(_sorted(list(views.values())), (), holds, (because,), partners=_partners(observation, views))


def _assemble(
    views: list[RelayView], steps: list[Action | Hold], out: int, spec: FleetSpec, observation: Observation
) -> Plan:
    actions = tuple(sorted((s for s in steps if not isinstance(s, Hold)), key=lambda a: (a.relay, type(a).__name__)))
    holds = tuple(sorted((s for s in steps if isinstance(s, Hold)), key=lambda h: (h.relay, h.wanted)))
    warnings = [
        f"the cloud does not answer for {r}: {why}" for r, why in sorted(observation.cloud.silent_regions.items())
    ]
    named = {view.name: view for view in views}
    return Plan(
        relays=_sorted(views),
        actions=actions,
        holds=holds,
        warnings=tuple(warnings),
        out_at_most=out,
        estimate=estimate_time(actions, holds, spec),
        partners=_partners(observation, named),
    )


def _sorted(views: list[RelayView]) -> tuple[RelayView, ...]:
    return tuple(sorted(views, key=lambda view: (view.name, view.instance.generation if view.instance else 0)))


def _partners(observation: Observation, relays: Mapping[str, RelayView]) -> Mapping[str, str]:
    return {
        name: "ok" if sighting.verdict is Verdict.OK else f"{sighting.verdict.value}: {sighting.detail}"
        for name, sighting in sorted(observation.sightings.items())
        if name not in relays
    }
