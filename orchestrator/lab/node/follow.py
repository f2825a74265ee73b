"""Follow one peer: read the headers it shows, fetch the bodies of what is better than our chain, and go over to it.

Reading and fetching go on side by side, so that catching up costs few round trips. A header whose issuer did not win its slot is
refused, and so is a body that its header does not commit to; either ends the connection: so a fork stays with those who make it.
Only what has its body is adopted. The rule of what is better is in `chain`; when to try again is up to the owner.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from orchestrator.ouroboros.chainsync import BlockPoint, EraHeader, RollBackward, RollForward
from orchestrator.ouroboros.errors import WireError

from .block import RefusedBlock, read_body
from .chain import Adoption, BrokenChain, Candidate, choose, prefers
from .clock import SlotClock
from .header import Header, InvalidHeader, parse_header
from .lottery import LeaderRules, why_not_leader
from .view import AdoptedChain

# What of an adopted candidate is kept for each peer, so that a small rollback needs no new intersection.
REMEMBERED_OF_A_PEER = 30

# Bodies asked for at a time, and headers read ahead of them.
MOST_BLOCKS_AT_A_TIME = 50
MOST_HEADERS_AHEAD = 600

# Bodies that have come and are not adopted yet: more than any change of chain can need.
MOST_BODIES_WAITING = 5000

# A block that one peer is asked for is asked of the next one only after this long.
PATIENCE_WITH_ANOTHER = timedelta(seconds=1)

# A header from further ahead is not followed: as much as the node allows two clocks to differ.
CLOCK_SKEW = timedelta(seconds=5)


class RefusedHeader(WireError):
    """A peer showed a header that cannot be followed: the connection to it ends."""


class Peer(Protocol):
    """What is needed of a connection to a peer (see `orchestrator.ouroboros.follower`)."""

    def events(self) -> AsyncIterator[RollForward | RollBackward]: ...  # noqa: D102

    async def fetch_blocks(  # noqa: D102
        self, first: BlockPoint, last: BlockPoint, most: int = ...
    ) -> tuple[bytes, ...] | None: ...


@dataclass(frozen=True, slots=True)
class Judge:
    """By what headers are judged: who may issue them, and what time it is."""

    rules: LeaderRules
    clock: SlotClock

    def check(self, header: Header) -> Header:
        """Return a header that may be followed; raise RefusedHeader."""
        if self.clock.seconds_until(header.slot) > CLOCK_SKEW.total_seconds():
            raise RefusedHeader(f"block {header.number} is of slot {header.slot}, which is still to come")
        reason = why_not_leader(self.rules, header.issuer, header.slot, header.draw)
        if reason is not None:
            raise RefusedHeader(f"block {header.number} of slot {header.slot}: {reason}")
        return header


class Downloads:
    """Bodies that one node has fetched and not adopted yet, and who of its peers is being asked for which."""

    def __init__(self) -> None:
        self.bodies: OrderedDict[bytes, bytes] = OrderedDict()
        self.asked: dict[bytes, asyncio.Event] = {}

    def keep(self, header: Header, body: bytes) -> None:
        """Take a body in; the oldest give way."""
        self.bodies[header.hash] = body
        while len(self.bodies) > MOST_BODIES_WAITING:
            self.bodies.popitem(last=False)

    def pick_missing(self, headers: Sequence[Header]) -> list[Header]:
        """Return the first stretch of these whose bodies are not here, no longer than may be asked for at once."""
        missing: list[Header] = []
        for header in headers:
            if header.hash not in self.bodies:
                missing.append(header)
            elif missing:
                break
            if len(missing) == MOST_BLOCKS_AT_A_TIME:
                break
        return missing


class Pursuit:
    """One peer's chain, from the intersection on."""

    def __init__(
        self, chain: AdoptedChain, peer: Peer, candidate: Candidate, judge: Judge, downloads: Downloads
    ) -> None:
        self._chain = chain
        self._peer = peer
        self._candidate = candidate
        self._judge = judge
        self._downloads = downloads
        self._shown = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._peers_block = 0

    async def run(self, note: Callable[[int], None]) -> None:
        """Follow until the peer goes away or is refused: a WireError. `note` hears the peer's block number."""
        tasks = [asyncio.create_task(self._read(note)), asyncio.create_task(self._fetch_what_is_better(note))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        # What is wrong with the peer says more than that the connection ended for it.
        failures = [end for end in ends if isinstance(end, Exception)]
        raise next((end for end in failures if isinstance(end, RefusedHeader | RefusedBlock)), failures[0])

    async def _read(self, note: Callable[[int], None]) -> None:
        async for event in self._peer.events():
            show(self._candidate, event, self._judge)
            self._peers_block = event.tip.block
            note(event.tip.block)
            self._shown.set()
            if len(self._candidate.fragment) > MOST_HEADERS_AHEAD:
                await self._idle.wait()

    async def _fetch_what_is_better(self, note: Callable[[int], None]) -> None:
        while True:
            await self._shown.wait()
            self._shown.clear()
            self._idle.clear()
            while (better := self._choose()) is not None and await self._come_nearer(better):
                note(self._peers_block)
            self._idle.set()

    def _choose(self) -> Adoption | None:
        if self._chain.frozen:
            return None
        try:
            return choose(self._chain.chain, self._candidate)
        except BrokenChain as error:
            raise RefusedHeader(str(error)) from error

    async def _come_nearer(self, better: Adoption) -> bool:
        """Fetch some of what is missing and adopt what can be; say whether anything came of it."""
        missing = self._downloads.pick_missing(better.added)
        if missing and not await self._fetch(missing):
            return False
        ready = self._choose()
        if ready is not None:
            self._adopt(ready)
        return True

    async def _fetch(self, headers: Sequence[Header]) -> bool:
        asked = self._downloads.asked
        if (other := asked.get(headers[0].hash)) is not None:
            try:
                async with asyncio.timeout(PATIENCE_WITH_ANOTHER.total_seconds()):
                    await other.wait()
            except TimeoutError:
                pass  # The other peer may be slow, or gone: this one is asked too.
            else:
                return True
        answered = asyncio.Event()
        asked.update((header.hash, answered) for header in headers)
        try:
            first, last = (BlockPoint(header.slot, header.hash) for header in (headers[0], headers[-1]))
            blocks = await self._peer.fetch_blocks(first, last, len(headers))
        finally:
            answered.set()
            for header in headers:
                if asked.get(header.hash) is answered:
                    del asked[header.hash]
        if blocks is None:
            return False  # The peer has left that chain; what it shows next says for which one.
        if len(blocks) != len(headers):
            raise RefusedBlock(f"{len(blocks)} blocks for a range of {len(headers)}")
        for header, block in zip(headers, blocks, strict=True):
            self._downloads.keep(header, read_body(block, header))
        return True

    def _adopt(self, better: Adoption) -> None:
        """Go over to as much of a better chain as has its bodies, if that much is better already."""
        bodies = self._downloads.bodies
        count = next((at for at, header in enumerate(better.added) if header.hash not in bodies), len(better.added))
        ready = replace(better, added=tuple(better.added[:count]))
        if ready.added and prefers(ready.added[-1], self._chain.chain.tip):
            self._chain.adopt(ready, [bodies.pop(header.hash) for header in ready.added])
        if self._candidate.fragment and self._candidate.fragment[-1] == self._chain.chain.tip:
            self._candidate.trim(REMEMBERED_OF_A_PEER)


def show(candidate: Candidate, event: RollForward | RollBackward, judge: Judge) -> None:
    """Follow one step of a peer's chain in what we know of it; raise RefusedHeader."""
    try:
        match event:
            case RollForward(EraHeader(_, body)):
                candidate.roll_forward(judge.check(parse_header(body)))
            case RollForward():
                raise RefusedHeader("a Byron header: the lab's chain has none")
            case RollBackward(point):
                candidate.roll_backward(point)
    except (BrokenChain, InvalidHeader) as error:
        raise RefusedHeader(str(error)) from error
