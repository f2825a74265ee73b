"""One connection's own limits: half units, peers that do not read, and the way it closes."""

import asyncio
import socket

import pytest

from orchestrator.ouroboros.connection import ASKING, Connection
from orchestrator.ouroboros.errors import ConnectionClosed, PeerTimeout, ProtocolError
from orchestrator.ouroboros.mux import ProtocolId, Role
from tests.ouroboros_peers import LONG, PONG, SHORT, unit

MORE_THAN_THE_KERNEL_HOLDS = bytes(60 * 2**20)


def with_a_peer(talk, **timeouts):
    """Run a conversation over a socket pair; the peer's end is an ordinary socket."""

    async def run():
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            async with Connection(reader, writer, Role.INITIATOR, ASKING, **timeouts) as connection:
                await talk(connection, theirs)
            return ours.fileno()

    return asyncio.run(run())


async def receive_pong(connection, allowed=LONG):
    return await connection.receive(ProtocolId.KEEP_ALIVE, "pong", allowed)


@pytest.mark.parametrize("begun", [PONG[:1], PONG[:8], PONG[:-1]])
def test_a_unit_that_begins_must_end_in_time(begun):
    async def talk(connection, peer):
        peer.send(begun)
        await receive_pong(connection)

    with pytest.raises(PeerTimeout, match=r"no rest of a mux unit within 0\.06 s"):
        with_a_peer(talk, unit_timeout=SHORT)


def test_silence_between_units_is_not_limited_by_the_connection():
    async def talk(connection, _):
        await receive_pong(connection, allowed=SHORT * 3)

    with pytest.raises(PeerTimeout, match=r"no pong within 0\.18 s"):
        with_a_peer(talk, unit_timeout=SHORT)


def test_a_peer_that_does_not_read_is_given_up():
    async def talk(connection, _):
        await connection.send((ProtocolId.CHAIN_SYNC, MORE_THAN_THE_KERNEL_HOLDS))

    with pytest.raises(PeerTimeout, match="no reading of what was sent"):
        with_a_peer(talk, unit_timeout=SHORT, flush_timeout=SHORT)


def test_closing_frees_the_socket_even_if_the_peer_does_not_read():
    async def talk(connection, _):
        with pytest.raises(PeerTimeout):
            await connection.send((ProtocolId.CHAIN_SYNC, MORE_THAN_THE_KERNEL_HOLDS))

    closed = -1
    assert with_a_peer(talk, unit_timeout=SHORT, flush_timeout=SHORT) == closed


def test_what_was_written_last_still_leaves():
    async def run():
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            async with Connection(reader, writer, Role.INITIATOR, ASKING) as connection:
                await connection.send((ProtocolId.KEEP_ALIVE, b"\x81\x02"))
            return theirs.recv(100)

    assert asyncio.run(run())[4:].hex() == "000800028102"


def test_messages_that_arrived_before_the_end_are_still_handed_out():
    async def talk(connection, peer):
        peer.send(PONG + PONG)
        peer.close()
        assert [await receive_pong(connection), await receive_pong(connection)] == [PONG[8:], PONG[8:]]
        await receive_pong(connection)

    with pytest.raises(ConnectionClosed, match="the peer closed the connection"):
        with_a_peer(talk)


def test_a_protocol_that_floods_ends_the_connection_for_all():
    async def talk(connection, peer):
        peer.send(unit(8, bytes(1409)))
        await connection.receive(ProtocolId.CHAIN_SYNC, "tip", LONG)

    with pytest.raises(ProtocolError, match="keep-alive: more than 1408 bytes sent ahead"):
        with_a_peer(talk)


def test_closing_ends_a_receiver_that_still_waits():
    async def run():
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            async with Connection(reader, writer, Role.INITIATOR, ASKING) as connection:
                waiting = asyncio.create_task(receive_pong(connection))
            await waiting

    with pytest.raises(ConnectionClosed, match="closed on this side"):
        asyncio.run(run())
