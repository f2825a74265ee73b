"""The contenders: our deploy, an Ansible role, pyinfra, and one ssh command a host as the floor. Each says what it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measuring import Case
from benchmarks.scene import (
    Scene,
    clear,
    close_connections,
    genesis_fleet,
    run_everywhere,
    scratch_state,
    verify,
    warm_connections,
    write_json,
)
from orchestrator.adapters.ansible import make_control_directory
from orchestrator.adapters.ansible_ssh import ssh_args
from orchestrator.execution.ports import HostDone, HostResult, HostTarget

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
FLOOR, OURS, LOOK, APPLY, ROLE, PYINFRA = "ssh true", "genesis", "inspect", "apply", "role", "pyinfra"
WHAT = {
    FLOOR: "one `ssh HOST true` for every host, all at once",
    OURS: "the production adapter: playbooks/deploy.yml through ansible-runner; a first deploy writes the 14 scratch files"
    " beside the 14 production files that it finds unchanged, checks config.json and unit, enables the unit; every deploy"
    " looks at release, network folder, link, firewall table and the node's unit as well",
    LOOK: "the production look at every host, which each cycle begins with",
    APPLY: "`genesis-fleet apply --yes` of the unchanged fleet, from start to exit: cloud, hosts, wire, plan",
    ROLE: "benchmarks/role: ansible-playbook, a task for each thing, pipelining, no facts, as many forks as hosts",
    PYINFRA: "benchmarks/pyinfra_deploy.py: the same things, all hosts in parallel; it keeps no connections between runs",
}
Runs = Callable[[], None]


def list_cases(scene: Scene) -> list[Case]:
    """Return every case, in the order of the table."""
    cold: Runs = lambda: close_connections(scene)  # noqa: E731 - named for what it brings about
    warm: Runs = lambda: warm_connections(scene)  # noqa: E731

    def fresh(tool: str) -> Runs:
        def prepare() -> None:
            clear(scene, [tool])
            cold()

        return prepare

    def made(tool: str, deploy: Callable[[], object], then: Runs) -> Runs:
        """Prepare an unchanged deploy: the state is there."""

        def prepare() -> None:
            if not all("present" in said for said in run_everywhere(scene, _is_present(tool))):
                deploy()
            verify(scene, tool)
            then()

        return prepare

    ours, role, pyinfra = Ours(scene), Role(scene), Pyinfra(scene)
    return [
        Case("floor, cold", FLOOR, "cold", cold, lambda: _discard(run_everywhere(scene, "true", shared=False))),
        Case("floor, warm", FLOOR, "warm", warm, lambda: _discard(run_everywhere(scene, "true"))),
        Case("our first deploy, cold", OURS, "cold", fresh("genesis"), ours.first, ours.restore),
        Case("our unchanged deploy, cold", OURS, "cold", cold, ours.unchanged),
        Case("our unchanged deploy, warm", OURS, "warm", warm, ours.unchanged),
        Case("our look, cold", LOOK, "cold", cold, ours.look),
        Case("our look, warm", LOOK, "warm", warm, ours.look),
        Case("our apply, cold", APPLY, "cold", cold, ours.apply),
        Case("our apply, warm", APPLY, "warm", warm, ours.apply),
        Case("role, first deploy, cold", ROLE, "cold", fresh("role"), lambda: role.run(expect_changes=True), slow=True),
        Case("role, unchanged, cold", ROLE, "cold", made("role", role.run, cold), role.unchanged, slow=True),
        Case("role, unchanged, warm", ROLE, "warm", made("role", role.run, warm), role.unchanged, slow=True),
        Case("pyinfra, first deploy", PYINFRA, "cold", fresh("pyinfra"), pyinfra.run),
        Case("pyinfra, unchanged", PYINFRA, "cold", made("pyinfra", pyinfra.run, cold), pyinfra.run),
    ]


def _is_present(tool: str) -> str:
    return f"test -d /opt/bench-{tool} && echo present || echo absent"


def _discard(_value: object) -> None:
    return None


class Ours:
    """Our production path."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._scratch = tuple(self._with_scratch(target) for target in scene.targets)

    def _with_scratch(self, target: HostTarget) -> HostTarget:
        checks = {"etc-cardano-node-config.json": "json", "cardano-node.service": "systemd"}
        scratch = [
            {
                **{key: file[key] for key in ("path", "content", "owner", "group", "mode")},
                "change": "none",
                "validate": checks.get(file["name"], ""),
            }
            for file in scratch_state(self._scene, target.relay, "genesis")["files"]
        ]
        files = [*target.variables["genesis_files"], *scratch]
        return replace(target, variables={**target.variables, "genesis_files": files})

    def first(self) -> None:
        """Deploy with the scratch copies."""
        self._deploy(self._scratch, changed=True)

    def unchanged(self) -> None:
        """Deploy what is there."""
        self._deploy(self._scene.targets, changed=False)

    def restore(self) -> None:
        """Take the scratch copies away again: no longer wanted, so a deploy removes them; then what it leaves."""
        verify(self._scene, "genesis")
        self._deploy(self._scene.targets, changed=True)
        clear(self._scene, ["genesis"])

    def look(self) -> None:
        """Inspect every host."""
        targets = [replace(target, variables={}) for target in self._scene.targets]
        views = self._scene.hosts.observe_hosts(targets)
        _demand(len(views) == len(targets), "a host was not looked at")

    def apply(self) -> None:
        """The whole command."""
        ended = genesis_fleet(self._scene.fleet, "apply", "--yes")
        _demand(ended.returncode == 0, f"apply ended with {ended.returncode}: {ended.stderr.decode()[-500:]}")

    def _deploy(self, targets: tuple[HostTarget, ...], *, changed: bool) -> None:
        results: list[HostResult] = []
        self._scene.hosts.run_intent("deploy", targets, lambda _target, result: results.append(result))
        wrong = [r for r in results if not isinstance(r, HostDone) or r.changed is not changed]
        _demand(not wrong and len(results) == len(targets), f"deploy was to say changed={changed}: {wrong[:1]}")


