"""Two labs for all end-to-end tests, which leave their fleets serving for one another: a small one, and one of twenty relays.

With GENESIS_TEST_LAB_KEEP set the labs and their fleets stay up and are taken up again: one test at a time is then quick.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from orchestrator.lab.cloud.places import LAB_REGIONS
from orchestrator.lab.running import start_lab, stop_lab
from tests.lab_fleet import ROOT, SMALL, Fleet, make_fleet, quicken_network
from tests.lab_rollout import quicken_rollouts
from tests.lab_watch import Watch, watching

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


class Stage:
    """One lab at a time: a host's inotify instances are enough for twenty machines, and its processors for fewer."""

    def __init__(self) -> None:
        self._present: dict[str, tuple[ExitStack, Fleet]] = {}

    def enter(self, lab: str, counts: Mapping[str, int], network: Path = NETWORK) -> Fleet:
        """The fleet of this lab; whoever else is there leaves first."""
        if lab not in self._present:
            self.leave()
            stack = ExitStack()
            self._present[lab] = (stack, stack.enter_context(hold_fleet(lab, counts, network)))
        return self._present[lab][1]

    def leave(self) -> None:
        """End the lab that is there."""
        while self._present:
            _, (stack, _) = self._present.popitem()
            stack.close()


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Where the labs come and go."""
    found = Stage()
    yield found
    found.leave()


@pytest.fixture(scope="session")
def fleet(stage: Stage) -> Fleet:
    """A small fleet for whatever is done to hosts."""
    return stage.enter("e2e", SMALL)


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
def wide(stage: Stage) -> Fleet:
    """Twenty relays in four regions, serving, on a chain that makes two blocks a second."""
    network = FOLDERS / "wide-network"
    quicken_network(NETWORK, network, slot_seconds=0.1)
    fleet = stage.enter("wide", dict.fromkeys(LAB_REGIONS, 5), network)
    fleet.converge()
    return fleet


@pytest.fixture(scope="session")
def rolling(stage: Stage) -> Fleet:
    """A small fleet whose rollouts are quick, serving on the oldest release."""
    fleet = stage.enter("roll", SMALL)
    fleet.variant("fleet", quicken_rollouts)
    fleet.converge()
    return fleet


@pytest.fixture(scope="session")
def watch(wide: Fleet) -> Iterator[Watch]:
    """All that happens to the chain of the twenty, seen from the side."""
    with watching(wide) as found:
        yield found
