"""One lab with one small fleet for all end-to-end tests, which leave it serving for one another.

With GENESIS_TEST_LAB_KEEP set the lab and its fleet stay up and are taken up again: one test at a time is then quick.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.lab.cloud_places import LAB_REGIONS
from orchestrator.lab.running import start_lab, stop_lab
from tests.lab_fleet import ROOT, Fleet, make_fleet

LAB = "e2e"
KEEP = "GENESIS_TEST_LAB_KEEP"
FOLDER = Path("/var/lib/genesis-fleet/tests") / LAB
NETWORK = ROOT / "inventory" / "lab" / "network"


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """The fleet, as yet without a relay (unless it was kept). Two test runs take turns."""
    keep = bool(os.environ.get(KEEP))
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not keep:
            stop_lab(LAB)
            shutil.rmtree(FOLDER, ignore_errors=True)
        plan = start_lab(LAB, LAB_REGIONS, NETWORK, lambda _progress: None)
        fleet = make_fleet(plan, FOLDER, NETWORK)
        fleet.clear_faults()
        yield fleet
        if not keep:
            stop_lab(LAB)
            shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.fixture(scope="module")
def serving(fleet: Fleet) -> Fleet:
    """The fleet with all its relays serving, whatever went before."""
    fleet.clear_faults()
    for instance in fleet.instances():
        if instance["isolated"]:
            fleet.ask("POST", f"instances/{instance['instance_id']}/heal")
    fleet.converge()
    return fleet
