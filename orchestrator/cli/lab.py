"""Commands of the lab: a whole cloud on this machine. Everything is safe to repeat."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from orchestrator.cli.lab_completion import complete_machines, complete_nodes, complete_places, complete_regions
from orchestrator.cli.lab_consumers import consumers_command
from orchestrator.cli.lab_releases import init_command, releases_command
from orchestrator.cli.looking import data_console
from orchestrator.errors import FleetError
from orchestrator.lab import relay_faults, running
from orchestrator.lab.cloud.places import LAB_REGIONS
from orchestrator.lab.machines.image import Progress
from orchestrator.lab.machines.processes import find_recorded
from orchestrator.lab.node.faults import Fault, Hang, Slow, Stall, WrongMagic
from orchestrator.lab.places import NAMES_PORT, ZONE, api_url
from orchestrator.spec.load import parse_fleet

DEFAULT_LAB = "demo"

name_argument = click.argument("name", default=DEFAULT_LAB)


@click.group(
    "lab",
    short_help="Run a whole cloud on this machine.",
    epilog="Example: genesis-fleet lab up && genesis-fleet --fleet inventory/lab/fleet.yaml apply",
)
def lab_group() -> None:
    """Run a whole cloud on this machine: the AWS API, real machines, partners that make a chain."""


@lab_group.command("up", epilog="Example: genesis-fleet lab up demo")
@name_argument
@click.option(
    "--network",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("inventory/lab/network"),
    show_default=True,
    help="Folder with the config.json and genesis files of the lab's network.",
)
def up_command(name: str, network: Path) -> int:
    """Start a lab, or take up the one that runs."""
    console = Console(stderr=True)
    began = time.monotonic()

    def report(progress: Progress) -> None:
        seconds = time.monotonic() - began
        text = f"{seconds:6.1f} s  [{progress.step}/{progress.steps}] {progress.what}"
        console.print(text, markup=False, highlight=False)

    plan = running.start_lab(name, LAB_REGIONS, network, report)
    console.print(f"lab {name} is up: {plan.lab.network.v4}, API {api_url(plan.lab.network)}", markup=False)
    return 0


@lab_group.command("down", short_help="End a lab and all that it made.", epilog="Example: genesis-fleet lab down demo")
@name_argument
def down_command(name: str) -> int:
    """End a lab: every process, mount, bridge and namespace that it made, and nothing else."""
    click.echo(f"taking lab {name} down: machines, partners, network …", err=True)
    there = running.stop_lab(name)
    click.echo(f"lab {name} is down" if there else f"there is no lab {name}", err=True)
    return 0


@lab_group.command(
    "status", short_help="Show machines and partners as they are.", epilog="Example: genesis-fleet lab status --json"
)
@name_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status_command(name: str, as_json: bool) -> int:
    """Show a lab's machines and partners as they really are."""
    plan = running.find_lab(name)
    shown = running.ask_control(plan, "GET", "instances")
    instances: list[dict[str, Any]] = shown["instances"]
    faults = relay_faults.observe_faults(plan, relay_faults.find_nodes(plan, instances))
    instances = [instance | {"fault": faults.get(instance["instance_id"])} for instance in instances]
    partners = {
        record.parent.name: find_recorded(record) is not None
        for record in sorted((plan.lab.directory / "partners").glob("*/process"))
    }
    resolver = f"{plan.lab.network.gateway_v4}:{NAMES_PORT}"
    if as_json:
        document = {"lab": name, "instances": instances, "partners": partners, "resolver": resolver}
        told = {partner: faults.get(partner) for partner in partners}
        click.echo(json.dumps(document | {"partner_faults": told, "cut_regions": shown["cut_regions"]}))
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("instance", "relay", "zone", "API says", "machine", "fault", "addresses", "volumes"):
        table.add_column(title)
    for instance in sorted(instances, key=lambda i: (i["name"] or "", i["instance_id"])):
        machine = f"{instance['machine']}{' (isolated)' if instance['isolated'] else ''}"
        table.add_row(
            instance["instance_id"],
            instance["name"],
            instance["zone"],
            f"{instance['state']} {instance['health']}",
            machine,
            instance["fault"] or "",
            " ".join(instance["addresses"]),
            " ".join(instance["volumes"]),
        )
    data_console().print(table)
    for partner, runs in partners.items():
        fault = f", {faults[partner]}" if partner in faults else ""
        click.echo(f"partner {partner}: {'runs' if runs else 'does not run'}{fault}")
    click.echo(f"resolver: {resolver}, for relays.FLEET.{ZONE} and REGION.relays.FLEET.{ZONE}")
    for region in shown["cut_regions"]:
        click.echo(f"region {region} is cut off")
    return 0


