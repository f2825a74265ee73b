"""A small fleet in a real lab, worked on by the real command line: what the end-to-end tests are written with.

Everything goes the way an operator's hands would: commands as processes, faults by the lab's own pages, edits on hosts by
a shell in the machine. Nothing here knows what should come out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from orchestrator.cli.wiring import make_wire
from orchestrator.execution.ports import ProbeTarget
from orchestrator.fleet.observation import Verdict
from orchestrator.lab.fleet_file import render_artifact, render_lab_fleet
from orchestrator.lab.machines.machine import run_in_machine
from orchestrator.lab.node.flaws import Flaw
from orchestrator.lab.releases.bad import LINE, build_bad_release
from orchestrator.lab.releases.offers import VERSIONS
from orchestrator.lab.releases.tarball import build_release
from orchestrator.lab.running import RELEASES, LabPlan, ask_control
from orchestrator.spec.genesis import shelley_genesis_hash
from orchestrator.spec.load import load_fleet

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"

# Generous: what takes a second here takes ten on a host that does other things meanwhile.
PATIENCE_SECONDS = 240
MACHINES_AT_ONCE = 4
SMALL = {"eu-central-1": 3, "us-east-1": 2}
# Relays stay connected to a relay that drains, so that it always takes until the deadline.
QUICK = {"rollout": {"retry_after": "1s", "drain_deadline": "6s"}, "controller": {"lease": "5s", "look_every": "1s"}}


def wait_for(what: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"did not come true within {seconds} s"
        time.sleep(0.1)
    return found


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What `--json` printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Running:
    """A command under way; its words on stderr can be waited for."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip())
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_line(self, pattern: str) -> str:
        """Wait for a line that has the pattern in it; an end without one fails."""
        if (line := self.find_line(pattern)) is None:
            ended = self.send(signal.SIGKILL)
            pytest.fail(f"no {pattern!r}:\n{ended.err}\n{ended.out}")
        return line

    def find_line(self, pattern: str) -> str | None:
        """Wait for a line that has the pattern in it; None if the command ends without one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self.changed:
            while True:
                for line in self.lines:
                    if re.search(pattern, line):
                        return line
                if not self._reader.is_alive() or time.monotonic() > deadline:
                    return None
                self.changed.wait(1)

    @property
    def said(self) -> str:
        """All of its words so far."""
        with self.changed:
            return "\n".join(self.lines)

    def end(self) -> Ended:
        """Wait for its end."""
        with self.process:
            out = self.process.stdout.read() if self.process.stdout is not None else ""  # it may go to a file
            self._reader.join()
        if log := os.environ.get("GENESIS_TEST_LAB_LOG"):
            with Path(log).open("a") as file:
                file.write("\n".join([f"$ {' '.join(map(str, self.process.args[3:]))}", *self.lines, ""]))  # type: ignore[index]
        return Ended(self.process.returncode, out, "\n".join(self.lines))

    def send(self, number: signal.Signals) -> Ended:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.end()


@dataclass(frozen=True, slots=True)
class Fleet:
    """One fleet file and its state, in one lab."""

    plan: LabPlan
    folder: Path

    @property
    def file(self) -> Path:
        """The fleet file."""
        return self.folder / "fleet.yaml"

    # --- commands ----------------------------------------------------------------------------------------------------

    def start(
        self,
        *arguments: str,
        file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        out: IO[str] | int = subprocess.PIPE,
    ) -> Running:
        """Start `genesis-fleet` with arguments."""
        command = [sys.executable, "-m", "orchestrator.cli.main", "--fleet", str(file or self.file), *arguments]
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GENESIS_"))}
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**own, "PYTHONUNBUFFERED": "1", **(environment or {})},
        )
        return Running(process)

    def run(self, *arguments: str, file: Path | None = None, environment: Mapping[str, str] | None = None) -> Ended:
        """Run `genesis-fleet` to its end."""
        return self.start(*arguments, file=file, environment=environment).end()

    def start_apply(self, *arguments: str, file: Path | None = None) -> Running:
        """Apply without being asked; a lease that a killed controller left is waited for."""
        while True:
            run = self.start("apply", "--yes", "--json", *arguments, file=file)
            if run.find_line(r" started: | = \d+ of |holds the lease") is None or "holds the lease" not in run.said:
                return run
            run.end()

    def apply(self, *arguments: str, file: Path | None = None) -> Ended:
        """Apply to the end."""
        return self.start_apply(*arguments, file=file).end()

    def converge(self, *arguments: str, file: Path | None = None) -> Ended:
        """Apply, and hold it to the fleet having converged."""
        ended = self.apply(*arguments, file=file)
        assert ended.code == 0, f"{ended.code}\n{ended.err}\n{ended.out}"
        return ended

    def ansible(self, playbook: str, *arguments: str, file: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a playbook as an operator would by hand."""
        return subprocess.run(
            [BIN / "ansible-playbook", "-i", "inventory/hosts.py", f"playbooks/{playbook}.yml", *arguments],
            cwd=ROOT,
            env={**os.environ, "GENESIS_FLEET": str(file or self.file), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    # --- what there is -----------------------------------------------------------------------------------------------

    def relays(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """The relays as `status` shows them, by name."""
        ended = self.run("status", "--json", *arguments)
        assert ended.code == 0, ended.err
        return {relay["name"]: relay for relay in ended.document["relays"]}

    def instances(self, name: str | None = None) -> list[dict[str, Any]]:
        """The instances that the lab's cloud has and that are not terminated."""
        found = ask_control(self.plan, "GET", "instances")["instances"]
        alive = [i for i in found if i["state"] not in ("terminated", "shutting-down")]
        return [i for i in alive if name in (None, i["name"])]

    def instance(self, name: str) -> dict[str, Any]:
        """The one instance of a relay."""
        (found,) = self.instances(name)
        return found

    def shell(self, name: str, script: str) -> str:
        """Run a script as root in a relay's machine, past network and SSH."""
        return self._run_in(self.instance(name), script)

    def shells(self, script: str, names: Collection[str] | None = None) -> dict[str, str]:
        """Run a script in the machines of these relays, or of all; what each of them said, by relay."""
        instances = [i for i in self.instances() if names is None or i["name"] in names]
        with ThreadPoolExecutor(MACHINES_AT_ONCE) as pool:
            said = pool.map(lambda instance: self._run_in(instance, script), instances)
            return {str(instance["name"]): each for instance, each in zip(instances, said, strict=True)}

    def _run_in(self, instance: Mapping[str, Any], script: str) -> str:
        done = run_in_machine(self.plan.lab, instance["instance_id"], ["sh", "-euc", script])
        assert done.returncode == 0, f"{instance['name']}: {script}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    @contextmanager
    def sampling(self) -> Iterator[list[int]]:
        """Probe all relays again and again meanwhile; tells how many served at each of these moments."""
        wire = make_wire(load_fleet(self.file))
        targets = [ProbeTarget(i["name"], i["addresses"][0], 3001) for i in self.instances()]
        samples: list[int] = []
        ended = threading.Event()

        def sample() -> None:
            while not ended.wait(0.2):
                seen = wire.observe_wire(targets).values()
                samples.append(sum(1 for sighting in seen if sighting.verdict is Verdict.OK))

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield samples
        finally:
            ended.set()
            thread.join()

    # --- mischief ----------------------------------------------------------------------------------------------------

    def variant(self, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
        """Write a changed fleet file beside the real one; it shares state and network folder."""
        document = yaml.safe_load(self.file.read_text())
        change(document)
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def bad_variant(self, kind: str, line: str = LINE, flaw: Flaw | None = None) -> Path:
        """Have the lab serve a bad release, and write a fleet file that wants it."""
        release = build_bad_release(kind, self.plan.lab.directory / RELEASES, line, flaw)

        def want_it(document: dict[str, Any]) -> None:
            document["releases"][release.version] = {"x86_64": render_artifact(self.plan.lab.network, release)}
            document["release"] = release.version

        return self.variant(f"bad-{kind}", want_it)

    def ask(self, method: str, path: str, **document: Any) -> dict[str, Any]:
        """Ask the lab's control pages."""
        return ask_control(self.plan, method, path, document)

    def fault(self, kind: str, **fields: Any) -> str:
        """Switch a fault of the cloud on, and return its id."""
        return str(self.ask("POST", "faults", kind=kind, **fields)["id"])

    def clear_faults(self) -> None:
        """Switch every fault off."""
        self.ask("DELETE", "faults")


def quicken_network(source: Path, target: Path, slot_seconds: float) -> None:
    """Copy a network folder, and let its slots be so long."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    shelley, config = target / "shelley-genesis.json", target / "config.json"
    shelley.write_text(json.dumps(json.loads(shelley.read_text()) | {"slotLength": slot_seconds}))
    stated = {"ShelleyGenesisHash": shelley_genesis_hash(shelley.read_bytes())}
    config.write_text(json.dumps(json.loads(config.read_text()) | stated))


def make_fleet(plan: LabPlan, folder: Path, network: Path, counts: Mapping[str, int]) -> Fleet:
    """Write the fleet file of a fleet in this lab, with shorter timers still."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(network, folder / "network", dirs_exist_ok=True)
    releases = [build_release(version, plan.lab.directory / RELEASES) for version in VERSIONS]
    document = yaml.safe_load(render_lab_fleet(plan.lab.network.lab, releases, counts=counts))
    for section, values in QUICK.items():
        document[section].update(values)
    (folder / "fleet.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return Fleet(plan, folder)


def processes_naming(text: str) -> list[str]:
    """Command lines of all processes that name something, without this test's own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(entry.name) != os.getpid():
            found.append(line)
    return found


def recap(stdout: str) -> dict[str, dict[str, int]]:
    """Ansible's own counts, by host."""
    found = {}
    for line in stdout.partition("PLAY RECAP")[2].splitlines():
        host, colon, counts = line.partition(":")
        if colon:
            found[host.strip()] = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)}
    return found


def names(instances: Sequence[Mapping[str, Any]]) -> list[str]:
    """Relay names of instances, in order."""
    return sorted(str(instance["name"]) for instance in instances)
