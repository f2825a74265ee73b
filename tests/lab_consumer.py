"""A node of somebody else in the lab: started with a topology file, and asked over the wire how far it has come."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cli.wiring import make_wire
from orchestrator.execution.ports import ProbeTarget
from orchestrator.fleet.observation import Sighting
from orchestrator.lab.machines.network import connect, disconnect
from orchestrator.spec.load import load_fleet
from tests.lab_fleet import ROOT, Fleet

FIRST_ADDRESS = 200
"""Offset in the lab's range, between the partners and what the cloud hands out."""


@dataclass(frozen=True)
class Consumer:
    """A running node."""

    fleet: Fleet
    name: str
    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def sighting(self) -> Sighting:
        """What it shows on the wire."""
        wire = make_wire(load_fleet(self.fleet.file))
        return wire.observe_wire([ProbeTarget(self.name, self.address, 3001)])[self.name]


@contextmanager
def running_consumer(
    fleet: Fleet, number: int, folder: Path, topology: Path, *, forge: int | None = None, local: Sequence[str] = ()
) -> Iterator[Consumer]:
    """Start the lab's node with this topology in a namespace of its own; gone afterwards."""
    network = fleet.plan.lab.network
    address = network.v4.network_address + FIRST_ADDRESS + number
    name = f"consumer-{number}"
    namespace = connect(network, name, (address,))
    shutil.copytree(fleet.plan.network_folder, folder / "network", dirs_exist_ok=True)
    forging = [] if forge is None else [f"GENESIS_LAB_FORGE={forge}"]
    command = [
        *("nsenter", f"--net={namespace}", "env", *forging, f"PYTHONPATH={ROOT}"),
        *(sys.executable, "-m", "orchestrator.lab.node", "run", *local),
        *("--config", str(folder / "network" / "config.json"), "--topology", str(topology)),
        *("--database-path", str(folder / "db"), "--socket-path", str(folder / "node.socket")),
        *("--host-addr", str(address), "--port", "3001"),
    ]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=os.environ)
    try:
        yield Consumer(fleet, name, str(address), process, log)
    finally:
        process.terminate()
        process.wait()
        disconnect(network, name)
