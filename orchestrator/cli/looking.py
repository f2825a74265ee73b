"""Commands that only read: plan, status, render, inventory."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.inventory import fleet_inventory
from orchestrator.cli.naming import abbreviate_names
from orchestrator.cli.present import plan_json, plan_text, status_json, status_table, summary_line
from orchestrator.cli.rollout_text import is_worth_a_word, rollout_line
from orchestrator.cli.wiring import Controller, load_wanted, observe_cloud_alone, wire_controller
from orchestrator.errors import FleetError
from orchestrator.execution.cycle import Round, look_and_plan, save_points, why_not_ours
from orchestrator.fleet.observation import CloudView, Observation
from orchestrator.fleet.record import Pin
from orchestrator.planning.mesh import render_fleet
from orchestrator.rendering.controller import render_controller_unit
from orchestrator.rendering.values import RenderedRelay

CHANGES = 2
WATCH_SECONDS = 2.0

PIPE_WIDTH = 220
"""Columns of a table in a file or pipe: nothing is cut there, lines may be long."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def progress(console: Console, what: str) -> Iterator[None]:
    """Show that something is under way and for how long; a line at the end where there is no terminal."""
    began = time.monotonic()
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        console.print(f"{what} …", markup=False, highlight=False)
        yield
        console.print(f"  took {time.monotonic() - began:.1f} s", markup=False, highlight=False)


def look(
    controller: Controller,
    console: Console,
    confirmed: frozenset[str] = frozenset(),
    *,
    afresh: bool = False,
    pin: Pin | None = None,
) -> Round:
    """Look once, showing that we do. `afresh`: what was given up is planned again. `pin`: as if it were pinned already."""
    with progress(console, f"looking at {controller.spec.fleet}: cloud, hosts, wire"):
        return look_quietly(controller, confirmed, afresh=afresh, pin=pin)


def look_quietly(
    controller: Controller,
    confirmed: frozenset[str] = frozenset(),
    *,
    afresh: bool = False,
    pin: Pin | None = None,
) -> Round:
    """Look once, and keep what was seen of the chain: the next look needs it to tell a fork from a slot battle."""
    clock, wanted, store = controller.hands.clock, controller.wanted, controller.store
    found = look_and_plan(controller.eyes, store, clock, wanted, confirmed=confirmed, afresh=afresh, pin=pin)
    if why_not_ours(found.look.seen, found.look.record) is None and pin is None:
        save_points(store, found)
    return found


def warn_if_not_ours(found: Round, console: Console) -> None:
    """Say so when this controller may only read."""
    quarrel = why_not_ours(found.look.seen, found.look.record)
    if quarrel is not None:
        console.print(
            f"! {quarrel}: this controller only reads", markup=False, highlight=False, style="yellow", soft_wrap=True
        )


def warn_of_retries(controller: Controller, console: Console) -> None:
    """Name what failed before and is planned again, for apply forgets failures at its start; `status` still holds them."""
    for (relay, intent), attempt in sorted(controller.store.load().attempts.items()):
        times = "once" if attempt.failures == 1 else f"{attempt.failures} times"
        console.print(
            f"! {relay}: {intent} failed {times}, and apply would try again: {attempt.error}",
            markup=False,
            highlight=False,
            style="yellow",
            soft_wrap=True,
        )


