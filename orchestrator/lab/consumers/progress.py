"""Since when a consumer has had nothing more, the longest such time, and when its patience ends.

Time that a consumer takes by itself, so as not to read faster than it was told to, is nobody's stall. The clock is the event
loop's.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from .outcome import Stall


class Progress:
    """A consumer's clock. `deadline` is what ends its life: it moves with every step."""

    def __init__(self, patience: timedelta) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time
        self._patience = patience.total_seconds()
        self._began = self._last = self._now()
        self._longest, self._longest_began = 0.0, 0.0
        self.deadline = asyncio.timeout_at(self._began + self._patience)
        self.headers = 0
        self.blocks = 0

    def step(self, *, headers: int = 0, blocks: int = 0) -> None:
        """Note that there is more than before."""
        self.headers += headers
        self.blocks += blocks
        self._note_wait()
        self._last = self._now()
        self._move()

    async def rest(self, seconds: float) -> None:
        """Wait of one's own accord."""
        self._note_wait()
        self._last = self._now() + seconds
        self._move()
        await asyncio.sleep(seconds)

    @property
    def elapsed(self) -> timedelta:
        """How long the consumer has been there."""
        return timedelta(seconds=self._now() - self._began)

    @property
    def longest(self) -> Stall:
        """The longest wait so far, the one that goes on included."""
        self._note_wait()
        return Stall(timedelta(seconds=self._longest), timedelta(seconds=self._longest_began))

    def _note_wait(self) -> None:
        waited = self._now() - self._last
        if waited > self._longest:
            self._longest, self._longest_began = waited, self._last - self._began

    def _move(self) -> None:
        if not self.deadline.expired():
            self.deadline.reschedule(self._last + self._patience)
