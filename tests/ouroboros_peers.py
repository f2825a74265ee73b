"""Peers for the wire tests: a chain in a list, a relay serving it on loopback, and peers that misbehave by script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta

from orchestrator.ouroboros.chainsync import (
    BlockPoint,
    EraHeader,
    IntersectNotFound,
    Origin,
    Point,
    Tip,
    encode_chain_sync,
)
from orchestrator.ouroboros.client import ProbeTimeouts
from orchestrator.ouroboros.handshake import AcceptVersion, VersionData, encode_handshake
from orchestrator.ouroboros.keepalive import KeepAliveResponse, encode_keep_alive
from orchestrator.ouroboros.mux import Role, encode_units
from orchestrator.ouroboros.server import Backward, Forward, ServerSettings, SessionEnd, serve_session
from orchestrator.ouroboros.targets import Target

MAGIC = 42
# Small where a test waits for it to pass, large where it must not.
SHORT = timedelta(milliseconds=60)
LONG = timedelta(seconds=20)
PATIENT = ProbeTimeouts(connect=LONG, handshake=LONG, answer=LONG)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


def a_point(slot: int, branch: int = 0) -> BlockPoint:
    return BlockPoint(slot, bytes([branch]) * 16 + slot.to_bytes(16, "big"))


def a_block(point: BlockPoint) -> bytes:
    """Make what ListChain serves for a point: its size, in thousands of bytes, is the slot."""
    return point.hash[-1:] * (1000 * point.slot)


class ListChain:
    """A ChainView over a list of points, which can grow and switch to another branch."""

    def __init__(self, *slots: int) -> None:
        self.points = [a_point(slot) for slot in slots]
        self._left: dict[Point, Point] = {}
        self._changed = asyncio.Condition()
        self.asked: list[tuple[Point, ...]] = []

    async def extend(self, *points: BlockPoint) -> None:
        self.points += points
        await self._tell()

    async def switch(self, at: BlockPoint, *points: BlockPoint) -> None:
        kept = self.points.index(at) + 1
        self._left |= dict.fromkeys(self.points[kept:], at)
        self.points = [*self.points[:kept], *points]
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def tip(self) -> Tip:
        return Tip(self.points[-1], len(self.points)) if self.points else Tip(Origin(), 0)

    def find_intersect(self, points: tuple[Point, ...]) -> Point | None:
        self.asked.append(points)
        return next((point for point in points if point == Origin() or point in self.points), None)

    def next_after(self, read_pointer: Point) -> Forward | Backward | None:
        if read_pointer in self._left:
            return Backward(self._left[read_pointer])
        following = 0 if read_pointer == Origin() else self.points.index(read_pointer) + 1
        if following == len(self.points):
            return None
        return Forward(self.points[following], EraHeader(6, self.points[following].hash))

    def blocks(self, first: BlockPoint, last: BlockPoint) -> Iterable[bytes] | None:
        if first not in self.points or last not in self.points or first.slot > last.slot:
            return None
        return (a_block(point) for point in self.points if first.slot <= point.slot <= last.slot)

    async def wait_for_change(self, seen: Tip) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.tip() != seen)


@asynccontextmanager
async def listening(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[Target]:
    """Accept on loopback; on leaving, wait for every handler and raise what any raised."""
    handling: list[asyncio.Task[object]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.append(task)
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(accept, host, 0)
    try:
        yield Target(host, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        async with asyncio.timeout(LONG.total_seconds()):
            await asyncio.gather(*handling)


@asynccontextmanager
async def a_relay(
    chain: ListChain | None = None, settings: ServerSettings | None = None
) -> AsyncIterator[tuple[Target, list[SessionEnd]]]:
    """Serve a chain by our own server; the list gets how each session ended."""
    ends: list[SessionEnd] = []
    served = ListChain(10, 20) if chain is None else chain

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(await serve_session(reader, writer, served, settings or ServerSettings(MAGIC)))

    async with listening(serve) as target:
        yield target, ends


def unit(protocol: int, message: bytes) -> bytes:
    """Make what a responder sends for one message."""
    return encode_units(protocol, Role.RESPONDER, message, timestamp=1)


def an_acceptance(version: int = 15, magic: int = MAGIC) -> bytes:
    return encode_handshake(AcceptVersion(version, VersionData(magic, initiator_only=True, peer_sharing=False)))


def a_pong(cookie: int = 0) -> bytes:
    return encode_keep_alive(KeepAliveResponse(cookie))


def a_tip(slot: int = 20, block: int = 2) -> bytes:
    return encode_chain_sync(IntersectNotFound(Tip(a_point(slot), block)))


ACCEPTANCE = unit(0, an_acceptance())
PONG = unit(8, a_pong())
TIP = unit(2, a_tip())


def a_script(*answers: bytes, then_close: bool = True) -> Handler:
    """Make a peer that says one thing after each thing it hears, then hangs up (or listens on)."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(65536)
            writer.write(answer)
        if not then_close:
            await reader.read()

    return play
