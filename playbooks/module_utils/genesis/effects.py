"""What makes a changed file take effect, other than the node's own unit: known by where the file lies.

A kernel setting that a host does not allow (a container, say) is reported in a note, never skipped in silence.
"""

from __future__ import annotations

from collections.abc import Sequence

from .machine import Machine, Refused

_SYSTEMD = "/etc/systemd/system/"
_BY_FOLDER: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/etc/sysctl.d/", ("sysctl", "--quiet", "--load")),
    ("/etc/systemd/journald.conf.d/", ("systemctl", "restart", "systemd-journald.service")),
    ("/etc/ssh/sshd_config.d/", ("systemctl", "reload", "ssh.service")),
    ("/etc/chrony/", ("systemctl", "try-reload-or-restart", "chrony.service")),
)
_NEEDS_PATH = frozenset({"sysctl"})


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
