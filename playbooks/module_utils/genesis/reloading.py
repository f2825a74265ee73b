"""Reload, confirmed: did the node take up its topology after the last signal? Its own log line since then says so.

The node logs that it begins, then either the topology it now has, or nothing but the text of an exception: it does not report
a bad file in any other way. The unit notes when it sends the signal; that note is gone with the process it was sent to. Only a
deploy writes down that a confirmation was seen, so that later looks need not search the journal again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from .files import write_text
from .machine import RELOAD_CONFIRMED, RELOAD_SIGNALLED, RUN, UNIT, Machine

PAUSES_SECONDS = (0.05, 0.1, 0.15, 0.3, 0.6, 0.8, 1.0, 1.0, 1.0)
"""About five seconds in all. A node answers in milliseconds, unless it replays or collects garbage: then the next look asks on."""
_JOURNAL_SECONDS = 5.0
_HANGUP_BIT = 1
"""Signal 1 in the mask of those that a process catches."""

# Journald searches, so that a busy node's lines stay where they are.
SEARCHED = "NetworkConfig|Local Root Groups:|topology configuration (?:update|file)|readTopologyFile"
_TAKEN = ('"kind":"NetworkConfig"', ":Startup.NetworkConfig]", '"ns":"Startup.NetworkConfig"')
_BEGUN = ("Performing topology configuration update", '"kind":"NetworkConfigUpdate"', ":Startup.NetworkConfigUpdate]")
_REFUSED = ("readTopologyFile", "NetworkConfigUpdateError", "Error reading topology configuration file")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the node's log says about a reload."""

    taken: bool | None
    """None: the journal could not be asked."""
    said: str = ""
    """What it said instead of taking the topology up."""


def await_readiness(machine: Machine, pid: int) -> bool:
    """Wait some seconds until a process catches the signal; return whether it does, or cannot be seen.

    A node that has only just been started would be killed by it: nothing catches it yet.
    """
    for pause in (0.0, *PAUSES_SECONDS):
        machine.pause(pause)
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", machine.read_text(f"/proc/{pid}/status"), re.MULTILINE)
        if caught is None or int(caught[1], 16) & _HANGUP_BIT:
            return True
    return False


def read_signalled(machine: Machine) -> int | None:
    """Return when the running node was last told to reload, in nanoseconds of the host's clock; None for never."""
    try:
        return machine.at(RELOAD_SIGNALLED).stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_answer(machine: Machine, signalled: int) -> Answer:
    """Return what came of the signal sent at that time. Writes nothing."""
    if machine.read_text(RELOAD_CONFIRMED) == str(signalled):
        return Answer(taken=True)
    seconds, rest = divmod(signalled, 10**9)
    asked = ["journalctl", f"--unit={UNIT}", f"--since=@{seconds}.{rest // 1000:06}", f"--grep={SEARCHED}"]
    options = ["--case-sensitive=yes", "--output=cat", "--quiet", "--no-pager", "_TRANSPORT=stdout"]
    done = machine.run([*asked, *options], timeout_seconds=_JOURNAL_SECONDS)
    # Without a match it ends with 1, and has nothing to complain about.
    if done.code != 0 and done.err.strip():
        return Answer(taken=None, said=f"the journal could not be asked: {done.complaint}")
    return judge_lines(done.out.splitlines())


def await_answer(machine: Machine, earlier: int | None) -> Answer:
    """Wait a few seconds for the answer to a signal that comes after the `earlier` one, and note a confirmation."""
    answer = Answer(taken=False)
    for pause in PAUSES_SECONDS:
        machine.pause(pause)
        signalled = read_signalled(machine)
        if signalled is None or signalled == earlier:
            continue
        answer = read_answer(machine, signalled)
        if answer.taken and machine.at(RUN).is_dir():
            write_text(machine, RELOAD_CONFIRMED, f"{signalled}\n")
        if answer.taken is not False or answer.said:
            break
    return answer


def judge_lines(lines: Iterable[str]) -> Answer:
    """Read the log of one reload or more, oldest first; the last of them counts."""
    taken, said = False, ""
    for line in lines:
        dense = line.replace('": "', '":"')
        if any(mark in dense for mark in _TAKEN) or line.strip() == "Local Root Groups:":
            taken = True
        elif any(mark in dense for mark in _REFUSED):
            said = _read_complaint(line)
        elif any(mark in dense for mark in _BEGUN):
            taken, said = False, ""
    return Answer(taken, "" if taken else said)


def _read_complaint(line: str) -> str:
    """Return the words of a line that says what is wrong, in whichever format it was printed."""
    try:
        data = json.loads(line)["data"]
        text = str(data.get("error") or data.get("message") or line)
    except (ValueError, TypeError, KeyError, AttributeError):
        text = line
    return " ".join(text.split())[:300]
