"""A rollout as people see it: waves, every relay's step with its reason in numbers, what is left; and what waits for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from orchestrator.fleet.rollout import RolloutState
from orchestrator.planning.comparison import describe
from orchestrator.planning.draining import DRAIN, list_draining
from orchestrator.planning.estimate import RESTART
from orchestrator.planning.footing import Footing
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Action, Deploy, Health, Hold, Plan, RelayView, Stop
from orchestrator.planning.rollout import Course, count_connected, note_restarts
from orchestrator.planning.rollout_view import Progress, RelayProgress, RolloutView
from orchestrator.planning.settling import bake_time, describe_span, list_others, typical_restart
from orchestrator.planning.waves import Links, describe_waves
from orchestrator.planning.wished import is_settled, is_trusted, told_digest
from orchestrator.rendering.values import ChangeClass

UPDATE = "update"
"""What a hold is called that keeps a relay what it is until its turn comes."""

BAKE = "bake"
"""What a hold is called that waits for an updated relay to prove itself."""


def wait_for_rollout(course: Course, view: RelayView, look: Look) -> Hold | None:
    """Return what keeps a relay that is otherwise as it is to be now from being done with the rollout."""
    gate = course.gates.get(view.name)
    if gate is not None:
        return Hold(view.name, UPDATE, gate)
    waved = any(view.name in wave for wave in course.waves)
    settling = course.record.settling.get(view.name)
    if not waved or (settling is not None and settling.settled) or course.rollout.state is RolloutState.COMPLETE:
        return None
    if not course.runs:
        return Hold(view.name, BAKE, f"the rollout is {course.rollout.state.value}: {course.rollout.because}")
    because = (
        _describe_bake(course.footings[view.name], course, look) if settling is not None else "it has to serve first"
    )
    return Hold(view.name, BAKE, because, passes=settling is not None)


def report_rollout(course: Course, links: Links, plan: Plan, look: Look) -> RolloutView:
    """Return the rollout as this plan shows it, with what is to be kept before any of its effects."""
    told = {
        action.relay: isinstance(action, Stop) or _is_new(action.relay, course)
        for action in plan.actions
        if isinstance(action, Stop) or _restarts(action)
    }
    record = note_restarts(course, told, look)
    draining = list_draining((*plan.actions, *plan.holds), look)
    counted = {name: count_connected(name, course) for name in draining if name in course.footings}
    connected = {name: count for name, count in counted.items() if count is not None}
    record = replace(record, draining=draining, connected=connected)
    regions = {name: footing.region for name, footing in course.footings.items()}
    rollout = course.rollout
    waved = {name for wave in course.waves for name in wave}
    shown = course.footings if rollout.state is not RolloutState.COMPLETE else {}
    steps = {step.relay: step for step in (*plan.actions, *plan.holds)}
    relays = {
        name: _describe(footing, course, steps.get(name), look)
        for name, footing in shown.items()
        if name in waved or name in rollout.failed or name in course.going_back
    }
    first = {
        name
        for name, footing in course.footings.items()
        if told_digest(course.record, name) != footing.wish
        and (footing.runs in course.record.failures or footing.view.health is Health.UNHEALTHY)
    }
    most = look.spec.most_out()
    return RolloutView(
        version=rollout.version,
        state=rollout.state.value,
        because=rollout.because,
        waves=describe_waves(replace(rollout, waves=course.waves), links, regions, first, look.spec.rollout)
        if shown
        else (),
        relays=relays,
        open_wave=course.open_wave if shown else None,
        left=_estimate(course, look),
        out_at_most=min(max((len(wave) for wave in course.waves), default=0), most) if shown else 0,
        findings=course.findings,
        record=record,
        events=course.events,
        bundles=course.bundles,
    )


def _is_new(relay: str, course: Course) -> bool:
    """Whether nothing ever ran on a relay's instance, so that it takes longer than a restart until it serves."""
    before, footing = course.record.restarts.get(relay), course.footings.get(relay)
    replaced = before is not None and before.replaced and before.served_at is None
    return replaced or (footing is not None and not footing.runs)


