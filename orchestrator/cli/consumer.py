"""`topology consumer`: ready topologies for those who bootstrap from this fleet. What is in them is decided in rendering."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.looking import look, warn_if_not_ours
from orchestrator.cli.topology_check import CONSENSUS_MODES, HostPort, NodeVersion
from orchestrator.cli.wiring import load_wanted, wire_controller
from orchestrator.errors import FleetError
from orchestrator.planning.look import Wanted
from orchestrator.planning.plan import Plan
from orchestrator.rendering.consumer import (
    SNAPSHOT_NAME,
    TOPOLOGY_NAME,
    ConsumerInputs,
    ConsumerKind,
    list_notes,
    read_epochs,
    render_consumer_topology,
    why_no_snapshot,
)
from orchestrator.rendering.topology_findings import Circumstances
from orchestrator.rendering.values import AccessPoint
from orchestrator.spec.model import FleetSpec


@dataclass(frozen=True, slots=True)
class Rendered:
    """A consumer's files by name, and what is to be said about them."""

    files: Mapping[str, str]
    notes: tuple[str, ...]


@click.command(
    "consumer",
    short_help="Write a topology for a node that bootstraps from this fleet.",
    epilog="Example: genesis-fleet topology consumer --for new-node -o consumer",
)
@click.option(
    "--for",
    "wanted_for",
    type=click.Choice([kind.value for kind in ConsumerKind]),
    required=True,
    help="Who is to read it.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Write the files here.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@click.option(
    "--local-root", "local_roots", type=HostPort(), multiple=True, metavar="HOST:PORT", help="A node of its own."
)
@click.option("--node-version", type=NodeVersion(), help="Its release; else the one that this fleet wants.")
@click.option("--consensus-mode", type=click.Choice(CONSENSUS_MODES), help="Its mode; else the network's config.json.")
@click.option("--agreed-slot", type=click.IntRange(0), help="A slot of the right chain, instead of asking the fleet.")
@click.option("--json", "as_json", is_flag=True, help="Print the files in one JSON object.")
@click.pass_obj
def consumer_command(
    fleet: Path,
    wanted_for: str,
    output: Path | None,
    force: bool,
    local_roots: tuple[AccessPoint, ...],
    node_version: str | None,
    consensus_mode: str | None,
    agreed_slot: int | None,
    as_json: bool,
) -> int:
    """Write a ready topology for a node that bootstraps from this fleet and its partners.

    Its own nodes are named with --local-root; a block producer needs some. The fleet is asked for the agreed chain and for published
    relays only where the topology needs them. Without -o the topology is printed, and names no peer snapshot.
    """
    console = Console(stderr=True)
    kind = ConsumerKind(wanted_for)
    refuse_local_roots(kind, local_roots)
    _, wanted = load_wanted(fleet)
    circumstances = read_consumer(wanted, node_version, consensus_mode)
    plan = _look(fleet, console) if needs_a_look(kind, wanted.spec, agreed_slot) else None
    if agreed_slot is None and plan is not None and kind.uses_ledger:
        agreed_slot = read_agreed_slot(plan)
    bootstrap = pick_bootstrap(wanted.spec, plan) if kind.bootstraps else ()
    inputs = ConsumerInputs(
        bootstrap, local_roots, agreed_slot, read_epochs(wanted.spec.network, wanted.network), circumstances
    )
    rendered = render_files(kind, inputs, wanted.network.peer_snapshot, beside=output is not None or as_json)
    if output is not None:
        write_files(rendered.files, output, force=force)
    for note in rendered.notes:
        console.print(f"! {note}", markup=False, highlight=False, style="yellow", soft_wrap=True)
    if as_json:
        click.echo(json.dumps(_json(kind, circumstances, rendered)))
    elif output is None:
        click.echo(rendered.files[TOPOLOGY_NAME], nl=False)
    else:
        click.echo(f"wrote {', '.join(str(output / name) for name in rendered.files)}", err=True)
    return 0


def refuse_local_roots(kind: ConsumerKind, local_roots: tuple[AccessPoint, ...]) -> None:
    """Raise a UsageError where own nodes are missing, or make a new node something else."""
    if kind is ConsumerKind.BLOCK_PRODUCER and not local_roots:
        raise click.UsageError("a block producer knows nobody but its own relays: name them with --local-root")
    if kind is ConsumerKind.NEW_NODE and local_roots:
        raise click.UsageError("a new node has no nodes of its own: give --for relay with --local-root")


