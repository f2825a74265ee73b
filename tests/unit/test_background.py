"""Effects beside the cycle: whatever they end with is told."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from orchestrator.adapters.background import BackgroundThreads
from orchestrator.errors import CloudRefused


def fail(what: str) -> None:
    raise CloudRefused(what)


def run_failing(background: BackgroundThreads, names: tuple[str, ...]) -> None:
    together = threading.Barrier(len(names) + 1)

    def work(name: str) -> None:
        together.wait(10)
        fail(name)

    with background.finish():
        for name in names:
            background.start(name, partial(work, name))
        together.wait(10)


def run_interrupted(background: BackgroundThreads) -> None:
    together = threading.Barrier(2)

    def late() -> None:
        together.wait(10)
        fail("the late one")

    with background.finish():
        background.start("late", late)
        together.wait(10)
        raise KeyboardInterrupt


def test_of_several_failures_one_is_raised_and_the_others_are_its_notes() -> None:
    with pytest.raises(CloudRefused) as told:
        run_failing(BackgroundThreads(), ("one", "two", "three"))
    everything = {told.value.message, *(note.removeprefix("also: ") for note in told.value.__notes__)}
    assert everything == {"one", "two", "three"}


def test_what_fails_while_an_error_ends_the_block_is_noted_on_that_error() -> None:
    with pytest.raises(KeyboardInterrupt) as told:
        run_interrupted(BackgroundThreads())
    assert told.value.__notes__ == ["also: the late one"]
