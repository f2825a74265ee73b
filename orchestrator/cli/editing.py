"""Edits of the fleet file by a command: the difference is shown, somebody is asked, and the file is replaced as a whole."""

from __future__ import annotations

import os
import tempfile
from difflib import unified_diff
from pathlib import Path

import click

from orchestrator.cli.applying import ask
from orchestrator.errors import FleetError
from orchestrator.spec.load import parse_fleet
from orchestrator.spec.model import FleetSpec


def find_spec(context: click.Context) -> FleetSpec | None:
    """Return the fleet file for completion; None where it cannot be read: a shell is told nothing then."""
    try:
        return parse_fleet(context.find_root().params.get("fleet") or Path("fleet.yaml"))
    except FleetError:
        return None


def offer(path: Path, before: bytes, after: bytes, *, dry_run: bool, yes: bool) -> bool:
    """Show the difference, ask, and write it; return whether it was written. Raises FleetError if nobody says yes."""
    click.echo(render_difference(before, after, path), nl=False)
    if dry_run:
        click.echo("nothing was written", err=True)
        return False
    if not yes:
        ask(f"Write it to {path}?")
    replace_file(path, before, after)
    return True


def next_steps(path: Path, what: str) -> str:
    """Return what to do after an edit."""
    return (
        f"next: `genesis-fleet --fleet {path} plan` shows {what}, `genesis-fleet --fleet {path} apply` carries it out"
    )


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
