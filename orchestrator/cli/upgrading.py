"""`upgrade`: another release in the fleet file, and nothing else of it. What follows from that is the next plan's word."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from orchestrator.adapters.store import read_record
from orchestrator.cli.editing import find_spec, next_steps, offer
from orchestrator.cli.wiring import store_url
from orchestrator.errors import FleetError
from orchestrator.fleet.rollout import RolloutRecord, RolloutState
from orchestrator.spec.editing import replace_release
from orchestrator.spec.load import LoadedFleet, load_fleet_text, read_fleet
from orchestrator.spec.model import FleetSpec

ENDED = (RolloutState.COMPLETE, RolloutState.ROLLED_BACK)


def complete_releases(context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    """Complete the releases that the fleet file knows; silent where it cannot be read."""
    spec = find_spec(context)
    return [] if spec is None else [version for version in spec.releases if version.startswith(text)]


@click.command(
    "upgrade",
    short_help="Ask for another release in the fleet file.",
    epilog="Example: genesis-fleet upgrade 10.6.2 --dry-run",
)
@click.argument("version", shell_complete=complete_releases)
@click.option("--dry-run", is_flag=True, help="Show what would be written, and stop.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def upgrade_command(fleet: Path, version: str, dry_run: bool, yes: bool) -> int:
    """Write VERSION as the wanted release into the fleet file, leaving everything else in it as it is.

    It shows the difference, checks the result as `validate` does, and asks before it writes. No host is touched: `plan`
    then shows the rollout, and `apply` carries it out. To go back to an older release is the same command.

    Exit code: 0 written, or wanted already; 1 error, and nothing was written.
    """
    content = read_fleet(fleet)
    before = load_fleet_text(content, fleet)
    require_known(before.spec, version, fleet)
    for warning in rollout_warnings(before, version):
        click.echo(f"! {warning}", err=True)
    if before.spec.release == version:
        click.echo(f"{fleet} asks for {version} already", err=True)
        return 0
    edited = edit_release(content, before, version)
    if offer(fleet, content, edited, dry_run=dry_run, yes=yes):
        click.echo(f"{fleet} asks for {version} now, and no longer for {before.spec.release}", err=True)
        click.echo(next_steps(fleet, "the rollout"), err=True)
    return 0


def require_known(spec: FleetSpec, version: str, path: Path) -> None:
    """Raise FleetError unless the fleet file has an archive of this release."""
    if version not in spec.releases:
        raise FleetError(
            f"{path} knows no release {version}; it knows {', '.join(spec.releases)}",
            next_step=(
                f"add it below `releases:` as `{version}: {{x86_64: {{url: https://…, sha256: …}}}}`, with the checksum "
                "that its publisher states; then run this again"
            ),
        )


def edit_release(content: bytes, before: LoadedFleet, version: str) -> bytes:
    """Return the file with this release. Raises SpecInvalid if that is no valid fleet, FleetError if more would change."""
    edited = replace_release(content, version)
    after = load_fleet_text(edited, before.path).spec
    if after != before.spec.model_copy(update={"release": version}):
        raise FleetError(
            f"the release of {before.path} stands where it cannot be replaced without changing something else",
            next_step=f"edit the file by hand: `release: {version}`",
        )
    return edited


def rollout_warnings(fleet: LoadedFleet, version: str) -> list[str]:
    """Return what the store knows that somebody who asks for this release should; nothing where it cannot be read."""
    rollout = RolloutRecord()
    with suppress(FleetError):  # the file can be edited wherever the store is; `plan` will say what is wrong with it
        if (record := read_record(store_url(fleet), fleet.spec.fleet)) is not None:
            rollout = record.rollout
    warnings = [
        f"{version} has failed before, {f'on {failure.relay} ' if failure.relay else ''}at "
        f"{failure.at:%Y-%m-%d %H:%M} UTC: {failure.because}; what failed is not tried again by itself"
        for failure in rollout.failures.values()
        if failure.version == version
    ]
    current = rollout.current
    if current is not None and current.version != version and current.state not in ENDED:
        warnings.append(
            f"the rollout to {current.version} is not complete ({current.state}): this wish takes its place"
        )
    return warnings
