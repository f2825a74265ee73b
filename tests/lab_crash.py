"""Controllers that are killed while their playbooks are at work, and what is left of such a playbook on a host.

A playbook's own processes end with the controller's terminal. What outlives both is the module on the host: it is held up here by
the very lock that it takes, so that a kill meets it at work, and let go on, or frozen and thawed much later.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from orchestrator.adapters.clock import WallClock
from orchestrator.cli.wiring import open_store_alone
from tests.lab_fleet import Ended, Fleet, Running, wait_for

LOCK, TOKEN = "/var/lib/genesis-fleet/lock", "/var/lib/genesis-fleet/token"
SLOW_STOP = "/var/lib/cardano-node/db/lab-stop-seconds"
UNIT = "cardano-node.service"

# Returns once it has the lock.
HOLD = f"(flock 9; exec sleep 600) 9>>{LOCK} </dev/null >/dev/null 2>&1 & echo $!; while flock -n {LOCK} true; do sleep 0.02; done"

# Of those that run: what was frozen earlier has the lock's file open as well, and so has an inspection, but not for writing.
MODULES = f"""for fd in $(find /proc/[0-9]*/fd -lname {LOCK} 2>/dev/null); do
  process=${{fd%/fd/*}}
  grep -q '^State:.*T' $process/status && continue
  grep -q '^flags:.*2$' $process/fdinfo/${{fd##*/}} && grep -q ^/usr/bin/python3 $process/cmdline && echo ${{process#/proc/}}
done 2>/dev/null || true"""


@dataclass(frozen=True, slots=True)
class Killed:
    """A controller that was killed, and the module that it had at work on a host, if any."""

    said: str
    token: int
    relay: str = ""
    module: str = ""


def kill(fleet: Fleet, run: Running) -> Killed:
    """Kill a controller that holds the lease."""
    token = read_lease(fleet)
    return Killed(_kill(run).err, token)


def kill_at_work(fleet: Fleet, run: Running, relay: str, begun: str, *, freeze: bool = False) -> Killed:
    """Kill a controller whose playbook, begun in this line, has reached a host and works there on its own from now on.

    Frozen, it is as if the host had hung there: it has done nothing yet, and goes on when it is thawed.
    """
    run.wait_line(begun)
    with holding(fleet, relay):
        module = wait_for(lambda: fleet.shell(relay, MODULES))
        token = read_lease(fleet)
        if freeze:
            fleet.shell(relay, f"kill -STOP {module}")
        ended = _kill(run)
    if not freeze:
        wait_for(lambda: is_gone(fleet, relay, module))
    return Killed(ended.err, token, relay, module)


def thaw(fleet: Fleet, killed: Killed) -> None:
    """Let what was frozen go on, to its end. Fails if it did not live any more."""
    fleet.shell(killed.relay, f"kill -CONT {killed.module}")
    wait_for(lambda: is_gone(fleet, killed.relay, killed.module))


def is_gone(fleet: Fleet, relay: str, process: str) -> bool:
    """Whether a process of a machine has ended."""
    return fleet.shell(relay, f"test -d /proc/{process} || echo gone") == "gone"


def read_lease(fleet: Fleet) -> int:
    """The fencing token of whoever holds the lease."""
    _, store = open_store_alone(fleet.file)
    with closing(store):
        lease = store.find_lease(WallClock().now())
    assert lease is not None
    return lease.token


@contextmanager
def holding(fleet: Fleet, relay: str) -> Iterator[None]:
    """Hold the lock that modules take on a host."""
    holder = fleet.shell(relay, HOLD)
    try:
        yield
    finally:
        fleet.shell(relay, f"kill {holder}")


@contextmanager
def stopping_slowly(fleet: Fleet, relay: str, seconds: int) -> Iterator[None]:
    """Let a relay's node take so long to stop."""
    fleet.shell(relay, f"echo {seconds} > {SLOW_STOP}")
    try:
        yield
    finally:
        fleet.shell(relay, f"rm {SLOW_STOP}")


def is_stopping(fleet: Fleet, relay: str) -> bool:
    """Whether a relay's node was told to stop and has not yet."""
    return fleet.shell(relay, f"systemctl show {UNIT} --property=ActiveState --value") == "deactivating"


@contextmanager
def never_stopping(fleet: Fleet, relay: str) -> Iterator[None]:
    """Have a relay whose node stops slowly not get done with it: from when it was told to stop until this ends."""
    signal_node = f"systemctl kill --kill-whom=main --signal=%s {UNIT}"
    wait_for(lambda: is_stopping(fleet, relay))
    fleet.shell(relay, signal_node % "STOP")
    try:
        yield
    finally:
        fleet.shell(relay, signal_node % "CONT")


def _kill(run: Running) -> Ended:
    ended = run.send(signal.SIGKILL)
    assert ended.code == -signal.SIGKILL, f"it had ended before, with {ended.code}:\n{ended.err}"
    return ended
