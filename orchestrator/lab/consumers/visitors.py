"""Many consumers at a time: whenever one is done and away, another one comes, until they are told to stop.

What they saw is collected as it happens, so that a view can be drawn at any time. Nothing is decided here about any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from .consumer import Consumer, Journey
from .outcome import Failed, Outcome

# They do not all come in one instant: in a flood of new connections each relay would slow down everybody.
ARRIVAL = timedelta(milliseconds=50)

# After one that failed at once the next one must not fail in the same instant, and so on without end.
PAUSE_AFTER_FAILURE = timedelta(seconds=1)


class Visitors:
    """The consumers of one run: those who are there now, and how the others ended. `count` are there at most."""

    def __init__(self, count: int, journey: Journey, tell: Callable[[Outcome], None] = lambda _: None) -> None:
        self.outcomes: list[Outcome] = []
        self.present: dict[int, Consumer] = {}
        self._count, self._journey, self._tell = count, journey, tell
        self._wanted, self._changed = count, asyncio.Condition()
        self._next_number = 1

    async def want(self, count: int) -> None:
        """Let so many be there from now on. Who is there and one too many stays until it is done; nobody comes after it."""
        async with self._changed:
            self._wanted = count
            self._changed.notify_all()

    async def run(self, stop: asyncio.Event, *, once: bool, arrival: timedelta = ARRIVAL) -> None:
        """Keep so many consumers there until told to stop, or let each come `once`. Who is there then is sent home."""
        places = [asyncio.create_task(self._fill_place(number, arrival, once=once)) for number in range(self._count)]
        all_done = asyncio.create_task(_wait_for(places))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((all_done, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*places, all_done, stopped):
                task.cancel()
            ends = await asyncio.gather(*places, all_done, stopped, return_exceptions=True)
        # A consumer's misfortunes are outcomes: what is raised here is a mistake of our own.
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _fill_place(self, place: int, arrival: timedelta, *, once: bool) -> None:
        await asyncio.sleep(arrival.total_seconds() * place)
        while True:
            if place >= self._wanted:
                await self._wait_until_wanted(place, arrival)
            number, self._next_number = self._next_number, self._next_number + 1
            consumer = self.present[number] = Consumer(number, self._journey)
            outcome = await consumer.bootstrap()
            del self.present[number]
            self.outcomes.append(outcome)
            self._tell(outcome)
            current = asyncio.current_task()
            if once or (current is not None and current.cancelling()):
                return
            if isinstance(outcome, Failed):
                await asyncio.sleep(PAUSE_AFTER_FAILURE.total_seconds())

    async def _wait_until_wanted(self, place: int, arrival: timedelta) -> None:
        before = self._wanted
        async with self._changed:
            await self._changed.wait_for(lambda: place < self._wanted)
        await asyncio.sleep(arrival.total_seconds() * max(place - before, 0))


async def _wait_for(places: Sequence[asyncio.Task[None]]) -> bool:
    await asyncio.wait(places, return_when=asyncio.FIRST_EXCEPTION)
    return True
