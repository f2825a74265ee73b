"""Processes that outlive the command that started them, recorded so that only they are ever ended.

A record is the boot of this host, the pid, and the time that the kernel says the process began: a pid that has been given
to somebody else since, or belongs to an earlier boot, is never signalled. What the process is for is its caller's business.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

# The launched program waits for one line before it becomes what it is meant to be. Whoever dies between starting and
# recording it closes the pipe, and it ends without having done anything.
WAIT_FOR_RECORD = 'read -r recorded || exit 1; exec "$@" </dev/null'

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class RecordedProcess:
    """One process of one boot of this host, told apart from any later one with the same pid."""

    boot_id: str
    pid: int
    start_ticks: int


def start_recorded(command: Sequence[str], record: Path, output: Path, cgroups: Sequence[Path] = ()) -> None:
    """Start `command` in a session of its own, in these cgroups, its output appended to a file; record it first."""
    output.parent.mkdir(parents=True, exist_ok=True)
    waiting, go = os.pipe()
    pid, recorded = 0, False
    try:
        pid = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", WAIT_FOR_RECORD, "sh", *command],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, waiting, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        for cgroup in cgroups:
            (cgroup / "cgroup.procs").write_text(str(pid))
        _save(record, RecordedProcess(BOOT_ID.read_text().strip(), pid, _read_start_ticks(pid) or 0))
        recorded = os.write(go, b"recorded\n") > 0
    finally:
        os.close(waiting)
        os.close(go)
        if pid and not recorded:
            os.waitpid(pid, 0)  # it found the pipe closed and ended; nobody else would ask for it


def find_recorded(record: Path) -> RecordedProcess | None:
    """Return the recorded process if that very process still runs."""
    try:
        boot_id, pid, start_ticks = record.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    process = RecordedProcess(boot_id, int(pid), int(start_ticks))
    return process if is_running(process) else None


def is_running(process: RecordedProcess) -> bool:
    """Say whether this very process runs. One that ended and awaits its parent's look does not."""
    # A child of ours that ended stays a zombie until it is asked for; asking costs nothing when it is not ours.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    if BOOT_ID.read_text().strip() != process.boot_id:
        return False
    return _read_start_ticks(process.pid) == process.start_ticks


def send_signal(process: RecordedProcess, number: signal.Signals | int) -> bool:
    """Signal this very process; say whether it was there. Never reaches another process of the same pid."""
    handle = _open(process)
    if handle is None:
        return False
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def kill_and_wait(process: RecordedProcess, at_most: timedelta = timedelta(seconds=20)) -> bool:
    """Kill this very process and wait for its end; say whether it ended in time."""
    handle = _open(process)
    if handle is None:
        return True
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        ended = bool(select.select([handle], [], [], at_most.total_seconds())[0])
    finally:
        os.close(handle)
    is_running(process)
    return ended


def find_init_below(process: RecordedProcess) -> int | None:
    """Return the first process of the pid namespace that a process, or a child of it, made; as this host numbers it."""
    below = _children(process.pid)
    candidates = [*below, *(grandchild for child in below for grandchild in _children(child))]
    return next((pid for pid in candidates if _is_init(pid)), None)


def signal_init_below(process: RecordedProcess, number: int) -> bool:
    """Signal the first process of the pid namespace below a process; say whether it was there."""
    first = find_init_below(process)
    if first is None:
        return False
    try:
        handle = os.pidfd_open(first)
    except ProcessLookupError:
        return False
    try:
        # Still the same after the handle was opened: so the handle is its own, not a later process's.
        if find_init_below(process) != first:
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def _children(pid: int) -> tuple[int, ...]:
    try:
        return tuple(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return ()


def _is_init(pid: int) -> bool:
    """Say whether a process is number 1 in a pid namespace other than this one."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def _open(process: RecordedProcess) -> int | None:
    """Open a handle that stays with the process; checked after opening, so that it is the right one for good."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if is_running(process):
        return handle
    os.close(handle)
    return None


def _save(record: Path, process: RecordedProcess) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    unfinished = record.with_name(f"{record.name}.unfinished")
    unfinished.write_text(f"{process.boot_id} {process.pid} {process.start_ticks}\n")
    unfinished.replace(record)


def _read_start_ticks(pid: int) -> int | None:
    """Return when the process began, in clock ticks after boot; None if there is none, or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses and may itself contain spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