lab_group.add_command(init_command)
lab_group.add_command(releases_command)


@lab_group.command(
    "ssh",
    short_help="Open a shell on a relay's machine.",
    epilog="Example: genesis-fleet lab ssh demo-eu-central-1-01 systemctl status cardano-node",
)
@click.argument("relay", shell_complete=complete_machines)
@click.argument("command", nargs=-1)
@click.option("--lab", "name", default=None, help="Name of the lab; else the relay name's first word.")
def ssh_command(relay: str, command: tuple[str, ...], name: str | None) -> int:
    """Open a shell on a relay's machine, or run a command there. For looking; the key is not checked in the lab."""
    plan = running.find_lab(_lab_of(relay, name))
    found = [
        i for i in running.ask_control(plan, "GET", "instances")["instances"] if i["name"] == relay and i["addresses"]
    ]
    live = [i for i in found if i["state"] == "running"]
    if not live:
        raise FleetError(
            f"lab {plan.lab.network.lab} has no running machine for {relay}", next_step="see `genesis-fleet lab status`"
        )
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    key = str(plan.lab.directory / running.KEY)
    address = live[-1]["addresses"][0]
    os.execvp("ssh", ["ssh", *options, "-i", key, f"admin@{address}", *command])  # noqa: S606 - becomes the shell


def _verb(name: str, short: str, text: str) -> click.Command:
    @click.argument("relay", shell_complete=complete_machines)
    @click.option("--lab", "lab", default=None, help="Name of the lab; else the relay name's first word.")
    def run(relay: str, lab: str | None, **options: str) -> int:
        plan = running.find_lab(_lab_of(relay, lab))
        answer = running.ask_control(plan, "POST", f"instances/{relay}/{name}", options)
        click.echo(f"{name}: {relay} ({answer['instance_id']})", err=True)
        return 0

    run.__doc__ = text
    return click.command(
        name, short_help=short, help=text, epilog=f"Example: genesis-fleet lab {name} demo-eu-central-1-01"
    )(run)


KILL = _verb("kill", "Cut a machine's power.", "Cut a machine's power: the API says stopped, or running and impaired.")
KILL.params.append(
    click.Option(["--leaves"], type=click.Choice(["stopped", "impaired"]), default="stopped", help="What the API says.")
)
for verb in (
    KILL,
    _verb(
        "terminate",
        "Delete an instance behind our back.",
        "Delete a relay's instance behind our back, as somebody in the console would.",
    ),
    _verb("isolate", "Cut a machine from the network.", "Cut a machine from the network; it goes on running."),
):
    lab_group.add_command(verb)


lab_group.add_command(consumers_command)

FAULT_HELP = """\
Have a running node do wrong, without a restart; RELAY may be a partner, too.

\b
fork         make its own chain from now on; honest nodes refuse it
stall        go on answering, with the tip it has
hang         accept connections, and never answer on them
saturate     be full: real connections from this host up to its hard limit
wrong-magic  be of another network
slow         answer everything late
clear        do right again
"""
"""A paragraph after a backspace keeps its lines."""


