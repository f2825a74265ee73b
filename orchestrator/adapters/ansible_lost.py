"""Why a host was lost, where Ansible cannot say: asks ssh itself.

Ansible writes to ssh before it reads what ssh has to say. When ssh has ended by then, Ansible looks a millisecond later
whether it has; on a busy machine it does not see that yet, and tells of a broken pipe where ssh told of a wrong key. The two
are different things to a planner: one is a host that may come back, the other is not our host.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from orchestrator.adapters.ansible_ssh import CONNECT_TIMEOUT_SECONDS, NO_SHARING, is_wrong_key, ssh_options
from orchestrator.execution.ports import HostLost, HostTarget

UNSAID_SIGNS = ("Data could not be sent to remote host", "Broken pipe")
"""Both: the first alone also stands before what ssh said, where Ansible has read it."""
_LIMIT_SECONDS = 2 * CONNECT_TIMEOUT_SECONDS


def is_untold(lost: HostLost) -> bool:
    """Whether Ansible only says that ssh had gone."""
    return all(sign in lost.reason for sign in UNSAID_SIGNS)


def told_apart(lost: HostLost, ask_ssh: Callable[[], str]) -> HostLost:
    """Return the loss with what ssh says of it, where Ansible only says that ssh had gone; any other as it is."""
    if not is_untold(lost):
        return lost
    complaint = ask_ssh()
    return HostLost(complaint or lost.reason, wrong_key=is_wrong_key(complaint))


def complaint_of_ssh(target: HostTarget, known_hosts: Path, private_key: Path) -> str:
    """Connect once, run nothing, and return what ssh complains of; empty when it does not or takes too long."""
    options = [f"-o{option}" for option in (*NO_SHARING, *ssh_options(target, known_hosts, known_hosts.parent))]
    command = ["ssh", "-F", "/dev/null", *options, "-i", str(private_key), "-p", str(target.port), "-l", target.user]
    try:
        ended = subprocess.run(
            [*command, "--", target.address, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    return ended.stderr if ended.returncode != 0 else ""
