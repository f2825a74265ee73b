"""Telling nodes of a lab to do wrong: files of partners, forks that several are on, and crowds by their records."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines.image import MachineImage
from orchestrator.lab.machines.layout import Lab
from orchestrator.lab.machines.network import pick_network
from orchestrator.lab.machines.processes import find_recorded, start_recorded
from orchestrator.lab.node.faults import FAULT_FILE, Fork, Hang, Slow, Stall
from orchestrator.lab.relay_faults import (
    NodePlace,
    crowd_record,
    find_nodes,
    observe_faults,
    partner_database,
    pick_node,
    plan_fork,
    read_node_fault,
    tell_node,
)
from orchestrator.lab.running import LabPlan

INSTANCE = {"instance_id": "i-1", "name": "demo-eu-1-01", "machine": "running", "addresses": ["10.99.128.4"]}


@pytest.fixture
def plan(tmp_path: Path) -> LabPlan:
    lab = Lab(tmp_path, pick_network("demo", ()), MachineImage("none", tmp_path / "image"))
    made = LabPlan(lab, ("eu-1",), tmp_path / "network")
    for name in ("alpha", "beta"):
        partner_database(made, name).mkdir(parents=True)
    return made


def places(plan: LabPlan) -> dict[str, NodePlace]:
    return {node.name: node for node in find_nodes(plan, [])}


def test_partners_and_relays_with_a_running_machine_can_be_told(plan: LabPlan) -> None:
    stopped = INSTANCE | {"instance_id": "i-2", "name": "demo-eu-1-02", "machine": "stopped"}
    nodes = find_nodes(plan, [INSTANCE, stopped])
    assert {node.name for node in nodes} == {"demo-eu-1-01", "alpha", "beta"}
    assert pick_node(plan, nodes, "i-1") == pick_node(plan, nodes, "demo-eu-1-01")
    with pytest.raises(LabUnavailable, match="no running nodes called demo-eu-1-02"):
        pick_node(plan, nodes, "demo-eu-1-02")


def test_of_two_machines_with_one_name_neither_is_picked(plan: LabPlan) -> None:
    nodes = find_nodes(plan, [INSTANCE, INSTANCE | {"instance_id": "i-2"}])
    with pytest.raises(LabUnavailable, match="2 running nodes called demo-eu-1-01"):
        pick_node(plan, nodes, "demo-eu-1-01")
    assert pick_node(plan, nodes, "i-2").instance_id == "i-2"


def test_a_partner_is_told_by_a_file_that_is_shown_and_removed(plan: LabPlan) -> None:
    alpha, beta = places(plan)["alpha"], places(plan)["beta"]
    tell_node(plan, alpha, Slow(2.0))
    tell_node(plan, beta, Hang())
    assert read_node_fault(plan, alpha) == Slow(2.0)
    assert observe_faults(plan, [alpha, beta]) == {"alpha": "slow by 2 s", "beta": "hang"}
    tell_node(plan, alpha, None)
    tell_node(plan, alpha, None)
    assert observe_faults(plan, [alpha, beta]) == {"beta": "hang"}
    assert [file.name for file in partner_database(plan, "beta").iterdir()] == [FAULT_FILE]


def test_a_fork_begins_now_unless_others_are_on_it_already(plan: LabPlan) -> None:
    nodes = tuple(places(plan).values())
    first = plan_fork(plan, nodes, "split")
    assert time.time() - 60 < first.since < time.time()
    tell_node(plan, places(plan)["alpha"], Fork("split", 12.5))
    assert plan_fork(plan, nodes, "split") == Fork("split", 12.5)
    assert plan_fork(plan, nodes, "another").since > 12.5


def test_a_fault_sends_a_crowd_home(plan: LabPlan) -> None:
    alpha = places(plan)["alpha"]
    record = crowd_record(plan, alpha)
    start_recorded([sys.executable, "-c", "import time; time.sleep(600)"], record, record.with_name("log"))
    assert observe_faults(plan, [alpha]) == {"alpha": "saturate"}
    tell_node(plan, alpha, Stall())
    assert find_recorded(record) is None
    assert observe_faults(plan, [alpha]) == {"alpha": "stall"}
