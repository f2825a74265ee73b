"""`topology show` and `topology graph`: the fleet's own mesh in words and as a picture. Read only."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.looking import as_json, complete_relays, data_console, look, warn_if_not_ours
from orchestrator.cli.mesh_numbers import count_numbers
from orchestrator.cli.mesh_text import mesh_json, mesh_tables, number_lines, relay_lines
from orchestrator.cli.mesh_view import MeshRelay, MeshView, view_found, view_planned
from orchestrator.cli.naming import abbreviate_names
from orchestrator.cli.wiring import load_wanted, wire_controller
from orchestrator.errors import FleetError

planned_option = click.option(
    "--planned", is_flag=True, help="Ask nobody: the mesh as the fleet file has it, without addresses."
)


@click.command(
    "show",
    short_help="Print who names whom, and what the mesh survives.",
    epilog="Example: genesis-fleet topology show --planned",
)
@click.argument(
    "relay", required=False, shell_complete=lambda context, _parameter, text: complete_relays(context, text)
)
@as_json
@planned_option
@click.pass_obj
def show_command(fleet: Path, relay: str | None, as_json: bool, planned: bool) -> int:
    """Print who names whom by region, with partners, how many of them are followed (hot) and connected (warm), and what
    the mesh survives, counted on the graph; of one RELAY also who names it.
    """
    view = read_view(fleet, planned=planned)
    chosen = None if relay is None else _find(view, relay)
    numbers = count_numbers(view)
    if as_json:
        click.echo(json.dumps(mesh_json(view, numbers, view.relays if chosen is None else (chosen,)), indent=2))
    elif chosen is not None:
        click.echo("\n".join(relay_lines(view, chosen)))
    else:
        output = data_console()
        for region, table in mesh_tables(view, output.width):
            output.print(region, style="bold", markup=False, highlight=False)
            output.print(table)
            output.print()
        for line in number_lines(view, numbers):
            style = "yellow" if line.startswith("!") else None
            output.print(line, markup=False, highlight=False, style=style, soft_wrap=True)
    return 0


@click.command(
    "graph",
    short_help="Draw the mesh by region.",
    epilog="Example: genesis-fleet topology graph -o mesh.svg",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The SVG file to write."
)
@planned_option
@click.pass_obj
def graph_command(fleet: Path, output: Path, planned: bool) -> int:
    """Draw the mesh by region as SVG, with relays that do not serve, are unknown or quarantined visible by shape and colour.

    Without partners. The same mesh in the same state is the same file.
    """
    from orchestrator.cli.mesh_drawing import draw_mesh

    view = read_view(fleet, planned=planned)
    picture = draw_mesh(view)
    try:
        output.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise FleetError(
            f"{output} cannot be written: {error.strerror}", next_step="name a file in a folder that exists"
        ) from error
    click.echo(f"{output}: {len(view.relays)} relays", err=True)
    return 0


def read_view(fleet: Path, *, planned: bool) -> MeshView:
    """Return the mesh of the fleet file alone, or as one look finds it."""
    if planned:
        _, wanted = load_wanted(fleet)
        return view_planned(wanted)
    console = Console(stderr=True)
    found = look(wire_controller(fleet), console)
    warn_if_not_ours(found, console)
    return view_found(found.look, found.plan)


def _find(view: MeshView, name: str) -> MeshRelay:
    for relay in view.relays:
        if relay.name == name:
            return relay
    known = ", ".join(abbreviate_names(relay.name for relay in view.relays))
    raise FleetError(f"{name} is no relay of this fleet", next_step=f"there are: {known}")
