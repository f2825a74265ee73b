"""Relays of the lab on loopback, without nodes: one chain of real headers and bodies, several addresses, and a small network's rules."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from orchestrator.lab.consumers.consumer import Journey
from orchestrator.lab.consumers.download import Course
from orchestrator.lab.consumers.names import Answer, AskNames
from orchestrator.lab.consumers.trail import header_reader
from orchestrator.lab.node.block import encode_block
from orchestrator.lab.node.chain import Chain
from orchestrator.lab.node.clock import SlotClock
from orchestrator.lab.node.header import CONWAY, Header, make_header, parse_header
from orchestrator.lab.node.lottery import LeaderRules, Lottery, draw
from orchestrator.ouroboros.chainsync import BlockPoint, EraHeader, Origin, Point, Tip
from orchestrator.ouroboros.follower import FollowerSettings
from orchestrator.ouroboros.server import Backward, ChainUpdate, Forward, ServerSettings, serve_session

MAGIC = 4242
# Every slot has a block, of either issuer.
RULES = LeaderRules(b"consumers", issuers=2, active_slots_coefficient=1.0)
SECURITY_PARAMETER = 50
SLOT_SECONDS = 1.0
LONG = timedelta(seconds=20)


def make_chain(slots: Iterable[int], *, issuer: int = 0, after: Header | None = None) -> list[tuple[Header, bytes]]:
    """Make blocks in these slots, one after the other."""
    blocks: list[tuple[Header, bytes]] = []
    for slot in slots:
        number = 0 if after is None else after.number + 1
        drawn = draw(Lottery(RULES.seed, issuer, RULES.issuers, 1.0), slot)
        body = b"body of %d" % slot
        after = make_header(number, slot, None if after is None else after.hash, issuer, drawn, body)
        blocks.append((after, body))
    return blocks


class ServedChain:
    """A ChainView over blocks in a list. `spoil_body` changes what it sends; `on_block` hears how many blocks were served."""

    def __init__(self, blocks: list[tuple[Header, bytes]]) -> None:
        self.chain = Chain(SECURITY_PARAMETER, (header for header, _ in blocks))
        self.bodies = [body for _, body in blocks]
        self.served: list[BlockPoint] = []
        self.asked: list[tuple[Point, ...]] = []
        self.spoil_body: Callable[[bytes], bytes] = lambda body: body
        self.on_block: Callable[[int], None] = lambda _: None
        self._changed = asyncio.Event()

    def switch(self, keep: int, blocks: list[tuple[Header, bytes]]) -> None:
        """Go over to another chain that shares its first blocks, at least one."""
        self.chain.roll_back(keep, parse_header(self.chain.encoded_at(keep - 1)))
        del self.bodies[keep:]
        for header, body in blocks:
            self.chain.extend(header)
            self.bodies.append(body)
        self._changed.set()
        self._changed = asyncio.Event()

    def tip(self) -> Tip:
        tip = self.chain.tip
        return Tip(Origin(), 0) if tip is None else Tip(BlockPoint(tip.slot, tip.hash), tip.number)

    def find_intersect(self, points: tuple[Point, ...]) -> Point | None:
        self.asked.append(points)
        return self.chain.intersect(points)

    def next_after(self, read_pointer: Point) -> ChainUpdate | None:
        index = self.chain.index_of(read_pointer)
        if index is None:
            return Backward(self.chain.where_parted(read_pointer))
        if index + 1 >= len(self.chain):
            return None
        return Forward(self.chain.point_at(index + 1), EraHeader(CONWAY, self.chain.encoded_at(index + 1)))

    def blocks(self, first: BlockPoint, last: BlockPoint) -> Iterable[bytes] | None:
        begin, end = self.chain.index_of(first), self.chain.index_of(last)
        if begin is None or end is None:
            return None
        return self._read(begin, end)

    def _read(self, begin: int, end: int) -> Iterable[bytes]:
        newest = self.chain.point_at(begin)
        for index in range(begin, end + 1):
            if self.chain.index_of(newest) is None:
                return  # Rolled back meanwhile: the range ends short, as a node's does.
            point = newest = self.chain.point_at(index)
            assert isinstance(point, BlockPoint)
            self.served.append(point)
            self.on_block(len(self.served))
            yield encode_block(self.chain.encoded_at(index), self.spoil_body(self.bodies[index]))

    async def wait_for_change(self, seen: Tip) -> None:
        while self.tip() == seen:
            await self._changed.wait()


@dataclass
class LoopbackRelay:
    """One address; what it does with a connection can be changed while it is there."""

    address: str
    port: int
    chain: ServedChain
    connections: int = 0
    _server: asyncio.Server | None = None
    _sessions: set[asyncio.Task[object]] = field(default_factory=set)

    async def go_away(self) -> None:
        """Close the port and every connection, as a node does that is stopped."""
        if self._server is not None:
            self._server.close()
        sessions = list(self._sessions)
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


@asynccontextmanager
async def relays(*chains: ServedChain, magic: int = MAGIC) -> AsyncIterator[list[LoopbackRelay]]:
    """Serve chains at addresses of loopback, all on one port, as the relays of a fleet are."""
    running: list[LoopbackRelay] = []
    port = 0
    try:
        for number, chain in enumerate(chains):
            relay = LoopbackRelay(f"127.0.1.{number + 1}", port, chain)
            relay._server = await asyncio.start_server(_handler(relay, magic), relay.address, port)
            relay.port = port = relay._server.sockets[0].getsockname()[1]
            running.append(relay)
        yield running
    finally:
        for relay in running:
            await relay.go_away()


def _handler(relay: LoopbackRelay, magic: int) -> Handler:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay.connections += 1
        task = asyncio.current_task()
        assert task is not None
        relay._sessions.add(task)
        try:
            await serve_session(reader, writer, relay.chain, ServerSettings(magic))
        except asyncio.CancelledError:
            pass  # The relay goes away; the stream's own callback would report it as an error.
        finally:
            relay._sessions.discard(task)
            writer.close()

    return serve


def names_that_say(*addresses: str) -> AskNames:
    """Return names that always say the same."""

    async def ask() -> Answer:
        return Answer(addresses, timedelta(seconds=5))

    return ask


def a_journey(
    ask: AskNames,
    port: int,
    *,
    tip_slot: int,
    patience: timedelta = timedelta(seconds=10),
    wait: timedelta = LONG,
    pace: float = 1e6,
) -> Journey:
    """Make a journey on a network whose clock stands a second after this slot."""
    clock = SlotClock(time.time() - (tip_slot + 1) * SLOT_SECONDS, SLOT_SECONDS)
    settings = FollowerSettings(
        connect=wait, handshake=wait, intersect=wait, can_await=wait, must_reply=wait, block=wait
    )
    return Journey(
        ask=ask,
        port=port,
        network_magic=MAGIC,
        security_parameter=SECURITY_PARAMETER,
        course=Course(header_reader(RULES), clock, timedelta(seconds=30), pace),
        settings=settings,
        patience=patience,
    )