def data_console() -> Console:
    """Return the console for data: as wide as a terminal, and wide enough for any line where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


@click.command(
    "plan",
    short_help="Show what apply would do, why, and for how long.",
    epilog="Example: genesis-fleet plan --json | jq .actions",
)
@as_json
@click.option("--confirm", multiple=True, metavar="NAME", help="Allow what a plan may not do unasked.")
@click.pass_obj
def plan_command(fleet: Path, as_json: bool, confirm: tuple[str, ...]) -> int:
    """Show what apply would do, why, and how much is out at most; then stop. Like apply, it gives what failed another try.

    Exit code: 0 nothing to do or only holds, 2 changes, 1 error.
    """
    console = Console(stderr=True)
    controller = wire_controller(fleet)
    found = look(controller, console, frozenset(confirm), afresh=True)
    warn_if_not_ours(found, console)
    warn_of_retries(controller, console)
    click.echo(json.dumps(plan_json(found), indent=2) if as_json else plan_text(found))
    return exit_code(found)


def exit_code(found: Round) -> int:
    """Return what `plan` ends with: 0 nothing to do or only holds, 2 changes, 1 refused."""
    if found.refusals:
        return 1
    return 0 if found.plan.nothing_to_do and not found.look.seen.cloud.other_access else CHANGES


@click.command(
    "status",
    short_help="Show every relay with phase, health and reason.",
    epilog="Example: genesis-fleet status --watch",
)
@as_json
@click.option("--watch", is_flag=True, help="Look again until interrupted.")
@click.pass_obj
def status_command(fleet: Path, as_json: bool, watch: bool) -> int:
    """Show every relay with phase, health and reason."""
    console = Console(stderr=True)
    controller = wire_controller(fleet)
    found = look(controller, console)
    while True:
        warn_if_not_ours(found, console)
        show_status(found, as_json=as_json)
        if not watch:
            return 0
        controller.hands.clock.wait(WATCH_SECONDS, until=lambda: False)
        found = look_quietly(controller)


def show_status(found: Round, *, as_json: bool) -> None:
    """Print the status table or its JSON to stdout."""
    if as_json:
        click.echo(json.dumps(status_json(found.plan)))
        return
    output = data_console()
    output.print(status_table(found.plan, output.width))
    output.print(summary_line(found.plan), markup=False, highlight=False, style="bold")
    if found.plan.rollout is not None and is_worth_a_word(found.plan.rollout):
        output.print(rollout_line(found.plan.rollout), markup=False, highlight=False, soft_wrap=True)
    for warning in found.plan.warnings:
        output.print(f"! {warning}", markup=False, highlight=False, style="yellow", soft_wrap=True)


@click.command(
    "render",
    short_help="Print or write the files of one relay, or the controller's unit.",
    epilog="Example: genesis-fleet render demo-eu-central-1-01 -o /tmp/relay",
)
@click.argument(
    "relay", required=False, shell_complete=lambda context, _parameter, text: complete_relays(context, text)
)
@click.option("--controller", is_flag=True, help="Print the systemd unit of `genesis-fleet run` instead.")
@click.option("--user", default="genesis-fleet", show_default=True, help="Who the controller is to run as.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Write under their paths here.")
@click.option("--offline", is_flag=True, help="Ask no cloud: other relays' addresses are left out.")
@click.pass_obj
def render_command(
    fleet: Path, relay: str | None, controller: bool, user: str, output: Path | None, offline: bool
) -> int:
    """Print a relay's files, or write them under their paths, without touching anything; or the controller's unit."""
    if (relay is None) is not controller:
        raise click.UsageError("name a relay, or give --controller")
    if relay is None:
        click.echo(controller_unit(fleet, user), nl=False)
        return 0
    if offline:
        _, wanted = load_wanted(fleet)
        cloud, quarantined = CloudView(), frozenset[str]()
    else:
        wanted, cloud, record = observe_cloud_alone(fleet)
        quarantined = frozenset(record.evidence.quarantines)
    rendered = render_fleet(wanted, Observation(cloud, {}, {}, {}), quarantined)
    if relay not in rendered:
        raise FleetError(
            f"{relay} is no relay of this fleet", next_step=f"there are: {', '.join(abbreviate_names(rendered))}"
        )
    if output is None:
        for file in rendered[relay].files:
            click.echo(f"# {file.path}  {file.owner}:{file.group} {file.mode}  on change: {file.change.name.lower()}")
            click.echo(file.content)
    else:
        write_files(rendered[relay], output)
    return 0


def controller_unit(fleet: Path, user: str) -> str:
    """Return the unit that runs this program for this fleet file."""
    _, wanted = load_wanted(fleet)
    program = Path(sys.argv[0]).resolve() if sys.argv[0] else None
    if program is None or program.name != "genesis-fleet":
        found = shutil.which("genesis-fleet") or Path(sys.executable).with_name("genesis-fleet")
        program = Path(found)
    return render_controller_unit(wanted.spec, wanted.templates, fleet.resolve(), program, user)


def write_files(rendered: RenderedRelay, output: Path) -> None:
    """Write rendered files below a folder, under the paths that they have on a host."""
    for file in rendered.files:
        path = output / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")
    click.echo(f"{len(rendered.files)} files of {rendered.relay} written below {output}", err=True)


def complete_relays(context: click.Context, text: str) -> list[str]:
    """Complete the names of relays; silent where the fleet file cannot be read."""
    from orchestrator.fleet.relay import wanted_relays
    from orchestrator.spec.load import parse_fleet

    path = context.find_root().params.get("fleet") or Path("fleet.yaml")
    try:
        return [relay.name for relay in wanted_relays(parse_fleet(path)) if relay.name.startswith(text)]
    except FleetError:
        return []


@click.command(
    "inventory",
    short_help="Print the Ansible inventory as JSON.",
    epilog="Example: ansible-playbook -i inventory/hosts.py playbooks/deploy.yml --check --diff",
)
@click.option("--list", "listing", is_flag=True, help="Ignored; what Ansible calls an inventory script with.")
@click.option("--host", metavar="NAME", help="Answer for one host, as Ansible may ask.")
@click.pass_obj
def inventory_command(fleet: Path, listing: bool, host: str | None) -> int:  # noqa: ARG001 - Ansible's protocol
    """Print the Ansible inventory as JSON, with everything that the playbooks need."""
    document = fleet_inventory(wire_controller(fleet))
    click.echo(json.dumps(document["_meta"]["hostvars"].get(host, {}) if host else document, indent=2))
    return 0
