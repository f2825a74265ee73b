"""How long an upgrade of the whole fleet takes, against the least that its policy and its nodes allow.

Nodes of the lab serve a second after they start; real ones replay their chain first, for minutes. So they are told to take a
while over it, one while on the way there and a longer one on the way back, which shows what of our share grows with it. How long
one restart takes by itself, without us, is measured first, on a few relays by hand. What the fleet file asks for comes on top,
since nobody may be quicker: a relay drains, and bakes before the next wave opens. The rest is ours: staging, looking, planning,
Ansible.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.scene import genesis_fleet
from orchestrator.cli.wiring import Controller, wire_controller
from orchestrator.execution.ports import ProbeTarget
from orchestrator.fleet.observation import Instance, InstanceState, Verdict
from orchestrator.fleet.relay import wanted_relays
from orchestrator.lab.machines.layout import LABS
from orchestrator.lab.machines.machine import run_in_machine
from orchestrator.lab.running import read_plan
from orchestrator.spec.model import FleetSpec

REPLAYS_SECONDS = (20, 60)
"""How long nodes replay on the way to the other release, and on the way back. Real ones take longer than both."""

REPLAY = "GENESIS_LAB_REPLAY_SECONDS"
BY_HAND = 3
"""Relays that are restarted by hand, one after the other."""

PATIENCE_SECONDS = 120


def measure_upgrade(fleet: Path, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Upgrade the lab's fleet to another release and back; the fleet must have converged."""
    controller = wire_controller(fleet)
    spec = controller.spec
    hosts = [i for i in controller.eyes.cloud.observe_cloud().instances if i.state is InstanceState.RUNNING]
    other = next(version for version in spec.releases if version != spec.release)
    rows = []
    for version, replay in zip((other, spec.release), REPLAYS_SECONDS, strict=True):
        with replaying(controller, hosts, replay):
            restart = statistics.median(_restart_by_hand(controller, host) for host in hosts[:BY_HAND])
            report(f"upgrade: one restart by hand takes {restart:.1f} s")
            seconds = _apply(fleet, version)
        least = least_seconds(spec, restart)
        rows.append(
            {
                "to": version,
                "relays": len(wanted_relays(spec)),
                "restart_seconds": round(restart, 2),
                "groups": count_groups(spec),
                "least_seconds": round(least, 1),
                "seconds": round(seconds, 1),
                "ratio": round(seconds / least, 2),
            }
        )
        report(f"upgrade: to {version} took {seconds:.1f} s, at least {least:.1f} s")
    return rows


def count_groups(spec: FleetSpec) -> int:
    """Return in how many groups the budget lets relays be restarted at the least: the canaries, then the others."""
    counts = {region: spec.relay_count(region) for region in spec.regions}
    canaries = spec.rollout.canaries
    largest = max(counts, key=lambda region: counts[region])
    counts[largest] -= canaries
    of_each = [ceil(count / spec.most_out_in(region)) for region, count in counts.items()]
    rest = max(ceil(sum(counts.values()) / spec.most_out()), *of_each)
    return rest + (1 if canaries else 0)


def least_seconds(spec: FleetSpec, restart_seconds: float) -> float:
    """Return the least time for all groups: each drains, restarts and serves out its bake before the next one begins."""
    policy, groups = spec.rollout, count_groups(spec)
    looks = (policy.healthy_looks - 1) * spec.controller.look_every
    drain = policy.drain_time.total_seconds() if policy.drain_time is not None else 0.0
    bake = max(policy.bake or looks, looks).total_seconds()
    canary = max(policy.canary_bake or looks, looks).total_seconds() if policy.canaries else bake
    return groups * (drain + restart_seconds) + canary + (groups - 1) * bake


@contextmanager
def replaying(controller: Controller, hosts: Sequence[Instance], seconds: int) -> Iterator[None]:
    """Let nodes that start meanwhile take so long, as real ones do."""
    try:
        _tell_all(controller, hosts, f"systemctl set-environment {REPLAY}={seconds}")
        yield
    finally:
        _tell_all(controller, hosts, f"systemctl unset-environment {REPLAY}")


def _tell_all(controller: Controller, hosts: Sequence[Instance], script: str) -> None:
    for host in hosts:
        _run(controller, host, script)


def _run(controller: Controller, host: Instance, script: str) -> None:
    lab = read_plan(LABS / str(controller.spec.lab)).lab
    done = run_in_machine(lab, host.instance_id, ["sh", "-euc", script])
    if done.returncode != 0:
        raise SystemExit(f"{host.relay}: {script}: {done.stdout}{done.stderr}")


def _restart_by_hand(controller: Controller, host: Instance) -> float:
    """Return the seconds from telling a node to restart until it answers with a fresh tip again."""
    began = time.monotonic()
    _run(controller, host, "systemctl restart cardano-node")
    while not _serves(controller, host):
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise SystemExit(f"{host.relay} does not serve {PATIENCE_SECONDS} s after a restart by hand")
        time.sleep(0.2)
    return time.monotonic() - began


def _serves(controller: Controller, host: Instance) -> bool:
    assert host.address is not None  # noqa: S101 - running instances have one
    target = ProbeTarget(host.relay, str(host.address), controller.spec.ports.relay)
    return controller.eyes.wire.observe_wire([target])[host.relay].verdict is Verdict.OK


def _apply(fleet: Path, version: str) -> float:
    """Return the seconds that a whole `apply` of another release takes, which must end converged."""
    # Beside the other: paths in a fleet file are relative to it.
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".yaml", dir=fleet.parent) as file:
        edited = Path(file.name)
        shutil.copy(fleet, edited)
        _must(genesis_fleet(edited, "upgrade", version, "--yes"))
        began = time.monotonic()
        ended = _must(genesis_fleet(edited, "apply", "--yes", "--json"))
        seconds = time.monotonic() - began
    relays = json.loads(ended)["relays"]
    wrong = [relay["name"] for relay in relays if relay["release"] != version or relay["phase"] != "serving"]
    if wrong:
        raise SystemExit(f"after the upgrade to {version}, these do not serve it: {', '.join(wrong)}")
    return seconds


def _must(ended: subprocess.CompletedProcess[bytes]) -> str:
    if ended.returncode != 0:
        raise SystemExit(ended.stderr.decode())
    return ended.stdout.decode()
