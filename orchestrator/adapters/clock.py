"""The wall clock: the only place of the controller that knows what time it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

POLL_SECONDS = 0.1
"""How often a waiting controller looks whether something ended; far below what an operator notices."""


class WallClock:
    """Real time."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def wait(self, seconds: float, until: Callable[[], bool]) -> None:
        """Return after `seconds`, or as soon as `until()` holds."""
        deadline = time.monotonic() + seconds
        while not until() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(POLL_SECONDS, left))
