"""Relays to be probed: one process that listens on all of 127.0.0.0/8, so that one port is as many relays as addresses.

Each answer is due a fixed time after its question, as over a long way; only connecting takes no time. Answers are real ones,
made as cheaply as possible: it is the prober that is measured. Run as `python -m benchmarks.probed CORE DELAY_SECONDS`;
prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from ipaddress import IPv4Address
from typing import cast

from orchestrator.ouroboros.cbor import MessageBuffer
from orchestrator.ouroboros.chainsync import (
    BlockPoint,
    FindIntersect,
    IntersectFound,
    IntersectNotFound,
    Point,
    Tip,
    decode_chain_sync,
    encode_chain_sync,
)
from orchestrator.ouroboros.handshake import AcceptVersion, VersionData, encode_handshake
from orchestrator.ouroboros.keepalive import KeepAlive, KeepAliveResponse, decode_keep_alive, encode_keep_alive
from orchestrator.ouroboros.mux import Demultiplexer, ProtocolId, Role, encode_units

MAGIC = 42
FIRST_ADDRESS = IPv4Address("127.1.0.1")
POINTS = tuple(BlockPoint(slot, slot.to_bytes(32, "big")) for slot in range(20, 36))
"""What is asked about; every second one is on the relays' chain."""

TIP = Tip(BlockPoint(100, bytes(32)), 50)
NOT_FOUND = encode_chain_sync(IntersectNotFound(TIP))
FOUND: dict[tuple[Point, ...], bytes] = {
    (point,): encode_chain_sync(IntersectFound(point, TIP)) for point in POINTS[::2]
}
ACCEPTED = encode_handshake(AcceptVersion(15, VersionData(MAGIC, initiator_only=True, peer_sharing=False)))


class Relay(asyncio.Protocol):
    """One connection: every question has its answer, in order, after the delay."""

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._units = Demultiplexer(Role.INITIATOR)
        self._messages = {protocol: MessageBuffer(protocol.name, 2**16, 2**18) for protocol in ProtocolId}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        answer = b""
        for unit in self._units.feed(data):
            protocol = ProtocolId(unit.header.protocol)
            self._messages[protocol].feed(unit.payload)
            said = []
            while (message := self._messages[protocol].take()) is not None:
                said.append(answer_to(protocol, message))
            if any(said):
                answer += encode_units(protocol, Role.RESPONDER, b"".join(said), 0)
        if answer and self._delay_seconds:
            asyncio.get_running_loop().call_later(self._delay_seconds, self._transport.write, answer)
        elif answer:
            self._transport.write(answer)


def answer_to(protocol: ProtocolId, message: bytes) -> bytes:
    """Return the answer's bytes; none to a goodbye."""
    if protocol is ProtocolId.HANDSHAKE:
        return ACCEPTED
    decoded = decode_chain_sync(message) if protocol is ProtocolId.CHAIN_SYNC else decode_keep_alive(message)
    match decoded:
        case FindIntersect(points):
            return FOUND.get(points, NOT_FOUND)
        case KeepAlive(cookie):
            return encode_keep_alive(KeepAliveResponse(cookie))
        case _:
            return b""


async def _serve(delay_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Relay(delay_seconds), "0.0.0.0", 0, backlog=4096)  # noqa: S104 - see above
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(_serve(float(sys.argv[2])))
