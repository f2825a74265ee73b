"""What no rollout does, however far it is and whatever was seen, kept or ordered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.fleet.observation import HostFacts, HostView, InstanceState, Observation, UnitState, Verdict
from orchestrator.fleet.relay import wanted_relays
from orchestrator.fleet.rollout import RolloutRecord, RolloutState
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Deploy, Hold, Plan, Stop
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.rendering.values import ChangeClass
from tests.properties.rollouts import POLICIES, looks
from tests.upgrades import NAMES, NEW, OLD, STAGED, digest_of, rendered, running, serving_look, wants

QUIET = settings(deadline=None, max_examples=60)

STOPPED = (RolloutState.PAUSED, RolloutState.HALTED, RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK)


def host_of(look: Look, name: str) -> HostFacts | None:
    instance = next(
        (i for i in look.seen.cloud.instances if i.relay == name and i.state is InstanceState.RUNNING), None
    )
    host = look.seen.hosts.get(instance.instance_id) if instance is not None else None
    return host if isinstance(host, HostFacts) else None


def was_asked(look: Look, name: str) -> bool:
    return host_of(look, name) is not None and look.seen.sightings[name].verdict is not Verdict.NOT_ASKED


def serves(look: Look, name: str) -> bool:
    """Judged from the look alone: the host answers, its node runs, the wire says ok, nobody is at work to stop it."""
    host = host_of(look, name)
    runs = host is not None and host.unit in (UnitState.ACTIVE, UnitState.RELOADING)
    return runs and look.seen.sightings[name].verdict is Verdict.OK and name not in look.seen.in_flight


def restarted(plan: Plan) -> Iterable[Deploy]:
    return (action for action in plan.actions if isinstance(action, Deploy) and action.change >= ChangeClass.RESTART)


def release_of(restart_digest: str) -> str:
    return next(release for release in (OLD, NEW) if rendered(release)[NAMES[0]].restart_digest == restart_digest)


def runs(look: Look, name: str) -> str:
    """Release whose files were last started on a host, or are about to be; empty if that is not known."""
    host = host_of(look, name)
    return next((r for r in (OLD, NEW) if host is not None and host.release == rendered(r)[name].release.sha256), "")


def kept_by(plan: Plan) -> RolloutRecord:
    assert plan.rollout is not None
    return plan.rollout.record


def steered(look: Look) -> Plan:
    """The plan, if it is not that everything is held."""
    plan = plan_fleet(look)
    assume(plan.rollout is not None)
    return plan


# --- always the same -------------------------------------------------------------------------------------------------


@QUIET
@given(look=looks(), random=st.randoms(use_true_random=False))
def test_the_same_inputs_in_any_order_give_the_same_plan(look: Look, random) -> None:
    def reordered(mapping):
        items = list(mapping.items())
        return dict(random.sample(items, len(items)))

    seen = look.seen
    cloud = replace(seen.cloud, instances=tuple(random.sample(seen.cloud.instances, len(seen.cloud.instances))))
    other = Observation(cloud, reordered(seen.hosts), reordered(seen.sightings), reordered(seen.in_flight))
    kept = look.record.rollout
    current = kept.current and replace(
        kept.current,
        wish=reordered(kept.current.wish),
        good=reordered(kept.current.good),
        failed=reordered(kept.current.failed),
    )
    rollout = replace(
        kept,
        current=current,
        settling=reordered(kept.settling),
        restarts=reordered(kept.restarts),
        draining=reordered(kept.draining),
    )
    record = replace(look.record, rollout=rollout, bundles=reordered(look.record.bundles))
    assert plan_fleet(replace(look, seen=other, record=record)) == plan_fleet(look)


# --- the budget ------------------------------------------------------------------------------------------------------


def list_taken(look: Look, plan: Plan) -> set[str]:
    """Relays that serve and that this plan stops, or has begun to take out of the names for it."""
    stopped = {deploy.relay for deploy in restarted(plan)} | {a.relay for a in plan.actions if isinstance(a, Stop)}
    drains = {hold.relay for hold in plan.holds if hold.wanted == "drain"}
    return {name for name in stopped | drains if serves(look, name)}


@QUIET
@given(look=looks())
def test_taken_draining_and_out_together_stay_within_the_budget(look: Look) -> None:
    plan = steered(look)
    if not (taken := list_taken(look, plan)):
        return
    relays = wanted_relays(look.spec)
    out = {relay.name: relay.region for relay in relays if relay.name in taken or not serves(look, relay.name)}
    assert len(out) <= look.spec.most_out()
    for region, count in Counter(out[name] for name in taken).items():
        assert Counter(out.values())[region] <= look.spec.most_out_in(region), count


@QUIET
@given(look=looks())
def test_a_region_goes_dark_only_if_it_wants_one_relay_and_all_others_serve(look: Look) -> None:
    plan = steered(look)
    taken = list_taken(look, plan)
    relays = wanted_relays(look.spec)
    left = {relay.region for relay in relays if serves(look, relay.name) and relay.name not in taken}
    for relay in relays:
        if relay.name in taken and relay.region not in left:
            assert look.spec.relay_count(relay.region) == 1
            assert all(serves(look, other.name) for other in relays if other != relay)


# --- evidence --------------------------------------------------------------------------------------------------------


@QUIET
@given(look=looks())
def test_what_could_not_be_asked_never_comes_nearer_to_being_settled(look: Look) -> None:
    before, after = look.record.rollout.settling, kept_by(steered(look)).settling
    for name, found in after.items():
        if not was_asked(look, name):
            known = before[name]
            assert (found.settled, found.digest, found.since) == (known.settled, known.digest, known.since)
            assert found.looks <= known.looks
            assert found.compared == known.compared


@QUIET
@given(look=looks())
def test_nobody_settles_who_does_not_serve_on_what_is_wished(look: Look) -> None:
    before, after = look.record.rollout.settling, kept_by(steered(look)).settling
    for name, found in after.items():
        if found.settled and not (name in before and before[name].settled):
            assert serves(look, name)
            assert runs(look, name) == look.spec.release


@QUIET
@given(look=looks())
def test_a_rollout_completes_only_when_everybody_serves_on_what_is_wished(look: Look) -> None:
    plan = steered(look)
    assert plan.rollout is not None
    if any(event.what == "complete" for event in plan.rollout.events):
        assert all(serves(look, name) and runs(look, name) == look.spec.release for name in NAMES)


# --- turns -----------------------------------------------------------------------------------------------------------


def list_newly_updated(look: Look, plan: Plan) -> Iterable[Deploy]:
    """Restarts with what is wished of relays that neither ran it nor had been told to."""
    before = look.record.rollout.restarts
    wish = digest_of(look.spec.release)
    for deploy in restarted(plan):
        told = before.get(deploy.relay)
        new = deploy.rendered.restart_digest == rendered(look.spec.release)[deploy.relay].restart_digest
        if new and runs(look, deploy.relay) != look.spec.release and (told is None or told.digest != wish):
            yield deploy


@QUIET
@given(look=looks(STOPPED))
def test_a_stopped_rollout_updates_nobody_further(look: Look) -> None:
    plan = steered(look)
    current = kept_by(plan).current
    assert current is not None
    assume(current.state in STOPPED and current.waves)
    assert [deploy.relay for deploy in list_newly_updated(look, plan)] == []


@QUIET
@given(look=looks((RolloutState.RUNNING,)))
def test_nobody_that_serves_is_updated_before_the_waves_before_it_have_settled(look: Look) -> None:
    plan = steered(look)
    kept = kept_by(plan)
    assert kept.current is not None
    wave_of = {name: index for index, wave in enumerate(kept.current.waves) for name in wave}
    for deploy in list_newly_updated(look, plan):
        if kept.current.state is RolloutState.RUNNING and deploy.relay in wave_of and serves(look, deploy.relay):
            earlier = [name for name in NAMES if wave_of.get(name, 99) < wave_of[deploy.relay]]
            assert all(name in kept.settling and kept.settling[name].settled for name in earlier)


@QUIET
@given(look=looks((RolloutState.RUNNING,)))
def test_nobody_at_all_is_updated_beside_canaries_that_have_not_settled(look: Look) -> None:
    plan = steered(look)
    kept = kept_by(plan)
    assert kept.current is not None
    current = kept.current
    assume(current.state is RolloutState.RUNNING and current.canaries and current.waves)
    if all(name in kept.settling and kept.settling[name].settled for name in current.waves[0]):
        return
    assert {deploy.relay for deploy in list_newly_updated(look, plan)} <= set(current.waves[0])


@QUIET
@given(look=looks())
def test_who_goes_back_goes_to_nothing_that_has_failed(look: Look) -> None:
    plan = steered(look)
    failed = {release for release in (OLD, NEW) if digest_of(release) in kept_by(plan).failures}
    for deploy in restarted(plan):
        to = release_of(deploy.rendered.restart_digest)
        if to != look.spec.release and runs(look, deploy.relay) not in ("", to):
            assert to not in failed


@QUIET
@given(look=looks())
def test_who_is_told_to_restart_is_written_down_with_what_it_is_to_be(look: Look) -> None:
    plan = steered(look)
    told = kept_by(plan).restarts
    for deploy in restarted(plan):
        assert told[deploy.relay].digest == digest_of(release_of(deploy.rendered.restart_digest))
        assert told[deploy.relay].at == look.now


# --- names -----------------------------------------------------------------------------------------------------------


@QUIET
@given(look=looks())
def test_nobody_is_newly_published_that_drains_or_has_not_served_in_enough_looks(look: Look) -> None:
    plan = steered(look)
    kept = kept_by(plan)
    assume(not look.record.orders)  # a retry begins to count anew, and takes nobody out of the names for it
    new = plan.evidence.published - look.record.evidence.published
    assert not new & kept.draining.keys()
    for name in new:
        assert serves(look, name)
        told = look.record.rollout.restarts.get(name)
        waved = kept.current is not None and any(name in wave for wave in kept.current.waves)
        if (
            waved
            and told is not None
            and told.digest == digest_of(look.spec.release)
            and runs(look, name) == look.spec.release
        ):
            settling = kept.settling.get(name)
            assert settling is not None
            assert settling.settled or settling.looks >= look.spec.rollout.healthy_looks


@QUIET
@given(look=looks())
def test_who_drains_is_in_no_names_and_is_known_since_when(look: Look) -> None:
    plan = steered(look)
    kept = kept_by(plan)
    assert not plan.evidence.published & kept.draining.keys()
    for hold in plan.holds:
        if isinstance(hold, Hold) and hold.wanted == "drain":
            assert kept.draining[hold.relay] == look.record.rollout.draining.get(hold.relay, look.now)


# --- the end ---------------------------------------------------------------------------------------------------------


@QUIET
@given(policy=st.sampled_from(POLICIES), hours=st.sampled_from([0, 1, 500]))
def test_a_converged_fleet_gives_an_empty_plan_and_an_unchanged_record(policy, hours: int) -> None:
    look = replace(serving_look(), wanted=wants(OLD, policy), now=serving_look().now + timedelta(hours=hours))
    plan = plan_fleet(look)
    assert (plan.actions, plan.holds) == ((), ())
    assert kept_by(plan) == look.record.rollout
    assert plan.rollout is not None
    assert (plan.rollout.events, dict(plan.rollout.bundles)) == ((), dict(look.record.bundles))


@QUIET
@given(look=looks((RolloutState.COMPLETE,)))
def test_a_complete_rollout_comes_to_rest_whatever_led_there(look: Look) -> None:
    """Planned again and again from what was kept, at a fleet that serves as wished, nothing more is done or written."""
    base = serving_look()
    hosts: dict[str, HostView] = {}
    for instance in base.seen.cloud.instances:
        facts = base.seen.hosts[instance.instance_id]
        assert isinstance(facts, HostFacts)
        hosts[instance.instance_id] = running(replace(facts, staged=STAGED), rendered(NEW)[instance.relay])
    record = replace(look.record, attempts={}, orders=())
    quiet = replace(look, seen=replace(base.seen, hosts=hosts), record=record)
    for _ in range(5):
        plan = plan_fleet(quiet)
        assert plan.rollout is not None
        kept = replace(quiet.record, rollout=plan.rollout.record, bundles=plan.rollout.bundles, evidence=plan.evidence)
        quiet = replace(quiet, record=kept)
    again = plan_fleet(replace(quiet, now=quiet.now + timedelta(seconds=10)))
    assert kept_by(again) == quiet.record.rollout
    assert again.actions == ()
