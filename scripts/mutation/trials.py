"""Tries mistakes: each in a process of its own, forked off when everything is imported and all tests are collected.

So a mistake costs a fork and the tests that come across it, cheapest first and those that found a neighbour's mistake before all
others, until one fails. A test that takes many times as long as without the mistake has found it, too.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import _lru_cache_wrapper
from types import FrameType

import pytest

from scripts.mutation.grafting import DoesNotLoad, graft
from scripts.mutation.mutants import Mutant
from scripts.mutation.recording import Recorder, Recording, choose_tests

SLOWER = 10
"""So many times its own time a test may take, in CPU time: other work on this machine is no reason."""
SHORTEST_SECONDS = 2.0
HANGS_SECONDS = 300.0
"""Of wall clock for one mistake: for tests that wait for something without working."""
MOST_MEMORY_BYTES = 4 * 2**30


class Verdict(Enum):
    """What became of a mistake."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"


@dataclass(frozen=True, slots=True)
class Trial:
    """One mistake and what became of it."""

    mutant: Mutant
    verdict: Verdict
    tests: int
    """How many tests came across it."""
    seconds: float


@dataclass(frozen=True, slots=True)
class _Child:
    """A process that tries a mistake. What it has to say comes through the pipe; it ends when the pipe does."""

    process: int
    pipe: int
    mutant: Mutant
    tests: int
    started: float


@dataclass(slots=True)
class Trials:
    """A plugin of pytest, which tries mistakes instead of running the tests once."""

    package: str
    """That the mistakes are made in."""
    mutants: Sequence[Mutant]
    recorder: Recorder
    processes: int
    patience_seconds: float
    """No more tests for one mistake than take this long together."""
    report: Callable[[Trial], None]
    say: Callable[[str], None]
    _items: list[pytest.Item] = field(default_factory=list)
    _caches: tuple[_lru_cache_wrapper[object], ...] = ()
    _failed: bool = False
    _killers: dict[str, list[int]] = field(default_factory=dict)
    """Owner or module → tests that found a mistake in it, the latest last."""

    def pytest_configure(self) -> None:
        """Let property tests try the same examples in every process, and keep none: a mistake is found always or never."""
        # Not before pytest had its chance to look after it.
        from hypothesis import HealthCheck, settings

        quiet = list(HealthCheck)
        settings.register_profile(
            "mutants", derandomize=True, database=None, deadline=None, suppress_health_check=quiet
        )
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of the ordinary run."""
        self._items = session.items
        self._caches = tuple(_find_caches(self.package))
        recordings = self._record()
        # What is here by now is shared with every child; without this each collection of garbage would copy it.
        gc.collect()
        gc.freeze()
        self._try_all(recordings)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice a failure, in set-up and teardown as well."""
        self._failed |= report.failed

    def _fails(self, place: int, following: int | None) -> bool:
        """Run one test."""
        self._failed = False
        item, later = self._items[place], None if following is None else self._items[following]
        item.ihook.pytest_runtest_protocol(item=item, nextitem=later)
        return self._failed

    def _forget_results(self) -> None:
        for cache in self._caches:
            cache.cache_clear()

    def _record(self) -> Mapping[int, Recording]:
        """Run all tests without a mistake; those that fail then are left out."""
        self.say(f"{len(self._items)} tests run once, to see what each comes across")
        found: dict[int, Recording] = {}
        for place, item in enumerate(self._items):
            self._forget_results()
            with self.recorder.listen() as told:
                fails = self._fails(place, place + 1 if place + 1 < len(self._items) else None)
            if fails:
                self.say(f"left out, since it fails without any mistake: {item.nodeid}")
            elif (recording := told()).called:
                found[place] = recording
        self.recorder.stop()
        cpu_seconds = sum(recording.cpu_seconds for recording in found.values())
        self.say(f"{len(found)} tests come across what is tried; they took {cpu_seconds:.0f} s")
        return found

    def _try_all(self, recordings: Mapping[int, Recording]) -> None:
        waiting, at_work = list(reversed(self.mutants)), dict[int, _Child]()
        while waiting or at_work:
            while waiting and len(at_work) < self.processes:
                mutant = waiting.pop()
                first = (
                    *self._killers.get(mutant.module, ()),
                    *self._killers.get(f"{mutant.module}:{mutant.owner}", ()),
                )
                child = self._start(mutant, choose_tests(mutant, recordings, first, self.patience_seconds), recordings)
                at_work[child.pipe] = child
            ready, _, _ = select.select(list(at_work), [], [], 1.0)
            late = [each for each in at_work.values() if time.monotonic() - each.started > HANGS_SECONDS]
            for hanging in late:
                os.kill(hanging.process, signal.SIGKILL)
            for pipe in ready:
                self._finish(at_work.pop(pipe))

    def _start(self, mutant: Mutant, tests: Sequence[int], recordings: Mapping[int, Recording]) -> _Child:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            try:
                said = self._try(mutant, tests, recordings, writing)
                os.write(writing, said.encode())
            finally:
                os._exit(0)
        os.close(writing)
        return _Child(process, reading, mutant, len(tests), time.monotonic())

    def _finish(self, child: _Child) -> None:
        """Hear what a child says in its last words; one that ended without any was ended by the mistake."""
        verdict, _, test = os.read(child.pipe, 100).decode().partition(":")
        os.close(child.pipe)
        os.waitpid(child.process, 0)
        if test:
            for place in (child.mutant.module, f"{child.mutant.module}:{child.mutant.owner}"):
                others = [each for each in self._killers.get(place, []) if each != int(test)]
                self._killers[place] = [*others, int(test)]
        self.report(
            Trial(
                child.mutant,
                Verdict(verdict or Verdict.TIMED_OUT.value),
                child.tests,
                time.monotonic() - child.started,
            )
        )

    def _try(self, mutant: Mutant, tests: Sequence[int], recordings: Mapping[int, Recording], writing: int) -> str:
        """Make the mistake and run the tests, in the child. Returns the verdict, with the test that found it."""
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
        try:
            graft(mutant)
        except DoesNotLoad:
            return Verdict.KILLED.value
        self._forget_results()
        for place, following in zip(tests, (*tests[1:], None), strict=True):

            def end(_signal: int, _frame: FrameType | None, place: int = place) -> None:
                os.write(writing, f"{Verdict.TIMED_OUT.value}:{place}".encode())
                os._exit(0)

            signal.signal(signal.SIGPROF, end)
            signal.setitimer(signal.ITIMER_PROF, SHORTEST_SECONDS + SLOWER * recordings[place].cpu_seconds)
            if self._fails(place, following):
                return f"{Verdict.KILLED.value}:{place}"
        return Verdict.SURVIVED.value


def _find_caches(package: str) -> Iterable[_lru_cache_wrapper[object]]:
    """Find what a package's functions remember: a mistake would not be seen behind it.

    Not what others remember. What is below does not depend on the package, and is dear to make; what tests keep was made without
    a mistake, which is as good, since they come across the function again by themselves.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{package}."):
            yield from (each for each in vars(module).values() if isinstance(each, _lru_cache_wrapper))
