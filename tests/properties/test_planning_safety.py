"""What no plan does, whatever was seen: looks at a serving fleet with anything about it changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.fleet.observation import (
    HostFacts,
    InFlight,
    InstanceState,
    InstanceStatus,
    Observation,
    Sighting,
    UnitState,
    Unreachable,
    Verdict,
    WrongHostKey,
)
from orchestrator.fleet.relay import wanted_relays
from orchestrator.planning.checks import why_unsafe
from orchestrator.planning.look import GONE, Look
from orchestrator.planning.plan import Deploy, Health, Launch, Phase, Prepare, Retire, Stage, Stop
from orchestrator.planning.reconcile import plan_fleet
from tests.scenarios.builders import fleet_spec, serving_fleet, wanted

COUNTS = {"eu-central-1": 3, "eu-central-2": 2, "us-east-1": 3}
QUIET = settings(deadline=None, max_examples=120)


@cache
def serving_look() -> Look:
    return serving_fleet(fleet_spec(COUNTS)).look().look


WANTED = [
    wanted(fleet_spec(COUNTS)),
    wanted(fleet_spec(COUNTS, release="10.6.0")),
    wanted(fleet_spec({**COUNTS, "us-east-1": 2}, release="10.6.0")),
    wanted(fleet_spec(COUNTS, release="10.6.0", rollout={"max_unavailable": 3, "max_unavailable_per_region": 2})),
]

hosts = st.sampled_from(["as it was"] * 3 + ["unreachable", "wrong key", *UnitState])
verdicts = st.sampled_from([Verdict.OK] * 6 + list(Verdict))
states = st.sampled_from([InstanceState.RUNNING] * 12 + list(InstanceState))
statuses = st.sampled_from([InstanceStatus.OK] * 5 + [InstanceStatus.IMPAIRED])
works = st.sampled_from([None] * 8 + ["stage", "prepare", "deploy", "stop", "retire"])


class BriefLook(Look):
    """A look that shows what is unusual about it, rather than all there is."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(self.tell())

    def tell(self) -> str:
        usual, seen = serving_look().seen, self.seen
        odd = [f"release {self.spec.release}, {self.spec.rollout}", f"after {self.now - serving_look().now}"]
        odd += [f"{key}: {getattr(host, 'unit', host)}" for key, host in seen.hosts.items() if host != usual.hosts[key]]
        odd += [
            f"{i.relay} = {i.instance_id}: {i.state} {i.status}"
            for i in seen.cloud.instances
            if i not in usual.cloud.instances
        ]
        odd += [f"{name}: {s.verdict}" for name, s in seen.sightings.items() if s.verdict is not Verdict.OK]
        odd += [f"{name}: {work.intent} under way" for name, work in seen.in_flight.items()]
        return "; ".join([*odd, *(f"{region} is silent" for region in seen.cloud.silent_regions)])


@st.composite
def looks(draw: st.DrawFn) -> Look:
    base = serving_look()
    seen, now = base.seen, base.now + draw(st.sampled_from([timedelta(), timedelta(hours=2)]))
    staged = frozenset({"b" * 64}) if draw(st.booleans()) else frozenset()
    instances, views, sightings, in_flight, missed = [], {}, dict(seen.sightings), {}, {}
    few_or_many = draw(st.sampled_from([1, 2, 3, len(seen.cloud.instances)]))
    faulty = draw(st.sets(st.sampled_from([i.instance_id for i in seen.cloud.instances]), max_size=few_or_many))
    for instance in seen.cloud.instances:
        facts, kind = seen.hosts[instance.instance_id], "as it was"
        if instance.instance_id not in faulty:
            instances.append(instance)
        else:
            instances.append(replace(instance, state=draw(states), status=draw(statuses)))
            sightings[instance.relay] = Sighting(draw(verdicts))
            kind = draw(hosts)
        assert isinstance(facts, HostFacts)
        facts = replace(facts, staged=facts.staged | staged)
        match kind:
            case "as it was":
                views[instance.instance_id] = facts
            case "unreachable":
                views[instance.instance_id] = Unreachable("no answer")
                missed[instance.instance_id] = base.now
            case "wrong key":
                views[instance.instance_id] = WrongHostKey("another key")
            case _:
                views[instance.instance_id] = replace(facts, unit=kind)
        if instance.instance_id in faulty and (work := draw(works)) is not None:
            in_flight[instance.relay] = InFlight(work, base.now)
            del views[instance.instance_id]
    silent = dict.fromkeys(draw(st.sampled_from([(), (), (), *((region,) for region in COUNTS)])), "no answer")
    cloud = replace(
        seen.cloud,
        instances=tuple(i for i in instances if i.region not in silent),
        silent_regions=silent,
    )
    record = replace(base.record, missed_since=missed)
    return BriefLook(draw(st.sampled_from(WANTED)), Observation(cloud, views, sightings, in_flight), record, now)


