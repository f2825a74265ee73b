"""Two labs for all end-to-end tests, which leave their fleets serving for one another: a small one, and one of twenty relays.

With GENESIS_TEST_LAB_KEEP set the labs and their fleets stay up and are taken up again: one test at a time is then quick.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.lab.cloud_places import LAB_REGIONS
from orchestrator.lab.running import start_lab, stop_lab
from tests.lab_fleet import ROOT, SMALL, Fleet, make_fleet, quicken_network

KEEP = "GENESIS_TEST_LAB_KEEP"
FOLDERS = Path("/var/lib/genesis-fleet/tests")
NETWORK = ROOT / "inventory" / "lab" / "network"


@contextmanager
def hold_fleet(lab: str, counts: Mapping[str, int], network: Path = NETWORK) -> Iterator[Fleet]:
    """A fleet in a lab of this name, as yet without a relay (unless it was kept). Two test runs take turns."""
    keep, folder = bool(os.environ.get(KEEP)), FOLDERS / lab
    FOLDERS.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not keep:
            stop_lab(lab)
            shutil.rmtree(folder, ignore_errors=True)
        plan = start_lab(lab, LAB_REGIONS, network, lambda _progress: None)
        fleet = make_fleet(plan, folder, network, counts)
        fleet.clear_faults()
        yield fleet
        if not keep:
            stop_lab(lab)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """A small fleet for whatever is done to hosts."""
    with hold_fleet("e2e", SMALL) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def serving(fleet: Fleet) -> Fleet:
    """The fleet with all its relays serving, whatever went before."""
    fleet.clear_faults()
    for instance in fleet.instances():
        if instance["isolated"]:
            fleet.ask("POST", f"instances/{instance['instance_id']}/heal")
    fleet.converge()
    return fleet


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Twenty relays in four regions, serving, on a chain that makes two blocks a second."""
    network = tmp_path_factory.mktemp("wide") / "network"
    quicken_network(NETWORK, network, slot_seconds=0.1)
    with hold_fleet("wide", dict.fromkeys(LAB_REGIONS, 5), network) as fleet:
        fleet.converge()
        yield fleet
