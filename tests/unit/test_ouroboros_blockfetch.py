"""Block-fetch: its bytes, and blocks fetched from our own server and from peers that misbehave."""

import asyncio
from datetime import timedelta

import pytest

from orchestrator.ouroboros.blockfetch import (
    BatchDone,
    Block,
    ClientDone,
    NoBlocks,
    RequestRange,
    StartBatch,
    decode_block_fetch,
    encode_block_fetch,
)
from orchestrator.ouroboros.chainsync import IntersectFound, Origin, RollBackward, Tip, encode_chain_sync
from orchestrator.ouroboros.errors import ConnectionClosed, PeerTimeout, ProtocolError
from orchestrator.ouroboros.follower import FollowerSettings, follow_chain
from orchestrator.ouroboros.mux import Demultiplexer, Role
from orchestrator.ouroboros.server import EndCause
from tests.ouroboros_peers import (
    ACCEPTANCE,
    LONG,
    MAGIC,
    PONG,
    SHORT,
    ListChain,
    a_block,
    a_point,
    a_relay,
    listening,
    unit,
)
from tests.unit.test_ouroboros_server import a_proposal, request, session_ends

TEN, TWENTY, THIRTY = (a_point(slot) for slot in (10, 20, 30))
RANGE = RequestRange(TEN, THIRTY)
PATIENT = FollowerSettings()
FOUND = encode_chain_sync(IntersectFound(Origin(), Tip(Origin(), 0)))


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (RANGE, "8300820a5820" + TEN.hash.hex() + "82181e5820" + THIRTY.hash.hex()),
        (ClientDone(), "8101"),
        (StartBatch(), "8102"),
        (NoBlocks(), "8103"),
        (Block(b"\x82\x06\x80"), "8204d81843820680"),
        (BatchDone(), "8105"),
    ],
)
def test_messages_have_the_bytes_of_the_specification(message, encoded):
    assert encode_block_fetch(message).hex() == encoded
    assert decode_block_fetch(bytes.fromhex(encoded)) == message


