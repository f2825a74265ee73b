"""The hosts that are measured and the state they are given: the demo lab, taken up or started, and scratch copies on it.

Relays are not disturbed. A first deploy writes scratch copies of a relay's files (below /opt, the unit under another
name, enabled and never started); an unchanged deploy finds them. `clear` removes every trace.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible import AnsibleHosts, make_control_directory
from orchestrator.adapters.ansible_ssh import control_name, known_hosts_lines, ssh_options
from orchestrator.cli.wiring import Controller, wire_controller
from orchestrator.execution.ports import HostTarget
from orchestrator.execution.targets import accepted_host_keys, host_target
from orchestrator.fleet.observation import InstanceState, Observation
from orchestrator.planning.mesh import render_fleet
from orchestrator.rendering.values import RenderedRelay
from orchestrator.rendering.variables import deploy_variables

ROOT = Path(__file__).resolve().parent.parent
UNIT_FOLDER = "/etc/systemd/system"
TOOLS = ("genesis", "role", "pyinfra")


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything the contenders need, and a folder of the benchmark's own."""

    controller: Controller
    fleet: Path
    targets: tuple[HostTarget, ...]
    """With the production variables of each host's deploy."""
    rendered: dict[str, RenderedRelay]
    folder: Path
    cgroup: str

    @property
    def hosts(self) -> AnsibleHosts:
        """The production adapter."""
        assert isinstance(self.controller.hands.hosts, AnsibleHosts)  # noqa: S101 - the wiring makes no other
        return self.controller.hands.hosts


def genesis_fleet(fleet: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run our command to its end, quietly."""
    command = [sys.executable, "-m", "orchestrator.cli.main", "--fleet", str(fleet), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False)


def set_scene(fleet: Path, folder: Path) -> Scene:
    """Read the running fleet. Its control sockets are our own, so that closing them disturbs nobody."""
    controller = wire_controller(fleet)
    record = controller.store.load()
    cloud = controller.eyes.cloud.observe_cloud()
    rendered = dict(render_fleet(controller.wanted, Observation(cloud, {}, {}, {})))
    targets = tuple(
        host_target(
            instance,
            accepted_host_keys(instance, record),
            controller.spec,
            deploy_variables(rendered[instance.relay], token=record.token) | {"genesis_store_id": record.store_id},
        )
        for instance in sorted(cloud.instances, key=lambda instance: instance.relay)
        if instance.state is InstanceState.RUNNING and instance.relay in rendered
    )
    (folder / "known_hosts").write_text(known_hosts_lines(targets), encoding="utf-8")
    return Scene(controller, fleet, targets, rendered, folder, _find_cgroup(controller.spec.lab))


def scratch_state(scene: Scene, relay: str, tool: str) -> dict[str, Any]:
    """Return what one host is given for one tool: files with owner and mode, a unit that is enabled, a link."""
    unit = f"bench-{tool}.service"
    files = []
    for file in scene.rendered[relay].files:
        is_node = file.path.endswith("/cardano-node.service")
        # Flat, so that a rival needs a task for one folder only, as on a real host, where the others are there.
        flat = file.path.strip("/").replace("/", "-")
        path = f"{UNIT_FOLDER}/{unit}" if is_node else f"/opt/bench-{tool}/{flat}"
        content = file.content
        if is_node:  # enabled as in production, and never started, not even by a reboot
            content = content.replace("[Unit]\n", "[Unit]\nConditionPathExists=/nonexistent/bench\n", 1)
        files.append(
            {
                "name": Path(file.path).name if is_node else flat,
                "path": path,
                "content": content,
                "owner": file.owner,
                "group": file.group,
                "mode": file.mode,
            }
        )
    release = scene.rendered[relay].release
    return {
        "files": files,
        "unit": unit,
        "link": f"/opt/bench-{tool}/current",
        "release": f"/opt/cardano-node/releases/{release.version}-{release.sha256[:12]}",
        "network": f"/opt/cardano-node/network/{scene.rendered[relay].network_digest}",
    }


def ssh_command(scene: Scene, target: HostTarget, remote: str, *, shared: bool = True) -> list[str]:
    """Return the ssh call; `shared` uses or opens the persistent connection, otherwise one for this call alone."""
    options = list(ssh_options(target, scene.folder / "known_hosts", make_control_directory()))
    if not shared:
        options = [o for o in options if not o.startswith("Control")] + ["ControlPath=none", "ControlMaster=no"]
    flags = [flag for option in options for flag in ("-o", option)]
    key = str(scene.hosts.private_key)
    return [
        "ssh",
        "-F",
        "/dev/null",
        "-i",
        key,
        "-p",
        str(target.port),
        *flags,
        f"{target.user}@{target.address}",
        remote,
    ]


def run_everywhere(scene: Scene, remote: str, *, shared: bool = True) -> list[str]:
    """Run one command on every host side by side and return what each printed. Raises RuntimeError if one failed."""
    running = [
        subprocess.Popen(
            ssh_command(scene, target, remote, shared=shared),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for target in scene.targets
    ]
    said = []
    for process, target in zip(running, scene.targets, strict=True):
        out, error = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{target.relay}: {remote!r} ended with {process.returncode}: {error.decode()}")
        said.append(out.decode())
    return said


def close_connections(scene: Scene) -> None:
    """End every persistent connection of ours, so that what follows begins cold."""
    folder = make_control_directory()
    for target in scene.targets:
        socket = folder / control_name(target)
        if socket.exists():
            subprocess.run(
                ["ssh", "-F", "/dev/null", "-O", "exit", "-o", f"ControlPath={socket}", "bench"],
                capture_output=True,
                check=False,
            )


def warm_connections(scene: Scene) -> None:
    """Open the persistent connections where there are none."""
    run_everywhere(scene, "true")


def clear(scene: Scene, tools: Sequence[str] = TOOLS) -> None:
    """Remove the scratch copies of these tools from every host."""
    steps = [
        f"rm -rf /opt/bench-{tool} {UNIT_FOLDER}/bench-{tool}.service {UNIT_FOLDER}/*.wants/bench-{tool}.service"
        for tool in tools
    ]
    run_everywhere(scene, f"sudo sh -c {shlex.quote('; '.join([*steps, 'systemctl daemon-reload']))}")


def verify(scene: Scene, tool: str) -> None:
    """Check that a tool really made the state, file by file. Raises RuntimeError otherwise."""
    for target, said in zip(scene.targets, run_everywhere(scene, _list_scratch(tool)), strict=True):
        wanted = {f["path"] for f in scratch_state(scene, target.relay, tool)["files"]}
        if missing := wanted - set(said.split()):
            raise RuntimeError(f"{tool} left {target.relay} without {sorted(missing)}")


def _list_scratch(tool: str) -> str:
    return f"sudo find /opt/bench-{tool} {UNIT_FOLDER}/bench-{tool}.service -type f"


def write_json(path: Path, document: object) -> Path:
    """Write a document that a contender reads; readable by us alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
    return path


def _find_cgroup(lab: str | None) -> str:
    from orchestrator.lab.running import find_lab

    return find_lab(lab).lab.cgroup if lab else ""
