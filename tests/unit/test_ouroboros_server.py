"""The answering side: what clients get, whatever they say."""

import asyncio
import time

import pytest

from orchestrator.ouroboros.chainsync import (
    BlockPoint,
    Origin,
    Tip,
)
from orchestrator.ouroboros.follower import FollowerSettings, follow_chain
from orchestrator.ouroboros.handshake import ProposeVersions, VersionData, decode_reply, encode_handshake, offer
from orchestrator.ouroboros.mux import Demultiplexer, Role, encode_units
from orchestrator.ouroboros.server import EndCause, ServerSettings
from tests.ouroboros_peers import (
    LONG,
    MAGIC,
    SHORT,
    ListChain,
    a_relay,
)

ORIGIN_TIP = Tip(Origin(), 0)
FROM_ORIGIN = (Origin(),)
NODE_LIKE = FollowerSettings()


def a_proposal(magic=MAGIC, *, query=False):
    data = VersionData(magic, initiator_only=True, peer_sharing=False, query=query)
    return request(0, encode_handshake(ProposeVersions(offer((14, 15), data))))


def request(protocol, message):
    return encode_units(protocol, Role.INITIATOR, message, timestamp=1)


async def take(events, count):
    async with asyncio.timeout(LONG.total_seconds()):
        return [await anext(events) for _ in range(count)]


async def say(target, *sayings):
    """Say things to a server at once; return all units that it answers until it hangs up."""
    reader, writer = await asyncio.open_connection(target.address, target.port)
    writer.write(b"".join(sayings))
    writer.write_eof()
    answered = await reader.read()
    writer.close()
    await writer.wait_closed()
    return [unit.payload for unit in Demultiplexer(Role.RESPONDER).feed(answered)]


def session_ends(*sayings, settings=None, chain=None):
    async def run():
        async with a_relay(chain, settings) as (target, ends):
            answers = await say(target, *sayings)
        return answers, ends[0]

    return asyncio.run(run())


def test_a_query_is_answered_and_ends_the_session():
    answers, end = session_ends(a_proposal(query=True))
    assert decode_reply(answers[0]).versions.keys() == {14, 15}
    assert end.cause is EndCause.QUERIED


def test_after_a_query_the_client_is_given_time_to_close():
    async def run():
        settings = ServerSettings(MAGIC, query_close_timeout=SHORT)
        async with a_relay(settings=settings) as (target, _):
            reader, writer = await asyncio.open_connection(target.address, target.port)
            writer.write(a_proposal(query=True))
            await reader.read(65536)
            answered = time.monotonic()
            assert await reader.read() == b""
            writer.close()
            return time.monotonic() - answered

    # Half, because the server's wait began before the answer was read.
    assert asyncio.run(run()) > SHORT.total_seconds() / 2


def test_another_network_is_refused():
    answers, end = session_ends(a_proposal(magic=7))
    assert answers[0][:2] == b"\x82\x02"
    assert (end.cause, end.accepted) == (EndCause.REFUSED, None)


def test_questions_sent_together_with_the_proposal_are_answered_in_order():
    answers, end = session_ends(
        a_proposal(), request(8, b"\x82\x00\x07"), request(2, b"\x82\x04\x80"), request(2, b"\x81\x07")
    )
    assert [answer[:2].hex() for answer in answers] == ["8301", "8201", "8206"]
    assert end.cause is EndCause.CLOSED_BY_PEER
    assert end.accepted.version == 15


def test_chain_sync_may_begin_again_after_done_from_the_start():
    done, find, following_one = b"\x81\x07", b"\x82\x04\x81\x80", b"\x81\x00"
    answers, _ = session_ends(a_proposal(), request(2, find + done + following_one), chain=ListChain(10))
    assert [answer[:2].hex() for answer in answers] == ["8301", "8305", "8302"]


@pytest.mark.parametrize(
    ("sayings", "cause"),
    [
        ((b"",), EndCause.CLOSED_BY_PEER),
        ((b"GET / HTTP/1.1\r\n\r\n",), EndCause.CLOSED_BY_PEER),
        ((bytes.fromhex("16030100f0010000ec0303"),), EndCause.PROTOCOL_ERROR),
        ((request(0, b"\x82\x01\x80"),), EndCause.PROTOCOL_ERROR),
        ((a_proposal(), request(8, b"\x82\x01\x00")), EndCause.PROTOCOL_ERROR),
        ((a_proposal(), request(2, b"\x81\x01")), EndCause.PROTOCOL_ERROR),
        ((a_proposal(), request(4, b"\x81\x06")), EndCause.PROTOCOL_ERROR),
    ],
)
def test_bad_clients_end_only_their_own_session(sayings, cause):
    _, end = session_ends(*sayings)
    assert end.cause is cause


@pytest.mark.parametrize(
    ("sayings", "settings"),
    [
        ((), ServerSettings(MAGIC, handshake_timeout=SHORT)),
        ((a_proposal(),), ServerSettings(MAGIC, keepalive_timeout=SHORT)),
        ((a_proposal(),), ServerSettings(MAGIC, chainsync_idle_timeout=SHORT)),
    ],
)
def test_silent_clients_are_not_kept(sayings, settings):
    async def run():
        async with a_relay(settings=settings) as (target, ends):
            reader, writer = await asyncio.open_connection(target.address, target.port)
            writer.write(b"".join(sayings))
            async with asyncio.timeout(LONG.total_seconds()):
                await reader.read()
            writer.close()
        return ends

    assert [end.cause for end in asyncio.run(run())] == [EndCause.TIMED_OUT]


def test_what_the_chain_view_raises_comes_through():
    class BrokenChain(ListChain):
        def find_intersect(self, points: tuple[object, ...]) -> BlockPoint | None:
            raise RuntimeError("database lost")

    with pytest.raises(RuntimeError, match="database lost"):
        session_ends(a_proposal(), request(2, b"\x82\x04\x80"), chain=BrokenChain())


def test_a_follower_that_leaves_is_noticed_while_the_server_awaits_a_block():
    async def run():
        async with a_relay() as (target, ends), follow_chain(target, MAGIC, (Origin(),)) as follower:
            await take(follower.events(), 3)
        return ends

    assert [end.cause for end in asyncio.run(run())] == [EndCause.CLOSED_BY_PEER]
