"""The answering side of one connection: handshake, keep-alive, chain-sync and block-fetch for whoever owns a chain.

What the chain is, and who may connect, is left to the owner. A read pointer is all that is kept for a
peer; headers and blocks are never kept here. Only these four protocols are spoken: a real node that comes to hand in
transactions is turned away by a protocol error.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, NoReturn, Protocol, TypeAlias

from .blockfetch import (
    BatchDone,
    Block,
    BlockFetchReply,
    ClientDone,
    NoBlocks,
    RequestRange,
    StartBatch,
    decode_block_fetch,
    encode_block_fetch,
    expect_range_or_done,
)
from .chainsync import (
    AwaitReply,
    BlockPoint,
    ChainSyncDone,
    ChainSyncReply,
    FindIntersect,
    Header,
    IntersectFound,
    IntersectNotFound,
    Origin,
    Point,
    RequestNext,
    RollBackward,
    RollForward,
    Tip,
    decode_chain_sync,
    encode_chain_sync,
    expect_request,
)
from .connection import ASKED, Connection
from .errors import ConnectionClosed, HandshakeRefused, PeerTimeout, ProtocolError
from .handshake import (
    AcceptVersion,
    QueryReply,
    Refuse,
    VersionData,
    decode_proposal,
    encode_handshake,
    negotiate,
    offer,
)
from .keepalive import (
    KeepAlive,
    KeepAliveResponse,
    decode_keep_alive,
    encode_keep_alive,
    expect_question,
)
from .mux import ProtocolId, Role


@dataclass(frozen=True, slots=True)
class Forward:
    """The block that follows a read pointer."""

    point: Point
    header: Header


@dataclass(frozen=True, slots=True)
class Backward:
    """The newest point of the chain at or before a read pointer that is no longer on it."""

    point: Point


ChainUpdate: TypeAlias = Forward | Backward


class ChainView(Protocol):
    """What the server asks its owner about the chain; called on the event loop only."""

    def tip(self) -> Tip:
        """Return the newest block."""

    def find_intersect(self, points: tuple[Point, ...]) -> Point | None:
        """Return the first of these points that is on the chain (Origin always is)."""

    def next_after(self, read_pointer: Point) -> ChainUpdate | None:
        """Return what a reader at that point needs next; None when it has everything."""

    def blocks(self, first: BlockPoint, last: BlockPoint) -> Iterable[bytes] | None:
        """Return the blocks from first to last, both included, oldest first; None if they are not all on the chain.

        None also for a range that is backwards. A block is whatever bytes the reader understands, well below
        2,500,000 of them; a generator is asked for the next one when the one before is on its way.
        """

    async def wait_for_change(self, seen: Tip) -> None:
        """Return once the tip is another than the one seen; at once if it already is."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What is offered, and how long a peer may be silent (the node's own limits)."""

    network_magic: int
    versions: tuple[int, ...] = (14, 15)
    initiator_only: bool = False
    peer_sharing: bool = True
    handshake_timeout: timedelta = timedelta(seconds=10)
    # After a query reply the client is the one to close.
    query_close_timeout: timedelta = timedelta(seconds=20)
    # Here from the first moment, so a peer that says nothing at all is not kept for ever.
    keepalive_timeout: timedelta = timedelta(seconds=97)
    chainsync_idle_timeout: timedelta = timedelta(seconds=3373)


