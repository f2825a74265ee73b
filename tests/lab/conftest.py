"""The labs of all end-to-end tests, whose modules leave their fleets serving for one another: small ones, and one of twenty relays.

One process goes from lab to lab. Two processes share the labs out between them (`--numprocesses=2 --dist loadscope`).
With GENESIS_TEST_LAB_KEEP set the labs and their fleets stay up and are taken up again: one test at a time is then quick.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from orchestrator.lab.cloud.places import LAB_REGIONS
from orchestrator.lab.running import start_lab, stop_lab
from tests.lab_fleet import ROOT, SMALL, Fleet, make_fleet, quicken_network
from tests.lab_rollout import quicken_rollouts
from tests.lab_watch import Watch, watching

KEEP = "GENESIS_TEST_LAB_KEEP"
TOLD = "told"

# Hundreds of short commands are run here. Where the environment forbids compiled modules to be kept, each of them would
# compile everything that it imports anew, for two seconds of a processor.
os.environ["PYTHONDONTWRITEBYTECODE"] = ""

FOLDERS = Path("/var/lib/genesis-fleet/tests")
NETWORK = ROOT / "inventory" / "lab" / "network"


LONGEST_FIRST = ("trust", "fleet", "rollout")
"""What takes longest begins first, so that two processes end at about the same time."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest begin first; the order within a lab stays."""
    ranks = {family: rank for rank, family in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(family_of(item.nodeid), len(ranks)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Give all modules that share a lab to the same process, one after the other, where there are several."""
    if config.getoption("dist") != "loadscope":
        return None
    config.option.loadscopereorder = False
    scheduler: object = LoadScopeScheduling(config, log)
    setattr(scheduler, "_split_scope", lab_of)  # noqa: B010 (it is not typed)
    return scheduler


def lab_of(nodeid: str) -> str:
    """Return the same word for all tests that share a lab."""
    family = family_of(nodeid)
    return module_of(nodeid) if family == "rollout" else family


def family_of(nodeid: str) -> str:
    """Return the first word of a module's name after `test`."""
    return module_of(nodeid).removeprefix("test_").partition("_")[0]


def module_of(nodeid: str) -> str:
    """Return the name of a test's module."""
    return Path(nodeid.partition("::")[0]).stem


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have to tell, whether they failed or not."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for what, text in report.user_properties:
                if what == TOLD and report.when == "call":
                    terminalreporter.line(text)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Have something printed at the end of the run; what a test prints itself is lost in a process of its own."""
    return partial(record_property, TOLD)


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
    """One lab at a time in each process: the machines of two are as many as a host has inotify instances for."""

    def __init__(self) -> None:
        self._present: dict[str, tuple[ExitStack, Fleet]] = {}

    def enter(self, lab: str, counts: Mapping[str, int], network: Path = NETWORK) -> Fleet:
        """The fleet of this lab; whoever else is there leaves first."""
        if lab not in self._present:
            self.leave()
            stack = ExitStack()
            self._present[lab] = (stack, stack.enter_context(hold_fleet(lab, counts, network)))
        return self._present[lab][1]

    def begin(self, lab: str, beside: AbstractContextManager[Watch]) -> Watch:
        """Begin what goes on for as long as this lab is there."""
        stack, _ = self._present[lab]
        return stack.enter_context(beside)

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
def watch(stage: Stage, wide: Fleet) -> Watch:
    """All that happens to the chain of the twenty, seen from the side."""
    return stage.begin("wide", watching(wide))
