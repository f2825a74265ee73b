"""How one host is reached by SSH: options, accepted keys, control path. Pure values, no connection is made here.

Addresses are reused, so keys and control paths go by instance id, never by address. The control path carries the
accepted keys as well: a connection that was opened under another key must not answer for this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from orchestrator.execution.ports import HostTarget

WRONG_KEY_SIGNS = ("REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed", "host key is known")
CONNECT_TIMEOUT_SECONDS = 10
# ssh takes the first value of an option: in front of the others these make it open a connection of its own.
NO_SHARING = ("ControlMaster=no", "ControlPath=none")


def known_hosts_lines(targets: Iterable[HostTarget]) -> str:
    """Return the known-hosts file for these hosts: instance ids instead of addresses, all accepted keys of each."""
    return "".join(
        f"{target.instance_id} {' '.join(key.split()[:2])}\n" for target in targets for key in target.host_keys
    )


def ssh_options(target: HostTarget, known_hosts: Path, control_directory: Path) -> tuple[str, ...]:
    """Return the `-o` options of one host. Host-key checking is never off, and nothing of the operator's leaks in."""
    return (
        *("ControlMaster=auto", "ControlPersist=60s", f"ControlPath={control_directory / control_name(target)}"),
        *(f"HostKeyAlias={target.instance_id}", f"UserKnownHostsFile={known_hosts}", "GlobalKnownHostsFile=/dev/null"),
        *("StrictHostKeyChecking=yes", "UpdateHostKeys=no", "CheckHostIP=no", "VerifyHostKeyDNS=no"),
        *("IdentitiesOnly=yes", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no", "BatchMode=yes"),
        *("ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes", "PermitLocalCommand=no"),
        *(f"ConnectTimeout={CONNECT_TIMEOUT_SECONDS}", "ServerAliveInterval=5", "ServerAliveCountMax=3"),
        "LogLevel=ERROR",
    )


def ssh_args(target: HostTarget, known_hosts: Path, control_directory: Path) -> str:
    """Return the options as one string for Ansible; the operator's own ssh configuration is left out."""
    options = ssh_options(target, known_hosts, control_directory)
    return " ".join(["-F", "/dev/null", *(f"-o {option}" for option in options)])


def control_name(target: HostTarget) -> str:
    """Return a short name for the control socket (a socket's path has about a hundred bytes)."""
    parts = (target.instance_id, target.user, target.address, str(target.port), *sorted(target.host_keys))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def is_wrong_key(message: str) -> bool:
    """Return whether ssh's complaint says that the host showed a key that is not accepted."""
    return any(sign in message for sign in WRONG_KEY_SIGNS)
