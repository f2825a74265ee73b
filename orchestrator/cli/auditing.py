"""`audit`: what carries the fleet's tag in the cloud and belongs to nobody."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.looking import as_json, data_console, progress
from orchestrator.cli.tables import Column, fit_table
from orchestrator.cli.wiring import observe_cloud_alone
from orchestrator.planning.audit import Stray, find_strays

FOUND = 2


@click.command(
    "audit",
    short_help="List what carries our tag and belongs to nobody.",
    epilog="Example: genesis-fleet audit --json | jq -r '.strays[].what'",
)
@as_json
@click.pass_obj
def audit_command(fleet: Path, as_json: bool) -> int:
    """List instances, disks and addresses that carry the fleet's tag and belong to no relay of it; changes nothing.

    What `apply` gives back by itself, and has not yet, is listed too: after it has converged, whatever is left is a leak.

    Exit code: 0 nothing, 2 something was found, 1 error, or a region did not answer and nothing was found elsewhere.
    """
    console = Console(stderr=True)
    with progress(console, "asking the cloud"):
        wanted, cloud, record = observe_cloud_alone(fleet)
    strays = find_strays({relay.name for relay in wanted.relays}, cloud, record.store_id)
    for region, why in sorted(cloud.silent_regions.items()):
        console.print(f"! {region} was not asked: {why}", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        silent = dict(sorted(cloud.silent_regions.items()))
        click.echo(json.dumps({"strays": [asdict(stray) for stray in strays], "silent_regions": silent}))
    elif strays:
        _print_table(strays)
    else:
        click.echo(
            f"{len(cloud.instances)} instances, {len(cloud.volumes)} disks, {len(cloud.addresses)} addresses: all are somebody's"
        )
    if strays:
        return FOUND
    return 1 if cloud.silent_regions else 0


def _print_table(strays: tuple[Stray, ...]) -> None:
    output = data_console()
    columns = [
        Column("kind", [stray.kind for stray in strays]),
        Column("what", [stray.what for stray in strays]),
        Column("region", [stray.region for stray in strays], goes=1),
        Column("relay", [stray.relay for stray in strays]),
        Column("why", [stray.why for stray in strays]),
    ]
    output.print(fit_table(columns, output.width))
