"""`autoscale`: how a policy would have followed a recorded demand, minute by minute, next to others."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.looking import as_json, data_console, progress
from orchestrator.cli.tables import Column, fit_table
from orchestrator.cli.times import DurationText
from orchestrator.errors import FleetError
from orchestrator.simulation.demand.policies import POLICIES, PolicyName, make_policy
from orchestrator.simulation.demand.replay import Course, play_trace
from orchestrator.simulation.demand.scoring import WARM_UP_MINUTES, Score, score_course
from orchestrator.simulation.demand.traces import read_trace

LEAST_TARGET, MOST_TARGET = 0.1, 1.0


@click.group(
    "autoscale",
    short_help="Judge autoscaling on recorded demand.",
    epilog="Example: genesis-fleet autoscale simulate --trace demand.csv --lead 20m",
)
def autoscale_group() -> None:
    """Judge autoscaling."""


@autoscale_group.command(
    "simulate",
    short_help="Play policies on a trace of demand, and judge them.",
    epilog="Example: genesis-fleet autoscale simulate --trace demand.csv --lead 20m --policy ours --policy hpa",
)
@click.option(
    "--trace",
    "trace_file",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns minute,demand; demand in relay-loads.",
)
@click.option("--lead", type=DurationText(), default="20m", show_default=True, help="From a launch to serving.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice(POLICIES),
    default=("ours",),
    show_default=True,
    help="May be repeated.",
)
@click.option(
    "--target",
    type=click.FloatRange(LEAST_TARGET, MOST_TARGET),
    default=0.7,
    show_default=True,
    help="Share of a relay's connection limit that policies aim at.",
)
@click.option("--plot", metavar="OUT.svg", type=click.Path(dir_okay=False, path_type=Path), help="Draw what they did.")
@as_json
def simulate_command(
    trace_file: Path, lead: timedelta, policies: tuple[PolicyName, ...], target: float, plot: Path | None, as_json: bool
) -> int:
    """Play autoscaling policies on a recorded demand: which minutes were short of relays, how many were too many, at what price.

    All are judged at a utilisation of 0.7, whatever they aim at; the first week warms up and is not scored. `ours` is what the
    controller asks its planner; `hpa` (Kubernetes) and `target-tracking` (AWS) are written after their documents, with their
    defaults; `oracle` knows the future. docs/autoscaling.md compares them on recorded demand.
    """
    demand = read_trace(trace_file)
    if len(demand) <= WARM_UP_MINUTES:
        raise FleetError(
            f"{trace_file} has {len(demand)} minutes, and the first {WARM_UP_MINUTES} (a week) are not scored",
            next_step="give a longer trace",
        )
    lead_minutes = max(round(lead.total_seconds() / 60), 1)
    courses: dict[PolicyName, Course] = {}
    for name in dict.fromkeys(policies):
        with progress(Console(stderr=True), f"playing {name} through {len(demand) / 1440:.0f} days"):
            courses[name] = play_trace(demand, make_policy(name, demand, target, lead_minutes), lead_minutes)
    scores = {name: score_course(demand, course) for name, course in courses.items()}
    if as_json:
        setting = {"target": target, "lead_minutes": lead_minutes}
        documents = [{"policy": name, **setting, **asdict(score)} for name, score in scores.items()]
        click.echo(json.dumps(documents[0] if len(documents) == 1 else documents))
    else:
        output = data_console()
        output.print(fit_table(score_columns(scores), output.width))
    if plot is not None:
        from orchestrator.cli.charts import draw_courses

        plot.write_text(draw_courses(demand, courses), encoding="utf-8")
        click.echo(f"{plot} written", err=True)
    return 0


def score_columns(scores: dict[PolicyName, Score]) -> list[Column]:
    """Lay out what policies came to."""
    found = list(scores.values())
    return [
        Column("policy", list(scores)),
        Column("minutes short", [f"{score.under_time_percent:.2f} %" for score in found]),
        Column("short by", [f"{score.under_depth_percent:.2f} %" for score in found], goes=1),
        Column("over by", [f"{score.over_percent:.1f} %" for score in found]),
        Column("relay-hours", [f"{score.node_hours:.0f}" for score in found]),
        Column("actions", [str(score.actions) for score in found]),
        Column("worst shortfall", [f"{score.worst_shortfall} relays" for score in found]),
    ]
