"""`names`: the record sets that the fleet's names are to have; what is missing, or too much, in the zone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.looking import as_json, data_console, look, warn_if_not_ours
from orchestrator.cli.present import names_json
from orchestrator.cli.tables import Column, fit_table
from orchestrator.cli.wiring import wire_controller
from orchestrator.errors import FleetError
from orchestrator.fleet.names import NameRecord, Routing
from orchestrator.planning.names import MOST_ANSWERED
from orchestrator.planning.plan import NamesPlan

DIFFER = 2


@click.command(
    "names",
    short_help="Show the DNS records that the fleet's names are to have.",
    epilog="Example: genesis-fleet names --json | jq '.create'",
)
@as_json
@click.pass_obj
def names_command(fleet: Path, as_json: bool) -> int:
    """Show the records of the fleet's names, and what the zone has otherwise; changes nothing.

    With `provider: none` these are the records to enter where the fleet's DNS is.

    Exit code: 0 as they should be, or kept elsewhere; 2 the zone differs; 1 error.
    """
    console = Console(stderr=True)
    controller = wire_controller(fleet)
    found = look(controller, console)
    warn_if_not_ours(found, console)
    names = found.plan.names
    if names is None:
        raise FleetError(f"fleet {controller.spec.fleet} has no name", next_step="set publish.name in the fleet file")
    if as_json:
        click.echo(json.dumps(names_json(found.plan)))
    else:
        output = data_console()
        output.print(fit_table(_columns(names), output.width))
        for line in _notes(names):
            output.print(line, markup=False, highlight=False, soft_wrap=True)
    for warning in names.warnings:
        console.print(f"! {warning}", markup=False, highlight=False, style="yellow", soft_wrap=True)
    return DIFFER if names.changes else 0


def _columns(names: NamesPlan) -> list[Column]:
    """Lay out what is wanted, with what is missing and what goes; owners' texts come last."""
    create = {record for change in names.changes for record in change.create}
    delete = [record for change in names.changes for record in change.delete]
    rows = sorted({*names.wanted, *delete}, key=lambda record: (record.kind == "TXT", record))
    return [
        Column("", ["+" if row in create else "-" if row in delete else "" for row in rows]),
        Column("name", [row.name for row in rows]),
        Column("type", [row.kind for row in rows]),
        Column("value", [", ".join(row.values) or f"alias of {row.alias}" for row in rows]),
        Column("ttl", [f"{row.ttl} s" if row.ttl else "–" for row in rows], goes=1),
        Column("routing", [_routing(row) for row in rows]),
    ]


def _routing(record: NameRecord) -> str:
    match record.routing:
        case Routing.LATENCY:
            return f"latency {record.region}"
        case Routing.MULTIVALUE:
            return f"multivalue {record.set_id}"
        case Routing.SIMPLE:
            return "simple"


def _notes(names: NamesPlan) -> Iterator[str]:
    counts = Counter(
        record.name for record in names.wanted if record.kind == "A" and record.routing is Routing.MULTIVALUE
    )
    for name, count in sorted(counts.items()):
        if count > MOST_ANSWERED:
            yield f"{name} has {count} relays; each answer names {MOST_ANSWERED} of them, by chance"
