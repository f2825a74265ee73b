"""Effects beside the cycle: threads. Their exceptions are kept and raised in the cycle, never lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

SIDE_BY_SIDE = 16
"""Calls to clouds and Ansible runs at the same time; a cloud throttles beyond, and a run forks by itself."""


class BackgroundThreads:
    """A bounded pool of threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="effect")
        self._lock = threading.Lock()
        self._works: set[Future[None]] = set()
        self._failures: list[BaseException] = []

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Start `work` in a thread named for it."""

        def named() -> None:
            threading.current_thread().name = name
            work()

        future = self._pool.submit(named)
        with self._lock:
            self._works.add(future)
        future.add_done_callback(self._ended)

    def busy(self) -> bool:
        """Return whether any work is still running."""
        with self._lock:
            return bool(self._works)

    def raise_failures(self) -> None:
        """Raise the first exception that some work ended with; the others are its notes."""
        if failures := self._take_failures():
            raise _noted(failures[0], failures[1:])

    @contextmanager
    def finish(self) -> Iterator[None]:
        """Wait for all running work on leaving, also after Ctrl-C: nothing is left half written.

        What that work ends with is raised, or noted on what ended the block.
        """
        try:
            yield
        except BaseException as error:
            self._pool.shutdown(wait=True, cancel_futures=True)
            _noted(error, self._take_failures())
            raise
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.raise_failures()

    def _take_failures(self) -> list[BaseException]:
        with self._lock:
            failures, self._failures = self._failures, []
        return failures

    def _ended(self, future: Future[None]) -> None:
        with self._lock:
            self._works.discard(future)
            if not future.cancelled() and (error := future.exception()) is not None:
                self._failures.append(error)


def _noted(error: BaseException, others: list[BaseException]) -> BaseException:
    for other in others:
        error.add_note(f"also: {other}")
    return error
