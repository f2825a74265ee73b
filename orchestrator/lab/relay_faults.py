"""Tell a lab's nodes to do wrong: relays in their machines and partners alike, while they run.

A fault is a file in the node's database folder, put there past the machine's network and ssh, and noticed by the node itself;
what is on is read from these same files, so that a relay that was replaced has none. Only `saturate` is no file: a crowd of real
connections from this host, in a process of its own. Which faults there are and what they do: `node.faults`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines.machine import find_first_process, run_in_machine
from orchestrator.lab.machines.processes import find_recorded, kill_and_wait, start_recorded
from orchestrator.lab.node.faults import FAULT_FILE, Fault, Fork, Slow, kind_of, parse_fault, render_fault
from orchestrator.lab.places import RELAY_PORT, partner_places
from orchestrator.lab.running import CROWDS, LabPlan
from orchestrator.rendering.layout import DATABASE

SATURATE = "saturate"

# A fork begins this much before it is asked for: all nodes that are told of it have the same blocks until then.
FORK_LEAD_SECONDS = 2.0

WRITE = 'cd "$1" && printf %s "$3" > "$2.unfinished" && chmod 644 "$2.unfinished" && mv "$2.unfinished" "$2"'
REMOVE = 'rm -f "$1/$2"'


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node that can be told to do wrong. `instance_id` is None for a partner."""

    name: str
    address: str
    instance_id: str | None


def find_nodes(plan: LabPlan, instances: Collection[Mapping[str, Any]]) -> tuple[NodePlace, ...]:
    """Return the partners, and the relays whose machines run; `instances` is what the lab's control pages list."""
    partners = [NodePlace(place.name, str(place.address), None) for place in partner_places(plan.lab.network)]
    relays = [
        NodePlace(instance["name"] or instance["instance_id"], instance["addresses"][0], instance["instance_id"])
        for instance in instances
        if instance["machine"] == "running" and instance["addresses"]
    ]
    return (*relays, *partners)


def pick_node(plan: LabPlan, nodes: Collection[NodePlace], name: str) -> NodePlace:
    """Return the node of this name or instance id. Raises LabUnavailable."""
    found = [node for node in nodes if name in (node.name, node.instance_id)]
    if len(found) == 1:
        return found[0]
    raise LabUnavailable(
        f"lab {plan.lab.network.lab} has {len(found) or 'no'} running nodes called {name}"
        f" (there are {', '.join(sorted(node.name for node in nodes))})",
        next_step="see `genesis-fleet lab status`; of two machines with one name, give the instance id",
    )


def plan_fork(plan: LabPlan, nodes: Collection[NodePlace], name: str) -> Fork:
    """Return a fork of this name: the one that other nodes are on already, or one that begins now."""
    under_way = (read_node_fault(plan, node) for node in nodes)
    existing = next((fault for fault in under_way if isinstance(fault, Fork) and fault.name == name), None)
    return existing or Fork(name, round(time.time() - FORK_LEAD_SECONDS, 3))


def tell_node(plan: LabPlan, node: NodePlace, fault: Fault | None) -> None:
    """Put a fault in force, or end whatever is. Raises LabUnavailable."""
    end_crowd(plan, node)
    if node.instance_id is None:
        file = partner_database(plan, node.name) / FAULT_FILE
        if fault is None:
            file.unlink(missing_ok=True)
            return
        unfinished = file.with_name(f"{FAULT_FILE}.unfinished")
        unfinished.write_text(render_fault(fault))
        unfinished.replace(file)
        return
    script, text = (REMOVE, "") if fault is None else (WRITE, render_fault(fault))
    command = ["sh", "-c", script, "sh", DATABASE, FAULT_FILE, text]
    outcome = run_in_machine(plan.lab, node.instance_id, command)
    if outcome.returncode != 0:
        raise LabUnavailable(
            f"{node.name} could not be told: {outcome.stderr.strip() or f'exit code {outcome.returncode}'}",
            next_step="a node has to be deployed first: see `genesis-fleet status`",
        )


def start_crowd(plan: LabPlan, node: NodePlace) -> None:
    """Fill a node up with real connections until told otherwise; a crowd that is there stays."""
    if read_node_fault(plan, node) is not None:
        tell_node(plan, node, None)  # One fault at a time.
    record = crowd_record(plan, node)
    if find_recorded(record) is not None:
        return
    genesis = json.loads((plan.network_folder / "shelley-genesis.json").read_text())
    target = [node.address, str(RELAY_PORT), str(genesis["networkMagic"])]
    start_recorded([sys.executable, "-m", "orchestrator.lab.crowd", *target], record, record.with_name("log"))


def end_crowd(plan: LabPlan, node: NodePlace) -> None:
    """Send a crowd home, if there is one."""
    process = find_recorded(crowd_record(plan, node))
    if process is not None:
        kill_and_wait(process)


def read_node_fault(plan: LabPlan, node: NodePlace) -> Fault | None:
    """Return the fault that a node is told of by its file; None, too, for one that cannot be looked at."""
    if node.instance_id is None:
        database = partner_database(plan, node.name)
    else:
        first = find_first_process(plan.lab, node.instance_id)
        if first is None:
            return None
        database = Path(f"/proc/{first}/root{DATABASE}")
    try:
        return parse_fault((database / FAULT_FILE).read_text())
    except (OSError, ValueError):
        return None


def observe_faults(plan: LabPlan, nodes: Collection[NodePlace]) -> dict[str, str]:
    """Return what is wrong with each node, in words, by instance id or partner's name; nodes without a fault are left out."""
    found = {}
    for node in nodes:
        crowded = find_recorded(crowd_record(plan, node)) is not None
        fault = read_node_fault(plan, node)
        if crowded or fault is not None:
            found[node.instance_id or node.name] = SATURATE if fault is None else describe_fault(fault)
    return found


def describe_fault(fault: Fault) -> str:
    """Return a fault in words."""
    match fault:
        case Fork(name):
            return f"fork {name}"
        case Slow(seconds):
            return f"slow by {seconds:g} s"
        case _:
            return kind_of(fault)


def crowd_record(plan: LabPlan, node: NodePlace) -> Path:
    """Return where the crowd before a node is recorded."""
    return plan.lab.directory / CROWDS / (node.instance_id or node.name) / "process"


def partner_database(plan: LabPlan, name: str) -> Path:
    """Return the database folder of a partner's node."""
    return plan.lab.directory / "partners" / name / "db"
