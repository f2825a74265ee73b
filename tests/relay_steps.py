"""One relay's next step, decided directly: its host, its budget, and what it is to be, each as a test says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from orchestrator.fleet.observation import HostFacts
from orchestrator.planning.assess import Slot, assess_relay, list_slots
from orchestrator.planning.budget import Budget, count_budget
from orchestrator.planning.look import Look
from orchestrator.planning.mesh import render_fleet
from orchestrator.planning.plan import Action, Health, Hold, Kind, Phase, RelayView
from orchestrator.planning.steps import Goal, plan_step
from orchestrator.rendering import layout
from orchestrator.rendering.values import RenderedRelay
from tests.scenarios.builders import BUDGET_ALONE, MEDIUM, fleet_spec, wanted
from tests.scenarios.looks import EU1, instance_of, serving_look, with_facts

EVERYTHING = frozenset({"a" * 64, "b" * 64, "c" * 64})
"""Both releases and the network folder."""

OLD, NEW = "10.5.1", "10.6.0"


@cache
def rendered(release: str = OLD) -> RenderedRelay:
    spec = fleet_spec(MEDIUM, release=release, rollout=BUDGET_ALONE)
    return render_fleet(wanted(spec), serving_look().seen)[EU1]


def facts_of(look: Look) -> HostFacts:
    host = look.seen.hosts[instance_of(look, EU1).instance_id]
    assert isinstance(host, HostFacts)
    return host


def slot_of(look: Look) -> Slot:
    return next(slot for slot in list_slots(look.wanted.relays, look) if slot.relay.name == EU1)


def budget_of(look: Look, **changes: object) -> Budget:
    views = [assess_relay(slot, look) for slot in list_slots(look.wanted.relays, look)]
    return replace(count_budget(views, look.spec, frozenset(), frozenset()), **changes)  # type: ignore[arg-type]


def step(
    look: Look,
    now: RenderedRelay | None = None,
    later: RenderedRelay | None = None,
    *,
    health: Health | None = None,
    budget: Budget | None = None,
) -> tuple[RelayView, Action | Hold | None]:
    """What a relay's step is, on the way to be `now`."""
    slot = slot_of(look)
    view = assess_relay(slot, look)
    goal = Goal(now or rendered(), later, Kind(), frozenset())
    if health is not None:
        view = replace(view, health=health, phase=Phase.SYNCING if health is Health.UNHEALTHY else view.phase)
    return plan_step(slot, view, goal, facts_of(serving_look()).prepared, look, budget or budget_of(look), {})


def without_drain(look: Look) -> Look:
    rollout = look.spec.rollout.model_copy(update={"drain_time": None})
    return replace(look, wanted=replace(look.wanted, spec=look.spec.model_copy(update={"rollout": rollout})))


def bare(**changes: object) -> Look:
    """The serving fleet, with this relay's host changed."""
    return with_facts(without_drain(serving_look()), EU1, **changes)


WITHOUT_CONFIG = {path: state for path, state in facts_of(serving_look()).files.items() if path != layout.NODE_CONFIG}