def needs_a_look(kind: ConsumerKind, spec: FleetSpec, agreed_slot: int | None) -> bool:
    """Tell whether the fleet has to be asked: for the agreed chain, or for addresses where it has no names."""
    return (kind.uses_ledger and agreed_slot is None) or (kind.bootstraps and not spec.list_published_names())


def read_consumer(wanted: Wanted, node_version: str | None, consensus_mode: str | None) -> Circumstances:
    """Return what the consumer's node is: as told, else as this fleet's own."""
    mode = consensus_mode or json.loads(wanted.network.config_json).get("ConsensusMode", "PraosMode")
    return Circumstances(
        node_version or wanted.spec.release,
        mode if mode in CONSENSUS_MODES else None,
        wanted.spec.network.magic,
    )


def pick_bootstrap(spec: FleetSpec, plan: Plan | None) -> tuple[AccessPoint, ...]:
    """Return this fleet's names, or the addresses of its published relays, and those of the partners. Raises FleetError."""
    own = tuple(AccessPoint(name.address, name.port) for name in spec.list_published_names())
    if not own and plan is not None:
        own = tuple(
            AccessPoint(view.address, spec.ports.relay)
            for view in plan.relays
            if view.published and view.address is not None
        )
    if not own:
        raise FleetError(
            f"fleet {spec.fleet} has no names, and none of its relays is published",
            next_step="set publish.name in the fleet file, or see `genesis-fleet status` for why no relay is published",
        )
    return (*own, *(AccessPoint(partner.address, partner.port) for partner in spec.partners))


def read_agreed_slot(plan: Plan) -> int:
    """Return the slot that relays and partners agree on. Raises FleetError if there is none."""
    if plan.agreed_tip is None:
        raise FleetError(
            "fleet and partners agree on no block, so it cannot be said from where on the ledger is to be trusted",
            next_step="see `genesis-fleet status`, or give a slot of the right chain with --agreed-slot",
        )
    return plan.agreed_tip.slot


def render_files(kind: ConsumerKind, inputs: ConsumerInputs, snapshot: str | None, *, beside: bool) -> Rendered:
    """Render the topology, and the peer snapshot where the node can read it and there is a place for it `beside`."""
    notes: tuple[str, ...] = ()
    usable = None
    if kind.uses_ledger and snapshot is not None:
        cause = (
            "there is no folder to put it into (-o)" if not beside else why_no_snapshot(snapshot, inputs.circumstances)
        )
        usable = snapshot if cause is None else None
        notes = () if cause is None else (f"the peer snapshot is left out: {cause}",)
    complete = ConsumerInputs(
        inputs.bootstrap, inputs.local_roots, inputs.agreed_slot, inputs.epochs, inputs.circumstances, usable
    )
    text = render_consumer_topology(kind, complete)
    files = {TOPOLOGY_NAME: text} if usable is None else {SNAPSHOT_NAME: usable, TOPOLOGY_NAME: text}
    return Rendered(files, (*notes, *list_notes(text, inputs.circumstances)))


def write_files(files: Mapping[str, str], folder: Path, *, force: bool) -> None:
    """Write files into a folder, each at once or not at all, in their order. Raises FleetError rather than overwrite."""
    there = [str(folder / name) for name in files if (folder / name).exists()]
    if there and not force:
        raise FleetError(
            f"{' and '.join(there)} exist{'s' if len(there) == 1 else ''} already",
            next_step="name another folder, or give --force",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        draft = folder / f".{name}.{os.getpid()}"
        draft.write_text(text, encoding="utf-8")
        draft.replace(folder / name)


def _look(fleet: Path, console: Console) -> Plan:
    found = look(wire_controller(fleet), console)
    warn_if_not_ours(found, console)
    return found.plan


def _json(kind: ConsumerKind, circumstances: Circumstances, rendered: Rendered) -> dict[str, object]:
    return {
        "for": kind.value,
        "node_version": circumstances.node_version,
        "consensus_mode": circumstances.consensus_mode,
        "files": dict(rendered.files),
        "notes": list(rendered.notes),
    }
