"""What makes a changed file take effect, other than the node's own unit: known by where the file lies.

What a deploy owes is written down before the first file changes: after a crash all files are as wished, and only the
note tells that something still has to take them up.

A kernel setting that a host does not allow (a container, say) is reported in a note, never skipped in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .files import write_text
from .machine import OWED, UNIT, Machine, Refused

_SYSTEMD = "/etc/systemd/system/"
_BY_FOLDER: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/etc/sysctl.d/", ("sysctl", "--quiet", "--load")),
    ("/etc/systemd/journald.conf.d/", ("systemctl", "restart", "systemd-journald.service")),
    ("/etc/ssh/sshd_config.d/", ("systemctl", "reload", "ssh.service")),
    ("/etc/chrony/", ("systemctl", "try-reload-or-restart", "chrony.service")),
)
_NEEDS_PATH = frozenset({"sysctl"})


@dataclass(frozen=True, slots=True)
class Owed:
    """What a deploy wrote down and did not get to."""

    step: str = ""
    """The node's restart or reload; empty for none."""
    paths: tuple[str, ...] = ()
    """Files whose effects are owed, other than the node's own."""


def read_owed(machine: Machine) -> Owed:
    """Read the note; empty without one."""
    step, *paths = machine.read_text(OWED).splitlines() or [""]
    return Owed(step if step in {"reload", "restart"} else "", tuple(paths))


def note_owed(machine: Machine, step: str, paths: Sequence[str]) -> None:
    """Write down what is owed, and nothing if that is nothing. Raises Refused for a full disk."""
    owed = [path for path in dict.fromkeys(paths) if _has_effect(path)]
    if owed or step in {"reload", "restart"}:
        write_text(machine, OWED, "".join(f"{line}\n" for line in (step, *owed)))
    else:
        machine.at(OWED).unlink(missing_ok=True)


def _has_effect(path: str) -> bool:
    # Of the node's own unit systemd itself knows that it was not taken up.
    return path.startswith((_SYSTEMD, *(folder for folder, _ in _BY_FOLDER))) and not path.endswith(f"/{UNIT}")


def apply_effects(machine: Machine, paths: Sequence[str], *, daemon_reload: bool = False) -> tuple[str, ...]:
    """Make changed files take effect; return notes about what this host would not apply. Raises Refused for systemd."""
    notes = []
    for path in paths:
        for folder, command in _BY_FOLDER:
            if path.startswith(folder) and machine.at(path).exists():
                done = machine.run([*command, str(machine.at(path))] if command[0] in _NEEDS_PATH else command)
                if done.code != 0:
                    notes.append(f"{path} is in place and did not take effect: {done.complaint}")
    if daemon_reload or any(path.startswith(_SYSTEMD) for path in paths):
        done = machine.run(["systemctl", "daemon-reload"])
        if done.code != 0:
            raise Refused(f"systemd did not take up the changed units: {done.complaint}")
    return tuple(notes)
