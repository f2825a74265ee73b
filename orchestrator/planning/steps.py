"""Decides the next step of one relay whose instance runs: furnish, prepare, stage, deploy, wait, or nothing.

One step at a time; the next look decides the one after. Whether a disturbing step may happen now is the budget's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.fleet.generations import follows
from orchestrator.fleet.observation import HostFacts, Instance, InstanceState, UnitState
from orchestrator.planning.assess import Slot, is_only_doubted, may_serve
from orchestrator.planning.budget import Budget, name_some
from orchestrator.planning.draining import wait_for_drain
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Action, Deploy, Furnish, Health, Hold, Kind, Phase, Prepare, RelayView, Stage
from orchestrator.planning.replacing import is_other_kind, plan_replacement
from orchestrator.planning.retries import why_not_retry
from orchestrator.planning.silence import is_identified, why_dead
from orchestrator.rendering.digest import compare_files
from orchestrator.rendering.values import ChangeClass, RenderedRelay


@dataclass(frozen=True, slots=True)
class Goal:
    """What a relay is to be now, and what it will be once its turn has come, if that is to be staged already."""

    now: RenderedRelay
    later: RenderedRelay | None
    kind: Kind
    named_by: frozenset[str]
    """Addresses of the relays whose topology names it."""


def plan_step(
    slot: Slot,
    view: RelayView,
    goal: Goal,
    baseline: str,
    look: Look,
    budget: Budget,
    planned: Mapping[str, int],
) -> tuple[RelayView, Action | Hold | None]:
    """Return the view with what is pending, and this relay's one action or hold; None when it is as it is to be now."""
    instance, rendered, later = slot.current, goal.now, goal.later
    assert instance is not None  # noqa: S101 - callers pass slots with an instance only
    name = view.name
    furnish = _plan_furnish(slot, instance, look)
    if furnish is not None:
        return view, _unless_waiting(furnish, "furnish", look)
    facts = look.seen.hosts.get(instance.instance_id)
    if not isinstance(facts, HostFacts):
        return view, Hold(name, "inspect", view.reason, passes=view.phase is not Phase.UNKNOWN)
    if facts.working:
        return view, Hold(name, facts.working, f"another run is at work on the host ({facts.working})", passes=True)
    if (prepare := _plan_prepare(name, instance, facts, baseline, look)) is not None:
        preparing = (
            view if view.health is Health.HEALTHY else replace(view, phase=Phase.PREPARING, reason=prepare.reason)
        )
        return preparing, _unless_waiting(prepare, "prepare", look)
    view = _with_pending(view, facts, rendered, look.wanted.versions)
    if is_other_kind(instance, goal.kind):
        return view, plan_replacement(slot, view, goal.kind, look, budget, planned, goal.named_by)
    stage = _plan_stage(name, instance, facts, rendered) or (
        _plan_stage(name, instance, facts, later) if later is not None else None
    )
    if stage is not None and (stage.rendered is rendered or view.pending is None or view.health is Health.HEALTHY):
        staging = view if view.health is Health.HEALTHY else replace(view, phase=Phase.STAGING, reason=stage.reason)
        return staging, _unless_waiting(stage, "stage", look)
    if view.pending is not None:
        return view, _plan_deploy(view, instance, facts, goal, look, budget)
    return view, _wait_for_node(view, facts)


def _plan_stage(name: str, instance: Instance, facts: HostFacts, rendered: RenderedRelay) -> Stage | None:
    missing = {rendered.release.sha256, rendered.network_digest} - facts.staged
    if not missing:
        return None
    what = f"release {rendered.release.version}" if rendered.release.sha256 in missing else "the network's files"
    return Stage(name, instance, rendered, f"{what} is not staged")


def _with_pending(view: RelayView, facts: HostFacts, rendered: RenderedRelay, versions: Mapping[str, str]) -> RelayView:
    """Compare the host with what was rendered; running digests tell what the node really started with."""
    differing = compare_files(rendered, facts.files)
    # Owner and mode alone are put right beside a running node: only other content asks it to do something.
    changes = [
        file.change if (seen := facts.files.get(file.path)) is None or seen.sha256 != file.sha256 else ChangeClass.NONE
        for file in differing
    ]
    drift = [file.path for file in differing]
    if facts.release != rendered.release.sha256:
        changes.append(ChangeClass.RESTART)
        drift.append("release")
    runs = facts.unit in (UnitState.ACTIVE, UnitState.RELOADING, UnitState.ACTIVATING)
    if not runs and facts.unit is not UnitState.DEACTIVATING:
        changes.append(ChangeClass.RESTART)
        drift.append("unit")
    # Before it starts, also between two tries of one that crashes, nothing is running that could be out of date.
    begun = runs and (facts.unit is not UnitState.ACTIVATING or facts.running_restart_digest != "")
    if begun and facts.running_restart_digest != rendered.restart_digest and ChangeClass.RESTART not in changes:
        changes.append(ChangeClass.RESTART)
        drift.append("running node")
    if begun and facts.running_reload_digest != rendered.reload_digest and not changes:
        changes.append(ChangeClass.RELOAD)
        drift.append("loaded topology")
    if not facts.unit_enabled and not changes:
        changes.append(ChangeClass.NONE)
        drift.append("unit is not enabled")
    return replace(
        view,
        pending=max(changes) if changes else None,
        drift=tuple(drift),
        digest=None if changes else rendered.digest,
        release=versions.get(facts.release),
    )


