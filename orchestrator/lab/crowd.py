"""A crowd before one relay: as many node-to-node connections as it takes, held until this process ends.

Connections are opened one after the other, and each stays: handshake, then a keep-alive now and then. At the relay's hard limit
the next handshake gets no answer; that one connection goes on waiting, and takes the place of whoever leaves. So the relay is as
full as it says it may be, and nothing is known here of its limits. Started by `relay_faults` as a process of its own:
`python -m orchestrator.lab.crowd ADDRESS PORT MAGIC`.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from orchestrator.ouroboros.dialing import dial, shake_hands
from orchestrator.ouroboros.errors import HandshakeRefused, WireError
from orchestrator.ouroboros.handshake import KNOWN_VERSIONS, AcceptVersion, VersionData, offer
from orchestrator.ouroboros.keepalive import KeepAlive, decode_keep_alive, encode_keep_alive, expect_response
from orchestrator.ouroboros.mux import ProtocolId
from orchestrator.ouroboros.targets import Target

# More than any relay of a lab lets in.
MOST_CONNECTIONS = 2000

CONNECT = timedelta(seconds=5)
# A full relay answers when somebody leaves, which may take as long as the lab lasts.
HANDSHAKE = timedelta(days=1)
# Well within the 97 seconds that a node waits for one.
KEEPALIVE_SECONDS = 30.0
KEEPALIVE_ANSWER = timedelta(seconds=60)
PAUSE_AFTER_FAILURE_SECONDS = 1.0


async def crowd(target: Target, network_magic: int) -> None:
    """Fill a relay up, and keep it full until cancelled."""
    held: set[asyncio.Task[None]] = set()
    try:
        while True:
            inside = asyncio.Event()
            held.add(newest := asyncio.create_task(hold(target, network_magic, inside)))
            entered = asyncio.create_task(inside.wait())
            await asyncio.wait((newest, entered), return_when=asyncio.FIRST_COMPLETED)
            entered.cancel()
            held = {task for task in held if not task.done()}
            if newest.done() or len(held) >= MOST_CONNECTIONS:
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
    finally:
        for task in held:
            task.cancel()


async def hold(target: Target, network_magic: int, inside: asyncio.Event) -> None:
    """Be one connection until it ends; set `inside` once the relay has let it in."""
    versions = offer(KNOWN_VERSIONS, VersionData(network_magic, initiator_only=True, peer_sharing=False))
    try:
        async with dial(target, CONNECT) as (connection, _):
            answer = await shake_hands(connection, versions, HANDSHAKE)
            if not isinstance(answer, AcceptVersion):
                raise HandshakeRefused(str(answer))
            inside.set()
            ping = KeepAlive(0)
            while True:
                await connection.send((ProtocolId.KEEP_ALIVE, encode_keep_alive(ping)))
                pong = await connection.receive(ProtocolId.KEEP_ALIVE, "keep-alive response", KEEPALIVE_ANSWER)
                expect_response(ping, decode_keep_alive(pong))
                await asyncio.sleep(KEEPALIVE_SECONDS)
    except WireError as error:
        print(error, flush=True)


def main(arguments: list[str]) -> None:
    """Crowd one relay until killed."""
    address, port, network_magic = arguments
    asyncio.run(crowd(Target(address, int(port)), int(network_magic)))


if __name__ == "__main__":
    main(sys.argv[1:])
