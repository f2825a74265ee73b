"""Keeps the lease while a controller lives: renewed well before it runs out, by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from orchestrator.errors import FleetError, LeaseHeld, StoreRefused
from orchestrator.execution.ports import ClockPort, StorePort
from orchestrator.fleet.record import Lease

RENEWALS = 3
"""Renewed this many times in its length, so that two renewals may fail before anything is lost."""


@contextmanager
def keep_lease(store: StorePort, clock: ClockPort, lease: Lease, length: timedelta) -> Iterator[None]:
    """Renew the lease until the block ends, then give it back.

    A renewal that fails is not raised here: every effect reads the lease again and stops by itself. A store that does
    not answer is asked again; a lease that is somebody else's is not asked for.
    """
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(length.total_seconds() / RENEWALS):
            now = clock.now()
            try:
                store.check_lease(lease, now)
                store.acquire_lease(lease.holder, now, now + length, 0)
            except LeaseHeld:
                return
            except FleetError:
                continue

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(StoreRefused):  # it runs out by itself; what the block raised matters more
            store.release_lease(lease)