def _plan_furnish(slot: Slot, instance: Instance, look: Look) -> Furnish | Hold | None:
    if look.spec.cloud.kind == "static" or instance.state is not InstanceState.RUNNING:
        return None
    lacking = []
    if look.spec.regions[instance.region].addresses == "elastic" and instance.instance_id not in look.by.addressed:
        lacking.append("its elastic address")
    if instance.instance_id not in look.by.volumes:
        lacking.append("its chain disk")
    if not lacking:
        return None
    dead = [i for i in slot.instances[1:] if why_dead(i, look) is not None or follows(instance, i)]
    waits_for = next((i for i in dead if i.instance_id in look.by.addressed or i.instance_id in look.by.volumes), None)
    if waits_for is not None:
        because = f"{' and '.join(lacking)} still belongs to {waits_for.instance_id}, which is being retired"
        return Hold(slot.relay.name, "furnish", because, passes=True)
    return Furnish(slot.relay.name, instance, f"{instance.instance_id} lacks {' and '.join(lacking)}")


def _plan_prepare(name: str, instance: Instance, facts: HostFacts, baseline: str, look: Look) -> Prepare | None:
    attached = look.by.volumes.get(instance.instance_id)
    volume = attached.volume_id if attached is not None else None
    if not is_identified(instance, look.record):
        return Prepare(name, instance, "identify", volume, "its own host key is not on record yet")
    if facts.prepared != baseline:
        why = "differs from the wanted one" if facts.prepared else "was never made"
        return Prepare(name, instance, "settle", volume, f"its baseline {why}")
    if not facts.one_time_key_wiped:
        return Prepare(name, instance, "settle", volume, "its one-time host key is still in use")
    return None


def _plan_deploy(
    view: RelayView,
    instance: Instance,
    facts: HostFacts,
    goal: Goal,
    look: Look,
    budget: Budget,
) -> Action | Hold:
    change = view.pending or ChangeClass.NONE
    what = f"{name_some(view.drift)} differ" if len(view.drift) > 1 else f"{view.drift[0]} differs"
    if facts.unit is UnitState.ABSENT and not facts.files:
        what = "was never deployed"
    restarts = change >= ChangeClass.RESTART
    answers = may_serve(view.name, look.seen, facts)
    disturbs = restarts and (view.health is Health.HEALTHY or answers)
    if facts.unit is UnitState.DEACTIVATING:
        return Hold(view.name, "deploy", f"{what}; the node is still stopping", passes=True)
    if facts.firewall_pending:
        return Hold(view.name, "deploy", "firewall rules wait for their confirmation or their undoing", passes=True)
    if (hold := why_not_retry(look, view.name, "deploy")) is not None:
        return hold
    if restarts and view.health is Health.UNKNOWN:
        return Hold(
            view.name, "deploy", f"{what}; whether it serves is not known, so it is not restarted: {view.reason}"
        )
    if restarts and (gate := budget.gates.get(view.name)) is not None:
        return Hold(view.name, "restart", f"{what}; {gate}")
    if disturbs:
        serves = view.health is Health.HEALTHY
        full = (
            budget.why_not_disturb(view.name, view.region)
            if serves or is_only_doubted(view, look.seen)
            else budget.why_not_touch(view.name, view.region)
        )
        if full is not None:
            return Hold(view.name, "restart", f"{what}; {full}")
        if serves and (drain := wait_for_drain(view.name, what, facts, look, goal.named_by)) is not None:
            return drain
    return Deploy(view.name, instance, goal.now, change, disturbs, what)


def _wait_for_node(view: RelayView, facts: HostFacts) -> Hold | None:
    if facts.firewall_pending:
        return Hold(view.name, "deploy", "firewall rules wait for their confirmation or their undoing", passes=True)
    if view.phase in (Phase.SYNCING, Phase.DEPLOYING):
        return Hold(view.name, "serve", view.reason, passes=True)
    if view.phase in (Phase.QUARANTINED, Phase.UNKNOWN):
        return Hold(view.name, "serve", view.reason)
    return None


def _unless_waiting(step: Action | Hold, intent: str, look: Look) -> Action | Hold:
    if isinstance(step, Hold):
        return step
    return why_not_retry(look, step.relay, intent) or step
