"""Virtual time: a clock that only moves when somebody waits, and background work that ends at a set moment."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """A clock with an agenda. Waiting runs what is due in order; nothing else makes time pass."""

    def __init__(self) -> None:
        self._now = BEGINNING
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._number = 0

    def now(self) -> datetime:
        """Return the virtual time."""
        return self._now

    def at(self, after: timedelta, work: Callable[[], None]) -> None:
        """Put work on the agenda, `after` from now."""
        self._number += 1
        heapq.heappush(self._agenda, (self._now + after, self._number, work))

    def drop(self) -> None:
        """Forget everything on the agenda: it died with the controller that had begun it."""
        self._agenda.clear()

    def delay(self, by: timedelta) -> None:
        """Let everything on the agenda happen later: a controller that was frozen and wakes up."""
        self._agenda = [(due + by, number, work) for due, number, work in self._agenda]

    def wait(self, seconds: float, until: Callable[[], bool]) -> None:
        """Let up to `seconds` pass, running what is due, and stop as soon as `until()` holds."""
        deadline = self._now + timedelta(seconds=seconds)
        while not until():
            if not self._agenda or self._agenda[0][0] > deadline:
                self._now = deadline
                return
            self._now, _, work = heapq.heappop(self._agenda)
            work()


class VirtualBackground:
    """Background work that takes virtual time, by its name."""

    def __init__(self, clock: VirtualClock, durations: Callable[[str], timedelta]) -> None:
        self._clock = clock
        self._durations = durations
        self._running = 0
        self._failures: list[BaseException] = []

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run `work` once its time has passed."""
        self._running += 1

        def end() -> None:
            self._running -= 1
            try:
                work()
            except Exception as error:  # noqa: BLE001 - kept for the cycle, as threads do
                self._failures.append(error)

        self._clock.at(self._durations(name), end)

    def busy(self) -> bool:
        """Return whether work is under way."""
        return self._running > 0

    def raise_failures(self) -> None:
        """Raise the first exception that some work ended with."""
        if self._failures:
            raise self._failures.pop(0)

    @contextmanager
    def finish(self) -> Iterator[None]:
        """Nothing outlives virtual time."""
        yield
