"""Looks at a serving fleet with one thing changed: each helper changes what it is named for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from orchestrator.fleet.observation import HostFacts, HostView, Instance, Sighting, UnitState, Verdict
from orchestrator.fleet.record import Attempt, LaunchIntent
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Deploy, Plan, RelayView
from orchestrator.planning.reconcile import plan_fleet
from tests.scenarios.builders import BUDGET_ALONE, MEDIUM, fleet_spec, serving_fleet, wanted

EU1, EU2 = "demo-eu-central-1-01", "demo-eu-central-1-02"


@cache
def serving_look() -> Look:
    """Eight relays in four regions; all is well."""
    return serving_fleet(fleet_spec(MEDIUM)).look().look


def instance_of(look: Look, relay: str) -> Instance:
    return max((i for i in look.seen.cloud.instances if i.relay == relay), key=lambda i: i.generation)


def with_instance(look: Look, relay: str, **changes: object) -> Look:
    old = instance_of(look, relay)
    instances = tuple(replace(i, **changes) if i == old else i for i in look.seen.cloud.instances)
    return replace(look, seen=replace(look.seen, cloud=replace(look.seen.cloud, instances=instances)))


def with_another(look: Look, relay: str, **changes: object) -> Look:
    """One more instance of this relay."""
    cloud = look.seen.cloud
    another = replace(instance_of(look, relay), instance_id="i-another", launch_token="another", host_key=None)
    instances = (*cloud.instances, replace(another, **changes))
    return replace(look, seen=replace(look.seen, cloud=replace(cloud, instances=instances)))


def without_instance(look: Look, relay: str) -> Look:
    cloud = look.seen.cloud
    kept = tuple(i for i in cloud.instances if i.relay != relay)
    return replace(look, seen=replace(look.seen, cloud=replace(cloud, instances=kept)))


def with_host(look: Look, relay: str, host: HostView) -> Look:
    return replace(look, seen=replace(look.seen, hosts={**look.seen.hosts, instance_of(look, relay).instance_id: host}))


def with_facts(look: Look, relay: str, **changes: object) -> Look:
    facts = look.seen.hosts[instance_of(look, relay).instance_id]
    assert isinstance(facts, HostFacts)
    return with_host(look, relay, replace(facts, **changes))


def with_unit(look: Look, relay: str, unit: UnitState) -> Look:
    return with_facts(look, relay, unit=unit)


def with_sighting(look: Look, relay: str, verdict: Verdict) -> Look:
    sightings = {**look.seen.sightings, relay: Sighting(verdict, "as seen")}
    return replace(look, seen=replace(look.seen, sightings=sightings))


def with_attempt(look: Look, relay: str, intent: str, failures: int) -> Look:
    attempt = Attempt(relay, intent, failures, look.now, "404 Not Found")
    return replace(look, record=replace(look.record, attempts={(relay, intent): attempt}))


def with_intent(look: Look, relay: str, **changes: object) -> Look:
    """The relay's newest launch intent, changed."""
    newest = max((i for i in look.record.intents if i.relay == relay), key=lambda i: (i.generation, i.attempt))
    others = tuple(i for i in look.record.intents if i != newest)
    return replace(look, record=replace(look.record, intents=(*others, replace(newest, **changes))))


def with_more_intents(look: Look, *intents: LaunchIntent) -> Look:
    return replace(look, record=replace(look.record, intents=(*look.record.intents, *intents)))


def view_in(look: Look, relay: str) -> RelayView:
    return next(view for view in plan_fleet(look).relays if view.name == relay)


def steps_of(plan: Plan, relay: str) -> list[tuple[str, str]]:
    """(word, reason) of a relay's actions, then of its holds as `hold WORD`."""
    actions = [(type(a).__name__.lower(), a.reason) for a in plan.actions if a.relay == relay]
    return actions + [(f"hold {h.wanted}", h.because) for h in plan.holds if h.relay == relay]


def with_new_release(look: Look, **policy: object) -> Look:
    """The same look with another release wanted, and both staged everywhere; nothing but the budget holds it back."""
    spec = fleet_spec(MEDIUM, release="10.6.0", rollout={**BUDGET_ALONE, **policy})
    look = replace(look, wanted=wanted(spec))
    for instance in look.seen.cloud.instances:
        look = with_facts(look, instance.relay, staged=frozenset({"a" * 64, "b" * 64, "c" * 64}))
    return look


def disturbed(look: Look) -> list[str]:
    """Relays that a plan restarts though they answer."""
    return [a.relay for a in plan_fleet(look).actions if isinstance(a, Deploy) and a.disturbs]
