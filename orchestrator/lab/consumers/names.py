"""One consumer's memory of what the names said: address after address, in an order of its own, as a new node tries them.

An answer is believed for its time to live; one that is too old or used up makes it ask anew. Addresses that it is done with come
last. How names are asked is in `lookup`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

# Before names are asked again that have just given nothing new: as a node, which backs off rather than hammers.
PAUSE = timedelta(milliseconds=500)


class NamesUnanswered(Exception):
    """No answer, or none that helps; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Addresses, and how long they may be believed."""

    addresses: tuple[str, ...]
    time_to_live: timedelta


AskNames = Callable[[], Awaitable[Answer]]
"""Asks for the addresses of now; raises NamesUnanswered."""


class AddressBook:
    """Addresses to try, one after the other. Names are asked when an answer is too old, or all of it was tried."""

    def __init__(self, ask: AskNames, choose: random.Random, pause: timedelta = PAUSE) -> None:
        self.lookups = 0
        self.problem: str | None = None
        """Why the names gave nothing when they were last asked."""
        self._ask, self._choose, self._pause = ask, choose, pause
        self._untried: list[str] = []
        self._done_with: set[str] = set()
        self._good_until = float("-inf")

    async def next(self) -> str:
        """Return the next address to try; waits for as long as there is none."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._good_until:
            await self._look_up()
        elif not self._untried:
            # All of a good answer was tried: the next one may be another choice of a longer list.
            await asyncio.sleep(self._pause.total_seconds())
            await self._look_up()
        return self._untried.pop(0)

    def note(self, address: str, *, useful: bool) -> None:
        """Remember that an address is done with. It comes last from now on; after one of use all others have a new chance."""
        if useful:
            self._done_with.clear()
        self._done_with.add(address)

    async def _look_up(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.lookups += 1
            try:
                answer = await self._ask()
            except NamesUnanswered as unanswered:
                self.problem = str(unanswered)
                await asyncio.sleep(self._pause.total_seconds())
                continue
            self.problem = None
            addresses = list(dict.fromkeys(answer.addresses))
            self._choose.shuffle(addresses)
            self._untried = sorted(addresses, key=lambda address: address in self._done_with)
            self._good_until = loop.time() + answer.time_to_live.total_seconds()
            return
