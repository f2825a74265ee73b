"""The node's systemd unit: what it does now, and which single step brings it to what is written.

Effects are started, never awaited: a stop may take ten minutes, and the next look sees `deactivating`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from .effects import read_owed
from .files import Wish
from .machine import DATABASE, ETC, RUN, UNIT, Machine

_PROPERTIES = (
    "LoadState,ActiveState,SubState,Result,UnitFileState,NeedDaemonReload,Job,ExecMainStatus,NRestarts,MainPID,"
    "ExecMainStartTimestampMonotonic"
)


@dataclass(frozen=True, slots=True)
class UnitFound:
    """The unit as systemd tells it, with the digests that the running node took up."""

    state: str
    enabled: bool
    stale: bool
    """systemd holds an older version of the unit file."""
    job: bool
    """A start, stop or restart is queued or under way."""
    result: str
    exit_status: str
    restarts: int
    running_restart: str
    running_reload: str
    owed: str
    """A restart or reload that a deploy wrote down before it changed files, and did not get to; empty for none."""
    pid: int = 0
    """The node's process; 0 for none."""
    started_seconds: float | None = None
    """When that process, or the last one, was started, by the host's monotonic clock; None for never."""


def read_unit(machine: Machine) -> UnitFound:
    """Ask systemd about the unit."""
    text = machine.must_run(["systemctl", "show", UNIT, f"--property={_PROPERTIES}"], "looking at the unit")
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    absent = values.get("LoadState") == "not-found" and values.get("ActiveState") == "inactive"
    return UnitFound(
        state="absent" if absent else values.get("ActiveState", "inactive"),
        enabled=values.get("UnitFileState") == "enabled",
        stale=values.get("NeedDaemonReload") == "yes",
        job=values.get("Job", "") not in {"", "0"},
        result=values.get("Result", ""),
        exit_status=values.get("ExecMainStatus", ""),
        # systemd counts a restart once its pause is over; here it counts from the crash on.
        restarts=int(values.get("NRestarts") or 0) + (values.get("SubState") == "auto-restart"),
        running_restart=machine.read_text(f"{RUN}/restart.digest"),
        running_reload=machine.read_text(f"{RUN}/reload.digest"),
        owed=read_owed(machine).step,
        pid=int(values.get("MainPID") or 0),
        started_seconds=int(values.get("ExecMainStartTimestampMonotonic") or 0) / 1e6 or None,
    )


def pick_step(found: UnitFound, change: str, restart_digest: str, reload_digest: str) -> str:
    """Return start, restart, reload or none: the least that makes what runs equal to what is written.

    `change` is the greatest class among the files this deploy changes. What runs is compared as well, because a crash
    between writing and restarting leaves nothing to change and still the old node running.
    """
    restart = "restart" in {change, found.owed}
    reload = "reload" in {change, found.owed}
    match found.state:
        case "absent" | "inactive" | "failed":
            return "start"
        case "deactivating":
            return "none" if found.job else "start"
        case "activating":
            begun = found.running_restart
            return "restart" if restart or (begun and begun != restart_digest) else "none"
        case _:
            if restart or found.running_restart != restart_digest:
                return "restart"
            return "reload" if reload or found.running_reload != reload_digest else "none"


def start_step(machine: Machine, step: str) -> None:
    """Ask systemd for the step and return at once."""
    if step == "none":
        return
    if step in {"start", "restart"}:
        # Starts that are asked for count towards the unit's limit as well as those after a crash: without this, the
        # release that is to replace one that keeps crashing would not be started any more.
        machine.run(["systemctl", "reset-failed", UNIT])
    machine.must_run(["systemctl", "--no-block", step, UNIT], f"{step} of the node")


def read_detail(machine: Machine, found: UnitFound) -> str:
    """Return one line worth showing when the unit is in trouble; empty otherwise."""
    troubled = found.state == "failed" or (found.state == "activating" and found.restarts > 0)
    if not troubled:
        return ""
    last = machine.run(["journalctl", "--unit", UNIT, "--lines=1", "--output=cat", "--no-pager", "_TRANSPORT=stdout"])
    said = last.out.strip().splitlines()[-1][:300] if last.out.strip() else "no output"
    return f"{found.result}, exit status {found.exit_status}, restarts {found.restarts}: {said}"


def has_clean_marker(machine: Machine) -> bool:
    """Return whether the node closed its database cleanly (the marker is absent while it runs)."""
    return machine.at(f"{DATABASE}/clean").exists()


def was_not_closed_cleanly(machine: Machine) -> bool:
    """Return whether the running node found a chain without that marker when it started; the unit looks before it starts it."""
    return machine.at(f"{RUN}/not-closed-cleanly").exists()


def digest_paths() -> tuple[str, str]:
    """Return where the unit finds the digests that it copies when it starts and when it reloads."""
    return f"{ETC}/restart.digest", f"{ETC}/reload.digest"


def find_disabled(machine: Machine, wishes: Iterable[Wish]) -> tuple[str, ...]:
    """Return the units among these files that ask to be started at boot and are not."""
    names = (
        PurePosixPath(wish.path).name for wish in wishes if wish.validate == "systemd" and "[Install]" in wish.content
    )
    folder = machine.at("/etc/systemd/system")
    return tuple(name for name in names if not any(link.is_symlink() for link in folder.glob(f"*.wants/{name}")))
