"""The listening sockets, and the limit on accepted connections as the node keeps it.

From the soft limit on, each accept waits a little; at the hard limit none happens until somebody leaves. The kernel goes on
completing connections into a queue of 8, so that whoever connects to a full node succeeds and then hears nothing: exactly
what a health check by TCP alone gets wrong. Sockets are set up as the node's are: the port may be shared, closing resets.
What is said on a connection is up to the `serve` that the owner gives.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from datetime import timedelta

from .config import ConnectionLimit

BACKLOG = 8
READ_LIMIT_BYTES = 1 << 16
LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)

PAUSE_AFTER_FAILURE_SECONDS = 0.1

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


class Reception:
    """Accepts connections on all addresses of the node, and counts them together."""

    def __init__(self, limit: ConnectionLimit, serve: Serve) -> None:
        self._limit = limit
        self._serve = serve
        self._sessions: set[asyncio.Task[None]] = set()
        self._someone_left = asyncio.Event()
        self._sockets: list[socket.socket] = []

    @property
    def connections(self) -> int:
        """Count the connections that are being served."""
        return len(self._sessions)

    def open(self, addresses: tuple[str, ...], port: int) -> tuple[str, ...]:
        """Bind and listen; return the addresses with their real ports. Raise OSError if one is not ours to bind."""
        for address in addresses:
            self._sockets.append(_listen(address, port))
            # Port 0 means any, and then the same for both families.
            port = port or self._sockets[0].getsockname()[1]
        return tuple(f"{s.getsockname()[0]}:{s.getsockname()[1]}" for s in self._sockets)

    async def run(self) -> None:
        """Accept until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for listener in self._sockets:
                    group.create_task(self._accept_all(listener))
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening and end every session."""
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()
        self.end_sessions()

    def end_sessions(self) -> None:
        """End every session; others may begin."""
        for session in self._sessions:
            session.cancel()

    async def _accept_all(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wait_for_room()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:
                # Gone before it was accepted, or no descriptor left: neither is a reason to stop accepting others.
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT_AT_ALL)
            session = loop.create_task(self._serve_one(connection))
            self._sessions.add(session)
            session.add_done_callback(self._forget)

    async def _wait_for_room(self) -> None:
        if self.connections >= self._limit.hard:
            pause = asyncio.get_running_loop().create_task(asyncio.sleep(self._limit.delay.total_seconds()))
            while self.connections >= self._limit.hard:
                self._someone_left.clear()
                await self._someone_left.wait()
            await pause
        else:
            await asyncio.sleep(accept_delay(self._limit, self.connections).total_seconds())

    async def _serve_one(self, connection: socket.socket) -> None:
        reader = asyncio.StreamReader(limit=READ_LIMIT_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError:
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            await self._serve(reader, writer)
        except OSError:
            pass  # Gone without a word; there is nothing left to answer.
        finally:
            writer.close()

    def _forget(self, session: asyncio.Task[None]) -> None:
        self._sessions.discard(session)
        self._someone_left.set()


def accept_delay(limit: ConnectionLimit, connections: int) -> timedelta:
    """Return how long to wait before the next accept: nothing below the soft limit, then growing up to the hard one."""
    if connections < limit.soft or limit.hard <= limit.soft:
        return timedelta()
    return limit.delay * ((connections - limit.soft) / (limit.hard - limit.soft))


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    try:
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror}: {address} port {port}") from error
    return listener
