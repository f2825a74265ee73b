"""`simulate`: an operator's rehearsal. What `apply` would do, in virtual time, with the faults of a scenario."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.looking import as_json
from orchestrator.cli.naming import SHORT, abbreviate_names
from orchestrator.cli.present import hold_lines, plan_text, status_json
from orchestrator.cli.times import describe_time
from orchestrator.cli.wiring import load_wanted
from orchestrator.errors import FleetError
from orchestrator.planning.look import Wanted
from orchestrator.simulation.chronicle import Told
from orchestrator.simulation.drill import Drill, run_drill
from orchestrator.simulation.scenario import load_scenario

FINDINGS = 2


@click.command(
    "simulate",
    short_help="Rehearse an apply in virtual time; touches nothing.",
    epilog="Example: genesis-fleet simulate --upgrade 10.6.2 --scenario docs/scenario.yaml",
)
@click.option(
    "--upgrade", metavar="VERSION", help="Begin with the fleet serving as the file says, and upgrade it to this."
)
@click.option(
    "--scenario",
    "scenario_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Faults that happen meanwhile, as YAML: see docs/simulation.md.",
)
@click.option("--seed", type=int, help="Vary how long things take; the same seed, the same story.")
@click.option("--confirm", multiple=True, metavar="NAME", help="Allow what a plan may not do unasked; may be repeated.")
@as_json
@click.pass_obj
def simulate_command(
    fleet: Path,
    upgrade: str | None,
    scenario_file: Path | None,
    seed: int | None,
    confirm: tuple[str, ...],
    as_json: bool,
) -> int:
    """Play what `apply` would do for this fleet file in a simulated world, and tell it as a story.

    It tells who drains, restarts, serves again and settles, which wave opens, what fails, and how many serve; then how long
    it took, how many served at worst, and what was found: what an independent oracle holds against it, and what waits in the end.

    Without --upgrade it begins with an empty world, else with a fleet that serves. No host and no cloud is asked, and
    the store is not read.

    Exit code: 0 converged and nothing was found, 2 something was found, 1 error.
    """
    console = Console(stderr=True)
    _, wanted = load_wanted(fleet)
    if wanted.spec.cloud.kind != "aws":
        raise FleetError("only a fleet on aws can be simulated", next_step="use `plan` to see what would happen")
    before, after = (None, wanted) if upgrade is None else (wanted, _with_release(wanted, upgrade))
    scenario = load_scenario(scenario_file, wanted.spec) if scenario_file is not None else None
    console.print("simulation: no host, no cloud, virtual time", style="yellow")
    drill = run_drill(after, scenario, seed, before, frozenset(confirm))
    if as_json:
        click.echo(json.dumps(drill_json(drill)))
    else:
        click.echo(plan_text(drill.first))
        for line in drill_lines(drill):
            click.echo(line)
    return 0 if drill.is_clean else FINDINGS


def _with_release(wanted: Wanted, version: str) -> Wanted:
    spec = wanted.spec
    if version not in spec.releases:
        known = ", ".join(sorted(spec.releases))
        raise FleetError(
            f"release {version} is not in the fleet file; it knows {known}", next_step="add it under `releases`"
        )
    return replace(wanted, spec=spec.model_copy(update={"release": version}))


def drill_lines(drill: Drill) -> list[str]:
    """Return the story, and then what matters of it."""
    return [
        "",
        *story_lines(drill.story, drill.wanted),
        "",
        f"{drill.ending} after {describe_time(timedelta(seconds=drill.seconds))}; {_describe_worst(drill)}",
        *(list_findings(drill) or ["nothing was found"]),
    ]


def story_lines(story: Sequence[Told], wanted: int) -> list[str]:
    """Return a story line by line, relays that do the same in one; `wanted` is how many the fleet has."""
    return [f"{each.seconds:7.0f} s  {_about(each, wanted)}" for each in story]


def list_findings(drill: Drill) -> list[str]:
    """Return what was found: what should not have happened, what still waits, what is to be looked at."""
    plan = drill.last.plan
    return [
        *(f"✗ {breach}" for breach in drill.breaches),
        *hold_lines(plan.holds),
        *(f"! {warning}" for warning in plan.warnings),
    ]


def drill_json(drill: Drill) -> dict[str, object]:
    """Return what `--json` prints."""
    worst = drill.worst
    return {
        **status_json(drill.last.plan),
        "ending": drill.ending,
        "seconds": drill.seconds,
        "wanted": drill.wanted,
        "worst": {"serving": worst.serving, "seconds": worst.seconds, "out": list(worst.out)} if worst else None,
        "findings": list_findings(drill),
        "story": [{"seconds": each.seconds, "relays": list(each.relays), "text": each.text} for each in drill.story],
    }


def _about(told: Told, wanted: int) -> str:
    """Return a line with whom it is about."""
    names = ", ".join(abbreviate_names(told.relays))
    if len(told.relays) == wanted and len(names) > SHORT:
        names = f"all {wanted} relays"
    if told.names_last:
        return f"{told.text}{f': {names}' if names else ''}"
    return f"{f'{names}: ' if names else ''}{told.text}"


def _describe_worst(drill: Drill) -> str:
    worst = drill.worst
    if worst is None:
        return f"the {drill.wanted} relays never served all at once"
    if not worst.out:
        since = f"from {describe_time(timedelta(seconds=worst.seconds))} on" if worst.seconds else "all the time"
        return f"all {drill.wanted} relays served {since}"
    out = ", ".join(abbreviate_names(worst.out))
    when = describe_time(timedelta(seconds=worst.seconds))
    return f"at worst {worst.serving} of {drill.wanted} relays served, first after {when} (out: {out})"
