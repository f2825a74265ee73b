"""The node's chain as the wire sees it: tips, points and updates for whoever follows us, and a signal when it changes.

It answers `orchestrator.ouroboros.server` and takes in what `choose` decided; the rules are in `chain`, the disk in `database`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from orchestrator.ouroboros.chainsync import BlockPoint, EraHeader, Origin, Point, Tip
from orchestrator.ouroboros.server import Backward, ChainUpdate, Forward

from .block import encode_block
from .chain import Adoption, Chain, read_header
from .database import Database
from .header import CONWAY, Header
from .lottery import LeaderRules, why_not_leader


class AdoptedChain:
    """The chain with its disk behind it and its readers before it. Used on the event loop only."""

    def __init__(self, chain: Chain, database: Database, on_extended: Callable[[Header, bool], None]) -> None:
        self.chain = chain
        self.served_headers = 0
        self.served_blocks = 0
        self.served_newest = 0
        # While frozen nothing moves the tip: the lab asked for a stall.
        self.frozen = False
        self.forks = 0
        self._database = database
        self._on_extended = on_extended
        self._changed = asyncio.Event()

    def adopt(self, adoption: Adoption, bodies: Sequence[bytes]) -> None:
        """Go over to another chain, on disk too, and wake everybody who waits."""
        if self.frozen:
            return
        switched = adoption.kept < len(self.chain)
        if switched:
            self.forks += 1
            self._database.roll_back(adoption.kept)
            self.chain.roll_back(adoption.kept, adoption.tip)
        for header, body in zip(adoption.added, bodies, strict=True):
            self.chain.extend(header)
            self._database.append(header, body)
        if self.chain.tip is not None:
            self._on_extended(self.chain.tip, switched)
        self._changed.set()
        self._changed = asyncio.Event()

    def drop_unbelievable(self, rules: LeaderRules) -> None:
        """Give up the newest blocks as far as these rules do not allow them: those of a fork that is over, or left behind."""
        length = len(self.chain)
        while (newest := self.header_at(length - 1)) is not None and why_not_leader(
            rules, newest.issuer, newest.slot, newest.draw
        ):
            length -= 1
        if length < len(self.chain):
            self.adopt(Adoption(length, self.header_at(length - 1), ()), ())

    def header_at(self, index: int) -> Header | None:
        """Return the header at this index, None before the first."""
        return read_header(self.chain, index)

    def tip(self) -> Tip:
        """Return the newest block, as the wire names it."""
        tip = self.chain.tip
        return Tip(Origin(), 0) if tip is None else Tip(BlockPoint(tip.slot, tip.hash), tip.number)

    def find_intersect(self, points: tuple[Point, ...]) -> Point | None:
        """Return the first of these points that is on the chain."""
        return self.chain.intersect(points)

    def next_after(self, read_pointer: Point) -> ChainUpdate | None:
        """Return what a reader at that point needs next."""
        index = self.chain.index_of(read_pointer)
        if index is None:
            return Backward(self.chain.where_parted(read_pointer))
        if index + 1 >= len(self.chain):
            return None
        self.served_headers += 1
        header = EraHeader(CONWAY, self.chain.encoded_at(index + 1))
        return Forward(self.chain.point_at(index + 1), header)

    def blocks(self, first: BlockPoint, last: BlockPoint) -> Iterable[bytes] | None:
        """Return a range of blocks; None if it is not on the chain."""
        begin, end = self.chain.index_of(first), self.chain.index_of(last)
        if begin is None or end is None or begin > end:
            return None
        return self._read_blocks(first, begin, end)

    def _read_blocks(self, first: BlockPoint, begin: int, end: int) -> Iterator[bytes]:
        # Read as they are sent: a range may be the whole chain. One that is rolled back meanwhile ends short, and the
        # reader, who counts, asks again.
        newest: Point = first
        for index in range(begin, end + 1):
            if self.chain.index_of(newest) is None:
                return
            newest = self.chain.point_at(index)
            self.served_blocks += 1
            self.served_newest += index + 1 == len(self.chain)
            yield encode_block(self.chain.encoded_at(index), self._database.body_at(index))

    async def wait_for_change(self, seen: Tip) -> None:
        """Return once the tip is another one than this."""
        while self.tip() == seen:
            await self._changed.wait()
