"""Following a chain: from our own server, and from peers that misbehave."""

import asyncio
from datetime import timedelta

import pytest

from orchestrator.ouroboros.chainsync import (
    EraHeader,
    IntersectFound,
    Origin,
    RollBackward,
    RollForward,
    Tip,
    encode_chain_sync,
)
from orchestrator.ouroboros.dialing import NotConnected
from orchestrator.ouroboros.errors import (
    ConnectionClosed,
    HandshakeRefused,
    NoIntersection,
    PeerTimeout,
    ProtocolError,
)
from orchestrator.ouroboros.follower import FollowerSettings, follow_chain
from orchestrator.ouroboros.mux import Demultiplexer, Role
from orchestrator.ouroboros.targets import Target
from tests.ouroboros_peers import (
    ACCEPTANCE,
    LONG,
    MAGIC,
    PONG,
    SHORT,
    ListChain,
    a_point,
    a_relay,
    a_script,
    listening,
    unit,
)

ORIGIN_TIP = Tip(Origin(), 0)
FROM_ORIGIN = (Origin(),)
NODE_LIKE = FollowerSettings()


def forward(point, tip):
    return RollForward(EraHeader(6, point.hash), tip)


async def take(events, count):
    async with asyncio.timeout(LONG.total_seconds()):
        return [await anext(events) for _ in range(count)]


def following(check, chain=None, points=FROM_ORIGIN, settings=NODE_LIKE):
    """Follow a served chain and run a check over it."""

    async def run():
        served = ListChain(10, 20) if chain is None else chain
        async with a_relay(served) as (target, _), follow_chain(target, MAGIC, points, settings) as follower:
            await check(served, follower)

    asyncio.run(run())


@pytest.mark.parametrize("requests_ahead", [1, 2, 20])
def test_a_chain_is_followed_from_the_intersection(requests_ahead):
    async def check(_, follower):
        tip = Tip(a_point(20), 2)
        assert (follower.intersection, follower.tip, follower.accepted.version) == (a_point(10), tip, 15)
        events = follower.events()
        assert await take(events, 2) == [RollBackward(a_point(10), tip), forward(a_point(20), tip)]

    asked = (a_point(15), a_point(10), Origin())
    following(check, points=asked, settings=FollowerSettings(requests_ahead=requests_ahead))


def test_new_blocks_are_awaited_at_the_tip():
    async def check(chain, follower):
        events = follower.events()
        await take(events, 3)
        next_event = asyncio.create_task(anext(events))
        await chain.extend(a_point(30))
        assert await next_event == forward(a_point(30), Tip(a_point(30), 3))

    following(check)


def test_a_switch_to_another_branch_rolls_back_first():
    async def check(chain, follower):
        events = follower.events()
        await take(events, 3)
        await chain.switch(a_point(10), a_point(19, branch=1), a_point(21, branch=1))
        tip = Tip(a_point(21, branch=1), 3)
        assert await take(events, 3) == [
            RollBackward(a_point(10), tip),
            forward(a_point(19, branch=1), tip),
            forward(a_point(21, branch=1), tip),
        ]

    following(check)


def test_a_long_chain_arrives_whole_and_in_order():
    slots = tuple(range(500))

    async def check(_, follower):
        events = await take(follower.events(), 501)
        assert [event.header.body for event in events[1:]] == [a_point(slot).hash for slot in slots]

    following(check, chain=ListChain(*slots))


def test_without_a_common_point_following_fails_and_names_the_tip():
    async def check(_, __):
        pytest.fail("there was nothing to follow")

    with pytest.raises(NoIntersection, match="none of 1 points"):
        following(check, points=(a_point(99),))


def test_a_refused_follower_says_so():
    async def run():
        async with a_relay() as (target, _), follow_chain(target, 7, (Origin(),)):
            pytest.fail("it was not refused")

    with pytest.raises(HandshakeRefused, match="version data mismatch"):
        asyncio.run(run())


def test_a_follower_that_cannot_connect_says_so():
    async def run():
        async with listening(a_script()) as gone:
            pass
        async with follow_chain(Target(gone.address, gone.port), MAGIC, (Origin(),)):
            pytest.fail("it connected")

    with pytest.raises(NotConnected, match="connection refused"):
        asyncio.run(run())


FOUND = encode_chain_sync(IntersectFound(Origin(), ORIGIN_TIP))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ConnectionClosed),
        (unit(2, b"\x81\x07"), ProtocolError),
        (unit(2, b"\x81\x01\x81\x01"), ProtocolError),
        (unit(2, FOUND), ProtocolError),
        (unit(8, b"\x82\x01\x19\x03\xe7"), ProtocolError),
    ],
)
def test_a_peer_that_misbehaves_later_ends_the_following(answer, error):
    async def run():
        # The follower's first ping travels alone or with the question, so both are answered at once.
        async def play(reader, writer):
            await reader.read(65536)
            writer.write(ACCEPTANCE)
            await reader.read(65536)
            writer.write((b"" if answer[4:6] == b"\x80\x08" else PONG) + unit(2, FOUND) + answer)

        async with listening(play) as target, follow_chain(target, MAGIC, (Origin(),)) as follower:
            await take(follower.events(), 1)

    with pytest.raises(error):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("settings", "await_reply", "waiting_for"),
    [
        (FollowerSettings(can_await=SHORT), b"", "next update"),
        (FollowerSettings(must_reply=SHORT), b"\x81\x01", "next block"),
        (FollowerSettings(must_reply=None, keepalive_response=SHORT), b"\x81\x01", "keep-alive response"),
    ],
)
def test_a_silent_peer_ends_the_following(settings, await_reply, waiting_for):
    async def run():
        script = a_script(ACCEPTANCE, unit(2, FOUND + await_reply), then_close=False)
        async with listening(script) as target, follow_chain(target, MAGIC, (Origin(),), settings) as follower:
            await take(follower.events(), 1)

    with pytest.raises(PeerTimeout, match=f"no {waiting_for} within"):
        asyncio.run(run())


def test_pings_go_on_beside_the_following():
    pinged = []

    async def run():
        async def count(reader, writer):
            demultiplexer = Demultiplexer(Role.INITIATOR)
            writer.write(ACCEPTANCE + unit(2, FOUND))
            while data := await reader.read(65536):
                for heard in demultiplexer.feed(data):
                    if heard.header.protocol == 8:
                        pinged.append(heard.payload)
                        writer.write(unit(8, b"\x82\x01" + heard.payload[2:]))
                        if len(pinged) == 3:
                            writer.write(unit(2, b"\x83\x03\x80\x82\x80\x00"))

        often = FollowerSettings(keepalive_interval=timedelta(milliseconds=1))
        async with listening(count) as target, follow_chain(target, MAGIC, (Origin(),), often) as follower:
            assert await take(follower.events(), 1) == [RollBackward(Origin(), ORIGIN_TIP)]

    asyncio.run(run())
    assert [ping.hex() for ping in pinged[:3]] == ["820000", "820001", "820002"]