def _restarts(action: Action) -> bool:
    return isinstance(action, Deploy) and action.change >= ChangeClass.RESTART


def _describe(footing: Footing, course: Course, step: object, look: Look) -> RelayProgress:
    name, rollout = footing.name, course.rollout
    settling = course.record.settling.get(name)
    because = step.because if isinstance(step, Hold) else footing.view.reason
    if isinstance(step, Hold) and step.wanted == DRAIN:
        return RelayProgress(Progress.DRAINS, because)
    restart = step if isinstance(step, Deploy) and _restarts(step) else None  # else it reloads, beside the rollout
    if name in course.going_back or (restart is not None and restart.rendered.release.version != rollout.version):
        causes = (rollout.failed.get(name, rollout.because), because)
        return RelayProgress(Progress.GOES_BACK, "; ".join(cause for cause in causes if cause))
    if name in rollout.failed:
        return RelayProgress(Progress.FAILED, rollout.failed[name])
    if settling is not None and settling.settled:
        return RelayProgress(Progress.DONE, f"serves since {describe_span(look.now - settling.since)}")
    if settling is not None:
        return RelayProgress(Progress.BAKES, _describe_bake(footing, course, look))
    told = told_digest(course.record, name) == footing.wish
    if told and course.record.restarts[name].served_at is None:
        since = look.now - course.record.restarts[name].at
        return RelayProgress(Progress.RESTARTS, f"for {describe_span(since)}: {footing.view.reason}")
    if restart is not None:
        return RelayProgress(Progress.RESTARTS, restart.reason)
    if course.gates.get(name) is not None:
        return RelayProgress(Progress.WAITS, course.gates[name])
    return RelayProgress(Progress.NEXT, because)


def _describe_bake(footing: Footing, course: Course, look: Look) -> str:
    settling = course.record.settling[footing.name]
    wanted = look.spec.rollout.healthy_looks
    if settling.looks < wanted:
        return f"serves in {settling.looks} of {wanted} looks"
    bake = None if is_trusted(course.rollout) else bake_time(footing.name, course.waves, course.rollout.canaries, look)
    waved = [name for wave in course.waves for name in wave]
    others = list_others(waved, course.footings, look)
    served = describe_span(look.now - settling.since)
    return f"{served} of {describe_span(bake or timedelta())}; {describe(footing.signals, others)}"


def _estimate(course: Course, look: Look) -> timedelta:
    """Return the time until the last wave has baked: waves one after another, in each as many at once as the budget lets."""
    if course.rollout.state is not RolloutState.RUNNING:
        return timedelta()
    policy, most = look.spec.rollout, look.spec.most_out()
    restart = typical_restart(course.record, RESTART) + (policy.drain_time or timedelta())
    left = timedelta()
    for index, wave in enumerate(course.waves):
        todo = [name for name in wave if not is_settled(name, course.record.settling)]
        if not todo:
            continue
        bake = None if is_trusted(course.rollout) else bake_time(todo[0], course.waves, course.rollout.canaries, look)
        restarts = sum(1 for name in todo if name not in course.record.settling)
        left += -(-restarts // min(most, _most_at_once(wave, course.footings, look))) * restart
        left += (bake or timedelta()) + policy.healthy_looks * look.spec.controller.look_every
        if index == course.open_wave and not restarts:
            left -= min(bake or timedelta(), *(look.now - course.record.settling[name].since for name in todo))
    return left


def _most_at_once(wave: tuple[str, ...], footings: Mapping[str, Footing], look: Look) -> int:
    regions = {footings[name].region for name in wave}
    return sum(min(look.spec.most_out_in(r), sum(footings[n].region == r for n in wave)) for r in regions)
