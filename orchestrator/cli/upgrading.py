"""`upgrade`: another release in the fleet file, and nothing else of it. What follows from that is the next plan's word."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path

import click

from orchestrator.adapters.store import read_record
from orchestrator.cli.applying import ask
from orchestrator.cli.wiring import store_url
from orchestrator.errors import FleetError
from orchestrator.fleet.rollout import RolloutRecord, RolloutState
from orchestrator.spec.editing import replace_release
from orchestrator.spec.load import LoadedFleet, load_fleet_text, parse_fleet, read_fleet
from orchestrator.spec.model import FleetSpec

ENDED = (RolloutState.COMPLETE, RolloutState.ROLLED_BACK)


def complete_releases(context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
    """Complete the releases that the fleet file knows; silent where it cannot be read."""
    try:
        spec = parse_fleet(context.find_root().params.get("fleet") or Path("fleet.yaml"))
    except FleetError:
        return []
    return [version for version in spec.releases if version.startswith(text)]


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
    click.echo(render_difference(content, edited, fleet), nl=False)
    if dry_run:
        click.echo("nothing was written", err=True)
        return 0
    if not yes:
        ask(f"Write it to {fleet}?")
    replace_file(fleet, content, edited)
    click.echo(f"{fleet} asks for {version} now, and no longer for {before.spec.release}", err=True)
    click.echo(
        f"next: `genesis-fleet --fleet {fleet} plan` shows the rollout, `genesis-fleet --fleet {fleet} apply` carries it out",
        err=True,
    )
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


def render_difference(before: bytes, after: bytes, path: Path) -> str:
    """Return the unified difference of two texts of one file."""
    old, new = (content.decode("utf-8").splitlines(keepends=True) for content in (before, after))
    lines = unified_diff(old, new, fromfile=str(path), tofile=str(path))
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def replace_file(path: Path, before: bytes, after: bytes) -> None:
    """Replace a file as a whole, with its mode and owner kept, unless somebody else has changed it meanwhile."""
    place = path.resolve()
    now = place.stat()
    handle, temporary = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(after)
            file.flush()
            os.fchmod(file.fileno(), now.st_mode & 0o7777)
            if (now.st_uid, now.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), now.st_uid, now.st_gid)
            os.fsync(file.fileno())
        if place.read_bytes() != before:
            raise FleetError(
                f"{path} was changed by somebody else meanwhile, so nothing was written", next_step="run this again"
            )
        Path(temporary).replace(place)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