@QUIET
@given(look=looks(), random=st.randoms(use_true_random=False))
def test_the_same_inputs_in_any_order_give_the_same_plan(look: Look, random) -> None:
    def shuffled(things):
        return tuple(random.sample(things, len(things)))

    def reordered(mapping):
        return dict(shuffled(list(mapping.items())))

    cloud = look.seen.cloud
    seen = Observation(
        replace(
            cloud,
            instances=shuffled(cloud.instances),
            volumes=shuffled(cloud.volumes),
            addresses=shuffled(cloud.addresses),
            zones=reordered(cloud.zones),
        ),
        reordered(look.seen.hosts),
        reordered(look.seen.sightings),
        reordered(look.seen.in_flight),
    )
    record = replace(look.record, intents=shuffled(look.record.intents), identities=reordered(look.record.identities))
    assert plan_fleet(replace(look, seen=seen, record=record)) == plan_fleet(look)


@QUIET
@given(look=looks())
def test_disturbed_and_out_together_stay_within_the_budget(look: Look) -> None:
    plan = plan_fleet(look)
    taken = {
        a.relay for a in plan.actions if isinstance(a, Deploy) and a.change >= 2 and is_seen_to_serve(look, a.relay)
    }
    if not taken:
        return
    relays = wanted_relays(look.spec)
    out = {
        r.name: r.region
        for r in relays
        if not is_seen_to_serve(look, r.name) or r.name in taken or r.name in disturbed(look)
    }
    assert len(out) <= look.spec.most_out()
    assert max(Counter(out.values()).values()) <= look.spec.rollout.most_out_of_region(1)
    for region in {relay.region for relay in relays if relay.name in taken}:
        assert [r for r in relays if r.region == region and r.name not in out]


def disturbed(look: Look) -> set[str]:
    return {name for name, work in look.seen.in_flight.items() if work.intent in ("deploy", "stop")}


def is_seen_to_serve(look: Look, relay: str) -> bool:
    """Judged from the look alone: the cloud lists it as running, the node runs as far as asked, the wire says ok."""
    living = [i for i in look.seen.cloud.instances if i.relay == relay and i.state is InstanceState.RUNNING]
    if not living or look.seen.sightings[relay].verdict is not Verdict.OK:
        return False
    facts = look.seen.hosts.get(living[0].instance_id)
    return facts is None or (isinstance(facts, HostFacts) and facts.unit in (UnitState.ACTIVE, UnitState.RELOADING))


@QUIET
@given(look=looks())
def test_what_could_not_be_asked_is_never_healthy_and_never_worked_on(look: Look) -> None:
    plan = plan_fleet(look)
    doubtful = {
        i.relay
        for i in look.seen.cloud.instances
        if i.state is InstanceState.RUNNING and isinstance(look.seen.hosts.get(i.instance_id), WrongHostKey)
    }
    assert not {view.name for view in plan.relays if view.health is Health.HEALTHY} & doubtful
    assert not {action.relay for action in plan.actions} & doubtful


@QUIET
@given(look=looks())
def test_a_mostly_unknown_fleet_gets_only_holds(look: Look) -> None:
    plan = plan_fleet(look)
    views = [view for view in plan.relays if not view.retiring]
    known = [view for view in views if view.instance is not None or view.phase is Phase.UNKNOWN]
    if 3 * sum(view.phase is Phase.UNKNOWN for view in known) > len(known):
        assert plan.actions == ()
        assert plan.holds


@QUIET
@given(look=looks())
def test_nothing_is_retired_that_was_not_stopped_dead_or_never_deployed(look: Look) -> None:
    for action in plan_fleet(look).actions:
        if not isinstance(action, Retire):
            continue
        facts = look.seen.hosts.get(action.instance.instance_id)
        stopped = isinstance(facts, HostFacts) and facts.unit in (
            UnitState.INACTIVE,
            UnitState.ABSENT,
            UnitState.FAILED,
        )
        ended = action.instance.state is not InstanceState.RUNNING
        silent = isinstance(facts, Unreachable) and look.now - serving_look().now > look.spec.rollout.replace_after
        impaired = isinstance(facts, Unreachable) and action.instance.status is InstanceStatus.IMPAIRED
        assert stopped or ended or silent or impaired


@QUIET
@given(look=looks())
def test_no_relay_gets_two_actions_and_none_beside_its_work_under_way(look: Look) -> None:
    counts = Counter(action.relay for action in plan_fleet(look).actions)
    assert set(counts.values()) <= {1}
    assert not set(counts) & set(look.seen.in_flight)


@QUIET
@given(look=looks())
def test_only_hosts_that_answered_are_worked_on(look: Look) -> None:
    for action in plan_fleet(look).actions:
        if isinstance(action, Prepare | Stage | Deploy | Stop):
            assert isinstance(look.seen.hosts[action.instance.instance_id], HostFacts)


@QUIET
@given(look=looks())
def test_nothing_is_launched_beside_an_instance_that_lives(look: Look) -> None:
    for action in plan_fleet(look).actions:
        if isinstance(action, Launch):
            states = {i.state for i in look.seen.cloud.instances if i.relay == action.relay and i.state not in GONE}
            unreachable = {
                i.relay
                for i in look.seen.cloud.instances
                if isinstance(look.seen.hosts.get(i.instance_id), Unreachable)
            }
            assert states <= {InstanceState.STOPPED, InstanceState.STOPPING} or action.relay in unreachable


@QUIET
@given(look=looks())
def test_the_planner_makes_no_plan_that_its_own_checks_call_a_defect(look: Look) -> None:
    plan = plan_fleet(look)
    assert not [text for text in why_unsafe(plan, look.spec, look.seen, look.record) if "defect" in text]
