"""Labs as commands see them: start one, find one, talk to it, end it. All safe to repeat.

What a lab is made of stands in its folder: `plan.json` (ranges, image, regions), `daemon` (the recorded process), `ready`
(where the API answers), keys, releases. Ending a lab removes exactly what carries its name.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines import machine, network
from orchestrator.lab.machines.host import why_no_lab
from orchestrator.lab.machines.image import IMAGES, MachineImage, Progress, find_or_build_image
from orchestrator.lab.machines.layout import LABS, Lab, check_name
from orchestrator.lab.machines.network import LabNetwork
from orchestrator.lab.machines.processes import find_recorded, is_running, kill_and_wait, send_signal, start_recorded
from orchestrator.lab.places import LAB_KEYS, api_url
from orchestrator.lab.releases.offers import build_offers

PLAN = "plan.json"
READY = "ready.json"
DAEMON = "daemon"
RELEASES = "releases"
CROWDS = "crowds"
KEY = "id_ed25519"

START_PATIENCE = timedelta(seconds=60)
STOP_PATIENCE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class LabPlan:
    """What a lab was started with; kept, so that it is taken up with the same ranges."""

    lab: Lab
    regions: tuple[str, ...]
    network_folder: Path


def start_lab(
    name: str,
    regions: Sequence[str],
    network_folder: Path,
    report: Callable[[Progress], None],
    labs: Path = LABS,
    images: Path = IMAGES,
) -> LabPlan:
    """Start a lab, or take up the one that runs. Raises LabUnavailable with everything that this host lacks."""
    folder = labs / check_name(name)
    if find_daemon(folder) is not None and (folder / READY).is_file():
        return read_plan(folder)
    missing = why_no_lab()
    if missing:
        raise LabUnavailable("this host cannot run the lab:\n  " + "\n  ".join(missing))
    image = find_or_build_image(images, report)
    report(Progress("network, keys and releases", 1, 2))
    plan = _plan_lab(name, folder, image, tuple(regions), network_folder.resolve())
    network.start_network(plan.lab.network)
    make_key(folder / KEY, f"lab-{name}")
    build_offers(folder / RELEASES)
    report(Progress("the cloud's API and the partners", 2, 2))
    (folder / READY).unlink(missing_ok=True)
    start_recorded(
        [sys.executable, "-m", "orchestrator.lab.daemon", str(folder)], folder / DAEMON, folder / "daemon.log"
    )
    _await_ready(folder)
    return plan


def stop_lab(name: str, labs: Path = LABS) -> bool:
    """End a lab and remove everything it made; say whether there was one."""
    folder = labs / check_name(name)
    if not (folder / PLAN).is_file():
        return False
    plan = read_plan(folder)
    daemon = find_daemon(folder)
    if daemon is not None:
        send_signal(daemon, signal.SIGTERM)
        _wait(lambda: not is_running(daemon), STOP_PATIENCE)
        kill_and_wait(daemon)
    for record in (*sorted((folder / CROWDS).glob("*/process")), *sorted((folder / "partners").glob("*/process"))):
        process = find_recorded(record)
        if process is not None:
            kill_and_wait(process)
    machine.delete_lab(plan.lab)
    return True


def find_lab(name: str, labs: Path = LABS) -> LabPlan:
    """Return a running lab. Raises LabUnavailable if it does not run."""
    folder = labs / check_name(name)
    if find_daemon(folder) is None or not (folder / READY).is_file():
        raise LabUnavailable(f"lab {name} is not running", next_step=f"start it with `genesis-fleet lab up {name}`")
    return read_plan(folder)


def find_daemon(folder: Path) -> Any:  # noqa: ANN401 - a RecordedProcess or None
    """Return the lab's process if it runs."""
    return find_recorded(folder / DAEMON)


def list_labs(labs: Path = LABS) -> tuple[str, ...]:
    """Name every lab that has a folder."""
    return tuple(sorted(path.parent.name for path in labs.glob(f"*/{PLAN}")))


def lab_environment(plan: LabPlan) -> Mapping[str, str]:
    """Return the settings by which any AWS client reaches this lab's API."""
    key, secret = next(iter(LAB_KEYS.items()))
    return {
        "AWS_ENDPOINT_URL": api_url(plan.lab.network),
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
    }


def ask_control(plan: LabPlan, method: str, path: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Call the lab's control pages. Raises LabUnavailable with what they answered, or that they did not."""
    request = urllib.request.Request(  # noqa: S310 - the lab's own address
        f"{api_url(plan.lab.network)}/lab-control/{path}",
        method=method,
        data=json.dumps(dict(document or {})).encode() if method != "GET" else None,
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - see above
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        text = json.loads(error.read() or b"{}").get("error", str(error))
        raise LabUnavailable(f"the lab refused: {text}") from error
    except OSError as error:
        raise LabUnavailable(
            f"the lab does not answer: {error}",
            next_step="see `genesis-fleet lab status`, then `lab down` and `lab up`",
        ) from error


def read_plan(folder: Path) -> LabPlan:
    """Read what a lab was started with."""
    plan = json.loads((folder / PLAN).read_text())
    ranges = LabNetwork(lab=plan["name"], bridge=plan["bridge"], v4=IPv4Network(plan["v4"]), v6=IPv6Network(plan["v6"]))
    image = MachineImage(plan["image_digest"], Path(plan["image_root"]))
    return LabPlan(Lab(folder, ranges, image), tuple(plan["regions"]), Path(plan["network_folder"]))


def make_key(path: Path, comment: str) -> None:
    """Make an SSH key pair once."""
    if path.is_file():
        return
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _plan_lab(name: str, folder: Path, image: MachineImage, regions: tuple[str, ...], network_folder: Path) -> LabPlan:
    """Decide the lab's ranges and write them down. They must be the ones that its fleet file names."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    wanted = network.pick_network(name, ())
    taken = network.find_overlaps(wanted, network.observe_taken_ranges(name))
    if taken:
        raise LabUnavailable(
            f"lab {name} needs {wanted.v4} and {wanted.v6}, but this host already routes {', '.join(map(str, taken))}",
            next_step="choose another name: `genesis-fleet lab init NAME` writes a fleet file with that lab's ranges",
        )
    plan = {
        "name": name,
        "bridge": wanted.bridge,
        "v4": str(wanted.v4),
        "v6": str(wanted.v6),
        "image_digest": image.digest,
        "image_root": str(image.root),
        "regions": list(regions),
        "network_folder": str(network_folder),
    }
    unfinished = folder / f"{PLAN}.unfinished"
    unfinished.write_text(json.dumps(plan, indent=2) + "\n")
    unfinished.replace(folder / PLAN)
    return read_plan(folder)


def _await_ready(folder: Path) -> None:
    if (
        _wait(lambda: (folder / READY).is_file() or find_daemon(folder) is None, START_PATIENCE)
        and (folder / READY).is_file()
    ):
        return
    log = (folder / "daemon.log").read_text().strip().splitlines() if (folder / "daemon.log").is_file() else []
    raise LabUnavailable(
        f"the lab did not start: {log[-1] if log else 'no word from it'}", next_step=f"see {folder / 'daemon.log'}"
    )


def _wait(until: Callable[[], bool], at_most: timedelta) -> bool:
    """Wait for a condition; say whether it came."""
    deadline = time.monotonic() + at_most.total_seconds()
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
