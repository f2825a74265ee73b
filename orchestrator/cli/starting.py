"""Commands for the beginning: init, validate, schema, completion."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from orchestrator.errors import FleetError
from orchestrator.fleet.relay import wanted_relays
from orchestrator.spec.load import load_fleet
from orchestrator.spec.schema import render_schema
from orchestrator.spec.starter import render_starter

SCHEMA_FILE = "fleet.schema.json"


@click.command(
    "validate",
    short_help="Check the fleet file and its network folder.",
    epilog="Example: genesis-fleet --fleet inventory/lab/fleet.yaml validate",
)
@click.pass_obj
def validate_command(fleet: Path) -> int:
    """Check the fleet file and its network folder; report every error with its line."""
    loaded = load_fleet(fleet)
    relays = len(wanted_relays(loaded.spec))
    click.echo(f"{fleet}: fleet {loaded.spec.fleet}, {relays} relays in {len(loaded.spec.regions)} regions: no errors")
    return 0


@click.command(
    "init",
    short_help="Write a commented starter fleet file.",
    epilog="Example: genesis-fleet init --cloud aws --name bootstrap inventory/bootstrap",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--cloud", type=click.Choice(["aws", "static"]), default="aws", show_default=True, help="Where hosts come from."
)
@click.option("--name", default="bootstrap", show_default=True, help="Name of the fleet; kept for life.")
def init_command(folder: Path, cloud: str, name: str) -> int:
    """Write a commented starter fleet file and its schema into FOLDER; never overwrites."""
    path = folder / "fleet.yaml"
    if path.exists():
        raise FleetError(f"{path} exists already", next_step="name another folder, or edit the file that is there")
    text = render_starter("aws" if cloud == "aws" else "static", name)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    (folder / SCHEMA_FILE).write_text(render_schema(), encoding="utf-8")
    click.echo(f"wrote {path} and {folder / SCHEMA_FILE}", err=True)
    click.echo(
        f"next: get the network folder as the file says, edit it, then `genesis-fleet --fleet {path} validate`",
        err=True,
    )
    return 0


@click.command(
    "schema",
    short_help="Print the JSON schema of the fleet file.",
    epilog="Example: genesis-fleet schema > fleet.schema.json",
)
def schema_command() -> int:
    """Print the JSON schema of the fleet file, for editors and checks."""
    click.echo(render_schema(), nl=False)
    return 0


@click.command(
    "completion",
    short_help="Print a shell's completion script.",
    epilog="Example: genesis-fleet completion bash > /etc/bash_completion.d/genesis-fleet",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> int:
    """Print the script that makes a shell complete commands and relay names."""
    kind = get_completion_class(shell)
    if kind is None:
        raise FleetError(f"no completion for {shell}")
    script = kind(context.find_root().command, {}, "genesis-fleet", "_GENESIS_FLEET_COMPLETE").source()
    click.echo(script)
    return 0
