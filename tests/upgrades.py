"""A whole fleet of eight relays in three regions on its way from one release to the next, as looks see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import HostFacts, UnitState, Verdict
from orchestrator.fleet.rollout import Bundle, Order, RolloutState
from orchestrator.planning.footing import digest_of_wish, make_bundle
from orchestrator.planning.look import Look, Wanted
from orchestrator.planning.mesh import render_fleet
from orchestrator.planning.plan import Deploy, Plan
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.rollout_view import RolloutView
from orchestrator.rendering.bundle import render_bundle
from orchestrator.rendering.digest import file_states
from orchestrator.rendering.values import ChangeClass, RenderedRelay
from tests.scenarios.builders import fleet_spec, serving_fleet, wanted

STAGED = frozenset({"a" * 64, "b" * 64, "c" * 64})
"""Both releases and the network folder."""

COUNTS = {"eu-central-1": 3, "eu-central-2": 1, "us-east-1": 4}

OLD, NEW = "10.5.1", "10.6.0"

LOOK_EVERY = timedelta(seconds=10)

MOST_LOOKS = 300
"""More than any rollout here needs: one that never ends fails instead of hanging."""


@cache
def serving_look() -> Look:
    """Eight relays in three regions that serve on the old release."""
    return serving_fleet(fleet_spec(COUNTS)).look().look


def wants(release: str, policy: Mapping[str, object] | None = None) -> Wanted:
    """The fleet file with this release."""
    return wanted(fleet_spec(COUNTS, release=release, rollout=dict(policy or {})))


@cache
def rendered(release: str) -> Mapping[str, RenderedRelay]:
    return render_fleet(wants(release), serving_look().seen)


def digest_of(release: str) -> str:
    """All regions have one image and type, so a release has one digest."""
    relay = next(iter(rendered(release).values()))
    return digest_of_wish(relay.restart_digest, "us-east-1", wants(release).spec)


def bundle_of(release: str) -> Bundle:
    relay = next(iter(rendered(release).values()))
    return make_bundle(relay, render_bundle(relay), "us-east-1", wants(release).spec)


@cache
def target_of(release: str) -> str:
    rollout = plan_fleet(replace(serving_look(), wanted=wants(release))).rollout
    assert rollout is not None
    assert rollout.record.current is not None
    return rollout.record.current.target


def running(facts: HostFacts, relay: RenderedRelay) -> HostFacts:
    """The same host with this relay's files, release and running node."""
    return replace(
        facts,
        files=file_states(relay.files),
        release=relay.release.sha256,
        running_restart_digest=relay.restart_digest,
        running_reload_digest=relay.reload_digest,
    )


NAMES = sorted(rendered(OLD))


# --- looks one after another -----------------------------------------------------------------------------------------


def upgrading(policy: Mapping[str, object] | None = None, *, new: Iterable[str] = (), release: str = NEW) -> Look:
    """All relays serve, with both releases staged; those in `new` run the new one already, and all are to run `release`."""
    look = replace(serving_look(), wanted=wants(release, policy))
    for name in NAMES:
        look = run(look, name, NEW if name in new else OLD)
    return look


def change(look: Look, name: str, **changes: object) -> Look:
    """The same look with something else about one host."""
    key = next(i.instance_id for i in look.seen.cloud.instances if i.relay == name)
    facts = look.seen.hosts[key]
    assert isinstance(facts, HostFacts)
    hosts = {**look.seen.hosts, key: replace(facts, **changes)}  # type: ignore[arg-type]
    return replace(look, seen=replace(look.seen, hosts=hosts))


def run(look: Look, name: str, release: str) -> Look:
    """The same look with one relay that runs, and serves on, this release."""
    made = rendered(release)[name]
    metrics = NodeMetrics("new", inbound=20)
    look = change(look, name, staged=STAGED, restarts=0, metrics=metrics, unit=UnitState.ACTIVE)
    key = next(i.instance_id for i in look.seen.cloud.instances if i.relay == name)
    facts = look.seen.hosts[key]
    assert isinstance(facts, HostFacts)
    return replace(look, seen=replace(look.seen, hosts={**look.seen.hosts, key: running(facts, made)}))


def probe(look: Look, name: str, verdict: Verdict) -> Look:
    """The same look with another answer on the wire."""
    seen = {**look.seen.sightings, name: replace(look.seen.sightings[name], verdict=verdict)}
    return replace(look, seen=replace(look.seen, sightings=seen))


def keep(look: Look, plan: Plan, after: timedelta = LOOK_EVERY) -> Look:
    """The next look, with what the plan says is to be kept, at a world in which nothing has happened."""
    assert plan.rollout is not None
    record = replace(look.record, rollout=plan.rollout.record, bundles=plan.rollout.bundles, evidence=plan.evidence)
    return replace(look, record=record, now=look.now + after)


def carry_out(look: Look, plan: Plan, after: timedelta = LOOK_EVERY) -> Look:
    """The next look at a world in which every deploy of the plan has been done, and its relay serves again."""
    look = keep(look, plan, after)
    for action in plan.actions:
        if isinstance(action, Deploy):
            release = next(r for r in (OLD, NEW) if rendered(r)[action.relay].release == action.rendered.release)
            look = run(look, action.relay, release)
    return look


def give(look: Look, *orders: Order) -> Look:
    """The same look with these orders in the store."""
    return replace(look, record=replace(look.record, orders=(*look.record.orders, *orders)))


def view_of(plan: Plan) -> RolloutView:
    """The rollout as the plan shows it."""
    assert plan.rollout is not None
    return plan.rollout


def updated(plan: Plan) -> list[str]:
    """Relays that the plan restarts."""
    return [a.relay for a in plan.actions if isinstance(a, Deploy) and a.change >= ChangeClass.RESTART]


def state_of(plan: Plan) -> str:
    """State of the rollout."""
    return view_of(plan).state


def events(plan: Plan) -> list[str]:
    """What the plan adds to the history."""
    return [event.what for event in view_of(plan).events]


def play(
    look: Look, until: Callable[[Plan], bool], mishap: Callable[[Look], Look] = lambda look: look
) -> tuple[Look, Plan, list[list[str]], list[str]]:
    """Carry plans out, look after look, until one is as asked for.

    Returns that look and plan, who was restarted in each look before it, and all events. `mishap` happens to each look.
    """
    steps: list[list[str]] = []
    told: list[str] = []
    for _ in range(MOST_LOOKS):
        plan = plan_fleet(look)
        told += events(plan)
        if until(plan):
            return look, plan, steps, told
        steps.append(updated(plan))
        look = mishap(carry_out(look, plan))
    raise AssertionError(f"it never came to this: {view_of(plan)}")


def is_complete(plan: Plan) -> bool:
    """Whether the rollout is."""
    return state_of(plan) == RolloutState.COMPLETE


def runs(look: Look) -> dict[str, str]:
    """Release by relay."""
    files = {"a" * 64: OLD, "b" * 64: NEW}
    hosts = {instance.instance_id: instance.relay for instance in look.seen.cloud.instances}
    return {hosts[key]: files[facts.release] for key, facts in look.seen.hosts.items()}
