"""Peers that say anything and then neither go on nor hang up, drip, or never stop: each end gives up within its time limits."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.ouroboros.chainsync import Origin
from orchestrator.ouroboros.client import ProbeTimeouts, probe
from orchestrator.ouroboros.errors import WireError
from orchestrator.ouroboros.follower import FollowerSettings, follow_chain
from orchestrator.ouroboros.mux import Role, encode_units
from orchestrator.ouroboros.server import EndCause, ServerSettings
from orchestrator.ouroboros.verdicts import Verdict
from tests.ouroboros_peers import ACCEPTANCE, LONG, MAGIC, PONG, SHORT, TIP, a_point, a_relay, listening, unit
from tests.unit.test_ouroboros_server import a_proposal

HASTY = ProbeTimeouts(connect=LONG, handshake=SHORT, answer=SHORT)
HASTY_FOLLOWER = FollowerSettings(
    handshake=SHORT, intersect=SHORT, can_await=SHORT, must_reply=SHORT, keepalive_response=SHORT, block=SHORT
)
HASTY_SERVER = ServerSettings(
    MAGIC,
    handshake_timeout=SHORT,
    query_close_timeout=SHORT,
    keepalive_timeout=SHORT,
    chainsync_idle_timeout=SHORT,
)
PROTOCOLS = st.sampled_from([0, 2, 3, 8])
# Heads of lists with a plausible first entry, so that not everything is refused at its first byte.
MESSAGES = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.builds(
        lambda length, key, rest: bytes([0x80 + length, key]) + rest,
        st.integers(1, 3),
        st.integers(0, 7),
        st.binary(max_size=60),
    ),
)


def sayings(sender):
    """Make anything that a peer in this role may say: bytes, or well-formed units."""
    in_units = st.lists(st.tuples(PROTOCOLS, MESSAGES), max_size=5).map(
        lambda units: b"".join(encode_units(protocol, sender, message, 0) for protocol, message in units)
    )
    return st.one_of(st.binary(max_size=80), in_units)


async def heard_the_end(reader):
    while await reader.read(65536):
        pass
    raise ConnectionResetError


def saying(words):
    """Make a peer that says this at once and then only listens."""

    async def play(reader, writer):
        writer.write(words)
        with contextlib.suppress(ConnectionResetError):
            while await reader.read(65536):
                pass

    return play


def probing(handler, timeouts=HASTY):
    async def run():
        async with listening(handler) as target, asyncio.timeout(LONG.total_seconds()):
            return await probe(target, MAGIC, timeouts=timeouts, points=(a_point(1), a_point(2)))

    return asyncio.run(run())


@given(st.sampled_from([b"", ACCEPTANCE, ACCEPTANCE + PONG, ACCEPTANCE + PONG + TIP]), sayings(Role.RESPONDER))
@settings(max_examples=40, deadline=None)
def test_a_probe_of_a_peer_that_stops_talking_ends_in_time_with_a_verdict(first, then):
    assert probing(saying(first + then)).verdict not in {Verdict.NOT_ASKED, Verdict.CONNECT_TIMEOUT, Verdict.REFUSED}


@given(st.sampled_from([b"", unit(2, b"\x83\x05\x80\x82\x80\x00")]), sayings(Role.RESPONDER))
@settings(max_examples=40, deadline=None)
def test_following_a_peer_that_stops_talking_ends_in_time(first, then):
    async def run():
        async with (
            listening(saying(ACCEPTANCE + first + then)) as target,
            asyncio.timeout(LONG.total_seconds()),
            follow_chain(target, MAGIC, (Origin(),), HASTY_FOLLOWER) as following,
        ):
            await asyncio.gather(
                anext(following.events()), following.fetch_blocks(a_point(1), a_point(2)), return_exceptions=True
            )
            async for _ in following.events():
                pass

    with pytest.raises(WireError):
        asyncio.run(run())


@given(st.sampled_from([b"", a_proposal(), a_proposal(query=True)]), sayings(Role.INITIATOR))
@settings(max_examples=40, deadline=None)
def test_a_session_with_a_client_that_stops_talking_ends_in_time(first, then):
    async def run():
        async with a_relay(settings=HASTY_SERVER) as (target, ends):
            reader, writer = await asyncio.open_connection(target.address, target.port)
            writer.write(first + then)
            async with asyncio.timeout(LONG.total_seconds()):
                with contextlib.suppress(ConnectionResetError):
                    await reader.read()
            writer.close()
        return ends

    (end,) = asyncio.run(run())
    assert end.cause is not EndCause.CLOSED_BY_PEER


@pytest.mark.parametrize(
    ("words", "verdict"),
    [(ACCEPTANCE, Verdict.HANDSHAKE_TIMEOUT), (ACCEPTANCE + PONG + TIP, Verdict.ANSWER_TIMEOUT)],
    ids=["handshake", "tip"],
)
def test_a_peer_that_drips_its_answer_is_not_waited_for(words, verdict):
    # All but the drip comes at once: the time limit is for the whole answer, not for each byte of it.
    async def drip(reader, writer):
        quick = words[: len(words) - len(TIP)] if verdict is Verdict.ANSWER_TIMEOUT else b""
        writer.write(quick)
        with contextlib.suppress(ConnectionError):
            for byte in words[len(quick) :]:
                writer.write(bytes([byte]))
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(heard_the_end(reader), SHORT.total_seconds() / 4)

    assert probing(drip).verdict is verdict


@pytest.mark.parametrize(
    "endless",
    [unit(2, b"\x81\x01"), TIP, PONG, b"\x00", b"\xff"],
    ids=["await reply", "tip", "pong", "zeros", "ones"],
)
@pytest.mark.parametrize("first", [b"", ACCEPTANCE, ACCEPTANCE + PONG], ids=["at once", "accepted", "pinged"])
def test_a_peer_that_never_stops_talking_is_left_with_a_verdict(first, endless):
    async def flood(_, writer):
        writer.write(first)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(endless * 1000)
                await writer.drain()

    # Which comes first, the end of our patience or of the room for what was not asked for, is the machine's affair.
    hasty_but_busy = ProbeTimeouts(connect=LONG, handshake=LONG, answer=timedelta(seconds=5))
    assert probing(flood, hasty_but_busy).verdict in {Verdict.OK, Verdict.PROTOCOL_ERROR, Verdict.ANSWER_TIMEOUT}
