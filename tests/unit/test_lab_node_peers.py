"""Whom the lab node dials, above all while its tip is too old to trust just anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from orchestrator.lab.node.peers import Peers, WantedGroup, pick_peers
from orchestrator.lab.node.topology import AccessPoint, LocalRootGroup, Topology
from orchestrator.ouroboros.targets import Target

BOOTSTRAP, PUBLIC, TRUSTED, STRANGER, NEW = (AccessPoint(f"192.0.2.{number}", 3001) for number in range(1, 6))


def group(*points: AccessPoint, trustable: bool = False) -> LocalRootGroup:
    return LocalRootGroup(points, hot=len(points), warm=len(points), trustable=trustable)


TOPOLOGY = Topology((group(TRUSTED, trustable=True), group(STRANGER)), (PUBLIC,), (BOOTSTRAP,), None, None)


class Dialled:
    """Stands in for connections: remembers who is connected, and lets tests wait for it."""

    def __init__(self) -> None:
        self.now: set[str] = set()
        self._changed = asyncio.Event()

    async def follow(self, target: Target) -> None:
        self._change(lambda: self.now.add(target.address))
        try:
            await asyncio.Event().wait()
        finally:
            self._change(lambda: self.now.discard(target.address))

    def _change(self, change: Callable[[], None]) -> None:
        change()
        self._changed.set()

    async def are(self, *points: AccessPoint) -> None:
        async with asyncio.timeout(10):
            while self.now != {point.address for point in points}:
                self._changed.clear()
                await self._changed.wait()


def play(story: Callable[[Peers, Dialled], object], topology: Topology = TOPOLOGY) -> None:
    async def run() -> None:
        dialled = Dialled()
        peers = Peers(topology, dialled.follow)
        running = asyncio.create_task(peers.run())
        try:
            await story(peers, dialled)  # type: ignore[misc]
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


def test_all_of_a_topology_is_dialled() -> None:
    async def story(peers: Peers, dialled: Dialled) -> None:
        await dialled.are(BOOTSTRAP, PUBLIC, TRUSTED, STRANGER)
        assert peers.known == 4

    play(story)


def test_a_wary_node_knows_bootstrap_peers_and_trustable_local_roots_only() -> None:
    async def story(peers: Peers, dialled: Dialled) -> None:
        await dialled.are(BOOTSTRAP, PUBLIC, TRUSTED, STRANGER)
        peers.be_wary(wary=True)
        await dialled.are(BOOTSTRAP, TRUSTED)
        peers.be_wary(wary=False)
        await dialled.are(BOOTSTRAP, PUBLIC, TRUSTED, STRANGER)

    play(story)


def test_a_change_of_local_roots_waits_until_a_node_is_not_wary_any_more() -> None:
    async def story(peers: Peers, dialled: Dialled) -> None:
        peers.be_wary(wary=True)
        await dialled.are(BOOTSTRAP, TRUSTED)
        peers.change_topology(replace(TOPOLOGY, local_roots=(group(NEW, trustable=True),), bootstrap_peers=(PUBLIC,)))
        await dialled.are(PUBLIC, TRUSTED)
        peers.be_wary(wary=False)
        await dialled.are(PUBLIC, NEW)

    play(story)


def test_starting_anew_dials_everybody_again() -> None:
    async def story(peers: Peers, dialled: Dialled) -> None:
        await dialled.are(BOOTSTRAP, PUBLIC, TRUSTED, STRANGER)
        peers.start_anew()
        await dialled.are()
        await dialled.are(BOOTSTRAP, PUBLIC, TRUSTED, STRANGER)

    play(story)


def test_who_is_connected_stays_and_who_rests_is_passed_over() -> None:
    one, two, three = (Target(f"192.0.2.{number}", 3001) for number in (1, 2, 3))

    def picked(count: int, connected: Iterable[Target], resting: Iterable[Target]) -> set[Target]:
        return pick_peers([WantedGroup((one, two, three), count)], set(connected), set(resting))

    assert picked(1, [], []) == {one}
    assert picked(1, [three], []) == {three}
    assert picked(2, [], [one]) == {two, three}