@lab_group.command(
    "fault",
    help=FAULT_HELP,
    short_help="Have a running node do wrong.",
    epilog="Example: genesis-fleet lab fault demo-eu-central-1-01 fork --seed split",
)
@click.argument("relay", shell_complete=complete_nodes)
@click.argument("kind", type=click.Choice(["fork", "stall", "hang", "saturate", "wrong-magic", "slow", "clear"]))
@click.option("--seed", default=None, help="Name of the fork: nodes told the same name make the same chain.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=None, help="How late a slow node is.")
@click.option("--lab", "name", default=None, help="Name of the lab.")
def fault_command(relay: str, kind: str, seed: str | None, seconds: float | None, name: str | None) -> int:
    """Have a running node do wrong, without a restart; RELAY may be a partner, too."""
    if (seed is not None and kind != "fork") or (seconds is not None and kind != "slow"):
        raise click.UsageError("--seed goes with fork, --seconds with slow")
    plan = running.find_lab(_lab_of(relay, name))
    nodes = relay_faults.find_nodes(plan, running.ask_control(plan, "GET", "instances")["instances"])
    node = relay_faults.pick_node(plan, nodes, relay)
    if kind == relay_faults.SATURATE:
        relay_faults.start_crowd(plan, node)
    elif kind == "fork":
        relay_faults.tell_node(plan, node, relay_faults.plan_fork(plan, nodes, seed or node.name))
    else:
        faults: dict[str, Fault] = {"stall": Stall(), "hang": Hang(), "wrong-magic": WrongMagic()}
        faults["slow"] = Slow() if seconds is None else Slow(seconds)
        relay_faults.tell_node(plan, node, faults.get(kind))
    click.echo(f"{kind}: {node.name}", err=True)
    return 0


@lab_group.command(
    "cut", short_help="Cut a region off.", epilog="Example: genesis-fleet lab cut eu-central-1 --lab demo"
)
@click.argument("region", shell_complete=complete_regions)
@click.option("--lab", "name", default=None, help="Name of the lab; else the fleet file's, or the only one.")
def cut_command(region: str, name: str | None) -> int:
    """Cut a region off from everything else, partners and the controller included; its machines reach one another."""
    plan = running.find_lab(_lab_of(region, name))
    _check_region(plan, region)
    running.ask_control(plan, "POST", f"regions/{region}/cut")
    click.echo(f"cut: {region}", err=True)
    return 0


@lab_group.command(
    "heal", short_help="Undo cut or isolate.", epilog="Example: genesis-fleet lab heal eu-central-1 --lab demo"
)
@click.argument("place", metavar="REGION|RELAY", shell_complete=complete_places)
@click.option("--lab", "name", default=None, help="Name of the lab.")
def heal_command(place: str, name: str | None) -> int:
    """Undo `cut` of a region, or `isolate` of a relay."""
    plan = running.find_lab(_lab_of(place, name))
    if place in plan.regions:
        running.ask_control(plan, "POST", f"regions/{place}/heal")
    else:
        running.ask_control(plan, "POST", f"instances/{place}/heal")
    click.echo(f"heal: {place}", err=True)
    return 0


def _check_region(plan: running.LabPlan, region: str) -> None:
    if region not in plan.regions:
        raise FleetError(
            f"lab {plan.lab.network.lab} has no region {region}", next_step=f"it has {', '.join(plan.regions)}"
        )


def _lab_of(relay: str, name: str | None) -> str:
    """Return the named lab, or the one whose fleet's name the relay's name begins with, or the fleet file's, or the only one."""
    if name is not None:
        return name
    there = running.list_labs()
    labs = [lab for lab in there if relay.startswith(f"{lab}-")]
    context = click.get_current_context().find_root()
    path = context.params.get("fleet")
    if not labs and path is not None and Path(path).is_file():
        lab = parse_fleet(Path(path)).lab
        labs = [lab] if lab else []
    labs = labs or (list(there) if len(there) == 1 else [])
    if not labs:
        raise FleetError(f"no lab has a relay {relay}", next_step="name the lab with --lab")
    return max(labs, key=len)
