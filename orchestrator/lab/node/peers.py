"""Whom to be connected to, as the topology says, and keeping it so.

Local root groups get as many connections as they ask for warm peers; public roots and bootstrap peers are all dialled, up
to a limit. Names are looked up again and again, since what they answer changes. A peer that failed rests a little longer each
time. A change of topology takes effect at once: who is no longer in it is let go. What is spoken with a peer is up to `follow`.

A node that is told to be wary (it has bootstrap peers, and its tip is too old to tell a good chain by) knows only its bootstrap
peers and those trustable local roots that it already had: a change of local roots waits until it is not wary any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address

from orchestrator.ouroboros.targets import Target

from .topology import AccessPoint, LocalRootGroup, Topology

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
        self._local_roots = topology.local_roots
        self._wary = False
        self._follow = follow
        self._look_up = look_up or look_up_addresses
        self._sessions: dict[Target, asyncio.Task[None]] = {}
        self._rests: dict[Target, tuple[float, float]] = {}
        self._found: dict[AccessPoint, tuple[Target, ...]] = {}
        self._looking_up: dict[AccessPoint, asyncio.Task[None]] = {}
        self._look_up_at = 0.0
        self._wake = asyncio.Event()

    @property
    def known(self) -> int:
        """Count the peers that the topology's names and addresses stand for."""
        return len({member for group in wanted_groups(self._in_force(), self._found) for member in group.members})

    def change_topology(self, topology: Topology) -> None:
        """Go over to another topology; without a word, its local roots are left for later while wary."""
        self._topology = topology
        self._settle()

    def be_wary(self, *, wary: bool) -> None:
        """Begin or end to know trusted peers only."""
        if wary != self._wary:
            self._wary = wary
            self._settle()

    def start_anew(self) -> None:
        """End all sessions, and dial everybody again."""
        self._rests.clear()
        for session in self._sessions.values():
            session.cancel()

    def _settle(self) -> None:
        if not self._wary:
            self._local_roots = self._topology.local_roots
        self._look_up_at = 0.0
        self._wake.set()

    def _in_force(self) -> Topology:
        return pick_trusted(self._topology, self._local_roots) if self._wary else self._topology

    async def run(self) -> None:
        """Keep the connections until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                if loop.time() >= self._look_up_at:
                    self._look_up_at = loop.time() + LOOK_UP_AGAIN_SECONDS
                    self._start_look_ups()
                self._keep_sessions(loop.time())
                await _wait_until(self._wake, self._next_change(loop.time()))
        finally:
            for task in (*self._sessions.values(), *self._looking_up.values()):
                task.cancel()

    def _start_look_ups(self) -> None:
        """Look names up beside everything else: a resolver that does not answer holds up nobody with an address."""
        for point in named_points(self._in_force()):
            literal = read_literal(point)
            if literal is not None:
                self._found[point] = (literal,)
            elif point not in self._looking_up:
                self._looking_up[point] = asyncio.get_running_loop().create_task(self._look_up_one(point))

    async def _look_up_one(self, point: AccessPoint) -> None:
        try:
            found = await self._look_up(point)
        finally:
            del self._looking_up[point]
        # No answer is no news: whoever was found before may still be there.
        if found and found != self._found.get(point):
            self._found[point] = found
            self._wake.set()

    def _keep_sessions(self, now: float) -> None:
        resting = {target for target, (until, _) in self._rests.items() if until > now}
        wanted = pick_peers(wanted_groups(self._in_force(), self._found), set(self._sessions), resting)
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


def pick_trusted(topology: Topology, local_roots: Iterable[LocalRootGroup]) -> Topology:
    """Return what a wary node goes by: bootstrap peers, and the trustable ones of the local roots it has."""
    trusted = tuple(group for group in local_roots if group.trustable)
    return replace(topology, local_roots=trusted, public_roots=())


def named_points(topology: Topology) -> Iterator[AccessPoint]:
    """Yield every access point that a topology has us dial; those behind a firewall call us, not we them."""
    for group in topology.local_roots:
        if not group.behind_firewall:
            yield from group.access_points
    yield from topology.public_roots
    yield from topology.bootstrap_peers or ()


def wanted_groups(topology: Topology, found: Mapping[AccessPoint, tuple[Target, ...]]) -> list[WantedGroup]:
    """Turn a topology into peers, as far as its names have been found."""
    wanted = [(group.access_points, group.warm) for group in topology.local_roots if not group.behind_firewall]
    wanted += [(points, MOST_PUBLIC_PEERS) for points in (topology.public_roots, topology.bootstrap_peers or ())]
    return [
        WantedGroup(tuple(dict.fromkeys(target for point in points for target in found.get(point, ()))), count)
        for points, count in wanted
    ]


def read_literal(point: AccessPoint) -> Target | None:
    """Return where an access point is if it is an address already."""
    try:
        return None if point.port is None else Target(str(ip_address(point.address)), point.port)
    except ValueError:
        return None


async def look_up_addresses(point: AccessPoint) -> tuple[Target, ...]:
    """Return all addresses of a name; nothing for one that is unknown, or one of an SRV record."""
    if point.port is None:
        return ()  # The standard library asks for no SRV records, and no topology of the lab has any.
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def deliver(found: list[str]) -> None:
        if not answer.done():
            answer.set_result(found)

    def ask() -> None:
        try:
            found = [
                str(address[0])
                for *_, address in socket.getaddrinfo(point.address, point.port, type=socket.SOCK_STREAM)
            ]
        except (OSError, UnicodeError):
            found = []
        with contextlib.suppress(RuntimeError):  # The loop may be over by now.
            loop.call_soon_threadsafe(deliver, found)

    # Not the loop's own threads: those are waited for at the end, and a dead resolver would make a stop take half a minute.
    threading.Thread(target=ask, daemon=True).start()
    return tuple(dict.fromkeys(Target(address, point.port) for address in await answer))


async def _wait_until(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
