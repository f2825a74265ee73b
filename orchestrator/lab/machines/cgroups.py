"""A cgroup of its own for each machine, so that twenty systemds on one host do not manage the same one.

systemd-nspawn splits the cgroup it is started in; where the host's init is not systemd nobody else hands out one. Works
on the unified hierarchy, the hybrid one and the legacy one; limits are not set here (the lab enforces none).
"""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")


def find_hierarchies(mounts: str) -> tuple[Path, ...]:
    """Return where the cgroup trees that systemd keeps its units in are mounted, and the one that counts CPU time."""
    found: list[Path] = []
    for line in mounts.splitlines():
        _, place, kind, options, *_ = line.split()
        controllers = options.split(",")
        if kind == "cgroup2" or (kind == "cgroup" and {"name=systemd", "cpuacct"} & set(controllers)):
            found.append(Path(place))
    return tuple(found)


def make_cgroups(name: str) -> tuple[Path, ...]:
    """Create the cgroup `name` in every hierarchy and return the folders."""
    folders = tuple(place / name for place in find_hierarchies(MOUNTS.read_text()))
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def remove_cgroups(name: str) -> None:
    """Remove the cgroup `name` and those below it, where no process is left in them."""
    for place in find_hierarchies(MOUNTS.read_text()):
        below = sorted((place / name).rglob("*/"), key=lambda folder: len(folder.parts), reverse=True)
        for folder in [*below, place / name]:
            with contextlib.suppress(OSError):
                folder.rmdir()


def empty_cgroups(name: str, at_most: timedelta) -> bool:
    """End every process in the cgroup `name` and below it, then remove it; say whether that came to an end in time.

    Only processes that were put there by us, and their children, can be in it.
    """
    deadline = time.monotonic() + at_most.total_seconds()
    while count_processes(name) > 0:
        if time.monotonic() > deadline:
            return False
        for place in find_hierarchies(MOUNTS.read_text()):
            if (place / name / "cgroup.kill").exists():
                (place / name / "cgroup.kill").write_text("1")
        time.sleep(0.01)
    remove_cgroups(name)
    return True


def count_processes(name: str) -> int:
    """Count the processes in the cgroup `name` and below it, in whichever hierarchy sees most of them."""
    return max((_count(place / name) for place in find_hierarchies(MOUNTS.read_text())), default=0)


def _count(folder: Path) -> int:
    total = 0
    for file in folder.rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            total += len(file.read_text().split())
    return total
