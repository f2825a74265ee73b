"""`apply --simulate`: the same planner and the same cycle in front of a simulated world, told as a story."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.looking import show_status
from orchestrator.cli.present import plan_text, status_json
from orchestrator.cli.wiring import load_wanted
from orchestrator.errors import FleetError
from orchestrator.execution.cycle import Ending
from orchestrator.simulation.rehearsal import make_rehearsal


def rehearse_apply(fleet: Path, console: Console, *, as_json: bool) -> int:
    """Play an apply from an empty world to its end, in virtual time."""
    _, wanted = load_wanted(fleet)
    if wanted.spec.cloud.kind != "aws":
        raise FleetError("only a fleet on aws can be simulated", next_step="use `plan` to see what would happen")
    console.print("simulation: no host, no cloud, virtual time", style="yellow")
    rehearsal = make_rehearsal(wanted)
    first = rehearsal.look()
    if not as_json:
        click.echo(plan_text(first))
    ending, last = rehearsal.run()
    for seconds, event in rehearsal.events:
        console.print(
            f"{seconds:7.0f} s {event.relay}: {event.intent} {event.outcome}: {event.text}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if as_json:
        click.echo(json.dumps({**status_json(last.plan), "ending": ending.value}))
    else:
        show_status(last, as_json=False)
    return 0 if ending is Ending.CONVERGED else 2
