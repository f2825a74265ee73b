"""The autoscaler against its rivals on recorded demand: frontiers over their targets, and figures at equal relay-hours."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from benchmarks.traces import Trace, load_traces
from orchestrator.cli.charts import draw_frontier
from orchestrator.simulation.demand.policies import POLICIES, PolicyName, make_policy
from orchestrator.simulation.demand.replay import play_trace
from orchestrator.simulation.demand.scoring import Score, score_course

LEADS_MINUTES = (3, 20, 60)
TARGETS = (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
RIVALS: tuple[PolicyName, ...] = ("hpa", "target-tracking")
COMPARED_AT = (0.6, 0.7)
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "genesis-fleet"
CHARTS = Path(__file__).resolve().parent.parent / "docs" / "charts"

Frontier = Mapping[PolicyName, Sequence[Score]]


def measure_autoscaling(report: Callable[[str], None], *, draw: bool) -> list[dict[str, Any]]:
    """Play every policy with every target on every trace, a process a core; return a row a trace, lead time and target."""
    traces = load_traces(CACHE, report)
    cases = [(trace, lead) for trace in traces for lead in LEADS_MINUTES]
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor() as pool:
        for (trace, lead), frontier in zip(cases, pool.map(_play, *zip(*cases, strict=True)), strict=True):
            report(f"autoscaling: {trace.name}, {lead} min")
            rows += [_compare(trace, lead, target, frontier) for target in COMPARED_AT]
            if draw:
                CHARTS.mkdir(exist_ok=True)
                title = f"{trace.name}, {lead} minutes from launch to serving"
                picture = CHARTS / f"autoscaling-{trace.name.replace(' ', '-')}-{lead}.svg"
                picture.write_text(draw_frontier(title, frontier), encoding="utf-8")
    return rows


def _play(trace: Trace, lead: int) -> Frontier:
    """Return each policy's scores, one a target."""
    found: dict[PolicyName, list[Score]] = {name: [] for name in POLICIES}
    for name, target in product(POLICIES, TARGETS):
        course = play_trace(trace.demand, make_policy(name, trace.demand, target, lead), lead)
        found[name].append(score_course(trace.demand, course))
    return found


def _compare(trace: Trace, lead: int, target: float, frontier: Frontier) -> dict[str, Any]:
    """Set one of our points beside the better rival and the oracle, each at as many relay-hours as its targets can be mixed to."""
    ours = frontier["ours"][TARGETS.index(target)]
    rivals = {name: at_hours(frontier[name], ours.node_hours) for name in RIVALS}
    best = min(rivals, key=lambda name: rivals[name][0])
    under, actions = rivals[best]
    oracle = frontier["oracle"][TARGETS.index(0.7)]
    return {
        "trace": trace.name,
        "tuned_on": trace.tuned_on,
        "lead_minutes": lead,
        "target": target,
        "under_time_percent": round(ours.under_time_percent, 2),
        "over_percent": round(ours.over_percent, 1),
        "node_hours": round(ours.node_hours),
        "actions": ours.actions,
        "rival": best,
        "rival_under_time_percent": round(under, 2),
        "under_time_ratio": round(ours.under_time_percent / under, 2) if under else None,
        "actions_ratio": round(ours.actions / actions, 2),
        "oracle_hours_ratio": round(ours.node_hours / oracle.node_hours, 2),
    }


def at_hours(line: Sequence[Score], node_hours: float) -> tuple[float, float]:
    """Return minutes short (percent) and actions of a policy at so many relay-hours, between its targets; at its ends, those."""
    points = sorted((score.node_hours, score.under_time_percent, score.actions) for score in line)
    if node_hours <= points[0][0]:
        return points[0][1], points[0][2]
    for (less, short, acted), (more, short_more, acted_more) in pairwise(points):
        if less <= node_hours <= more:
            part = (node_hours - less) / (more - less) if more > less else 0.0
            return short + part * (short_more - short), acted + part * (acted_more - acted)
    return points[-1][1], points[-1][2]


def autoscaling_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table that `make bench` prints, and that docs/autoscaling.md has."""
    lines = [
        "| demand | lead | target | minutes short | rival at equal relay-hours | ratio | actions, ratio | hours to the oracle's |",
        "|---|---:|---:|---:|---|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda row: (not row["tuned_on"], row["lead_minutes"], row["target"], row["trace"])):
        purpose = " (tuned on)" if row["tuned_on"] else ""
        lines.append(
            f"| {row['trace']}{purpose} | {row['lead_minutes']} min | {row['target']} | {row['under_time_percent']:.2f} % | "
            f"{row['rival']} {row['rival_under_time_percent']:.2f} % | {row['under_time_ratio']} | {row['actions_ratio']} | "
            f"{row['oracle_hours_ratio']} |"
        )
    return lines
