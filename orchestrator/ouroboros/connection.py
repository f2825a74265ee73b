"""One TCP connection with mini-protocols multiplexed over it; either side.

Whole messages of a protocol come out as bytes; what they mean is left to the codecs. What goes wrong is a
WireError: foreign errors (OSError, end of file, timeouts) are translated here and nowhere else.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from . import blockfetch, chainsync, handshake, keepalive
from .cbor import MessageBuffer
from .errors import ConnectionClosed, PeerTimeout, ProtocolError, WireError
from .mux import HEADER_LENGTH, LARGEST_SENT_PAYLOAD, Demultiplexer, ProtocolId, Role, cut_into_units

READ_SIZE = 65536
# What one sender may write before the others have their turn: a block of megabytes must not hold up a pong.
TURN_SIZE = HEADER_LENGTH + LARGEST_SENT_PAYLOAD
# Messages that one receiver gets before the others have their turn: a peer that sends its whole allowance of small
# requests at once must not hold up everybody else that this process speaks to.
TAKEN_IN_A_ROW = 32
# A unit that has begun must end within this time, as in the node.
UNIT_TIMEOUT = timedelta(seconds=30)
# What is written last (Done, a refusal) gets this long to leave before the connection is cut.
FLUSH_TIMEOUT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of one message, and of everything not yet read."""

    message: int
    unread: int


ASKED: Mapping[ProtocolId, Limits] = {
    ProtocolId.HANDSHAKE: Limits(handshake.MESSAGE_LIMIT, handshake.UNREAD_LIMIT),
    ProtocolId.CHAIN_SYNC: Limits(chainsync.MESSAGE_LIMIT, chainsync.UNREAD_LIMIT),
    ProtocolId.BLOCK_FETCH: Limits(blockfetch.REQUEST_LIMIT, blockfetch.UNREAD_REQUESTS_LIMIT),
    ProtocolId.KEEP_ALIVE: Limits(keepalive.MESSAGE_LIMIT, keepalive.UNREAD_LIMIT),
}
FOLLOWING: Mapping[ProtocolId, Limits] = {
    **ASKED,
    ProtocolId.BLOCK_FETCH: Limits(blockfetch.BLOCK_LIMIT, blockfetch.UNREAD_BLOCKS_LIMIT),
}
# Whoever asks for no block takes none: or each of a thousand probed peers could have us keep megabytes.
ASKING: Mapping[ProtocolId, Limits] = {
    protocol: limits for protocol, limits in ASKED.items() if protocol is not ProtocolId.BLOCK_FETCH
}


