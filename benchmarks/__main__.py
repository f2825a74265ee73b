"""`make bench`: deploys and an upgrade on the lab, probes on loopback, planning and the simulation in memory. `--json` for machines."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measuring import Case, Measured, Sample, measure
from benchmarks.table import deploy_document, describe_machine, planning_document, print_report, probing_document

FLEET = Path(__file__).resolve().parent.parent / "inventory" / "lab" / "fleet.yaml"


def main() -> int:
    """Measure what was asked for and print it to stdout; progress goes to stderr."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of deploys, probes and simulation (default 5)")
    parser.add_argument("--slow-rounds", type=int, default=1, help="rounds with the role (default 1; minutes each)")
    parser.add_argument(
        "--only",
        default="",
        help="`planning`, `simulation`, `probing`, `autoscale`, `upgrade`, `deploys`, or deploys whose names contain this, e.g. `our`",
    )
    parser.add_argument("--fleet", type=Path, default=FLEET)
    parser.add_argument("--charts", action="store_true", help="draw the autoscaler's frontiers into docs/charts")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    deploys = (
        () if asked.only in {"planning", "simulation", "probing", "autoscale", "upgrade"} else measure_deploys(asked)
    )
    upgrades: list[Any] = []
    if asked.only in {"", "upgrade"}:
        from benchmarks.upgrading import measure_upgrade

        with running_lab(asked.fleet):
            upgrades = measure_upgrade(asked.fleet, say)
    planning: list[Any] = []
    if asked.only in {"", "planning"}:
        from benchmarks.planning import measure_planning

        planning = measure_planning(asked.fleet, say)
    simulation: dict[str, Any] = {}
    if asked.only in {"", "simulation"}:
        from benchmarks.simulating import measure_simulation

        simulation = measure_simulation(asked.rounds, say)
    probing: list[Any] = []
    if asked.only in {"", "probing"}:
        from benchmarks.probing import measure_probing

        probing = measure_probing(asked.rounds, say)
    autoscaling: list[Any] = []
    if asked.only in {"", "autoscale"}:
        from benchmarks.autoscaling import measure_autoscaling

        autoscaling = measure_autoscaling(say, draw=asked.charts)
    document = {
        "machine": describe_machine(),
        "rounds": asked.rounds,
        "slow_rounds": asked.slow_rounds,
        "deploys": deploy_document(deploys),
        "planning": planning_document(planning),
        "simulation": simulation,
        "probing": probing_document(probing),
        "upgrades": upgrades,
        "autoscaling": autoscaling,
    }
    if asked.json:
        print(json.dumps(document, indent=2))
    else:
        print_report(document)
    return 0


def measure_deploys(asked: argparse.Namespace) -> tuple[Measured, ...]:
    """Measure on the lab; scratch copies are removed and connections closed whatever happens."""
    only = "" if asked.only == "deploys" else asked.only
    with private_temporary_folder() as folder, running_lab(asked.fleet):
        # Imported here: where Ansible and ssh keep their sockets is settled above.
        from benchmarks.contenders import list_cases
        from benchmarks.scene import clear, close_connections, set_scene

        scene = set_scene(asked.fleet, folder)
        say(f"{len(scene.targets)} hosts of {scene.controller.spec.fleet}; {asked.rounds} rounds")
        cases = [case for case in list_cases(scene) if only in case.name]
        try:
            return measure(cases, asked.rounds, asked.slow_rounds, scene.cgroup, report_sample)
        finally:
            clear(scene)
            close_connections(scene)


@contextmanager
def private_temporary_folder() -> Iterator[Path]:
    """Give a short folder of our own, also for control sockets, so that closing them disturbs nobody."""
    with tempfile.TemporaryDirectory(prefix="gfb-", dir="/tmp") as folder:
        before, os.environ["TMPDIR"] = os.environ.get("TMPDIR"), folder
        tempfile.tempdir = None
        try:
            yield Path(folder)
        finally:
            os.environ.pop("TMPDIR")
            if before is not None:
                os.environ["TMPDIR"] = before
            tempfile.tempdir = None


@contextmanager
def running_lab(fleet: Path) -> Iterator[None]:
    """Take up the fleet's lab with its relays, or start it and end it again afterwards."""
    from benchmarks.scene import genesis_fleet
    from orchestrator.lab.machines.layout import LABS
    from orchestrator.lab.running import find_daemon
    from orchestrator.spec.load import parse_fleet

    name = parse_fleet(fleet).lab
    if name is None:
        raise SystemExit(f"{fleet} is no fleet of a lab, and nothing else is measured")
    was_up = find_daemon(LABS / name) is not None
    if not was_up:
        say(f"starting lab {name}")
        if (ended := genesis_fleet(fleet, "lab", "up", name)).returncode != 0:
            raise SystemExit(ended.stderr.decode())
    try:
        say("apply, so that all is as the fleet file says")
        if (ended := genesis_fleet(fleet, "apply", "--yes")).returncode != 0:
            raise SystemExit(ended.stderr.decode())
        yield
    finally:
        if not was_up:
            say(f"ending lab {name}")
            genesis_fleet(fleet, "lab", "down", name)


def report_sample(number: int, case: Case, sample: Sample) -> None:
    """Show one run."""
    say(f"round {number + 1}: {case.name:28} {sample.wall_seconds:7.2f} s")


def say(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