class EndCause(Enum):
    """Why a session ended."""

    CLOSED_BY_PEER = "closed by the peer"
    REFUSED = "refused in the handshake"
    QUERIED = "the peer only asked for versions"
    TIMED_OUT = "the peer was silent for too long"
    PROTOCOL_ERROR = "the peer broke the protocol"


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How one session ended, and with what agreed before."""

    cause: EndCause
    detail: str
    accepted: AcceptVersion | None = None


class _Queried(ConnectionClosed):
    """The peer only asked for the versions, and has its answer."""


async def serve_session(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    chain: ChainView,
    settings: ServerSettings,
    on_accepted: Callable[[AcceptVersion], None] = lambda _: None,
) -> SessionEnd:
    """Serve one peer until either side ends; always closes the writer.

    What a peer does is told by the SessionEnd; only what the chain view raises comes through.
    """
    accepted: AcceptVersion | None = None
    try:
        async with Connection(reader, writer, Role.RESPONDER, ASKED) as connection:
            accepted = await _answer_handshake(connection, settings)
            on_accepted(accepted)
            await _until_one_fails(
                _answer_keep_alive(connection, settings),
                _answer_chain_sync(connection, chain, settings),
                _answer_block_fetch(connection, chain),
            )
    except HandshakeRefused as end:
        return SessionEnd(EndCause.REFUSED, str(end))
    except _Queried as end:
        return SessionEnd(EndCause.QUERIED, str(end))
    except ConnectionClosed as end:
        return SessionEnd(EndCause.CLOSED_BY_PEER, str(end), accepted)
    except PeerTimeout as end:
        return SessionEnd(EndCause.TIMED_OUT, str(end), accepted)
    except ProtocolError as end:
        return SessionEnd(EndCause.PROTOCOL_ERROR, str(end), accepted)


async def _until_one_fails(*protocols: Coroutine[Any, Any, NoReturn]) -> NoReturn:
    """Run protocols side by side; each ends by an error only, and the first ends all."""
    tasks = [asyncio.create_task(protocol) for protocol in protocols]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # A peer that breaks one protocol and hangs up fails the other too: the offence is what counts.
    errors = sorted((task.exception() for task in done), key=lambda error: isinstance(error, ConnectionClosed))
    raise errors[0] or AssertionError("a protocol ended without an error")


async def _answer_handshake(connection: Connection, settings: ServerSettings) -> AcceptVersion:
    data = await connection.receive(ProtocolId.HANDSHAKE, "proposal", settings.handshake_timeout)
    own = VersionData(settings.network_magic, settings.initiator_only, settings.peer_sharing)
    reply = negotiate(decode_proposal(data), offer(settings.versions, own))
    await connection.send((ProtocolId.HANDSHAKE, encode_handshake(reply)))
    match reply:
        case AcceptVersion():
            return reply
        case Refuse(reason):
            raise HandshakeRefused(f"refused: {reason}")
        case QueryReply():
            await _wait_for_close(connection, settings.query_close_timeout)
            raise _Queried("answered with all versions")


async def _wait_for_close(connection: Connection, allowed: timedelta) -> None:
    try:
        await connection.receive(ProtocolId.HANDSHAKE, "end", allowed)
    except (ConnectionClosed, PeerTimeout):
        return


async def _answer_keep_alive(connection: Connection, settings: ServerSettings) -> NoReturn:
    while True:
        data = await connection.receive(ProtocolId.KEEP_ALIVE, "keep-alive", settings.keepalive_timeout)
        # After Done the protocol may begin again, as in the node.
        message = expect_question(decode_keep_alive(data))
        if isinstance(message, KeepAlive):
            response = encode_keep_alive(KeepAliveResponse(message.cookie))
            await connection.send((ProtocolId.KEEP_ALIVE, response))


async def _answer_chain_sync(connection: Connection, chain: ChainView, settings: ServerSettings) -> NoReturn:
    read_pointer: Point = Origin()
    # The first update after an intersection is to roll back to it: the node says so even to a
    # reader that stands there already.
    roll_back_first = False
    while True:
        data = await connection.receive(ProtocolId.CHAIN_SYNC, "chain-sync request", settings.chainsync_idle_timeout)
        match expect_request(decode_chain_sync(data)):
            case FindIntersect(points):
                found = chain.find_intersect(points)
                if found is not None:
                    read_pointer, roll_back_first = found, True
                await _reply(connection, _intersection(found, chain.tip()))
            case RequestNext() if roll_back_first:
                roll_back_first = False
                await _reply(connection, RollBackward(read_pointer, chain.tip()))
            case RequestNext():
                read_pointer = await _send_next(connection, chain, read_pointer)
            case ChainSyncDone():
                read_pointer, roll_back_first = Origin(), False


def _intersection(found: Point | None, tip: Tip) -> ChainSyncReply:
    return IntersectNotFound(tip) if found is None else IntersectFound(found, tip)


async def _send_next(connection: Connection, chain: ChainView, read_pointer: Point) -> Point:
    """Send the next update, awaiting it if need be; return where the reader stands after it."""
    seen = chain.tip()
    update = chain.next_after(read_pointer)
    if update is None:
        await _reply(connection, AwaitReply())
    while update is None:
        await chain.wait_for_change(seen)
        seen = chain.tip()
        update = chain.next_after(read_pointer)
    match update:
        case Forward(point, header):
            await _reply(connection, RollForward(header, seen))
        case Backward(point):
            await _reply(connection, RollBackward(point, seen))
    return point


async def _reply(connection: Connection, message: ChainSyncReply) -> None:
    await connection.send((ProtocolId.CHAIN_SYNC, encode_chain_sync(message)))


async def _answer_block_fetch(connection: Connection, chain: ChainView) -> NoReturn:
    while True:
        # As in the node, a peer may be without wishes for ever; keep-alive notices a dead one.
        data = await connection.receive(ProtocolId.BLOCK_FETCH, "block-fetch request", None)
        match expect_range_or_done(decode_block_fetch(data)):
            case RequestRange(first, last):
                await _send_range(connection, chain.blocks(first, last))
            case ClientDone():
                pass  # It may begin again, as chain-sync may.


async def _send_range(connection: Connection, blocks: Iterable[bytes] | None) -> None:
    if blocks is None:
        await _send_of_batch(connection, NoBlocks())
        return
    await _send_of_batch(connection, StartBatch())
    for block in blocks:
        await _send_of_batch(connection, Block(block))
    await _send_of_batch(connection, BatchDone())


async def _send_of_batch(connection: Connection, message: BlockFetchReply) -> None:
    await connection.send((ProtocolId.BLOCK_FETCH, encode_block_fetch(message)))