@pytest.mark.parametrize(
    ("encoded", "complaint"),
    [
        ("83008080", "first point is the origin"),
        ("8106", "message key 6"),
        ("8104", "message key 4 in a list of 1"),
        ("820443820680", "block is bytes, not a tag"),
        ("8204c243820680", "block has tag 2, not 24"),
        ("810500", "1 bytes follow"),
    ],
)
def test_other_bytes_are_refused(encoded, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        decode_block_fetch(bytes.fromhex(encoded))


def fetching(check, chain=None):
    """Run a check over a follower of our own server."""

    async def run():
        async with (
            a_relay(chain or ListChain(10, 20, 30)) as (target, ends),
            follow_chain(target, MAGIC, (Origin(),)) as following,
            asyncio.timeout(LONG.total_seconds()),
        ):
            await check(following)
        return ends

    return asyncio.run(run())


def test_a_range_is_fetched_with_both_its_ends():
    async def check(following):
        assert await following.fetch_blocks(TEN, TWENTY) == (a_block(TEN), a_block(TWENTY))
        assert await following.fetch_blocks(THIRTY, THIRTY) == (a_block(THIRTY),)

    assert [end.cause for end in fetching(check)] == [EndCause.CLOSED_BY_PEER]


def test_a_range_that_is_not_there_is_none_and_the_next_is_fetched():
    async def check(following):
        assert await following.fetch_blocks(TEN, a_point(15)) is None
        assert await following.fetch_blocks(THIRTY, TEN) is None
        assert await following.fetch_blocks(TEN, TEN) == (a_block(TEN),)

    fetching(check)


def test_fetches_take_turns_beside_the_events():
    async def check(following):
        events = following.events()
        fetched = await asyncio.gather(
            following.fetch_blocks(TEN, THIRTY),
            following.fetch_blocks(TWENTY, TWENTY),
            anext(events),
        )
        assert fetched == [
            (a_block(TEN), a_block(TWENTY), a_block(THIRTY)),
            (a_block(TWENTY),),
            RollBackward(Origin(), Tip(THIRTY, 3)),
        ]

    fetching(check)


def test_a_block_of_the_largest_size_arrives():
    async def check(following):
        (block,) = await following.fetch_blocks(a_point(2499), a_point(2499))
        assert block == a_block(a_point(2499))

    fetching(check, chain=ListChain(2499))


def test_pongs_overtake_a_large_block():
    asked = encode_block_fetch(RequestRange(a_point(2000), a_point(2000)))
    answers, _ = session_ends(a_proposal(), request(3, asked), request(8, b"\x82\x00\x07"), chain=ListChain(2000))
    assert answers.index(b"\x82\x01\x07") < len(answers) // 2


def test_a_request_that_is_none_ends_the_session():
    _, end = session_ends(a_proposal(), request(3, b"\x81\x02"))
    assert (end.cause, end.detail) == (EndCause.PROTOCOL_ERROR, "block-fetch: StartBatch where a request was due")


def test_block_fetch_may_begin_again_after_done():
    asked = encode_block_fetch(RequestRange(a_point(1), a_point(1)))
    answers, end = session_ends(a_proposal(), request(3, asked + b"\x81\x01" + asked), chain=ListChain(1))
    assert b"".join(answers).count(encode_block_fetch(Block(a_block(a_point(1))))) == 2
    assert end.cause is EndCause.CLOSED_BY_PEER


def test_requests_beyond_what_may_lie_unread_end_the_session():
    many = [request(3, encode_block_fetch(RANGE))] * 1000
    _, end = session_ends(a_proposal(), *many)
    assert (end.cause, end.detail) == (
        EndCause.PROTOCOL_ERROR,
        "block-fetch: more than 65535 bytes sent ahead of being asked",
    )


def fetch_from(answer, settings=PATIENT, most=100):
    """Fetch from a peer that answers the request with these bytes."""

    async def play(reader, writer):
        demultiplexer = Demultiplexer(Role.INITIATOR)
        said = {0: ACCEPTANCE, 2: unit(2, FOUND), 3: unit(3, answer), 8: PONG}
        while data := await reader.read(65536):
            for heard in demultiplexer.feed(data):
                writer.write(said[heard.header.protocol])
                if heard.header.protocol == 3 and answer.endswith(b"hang up"):
                    return

    async def run():
        async with (
            listening(play) as target,
            follow_chain(target, MAGIC, (Origin(),), settings) as following,
            asyncio.timeout(LONG.total_seconds()),
        ):
            return await following.fetch_blocks(TEN, THIRTY, most)

    return asyncio.run(run())


ONE_BLOCK = encode_block_fetch(Block(b"\x80"))


def test_blocks_come_out_in_the_order_they_came():
    second = encode_block_fetch(Block(b"\x81\x00"))
    assert fetch_from(b"\x81\x02" + ONE_BLOCK + second + b"\x81\x05") == (b"\x80", b"\x81\x00")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"\x81\x05", "BatchDone where the beginning"),
        (b"\x81\x02\x81\x03", "NoBlocks where a block"),
        (b"\x81\x02" + 3 * ONE_BLOCK, "3 blocks, 3 bytes, for a range of at most 2"),
        (b"\x81\x02\x82\x04\xd8\x18\x5a\x00\x26\x25\xa1", "a message exceeds 2500000 bytes"),
        (b"\x81\x02\x82\x04\xd8\x18\x5b" + b"\xff" * 8, "a message exceeds 2500000 bytes"),
    ],
)
def test_a_batch_that_breaks_the_protocol_ends_the_following(answer, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        fetch_from(answer, most=2)


def test_a_peer_that_hangs_up_within_a_batch_is_a_closed_connection():
    with pytest.raises(ConnectionClosed):
        fetch_from(b"\x81\x02" + b"\x82\x04\xd8\x18\x58\x80hang up")


@pytest.mark.parametrize(("answer", "waiting_for"), [(b"\x81", "batch"), (b"\x81\x02", "block")])
def test_a_peer_that_falls_silent_is_not_waited_for_longer_than_allowed(answer, waiting_for):
    with pytest.raises(PeerTimeout, match=f"no {waiting_for} within"):
        fetch_from(answer, settings=FollowerSettings(block=SHORT))


def test_blocks_nobody_asked_for_end_the_following():
    async def play(reader, writer):
        await reader.read(65536)
        writer.write(ACCEPTANCE)
        await reader.read(65536)
        writer.write(PONG + unit(2, FOUND) + unit(3, b"\x81\x02"))
        await reader.read()

    async def run():
        often = FollowerSettings(keepalive_interval=timedelta(seconds=60))
        async with listening(play) as target, follow_chain(target, MAGIC, (Origin(),), often) as following:
            await following.fetch_blocks(TEN, TEN)

    with pytest.raises(ProtocolError, match="more bytes follow the last message"):
        asyncio.run(run())


def test_a_fetch_cut_off_midway_ends_the_following():
    async def check(following):
        fetch = asyncio.create_task(following.fetch_blocks(TEN, THIRTY))
        await asyncio.sleep(0)
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch
        with pytest.raises(ConnectionClosed, match="cut off on this side"):
            await anext(following.events())

    fetching(check)
