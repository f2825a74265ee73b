"""`scale`: another count of a region in the fleet file, and nothing else of it. What follows from that is the next plan's word."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.editing import find_spec, next_steps, offer
from orchestrator.errors import FleetError
from orchestrator.spec.editing import replace_count
from orchestrator.spec.load import LoadedFleet, load_fleet_text, read_fleet

MOST = 1000


def complete_regions(context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    """Complete the regions of the fleet file; silent where it cannot be read."""
    spec = find_spec(context)
    return [] if spec is None else [region for region in spec.regions if region.startswith(text)]


@click.command(
    "scale",
    short_help="Ask for another number of relays in a region.",
    epilog="Example: genesis-fleet scale eu-central-1 7 --dry-run",
)
@click.argument("region", shell_complete=complete_regions)
@click.argument("count", type=click.IntRange(0, MOST))
@click.option("--dry-run", is_flag=True, help="Show what would be written, and stop.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def scale_command(fleet: Path, region: str, count: int, dry_run: bool, yes: bool) -> int:
    """Write COUNT as the wanted number of relays of REGION into the fleet file, leaving everything else in it as it is.

    It shows the difference, checks the result as `validate` does, and asks before it writes. No host is touched: `plan` then shows
    who comes or goes, and `apply` carries it out, one at a time within the budget; who goes leaves the names first.

    Exit code: 0 written, or wanted already; 1 error, and nothing was written.
    """
    content = read_fleet(fleet)
    before = load_fleet_text(content, fleet)
    present = require_counted(before, region)
    if present == count:
        click.echo(f"{fleet} asks for {count} relays in {region} already", err=True)
        return 0
    edited = edit_count(content, before, region, count)
    if offer(fleet, content, edited, dry_run=dry_run, yes=yes):
        click.echo(f"{fleet} asks for {count} relays in {region} now, and no longer for {present}", err=True)
        click.echo(next_steps(fleet, "who comes or goes"), err=True)
    return 0


def require_counted(fleet: LoadedFleet, region: str) -> int:
    """Return how many relays a region has now. Raises FleetError for a region that is not there, or that lists its hosts."""
    spec = fleet.spec
    if region not in spec.regions:
        raise FleetError(
            f"{fleet.path} has no region {region}; it has {', '.join(spec.regions)}",
            next_step=f"add it below `regions:` with image, instance_type and subnets, or name another; {region} then counts",
        )
    if spec.cloud.kind == "static":
        raise FleetError(
            f"{region} has as many relays as it lists hosts",
            next_step="add a host below `hosts:`, or let one go with `retire: true`",
        )
    return spec.relay_count(region)


def edit_count(content: bytes, before: LoadedFleet, region: str, count: int) -> bytes:
    """Return the file with this count. Raises SpecInvalid if that is no valid fleet, FleetError if more would change."""
    by_hand = FleetError(
        f"the count of {region} in {before.path} stands where it cannot be replaced without changing something else",
        next_step=f"edit the file by hand: `count: {count}` below `{region}:`",
    )
    try:
        edited = replace_count(content, region, count)
    except ValueError as error:
        raise by_hand from error
    after = load_fleet_text(edited, before.path).spec
    wanted = {**before.spec.regions, region: before.spec.regions[region].model_copy(update={"count": count})}
    if after != before.spec.model_copy(update={"regions": wanted}):
        raise by_hand
    return edited
