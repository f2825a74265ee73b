"""One connection of a consumer: headers as they come, their blocks in batches, until it is near enough to the tip.

A chain that ends long before now is of no use, whatever else is right with it: `Tip` and clock both have a say, as in a node. What
goes wrong is a WireError, and what there is so far stays in the trail. Which relay comes next is decided in `consumer`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from orchestrator.lab.node.block import read_body
from orchestrator.lab.node.clock import SlotClock
from orchestrator.ouroboros.chainsync import BlockPoint, EraHeader, RollBackward, RollForward, Tip

from .progress import Progress
from .trail import ReadHeader, RefusedChain, Trail

NEAR_SLOTS = 5
"""Who is this near to the tip has bootstrapped."""

# Blocks asked for at a time: fewer cost more messages, more make progress jump.
BATCH = 25


class StaleChain(RefusedChain):
    """A relay's newest block is too old: it has stopped following, or is not yet there itself."""


@dataclass(frozen=True, slots=True)
class Course:
    """How to get at the chain, the same for all consumers."""

    read_header: ReadHeader
    clock: SlotClock
    max_tip_age: timedelta
    blocks_per_second: float


class Peer(Protocol):
    """What is needed of a connection (see `orchestrator.ouroboros.follower`)."""

    tip: Tip

    def events(self) -> AsyncIterator[RollForward | RollBackward]: ...  # noqa: D102

    async def fetch_blocks(  # noqa: D102
        self, first: BlockPoint, last: BlockPoint, most: int = ...
    ) -> tuple[bytes, ...] | None: ...


async def download(peer: Peer, trail: Trail, course: Course, progress: Progress) -> None:
    """Take the peer's chain until near enough to its tip; raise WireError if that does not come about."""
    require_fresh(peer.tip, course)
    trail.shown.clear()
    next_at = 0.0
    loop = asyncio.get_running_loop()
    async for event in peer.events():
        match event:
            case RollForward(EraHeader(_, body)):
                trail.show(course.read_header(body))
                progress.step(headers=1)
            case RollForward():
                raise RefusedChain("a Byron header: the lab's chain has none")
            case RollBackward(point):
                trail.roll_back(point)
        while _is_batch(trail, event.tip) and (count := await _fetch(peer, trail)) > 0:
            progress.step(blocks=count)
            next_at = max(next_at, loop.time()) + count / course.blocks_per_second
        if is_near(trail, event.tip):
            require_fresh(event.tip, course)
            return
        if next_at > loop.time() and not trail.shown:
            await progress.rest(next_at - loop.time())


def require_fresh(tip: Tip, course: Course) -> None:
    """Raise StaleChain if the newest block is older than any serving relay's."""
    slots = course.clock.slot_now() - (tip.slot or 0)
    age = timedelta(seconds=slots * course.clock.slot_seconds)
    if tip.slot is None or age > course.max_tip_age:
        where = "it has no block" if tip.slot is None else f"its tip is {age.total_seconds():.0f} s old"
        raise StaleChain(f"stale: {where}")


def is_near(trail: Trail, tip: Tip) -> bool:
    """Tell whether the blocks that are here end within a few slots of this tip."""
    return trail.newest is not None and tip.slot is not None and trail.newest.slot >= tip.slot - NEAR_SLOTS


def _is_batch(trail: Trail, tip: Tip) -> bool:
    """Tell whether there are blocks to be asked for: a whole batch, or the last ones there are."""
    if not trail.shown:
        return False
    return len(trail.shown) >= BATCH or trail.shown[-1].slot >= (tip.slot or 0)


async def _fetch(peer: Peer, trail: Trail) -> int:
    """Fetch the blocks of headers shown, check each against its header, and return how many came."""
    wanted = trail.shown[:BATCH]
    first, last = (BlockPoint(header.slot, header.hash) for header in (wanted[0], wanted[-1]))
    blocks = await peer.fetch_blocks(first, last, len(wanted))
    if blocks is None:
        return 0  # The relay has left that chain; what it shows next says for which one.
    if len(blocks) != len(wanted):
        raise RefusedChain(f"{len(blocks)} blocks for a range of {len(wanted)}")
    for header, block in zip(wanted, blocks, strict=True):
        read_body(block, header)
    trail.arrive(len(wanted))
    return len(wanted)
