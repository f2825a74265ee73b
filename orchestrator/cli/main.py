"""The command line: `genesis-fleet [--fleet FILE] COMMAND`. Commands are in the other files of this folder.

Data goes to stdout, everything else to stderr. Exit codes: 0 done or nothing to do, 1 error, 2 changes (plan) or holds
that remain (apply), 64 wrong usage; further ones in `errors.py`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path

import click
from rich.console import Console

from orchestrator import __version__
from orchestrator.cli.applying import adopt_command, apply_command
from orchestrator.cli.auditing import audit_command
from orchestrator.cli.autoscaling import autoscale_group
from orchestrator.cli.counts import scale_command
from orchestrator.cli.lab import lab_group
from orchestrator.cli.looking import inventory_command, plan_command, render_command, status_command
from orchestrator.cli.probing import probe_command
from orchestrator.cli.published import names_command
from orchestrator.cli.relay_orders import drain_command, undrain_command
from orchestrator.cli.rollouts import rollout_group
from orchestrator.cli.running import run_command as run_for_ever_command
from orchestrator.cli.simulating import simulate_command
from orchestrator.cli.starting import completion_command, init_command, schema_command, validate_command
from orchestrator.cli.topology import topology_group
from orchestrator.cli.trusting import trust_group
from orchestrator.cli.upgrading import upgrade_command
from orchestrator.errors import FleetError

WRONG_USAGE = 64
"""EX_USAGE of sysexits.h: told apart from `plan`'s 2."""

INTERRUPTED = 130

PROGRAM = "genesis-fleet"


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: genesis-fleet --fleet inventory/lab/fleet.yaml plan",
)
@click.option(
    "--fleet",
    "fleet",
    type=click.Path(path_type=Path),
    envvar="GENESIS_FLEET",
    default=Path("fleet.yaml"),
    show_default="$GENESIS_FLEET, else fleet.yaml in this folder",
    help="The fleet file.",
)
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def cli(context: click.Context, fleet: Path) -> None:
    """Run a trusted network of Cardano bootstrap relays from one file."""
    context.obj = fleet


for command in (
    validate_command,
    init_command,
    schema_command,
    render_command,
    upgrade_command,
    scale_command,
    plan_command,
    apply_command,
    run_for_ever_command,
    rollout_group,
    drain_command,
    undrain_command,
    simulate_command,
    autoscale_group,
    status_command,
    probe_command,
    names_command,
    inventory_command,
    audit_command,
    adopt_command,
    topology_group,
    trust_group,
    lab_group,
    completion_command,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line and end with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that knows no "…" shows a question mark rather than nothing at all.
            stream.reconfigure(errors="replace")
    sys.exit(run_command(lambda: cli.main(prog_name=PROGRAM, standalone_mode=False)))


def run_command(command: Callable[[], object]) -> int:
    """Run a command and return its exit code; every expected error becomes a message, never a traceback."""
    try:
        status = command()
        sys.stdout.flush()
    except click.UsageError as error:
        error.show()
        return WRONG_USAGE
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except (click.Abort, KeyboardInterrupt) as ending:
        click.echo("interrupted; running the command again takes up what is there", err=True)
        for note in notes_of(ending):
            click.echo(note, err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except FleetError as error:
        return _complain("\n".join((str(error), *notes_of(error))), error.exit_code)
    except BrokenPipeError:
        # The reader went away (`| head`): nothing is wrong, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        return _complain(f"{error.filename}: {error.strerror}", 1)
    return status if isinstance(status, int) else 0


def notes_of(error: BaseException) -> tuple[str, ...]:
    """Return what failed beside this error."""
    return tuple(getattr(error, "__notes__", ()))


def _complain(text: str, exit_code: int) -> int:
    Console(stderr=True).print(f"error: {text}", markup=False, highlight=False, style="red", soft_wrap=True)
    return exit_code


if __name__ == "__main__":
    main()