class Connection:
    """Sends and receives messages of several protocols over one socket.

    A background task reads, so protocols do not wait for each other; `close` ends it. Not for several
    receivers of one protocol at a time. `spoken` names the protocols that the peer may send, with their
    limits (ASKED, ASKING or FOLLOWING); any other is a protocol error.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        role: Role,
        spoken: Mapping[ProtocolId, Limits],
        *,
        unit_timeout: timedelta = UNIT_TIMEOUT,
        flush_timeout: timedelta = FLUSH_TIMEOUT,
    ) -> None:
        self._unit_timeout = unit_timeout
        self._flush_timeout = flush_timeout
        self._reader = reader
        self._writer = writer
        self._role = role
        self._buffers = {
            protocol: MessageBuffer(protocol.name.lower().replace("_", "-"), limits.message, limits.unread)
            for protocol, limits in spoken.items()
        }
        self._arrivals = {protocol: asyncio.Event() for protocol in spoken}
        self._failure: WireError | None = None
        self._taken_in_a_row = 0
        self._pump = asyncio.create_task(self._read_until_the_end())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, *messages: tuple[ProtocolId, bytes]) -> None:
        """Send messages, in order, with one write if they are small (so they travel together).

        What is longer goes out a unit at a time, and between units other protocols send theirs.
        """
        timestamp = time.monotonic_ns() // 1000
        units = (
            unit for protocol, message in messages for unit in cut_into_units(protocol, self._role, message, timestamp)
        )
        turns = _take_turns(units)
        await self._write(next(turns, b""))
        for turn in turns:
            await asyncio.sleep(0)
            await self._write(turn)

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._unit_timeout.total_seconds()) as deadline:
                await self._writer.drain()
        except OSError as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                raise PeerTimeout("reading of what was sent", self._unit_timeout) from None
            raise ConnectionClosed(f"connection lost while sending: {error}") from None

    async def receive(self, protocol: ProtocolId, waiting_for: str, allowed: timedelta | None) -> bytes:
        """Return a protocol's next message; what arrived before a failure is still handed out."""
        self._taken_in_a_row += 1
        if self._taken_in_a_row > TAKEN_IN_A_ROW:
            self._taken_in_a_row = 0
            await asyncio.sleep(0)
        # A timeout costs more than taking what is here already.
        message = self._buffers[protocol].take()
        if message is not None:
            return message
        try:
            async with asyncio.timeout(allowed.total_seconds() if allowed else None):
                return await self._next_message(protocol)
        except TimeoutError:
            raise PeerTimeout(waiting_for, allowed or timedelta()) from None

    def refuse_more(self, protocol: ProtocolId) -> None:
        """Refuse bytes of a protocol that has nothing more to say."""
        if not self._buffers[protocol].is_empty:
            raise ProtocolError(protocol.name.lower(), "more bytes follow the last message")

    async def _next_message(self, protocol: ProtocolId) -> bytes:
        while True:
            self._arrivals[protocol].clear()
            message = self._buffers[protocol].take()
            if message is not None:
                return message
            if self._failure is not None:
                raise self._failure
            await self._arrivals[protocol].wait()

    async def _read_until_the_end(self) -> None:
        demultiplexer = Demultiplexer(self._role.opposite)
        try:
            while True:
                data = await self._read(mid_unit=demultiplexer.is_mid_unit)
                for unit in demultiplexer.feed(data):
                    self._deliver(unit.header.protocol, unit.payload)
        except WireError as error:
            self.fail(error)
        except OSError as error:
            self.fail(ConnectionClosed(f"connection lost: {error}"))

    async def _read(self, *, mid_unit: bool) -> bytes:
        try:
            async with asyncio.timeout(self._unit_timeout.total_seconds() if mid_unit else None) as deadline:
                data = await self._reader.read(READ_SIZE)
        except TimeoutError:
            # The kernel's own ETIMEDOUT has the same type, and means a lost connection.
            if not deadline.expired():
                raise
            raise PeerTimeout("rest of a mux unit", self._unit_timeout) from None
        if not data:
            raise ConnectionClosed(
                "the peer closed the connection" + (" in the middle of a mux unit" if mid_unit else "")
            )
        return data

    def _deliver(self, protocol: int, payload: bytes) -> None:
        if protocol not in self._buffers:
            raise ProtocolError("mux header", f"protocol {protocol} is not spoken here")
        known = ProtocolId(protocol)
        self._buffers[known].feed(payload)
        self._arrivals[known].set()

    def fail(self, error: WireError) -> None:
        """End the conversation for a reason found elsewhere: every receiver gets this error."""
        self._failure = self._failure or error
        for arrival in self._arrivals.values():
            arrival.set()

    async def close(self) -> None:
        """Stop reading, let what was written leave, and free the socket, also when cancelled."""
        self.fail(ConnectionClosed("the connection was closed on this side"))
        self._pump.cancel()
        self._writer.close()
        try:
            async with asyncio.timeout(self._flush_timeout.total_seconds()):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            pass
        finally:
            self._writer.transport.abort()
        await asyncio.wait([self._pump])


def _take_turns(units: Iterable[bytes]) -> Iterator[bytes]:
    """Join small units, as many as fit one turn."""
    turn = b""
    for unit in units:
        if turn and len(turn) + len(unit) > TURN_SIZE:
            yield turn
            turn = b""
        turn += unit
    if turn:
        yield turn
