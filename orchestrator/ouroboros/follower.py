"""Following a peer's chain: find an intersection, then headers and rollbacks as they come; blocks and pings beside.

What to do with them, and when to try again after an error, is left to the caller.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from .blockfetch import (
    ANSWER_TIMEOUT,
    UNREAD_BLOCKS_LIMIT,
    BatchDone,
    Block,
    BlockFetchMessage,
    NoBlocks,
    RequestRange,
    decode_block_fetch,
    encode_block_fetch,
    expect_beginning,
    expect_block_or_end,
)
from .chainsync import (
    AwaitReply,
    BlockPoint,
    ChainSyncMessage,
    FindIntersect,
    IntersectNotFound,
    Point,
    RequestNext,
    RollBackward,
    RollForward,
    Tip,
    decode_chain_sync,
    encode_chain_sync,
    expect_intersection,
    expect_update,
    expect_update_or_await,
)
from .connection import FOLLOWING, Connection
from .dialing import dial, shake_hands
from .errors import ConnectionClosed, HandshakeRefused, NoIntersection, ProtocolError, WireError
from .handshake import KNOWN_VERSIONS, AcceptVersion, Refuse, VersionData, offer
from .keepalive import KeepAlive, decode_keep_alive, encode_keep_alive, expect_response
from .mux import ProtocolId
from .targets import Target

COOKIES = 2**16
# Blocks of one range, unless the caller says otherwise: as many as the node asks a peer for at a time.
MOST_BLOCKS = 100


@dataclass(frozen=True, slots=True)
class FollowerSettings:
    """What is offered, and how long to wait in each state: the node's own limits.

    `must_reply` None waits for ever, as the node does for trustable peers (keep-alive still notices a
    dead one). `requests_ahead` is how many updates are asked for at a time, so that catching up does
    not cost a round trip a header. `block` is for each message of a batch.
    """

    versions: tuple[int, ...] = KNOWN_VERSIONS
    connect: timedelta = timedelta(seconds=5)
    handshake: timedelta = timedelta(seconds=10)
    intersect: timedelta = timedelta(seconds=10)
    can_await: timedelta = timedelta(seconds=10)
    must_reply: timedelta | None = timedelta(seconds=601)
    keepalive_interval: timedelta = timedelta(seconds=10)
    keepalive_response: timedelta = timedelta(seconds=60)
    block: timedelta = ANSWER_TIMEOUT
    requests_ahead: int = 20


class Following:
    """A chain being followed: where it began, what the peer's tip was then, and the events since."""

    def __init__(
        self,
        connection: Connection,
        settings: FollowerSettings,
        accepted: AcceptVersion,
        intersection: Point,
        tip: Tip,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self.accepted = accepted
        self.intersection = intersection
        self.tip = tip
        self._fetching = asyncio.Lock()

    async def events(self) -> AsyncIterator[RollForward | RollBackward]:
        """Yield updates without end; raise a WireError when the peer goes away or breaks the protocol."""
        ahead = max(1, self._settings.requests_ahead)
        outstanding = 0
        while True:
            if outstanding <= ahead // 2:
                request = (ProtocolId.CHAIN_SYNC, encode_chain_sync(RequestNext()))
                await self._connection.send(*[request] * (ahead - outstanding))
                outstanding = ahead
            yield await self._next_update()
            outstanding -= 1

    async def fetch_blocks(
        self, first: BlockPoint, last: BlockPoint, most: int = MOST_BLOCKS
    ) -> tuple[bytes, ...] | None:
        """Return the blocks from first to last, both included, oldest first; None if the peer has not got that range.

        May be called beside `events()`, also several times at once: they take turns. Blocks come as the bytes that the
        server's ChainView gave, unchecked. A peer that sends more than `most` of them, or more than ten of the largest
        blocks together, breaks the protocol; so ask for long stretches piece by piece. Raises WireError as `events()`
        does, and a call that is cancelled midway ends the following, since the rest of its answer is still to come.
        """
        async with self._fetching:
            try:
                return await self._fetch(RequestRange(first, last), most)
            except asyncio.CancelledError:
                self._connection.fail(ConnectionClosed("fetching blocks was cut off on this side"))
                raise

    async def _fetch(self, request: RequestRange, most: int) -> tuple[bytes, ...] | None:
        self._connection.refuse_more(ProtocolId.BLOCK_FETCH)
        await self._connection.send((ProtocolId.BLOCK_FETCH, encode_block_fetch(request)))
        if isinstance(expect_beginning(await self._next_of_batch("batch")), NoBlocks):
            return None
        blocks: list[bytes] = []
        size = 0
        while True:
            match expect_block_or_end(await self._next_of_batch("block")):
                case BatchDone():
                    return tuple(blocks)
                case Block(body):
                    blocks.append(body)
                    size += len(body)
            if len(blocks) > most or size > UNREAD_BLOCKS_LIMIT:
                raise ProtocolError("block-fetch", f"{len(blocks)} blocks, {size} bytes, for a range of at most {most}")

    async def _next_of_batch(self, waiting_for: str) -> BlockFetchMessage:
        data = await self._connection.receive(ProtocolId.BLOCK_FETCH, waiting_for, self._settings.block)
        return decode_block_fetch(data)

    async def _next_update(self) -> RollForward | RollBackward:
        first = await _receive(self._connection, "next update", self._settings.can_await)
        match expect_update_or_await(first):
            case AwaitReply():
                later = await _receive(self._connection, "next block", self._settings.must_reply)
                return expect_update(later)
            case update:
                return update


@asynccontextmanager
async def follow_chain(
    target: Target,
    network_magic: int,
    points: tuple[Point, ...],
    settings: FollowerSettings = FollowerSettings(),
) -> AsyncIterator[Following]:
    """Connect and intersect with the first of these points that the peer has; close on leaving.

    Raises NotConnected, HandshakeRefused, NoIntersection, or another WireError.
    """
    async with dial(target, settings.connect, FOLLOWING) as (connection, _):
        accepted = await _agree(connection, network_magic, settings)
        pinging = asyncio.create_task(_keep_alive(connection, settings))
        try:
            intersection, tip = await _intersect(connection, points, settings)
            yield Following(connection, settings, accepted, intersection, tip)
        finally:
            pinging.cancel()
            await asyncio.wait([pinging])


async def _agree(connection: Connection, network_magic: int, settings: FollowerSettings) -> AcceptVersion:
    offered = offer(settings.versions, VersionData(network_magic, initiator_only=True, peer_sharing=False))
    reply = await shake_hands(connection, offered, settings.handshake)
    match reply:
        case Refuse(reason):
            raise HandshakeRefused(f"the peer refused: {reason}")
        case AcceptVersion(_, data) if data.network_magic != network_magic:
            raise HandshakeRefused(f"the peer is of the network with magic {data.network_magic}, not {network_magic}")
        case AcceptVersion():
            return reply


async def _intersect(
    connection: Connection, points: tuple[Point, ...], settings: FollowerSettings
) -> tuple[Point, Tip]:
    asked = FindIntersect(points)
    await connection.send((ProtocolId.CHAIN_SYNC, encode_chain_sync(asked)))
    answer = await _receive(connection, "intersection", settings.intersect)
    match expect_intersection(asked, answer):
        case IntersectNotFound(tip):
            raise NoIntersection(f"the peer has none of {len(points)} points, its tip is {tip}")
        case found:
            return found.point, found.tip


async def _receive(connection: Connection, waiting_for: str, allowed: timedelta | None) -> ChainSyncMessage:
    return decode_chain_sync(await connection.receive(ProtocolId.CHAIN_SYNC, waiting_for, allowed))


async def _keep_alive(connection: Connection, settings: FollowerSettings) -> None:
    """Ping for ever; a peer that fails it fails the whole connection."""
    cookie = 0
    try:
        while True:
            ping = KeepAlive(cookie)
            await connection.send((ProtocolId.KEEP_ALIVE, encode_keep_alive(ping)))
            answer = await connection.receive(ProtocolId.KEEP_ALIVE, "keep-alive response", settings.keepalive_response)
            expect_response(ping, decode_keep_alive(answer))
            cookie = (cookie + 1) % COOKIES
            await asyncio.sleep(settings.keepalive_interval.total_seconds())
    except WireError as error:
        connection.fail(error)
