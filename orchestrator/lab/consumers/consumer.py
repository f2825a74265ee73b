"""One consumer's life: ask the names, try address after address, take the chain, and say how it ended.

It has failed if nothing more came for as long as its patience lasts, or if too many addresses in a row were unusable: refused,
silent, of another network, stale, or showing what cannot be followed. A connection that is lost after it was of use is no such
address: it goes on from its newest points elsewhere.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.ouroboros.errors import WireError
from orchestrator.ouroboros.follower import FollowerSettings, follow_chain
from orchestrator.ouroboros.targets import Target

from .download import Course, download
from .names import AddressBook, AskNames
from .outcome import Bootstrapped, CutShort, Failed, Outcome, Seen, Visit
from .progress import Progress
from .trail import Trail

PATIENCE = timedelta(seconds=10)
MOST_UNUSABLE_IN_A_ROW = 3

# Shorter than the node's own limits: a relay of the lab answers within milliseconds, and a node, which has several peers at a time,
# would meanwhile take the chain from another one. Three silent addresses fit into the patience, or one that falls silent on the way.
ANSWER = timedelta(seconds=3)
SETTINGS = FollowerSettings(
    connect=ANSWER, handshake=ANSWER, intersect=ANSWER, can_await=ANSWER, must_reply=ANSWER, block=ANSWER
)


@dataclass(frozen=True, slots=True)
class Journey:
    """What consumers are given: where names are asked, which network, how to take its chain, when to give up."""

    ask: AskNames
    port: int
    network_magic: int
    security_parameter: int
    course: Course
    settings: FollowerSettings = SETTINGS
    patience: timedelta = PATIENCE
    most_unusable: int = MOST_UNUSABLE_IN_A_ROW


class Consumer:
    """One consumer, while it lives and after: what it has seen can be asked at any time."""

    def __init__(self, number: int, journey: Journey) -> None:
        self._number, self._journey = number, journey
        self._progress = Progress(journey.patience)
        # Which relay a consumer meets is up to chance, in the lab as in the world.
        self._book = AddressBook(journey.ask, random.Random())  # noqa: S311 - nothing secret
        self._trail = Trail(journey.security_parameter)
        self._visits: list[Visit] = []

    async def bootstrap(self) -> Outcome:
        """Live. Whatever relays and names do is an outcome, and so is being cancelled from outside."""
        try:
            async with self._progress.deadline:
                reason = await self._travel()
        except TimeoutError:
            seconds = self._journey.patience.total_seconds()
            beside = f"; {self._book.problem}" if self._book.problem else ""
            reason = f"no progress for {seconds:g} s{beside}"
        except asyncio.CancelledError:
            return CutShort(self.seen())
        return Bootstrapped(self.seen()) if reason is None else Failed(self.seen(), reason)

    def seen(self) -> Seen:
        """Return what it has seen so far."""
        progress = self._progress
        return Seen(
            number=self._number,
            took=progress.elapsed,
            blocks=progress.blocks,
            stall=progress.longest,
            visits=tuple(self._visits),
            lookups=self._book.lookups,
        )

    async def _travel(self) -> str | None:
        """Try addresses until the chain is here: None; or until too many in a row were unusable: why."""
        unusable: dict[str, str] = {}
        while len(unusable) <= self._journey.most_unusable:
            address = await self._book.next()
            visit = await self._visit(address)
            if visit.problem is None:
                return None
            self._book.note(address, useful=not visit.unusable)
            if visit.unusable:
                unusable[address] = visit.problem
            else:
                unusable.clear()
        told = ", ".join(f"{address} ({problem})" for address, problem in unusable.items())
        return f"{len(unusable)} addresses in a row unusable: {told}"

    async def _visit(self, address: str) -> Visit:
        """Take what one address has to give."""
        journey, progress = self._journey, self._progress
        began, headers, blocks = progress.elapsed, progress.headers, progress.blocks
        problem: str | None = None
        try:
            async with follow_chain(
                Target(address, journey.port), journey.network_magic, self._trail.points(), journey.settings
            ) as peer:
                await download(peer, self._trail, journey.course, progress)
        except (WireError, OSError) as error:
            problem = str(error) or type(error).__name__
        except asyncio.CancelledError:
            # Whoever is sent home has nothing to say against the relay.
            problem = "no progress" if progress.deadline.expired() else None
            raise
        finally:
            visit = Visit(address, began, progress.headers - headers, progress.blocks - blocks, problem)
            self._visits.append(visit)
        return visit