class Role:
    """An ordinary role, run by ansible-playbook itself."""

    def __init__(self, scene: Scene) -> None:
        hosts = {
            target.relay: {
                "ansible_host": target.address,
                "ansible_port": target.port,
                "ansible_user": target.user,
                "ansible_ssh_private_key_file": str(scene.hosts.private_key),
                "ansible_ssh_args": ssh_args(target, scene.folder / "known_hosts", make_control_directory()),
                "ansible_python_interpreter": "/usr/bin/python3",
                **_role_variables(scratch_state(scene, target.relay, "role")),
            }
            for target in scene.targets
        }
        self._inventory = write_json(scene.folder / "role-hosts.json", {"all": {"hosts": hosts}})
        self._forks = len(hosts)

    def unchanged(self) -> None:
        """Run it where everything is as it says."""
        self.run(expect_changes=False)

    def run(self, *, expect_changes: bool | None = None) -> None:
        """Run the role on all hosts."""
        environment = os.environ | {
            "ANSIBLE_CONFIG": str(HERE / "role" / "ansible.cfg"),
            "ANSIBLE_FORKS": str(self._forks),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }
        command = [str(BIN / "ansible-playbook"), "-i", str(self._inventory), str(HERE / "role" / "site.yml")]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        counts = [int(count) for count in re.findall(r"\bchanged=(\d+)", ended.stdout)]
        _demand(ended.returncode == 0, f"the role ended with {ended.returncode}: {ended.stdout[-800:]}{ended.stderr}")
        _demand(expect_changes is None or all(bool(n) is expect_changes for n in counts), f"the role changed {counts}")


class Pyinfra:
    """pyinfra by its command."""

    def __init__(self, scene: Scene) -> None:
        known = scene.folder / "pyinfra_known_hosts"
        known.write_text(
            "".join(
                f"{t.address if t.port == 22 else f'[{t.address}]:{t.port}'} {' '.join(key.split()[:2])}\n"
                for t in scene.targets
                for key in t.host_keys
            ),
            encoding="utf-8",
        )
        common = {
            "ssh_key": str(scene.hosts.private_key),
            "ssh_known_hosts_file": str(known),
            "ssh_strict_host_key_checking": "yes",
            "_sudo": True,
        }
        hosts = [
            (
                t.address,
                {**common, "ssh_user": t.user, "ssh_port": t.port, "state": scratch_state(scene, t.relay, "pyinfra")},
            )
            for t in scene.targets
        ]
        self._inventory = scene.folder / "pyinfra_inventory.py"
        self._inventory.write_text(f"hosts = {hosts!r}\n", encoding="utf-8")
        self._folder = scene.folder

    def run(self) -> None:
        """Run the deploy on all hosts."""
        command = [str(BIN / "pyinfra"), "-y", str(self._inventory), str(HERE / "pyinfra_deploy.py")]
        ended = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        said = ended.stdout + ended.stderr
        # Hosts times operations, how many changed something, failed (a dash for none), and found nothing to do.
        total = re.search(r"Grand total\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", said)
        well = total is not None and total[1] != "-" and total[3] == "-"
        _demand(ended.returncode == 0 and well, f"pyinfra ended with {ended.returncode}: {said[-800:]}")


def _role_variables(state: dict[str, Any]) -> dict[str, Any]:
    """Spell the state out as a role has it: a variable for each file's text."""
    texts = {
        f"bench_relay_{re.sub(r'[^a-z0-9]+', '_', file['name'].lower())}": file["content"] for file in state["files"]
    }
    return {**texts, "bench_relay_release": state["release"], "bench_relay_network": state["network"]}


def _demand(holds: bool, complaint: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise RuntimeError(complaint)
