"""Whom to be connected to, as the topology says, and keeping it so.

Local root groups get as many connections as they ask for warm peers; public roots and bootstrap peers are all dialled, up
to a limit. Names are looked up again and again, since what they answer changes. A peer that failed rests a little longer each
time. A change of topology takes effect at once: who is no longer in it is let go. What is spoken with a peer is up to `follow`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from orchestrator.ouroboros.targets import Target

from .topology import AccessPoint, Topology

FIRST_REST_SECONDS = 0.25
LONGEST_REST_SECONDS = 8.0
# A session that lasted this long was a good one: its peer is dialled again at once when it ends.
GOOD_SESSION_SECONDS = 10.0
LOOK_UP_AGAIN_SECONDS = 20.0

# As many as the node takes of its bootstrap peers; public roots share the bound here.
MOST_PUBLIC_PEERS = 30

Follow = Callable[[Target], Awaitable[None]]
LookUp = Callable[[AccessPoint], Awaitable[tuple[Target, ...]]]


@dataclass(frozen=True, slots=True)
class WantedGroup:
    """Peers of which `count` are to be connected."""

    members: tuple[Target, ...]
    count: int


def pick_peers(groups: Iterable[WantedGroup], connected: set[Target], resting: set[Target]) -> set[Target]:
    """Choose whom to be connected to: those who are already, then those not resting, in the topology's order."""
    wanted: set[Target] = set()
    for group in groups:
        usable = [member for member in group.members if member in connected or member not in resting]
        usable.sort(key=lambda member: member not in connected)
        wanted.update(usable[: group.count])
    return wanted


class Peers:
    """The connections out of one node."""

    def __init__(self, topology: Topology, follow: Follow, look_up: LookUp | None = None) -> None:
        self._topology = topology
        self._follow = follow
        self._look_up = look_up or look_up_addresses
        self._sessions: dict[Target, asyncio.Task[None]] = {}
        self._rests: dict[Target, tuple[float, float]] = {}
        self._groups: list[WantedGroup] = []
        self._look_up_at = 0.0
        self._wake = asyncio.Event()

    @property
    def known(self) -> int:
        """Count the peers that the topology's names and addresses stand for."""
        return len({member for group in self._groups for member in group.members})

    def change_topology(self, topology: Topology) -> None:
        """Go over to another topology."""
        self._topology = topology
        self._look_up_at = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Keep the connections until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                if loop.time() >= self._look_up_at:
                    self._look_up_at = loop.time() + LOOK_UP_AGAIN_SECONDS
                    self._groups = await look_up_groups(self._topology, self._look_up)
                self._keep_sessions(loop.time())
                await _wait_until(self._wake, self._next_change(loop.time()))
        finally:
            for session in self._sessions.values():
                session.cancel()

    def _keep_sessions(self, now: float) -> None:
        resting = {target for target, (until, _) in self._rests.items() if until > now}
        wanted = pick_peers(self._groups, set(self._sessions), resting)
        for target, session in self._sessions.items():
            if target not in wanted:
                session.cancel()
        for target in wanted - set(self._sessions):
            session = asyncio.get_running_loop().create_task(self._keep_session(target))
            self._sessions[target] = session

    async def _keep_session(self, target: Target) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await self._follow(target)
        finally:
            _, last_rest = self._rests.get(target, (0.0, 0.0))
            lasted = loop.time() - began >= GOOD_SESSION_SECONDS
            rest = FIRST_REST_SECONDS if lasted or not last_rest else min(2 * last_rest, LONGEST_REST_SECONDS)
            self._rests[target] = (loop.time() + rest, rest)
            del self._sessions[target]
            self._wake.set()

    def _next_change(self, now: float) -> float:
        rests = [until for until, _ in self._rests.values() if until > now]
        return max(0.0, min([self._look_up_at, *rests]) - now)


async def look_up_groups(topology: Topology, look_up: LookUp) -> list[WantedGroup]:
    """Turn the names and addresses of a topology into peers; those behind a firewall call us, not we them."""
    wanted = [(group.access_points, group.warm) for group in topology.local_roots if not group.behind_firewall]
    wanted += [(points, MOST_PUBLIC_PEERS) for points in (topology.public_roots, topology.bootstrap_peers or ())]
    return [WantedGroup(await _look_up_all(points, look_up), count) for points, count in wanted]


async def _look_up_all(points: Iterable[AccessPoint], look_up: LookUp) -> tuple[Target, ...]:
    found = await asyncio.gather(*(look_up(point) for point in points))
    return tuple(dict.fromkeys(target for targets in found for target in targets))


async def look_up_addresses(point: AccessPoint) -> tuple[Target, ...]:
    """Return all addresses of an access point; nothing for a name that is unknown, or one of an SRV record."""
    if point.port is None:
        return ()  # The standard library asks for no SRV records, and no topology of the lab has any.
    try:
        return (Target(str(ip_address(point.address)), point.port),)
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(point.address, point.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(Target(str(address[0]), point.port) for *_, address in found))


async def _wait_until(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
