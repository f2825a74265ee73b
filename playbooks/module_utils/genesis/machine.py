"""The host a module works on: its root folder and how commands run there, both replaceable in tests, and where things lie.

Paths are written as on a real host; `Machine.at` puts them under the root. Decides nothing.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

UNIT = "cardano-node.service"
USER = "cardano-node"
"""Whom the node runs as."""
ETC = "/etc/cardano-node"
RUN = "/run/cardano-node"
RELOAD_SIGNALLED = f"{RUN}/reload.signalled"
"""Made by the unit just before it signals: since its time the node's log has to confirm the reload."""
RELOAD_CONFIRMED = f"{RUN}/reload.confirmed"
"""Holds the time of the signal that the node was seen to confirm."""
OPT = "/opt/cardano-node"
RELEASES = f"{OPT}/releases"
NETWORKS = f"{OPT}/network"
CURRENT = f"{OPT}/current"
MARKER = ".genesis-fleet.json"
STATE = "/var/lib/genesis-fleet"
LOCK = f"{STATE}/lock"
TOKEN = f"{STATE}/token"
STORE_ID = f"{STATE}/store-id"
MANIFEST = f"{STATE}/manifest.json"
PREPARED = f"{STATE}/prepared"
PINNED = f"{STATE}/pinned-identity"
OWED = f"{STATE}/owed"
DATABASE = "/var/lib/cardano-node/db"
KNOWN = (
    f"{ETC}/topology.json",
    f"{ETC}/peer-snapshot.json",
    f"{ETC}/config.json",
    f"{ETC}/environment",
    f"{ETC}/restart.digest",
    f"{ETC}/reload.digest",
    "/etc/systemd/system/cardano-node.service",
    "/etc/nftables.d/genesis-fleet.nft",
    "/etc/systemd/system/genesis-fleet-firewall.service",
    "/etc/chrony/conf.d/genesis-fleet.conf",
    "/etc/sysctl.d/60-genesis-fleet.conf",
    "/etc/systemd/journald.conf.d/genesis-fleet.conf",
    "/etc/apt/apt.conf.d/60genesis-fleet",
    "/etc/needrestart/conf.d/genesis-fleet.conf",
    "/etc/ssh/sshd_config.d/10-genesis-fleet.conf",
)
"""Every file that a deploy may write, for a host that lost its manifest."""
HOST_KEY = "/etc/ssh/genesis_fleet_host_ed25519_key"


class Refused(Exception):
    """The module cannot or will not do what it was asked; the text is what the operator reads."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """What the command said when it failed, on one line."""
        return " / ".join(line.strip() for line in (self.err or self.out).splitlines() if line.strip())[-600:]


class Runner(Protocol):
    """Runs one command to its end."""

    def __call__(self, argv: Sequence[str], *, stdin: str = "", timeout_seconds: float = 60) -> Ran:
        """Return how it ended; a command that does not exist ends with 127."""


def run_command(argv: Sequence[str], *, stdin: str = "", timeout_seconds: float = 60) -> Ran:
    """Run a command without a shell, in the C locale so that its words can be compared."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
            env=environment,
        )
    except FileNotFoundError:
        return Ran(127, "", f"{argv[0]} is not installed on this host")
    except subprocess.TimeoutExpired:
        return Ran(124, "", f"{argv[0]} did not finish within {timeout_seconds:.0f} s")
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Machine:
    """A host: the real one by default, a folder and a fake runner in tests."""

    root: Path = Path("/")
    run: Runner = run_command
    pause: Callable[[float], None] = time.sleep
    """Lets some seconds pass."""

    def at(self, path: str) -> Path:
        """Return where an absolute path of the host lies."""
        return self.root / path.lstrip("/")

    def read_text(self, path: str) -> str:
        """Return a small text file without surrounding space; empty if it does not exist."""
        try:
            return self.at(path).read_text(encoding="utf-8", errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def must_run(self, argv: Sequence[str], what: str, *, stdin: str = "", timeout_seconds: float = 60) -> str:
        """Run a command that has to succeed and return its output. Raises Refused naming `what` and the complaint."""
        done = self.run(argv, stdin=stdin, timeout_seconds=timeout_seconds)
        if done.code != 0:
            raise Refused(f"{what}: {' '.join(argv[:3])} ended with {done.code}: {done.complaint}")
        return done.out
