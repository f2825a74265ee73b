"""Getting to a peer, or not: the verdicts of connecting, made to happen on this machine."""

import asyncio
import errno
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.ouroboros.client import ProbeTimeouts, probe
from orchestrator.ouroboros.dialing import verdict_of
from orchestrator.ouroboros.targets import Target
from orchestrator.ouroboros.verdicts import Verdict
from tests.ouroboros_peers import (
    ACCEPTANCE,
    MAGIC,
    PATIENT,
    PONG,
    SHORT,
    TIP,
    a_relay,
    a_script,
    listening,
)


def a_closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def test_a_closed_port_is_refused():
    result = asyncio.run(probe(Target("127.0.0.1", a_closed_port()), MAGIC, timeouts=PATIENT))
    assert (result.verdict, result.round_trips) == (Verdict.REFUSED, 0)
    assert result.detail == "connecting to 127.0.0.1 failed: connection refused"


def test_packets_that_vanish_are_a_connect_timeout():
    with socket.socket() as full, socket.socket() as filler:
        # Linux drops what exceeds the queue of connections nobody accepts: silence, as from a dead host.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filler.connect(full.getsockname())
        target = Target(*full.getsockname())
        result = asyncio.run(probe(target, MAGIC, timeouts=ProbeTimeouts(connect=SHORT)))
    assert result.verdict is Verdict.CONNECT_TIMEOUT
    assert result.detail == "no answer to connecting to 127.0.0.1 within 0.06 s"


def test_a_machine_without_a_route_says_no_route():
    # In a network namespace without any interface, so no packet can leave.
    program = (
        "import asyncio; from orchestrator.ouroboros.client import probe; from orchestrator.ouroboros.targets import Target;"
        "print(asyncio.run(probe(Target('192.0.2.1', 3001), 42)).verdict.value)"
    )
    alone = [shutil.which("unshare") or "unshare", "--net", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets us make no network namespace")
    root = Path(__file__).parents[2]
    said = subprocess.run([*alone, sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True)
    assert said.stdout == "no_route\n"


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (errno.ECONNREFUSED, Verdict.REFUSED),
        (errno.ECONNRESET, Verdict.REFUSED),
        (errno.EHOSTUNREACH, Verdict.NO_ROUTE),
        (errno.ENETUNREACH, Verdict.NO_ROUTE),
        (errno.EACCES, Verdict.NO_ROUTE),
        (errno.ETIMEDOUT, Verdict.CONNECT_TIMEOUT),
        (errno.EMFILE, Verdict.NOT_ASKED),
        (errno.EADDRNOTAVAIL, Verdict.NOT_ASKED),
        (errno.EPERM, Verdict.NOT_ASKED),
        (None, Verdict.NOT_ASKED),
    ],
)
def test_this_machines_own_trouble_is_never_the_peers_verdict(number, verdict):
    assert verdict_of(OSError(number, "words") if number else OSError("words")) is verdict


def test_a_name_that_does_not_exist_is_told_from_a_dead_host():
    # A label too long for DNS is refused without asking anybody.
    result = asyncio.run(probe(Target("a" * 64 + ".invalid", 3001), MAGIC, timeouts=PATIENT))
    assert result.verdict is Verdict.UNKNOWN_NAME


def test_a_name_is_looked_up():
    async def run():
        async with a_relay() as (target, _):
            return await probe(Target("localhost", target.port), MAGIC, timeouts=PATIENT)

    result = asyncio.run(run())
    assert (result.verdict, result.address) == (Verdict.OK, "localhost")


def test_an_ipv6_relay_is_reached():
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")

    async def run():
        async with listening(a_script(ACCEPTANCE, PONG + TIP), host="::1") as target:
            return await probe(target, MAGIC, timeouts=PATIENT)

    assert asyncio.run(run()).verdict is Verdict.OK
