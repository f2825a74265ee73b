"""Lab nodes as processes on loopback: what the tests of one, and of bad releases of it, are written with."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.lab.node.faults import FAULT_FILE, Fault, render_fault
from orchestrator.ouroboros.chainsync import BlockPoint, Tip
from orchestrator.ouroboros.client import run_probes
from orchestrator.ouroboros.targets import Target
from orchestrator.ouroboros.verdicts import ProbeResult, Verdict

ROOT = Path(__file__).parents[1]
NETWORK = ROOT / "inventory" / "lab" / "network"
MAGIC = 4242
PORT = 3001
METRICS_PORT = 12798
ADDRESSES = itertools.count(1)

# Ten blocks a second: what takes the lab minutes takes these tests moments.
SLOT_LENGTH = 0.05
ACTIVE_SLOTS = 0.5


def until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Look again and again until something holds; fail naming it when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


@dataclass
class LabNode:
    """One node with a folder and a loopback address of its own."""

    folder: Path
    address: str
    version: str = "11.0.1"
    forge: str = ""
    issuers: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        shutil.copytree(NETWORK, self.folder / "network")
        self.change_file(
            "shelley-genesis.json", slotLength=SLOT_LENGTH, activeSlotsCoeff=ACTIVE_SLOTS, labIssuers=self.issuers
        )
        backends = [
            "EKGBackend",
            f"PrometheusSimple suffix {self.address} {METRICS_PORT}",
            "Stdout HumanFormatUncoloured",
        ]
        self.change_file(
            "config.json", TraceOptions={"": {"backends": backends, "severity": "Info"}}, ShelleyGenesisHash=None
        )
        self.name_peers()

    def change_file(self, name: str, **values: object) -> None:
        path = self.folder / "network" / name
        changed = {**json.loads(path.read_text()), **values}
        path.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}))

    def name_peers(self, *peers: LabNode, bootstraps: Sequence[LabNode] = ()) -> None:
        points = [{"address": peer.address, "port": PORT} for peer in peers]
        groups = [{"accessPoints": points, "valency": len(points), "trustable": True}] if peers else []
        topology: dict[str, object] = {"localRoots": groups, "publicRoots": []}
        if bootstraps:
            topology["bootstrapPeers"] = [{"address": peer.address, "port": PORT} for peer in bootstraps]
        (self.folder / "topology.json").write_text(json.dumps(topology))

    def start(self) -> LabNode:
        environment = {**os.environ, "GENESIS_LAB_VERSION": self.version, "GENESIS_LAB_FORGE": self.forge}
        files = {
            "config": "network/config.json",
            "topology": "topology.json",
            "database-path": "db",
            "socket-path": "s",
        }
        options = [word for name, path in files.items() for word in (f"--{name}", str(self.folder / path))]
        with (self.folder / "out").open("ab") as out, (self.folder / "err").open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator.lab.node", "run", *options, *self.listening()],
                cwd=ROOT,
                env=environment | self.environment,
                stdout=out,
                stderr=err,
            )
        return self

    def listening(self) -> list[str]:
        return ["--host-addr", self.address, "--port", str(PORT), "+RTS", "-N2", "-RTS"]

    def tell(self, fault: Fault | None) -> None:
        """Do as `genesis-fleet lab fault` does."""
        file = self.folder / "db" / FAULT_FILE
        if fault is None:
            file.unlink()
            return
        unfinished = file.with_name(f"{FAULT_FILE}.unfinished")
        unfinished.write_text(render_fault(fault))
        unfinished.replace(file)

    def send(self, signal_number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(signal_number)

    def stop(self, signal_number: signal.Signals = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=20)

    def probe(self, **options: Any) -> ProbeResult:
        return run_probes([Target(self.address, PORT)], MAGIC, **options)[0]

    def tip(self) -> Tip | None:
        return self.probe().tip

    def has_tip_of(self, other: LabNode) -> bool:
        tip = other.tip()
        assert tip is not None
        assert isinstance(tip.point, BlockPoint)
        return tip.point in self.probe(points=(tip.point,)).has

    def block(self) -> int:
        tip = self.tip()
        return 0 if tip is None else tip.block

    def serves(self) -> bool:
        return self.probe().verdict is Verdict.OK

    def metrics(self, path: str = "/metrics", **headers: str) -> str:
        request = urllib.request.Request(f"http://{self.address}:{METRICS_PORT}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=5) as response:
            text: str = response.read().decode()
            return text

    def marker(self) -> bool:
        return (self.folder / "db" / "clean").exists()

    def output(self, name: str = "out") -> str:
        return (self.folder / name).read_text()


@contextmanager
def lab_nodes(folder: Path) -> Iterator[Callable[..., LabNode]]:
    """Give a maker of nodes, each with a folder below this one; end them all on leaving."""
    nodes: list[LabNode] = []

    def make(**values: Any) -> LabNode:
        number = next(ADDRESSES)
        own = folder / f"node-{number}"
        own.mkdir()
        # Addresses by process, so that two runs at once do not meet: the port is shared without an error.
        process = os.getpid()
        address = f"127.{100 + process % 100}.{process // 100 % 250}.{number}"
        nodes.append(LabNode(own, address, **values))
        return nodes[-1]

    try:
        yield make
    finally:
        for node in nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.kill()
                node.process.wait()


def start_forger_and_follower(make_node: Callable[..., LabNode]) -> tuple[LabNode, LabNode]:
    forger, follower = make_node(forge="0"), make_node()
    follower.name_peers(forger)
    forger.start()
    follower.start()
    until(lambda: follower.block() >= 2, "the follower follows")
    return forger, follower
