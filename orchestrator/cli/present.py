"""What operators see: tables and sentences for people, the same as JSON for programs. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.cli.naming import name_lines
from orchestrator.cli.rollout_text import is_under_way, rollout_json, rollout_plan_lines, shorten_hold
from orchestrator.cli.tables import Column, fit_table
from orchestrator.cli.times import describe_time
from orchestrator.execution.cycle import Round
from orchestrator.fleet.names import NameRecord
from orchestrator.fleet.observation import InFlight
from orchestrator.planning.names import describe_changes
from orchestrator.planning.plan import Action, Deploy, Health, Hold, Launch, Phase, Plan, Prepare, RelayView
from orchestrator.planning.trust import Stand

COLOURS = {Health.HEALTHY: "green", Health.UNHEALTHY: "yellow", Health.UNKNOWN: "magenta"}


def relay_json(view: RelayView) -> dict[str, Any]:
    """Return one relay for `--json`."""
    return {
        "name": view.name,
        "region": view.region,
        "address": view.address,
        "phase": view.phase.value,
        "health": view.health.value,
        "reason": view.reason,
        "release": view.release,
        "digest": view.digest,
        "drift": list(view.drift),
        "instance": view.instance.instance_id if view.instance else None,
        "tip_slot": view.tip_slot,
        "tip_age_seconds": view.tip_age_seconds,
        "chain": view.chain,
        "published": view.published,
        "notes": list(view.notes),
    }


def summary_json(plan: Plan) -> dict[str, Any]:
    """Return the counts that a status ends with."""
    wanted = [view for view in plan.relays if not view.retiring]
    return {
        "wanted": len(wanted),
        "serving": sum(1 for view in wanted if view.health is Health.HEALTHY),
        "unknown": sum(1 for view in wanted if view.health is Health.UNKNOWN),
        "phases": dict(sorted(Counter(view.phase.value for view in plan.relays).items())),
        "published": sum(1 for view in wanted if view.published),
        "partners": dict(plan.partners),
        "agreed_tip": str(plan.agreed_tip) if plan.agreed_tip is not None else None,
        "warnings": list(plan.warnings),
    }


def status_json(plan: Plan) -> dict[str, Any]:
    """Return what `status --json` prints."""
    return {
        "relays": [relay_json(view) for view in plan.relays],
        "summary": summary_json(plan),
        "rollout": rollout_json(plan.rollout),
    }


def plan_json(found: Round) -> dict[str, Any]:
    """Return what `plan --json` prints."""
    plan = found.plan
    return {
        **status_json(plan),
        "actions": [
            {"relay": a.relay, "action": describe_kind(a), "detail": describe_detail(a), "reason": a.reason}
            for a in plan.actions
        ],
        "holds": [{"relay": h.relay, "wanted": h.wanted, "because": h.because, "passes": h.passes} for h in plan.holds],
        "refusals": list(found.refusals),
        "out_at_most": plan.out_at_most,
        "estimate_seconds": plan.estimate.total_seconds(),
        "names": names_json(plan),
    }


def names_json(plan: Plan) -> dict[str, Any] | None:
    """Return what the names are to be, and what changes for that; None for a fleet without names."""
    if plan.names is None:
        return None
    changes = plan.names.changes
    return {
        "wanted": [record_json(record) for record in plan.names.wanted],
        "delete": [record_json(record) for change in changes for record in change.delete],
        "create": [record_json(record) for change in changes for record in change.create],
    }


def record_json(record: NameRecord) -> dict[str, Any]:
    """Return one record set for `--json`; what it does not have is left out."""
    found = {
        "name": record.name,
        "type": record.kind,
        "values": list(record.values),
        "ttl": record.ttl,
        "routing": record.routing.value,
        "set_id": record.set_id,
        "region": record.region,
        "alias": record.alias,
    }
    return {key: value for key, value in found.items() if value not in ("", 0, [])}


def status_table(
    plan: Plan, width: int, in_flight: Mapping[str, InFlight] | None = None, most_rows: int | None = None
) -> Table:
    """Return a line per relay with phase and reason; where rows are few, relays that just serve are left out first."""
    busy = in_flight or {}
    views = plan.relays
    if most_rows is not None and len(views) > most_rows:
        views = tuple(v for v in views if v.health is not Health.HEALTHY or v.name in busy)[: max(most_rows - 1, 1)]
    columns = [
        Column("relay", [view.name for view in views]),
        Column("address", [view.address or "–" for view in views], goes=1),
        Column("phase", [_phase(view, busy.get(view.name)) for view in views]),
        Column("health", [Text(view.health.value, style=COLOURS[view.health]) for view in views], goes=2),
        Column("release", [view.release or "–" for view in views], goes=3),
        Column("tip age", [_age(view.tip_age_seconds) for view in views], goes=4),
        Column("why", [Text(describe_why(view)) for view in views]),
    ]
    table = fit_table(columns, width, one_line=most_rows is not None)
    if len(views) < len(plan.relays):
        table.add_row(f"… {len(plan.relays) - len(views)} more")
    return table


def _phase(view: RelayView, work: InFlight | None) -> str:
    return f"{view.phase.value} ({work.intent})" if work else view.phase.value


def _age(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.0f} s"


def describe_why(view: RelayView) -> str:
    """Return the reason of a view; what differs on a serving relay; what is odd about its chain, and beside."""
    parts = [view.reason]
    if view.phase is Phase.SERVING and view.drift:
        parts = [f"serves; differs in {', '.join(view.drift)}"]
    if view.chain and view.chain not in view.reason and not view.chain.startswith(Stand.AGREES.value):
        parts.append(view.chain)
    if view.phase is Phase.SERVING and not view.published:
        parts.append("not published")
    return "; ".join((*parts, *view.notes))


def summary_line(plan: Plan) -> str:
    """Return the line that a status ends with."""
    counts = summary_json(plan)
    line = f"{counts['serving']} of {counts['wanted']} serving"
    if counts["published"] != counts["serving"]:
        line += f", {counts['published']} published"
    if quarantined := counts["phases"].get(Phase.QUARANTINED.value):
        line += f", {quarantined} quarantined"
    if counts["unknown"]:
        line += f", {counts['unknown']} unknown"
    partners = [f"{name}: {verdict}" for name, verdict in plan.partners.items()]
    return f"{line} · partners {', '.join(partners) or 'none'}"


def plan_text(found: Round) -> str:
    """Return a plan in words: what will happen, why, what waits, how much is out, how long; a rollout as a whole first."""
    plan = found.plan
    lines = [f"! {warning}" for warning in plan.warnings]
    lines += [f"✗ refused: {refusal}" for refusal in found.refusals]
    if plan.rollout is not None:
        lines += rollout_plan_lines(plan.rollout)
    if plan.names is not None and plan.names.changes:
        lines.append(f"+ publish {describe_changes(plan.names.changes)}")
    lines += _action_lines(plan.actions)
    lines += hold_lines(tuple(replace(hold, because=shorten_hold(hold.because, plan.rollout)) for hold in plan.holds))
    under_way = is_under_way(plan.rollout)
    if plan.nothing_to_do and not plan.holds and not under_way:
        lines.append("Nothing to do: everything is as the fleet file says.")
    else:
        counts = f"{len(plan.actions)} actions, {len(plan.holds)} holds; out at most {plan.out_at_most} of {_wanted(plan)} relays"
        # How long a rollout takes was said above; what is started now is only its beginning.
        lines.append(f"now: {counts}" if under_way else f"{counts}; about {describe_time(plan.estimate)}")
    return "\n".join(lines)


def describe_kind(action: Action) -> str:
    """Return the word of an action."""
    return type(action).__name__.lower()


def describe_detail(action: Action) -> str:
    """Return what distinguishes this action from others of its kind."""
    match action:
        case Launch(zone=zone, generation=generation):
            return f"in {zone}, generation {generation}"
        case Prepare(step=step):
            return step
        case Deploy(change=change, disturbs=disturbs):
            return f"{change.name.lower()}{', takes it out' if disturbs else ''}"
        case _:
            return ""


def describe_hold(hold: Hold) -> str:
    """Return one hold in a line."""
    return f"{hold.relay}: {hold.wanted} waits: {hold.because}"


def _action_lines(actions: tuple[Action, ...]) -> list[str]:
    """One line for relays that get the same treatment for the same reason: twenty lines alike tell nothing more."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for action in actions:
        instance = getattr(action, "instance", None)
        reason = _of_any(action.reason, action.relay, instance.instance_id if instance else None)
        detail = describe_detail(action) if not isinstance(action, Launch) else ""
        groups.setdefault((describe_kind(action), detail, reason), []).append(action.relay)
    return [
        line
        for (kind, detail, reason), relays in groups.items()
        for line in name_lines(f"+ {kind}", relays, f"{f' ({detail})' if detail else ''}: {reason}")
    ]


def hold_lines(holds: tuple[Hold, ...]) -> list[str]:
    """One line for relays that wait with the same thing for the same reason.

    A reason that several are given word for word is told so: it may name one of them, as the one that all others wait for.
    """
    shared = Counter((hold.wanted, hold.because) for hold in holds)
    groups: dict[tuple[str, str], list[str]] = {}
    for hold in holds:
        together = shared[hold.wanted, hold.because] > 1
        because = hold.because if together else _of_any(hold.because, hold.relay, None)
        groups.setdefault((hold.wanted, because), []).append(hold.relay)
    return [
        line
        for (wanted, because), relays in groups.items()
        for line in name_lines("…", relays, f": {wanted} waits: {because}")
    ]


def _of_any(reason: str, *names: str | None) -> str:
    """Return a reason without the names of the one that it is about, so that reasons alike are seen to be alike."""
    for name in names:
        reason = reason.replace(name, "it") if name else reason
    return reason


def _wanted(plan: Plan) -> int:
    return sum(1 for view in plan.relays if not view.retiring)
