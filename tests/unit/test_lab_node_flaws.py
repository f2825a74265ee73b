"""What a bad release does wrong by itself: read from its entry, and due when it is due."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.node.faults import Fault, Fork, Hang, Stall, WrongMagic
from orchestrator.lab.node.flaws import (
    FLAWS,
    BadFlaw,
    ExitsAtStart,
    Flaw,
    Forks,
    GoesStale,
    Hangs,
    NeverListens,
    OtherNetwork,
    ReplaysAlways,
    parse_flaw,
    pick_due_fault,
    render_flaw,
)
from orchestrator.lab.node.replay import pick_duration
from orchestrator.lab.node.settings import Settings


@pytest.mark.parametrize("kind", FLAWS)
def test_a_flaw_is_read_as_it_was_written(kind: str) -> None:
    flaw = FLAWS[kind]()
    assert parse_flaw(render_flaw(flaw)) == flaw


def test_a_release_without_an_entry_does_right() -> None:
    assert parse_flaw(None) is None


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"kind": "melts"},
        {"kind": "hangs", "seconds": 3},
        {"kind": "goes-stale", "seconds": "long"},
        {"kind": "goes-stale", "seconds": -1},
        {"kind": "forks", "name": 3},
    ],
)
def test_what_is_no_flaw_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(BadFlaw, match="no flaw of a release"):
        parse_flaw(entry)


@given(
    st.dictionaries(st.sampled_from(["kind", "seconds", "name", "exit_code"]), st.text() | st.integers() | st.none())
)
def test_no_entry_crashes_the_reader_of_flaws(entry: dict[str, Any]) -> None:
    with suppress(BadFlaw):
        assert parse_flaw(entry)


@pytest.mark.parametrize(
    ("flaw", "before", "at_once", "later"),
    [
        (None, None, None, None),
        (Hangs(), Hang(), Hang(), Hang()),
        (OtherNetwork(), WrongMagic(), WrongMagic(), WrongMagic()),
        (GoesStale(10), None, None, Stall()),
        (Forks(10, "split"), None, None, Fork("split", 110)),
        (NeverListens(), None, None, None),
        (ExitsAtStart(), None, None, None),
        (ReplaysAlways(), None, None, None),
    ],
)
def test_a_fault_of_a_release_comes_when_it_is_due(
    flaw: Flaw | None, before: Fault | None, at_once: Fault | None, later: Fault | None
) -> None:
    assert pick_due_fault(flaw, None, 99) == before
    assert pick_due_fault(flaw, 100, 100) == at_once
    assert pick_due_fault(flaw, 100, 111) == later


def test_a_fork_begins_at_one_moment_however_often_it_is_asked_for() -> None:
    assert pick_due_fault(Forks(10), 100, 111) == pick_due_fault(Forks(10), 100, 200)


@pytest.mark.parametrize(("clean", "expected"), [(True, 1), (False, 5)])
def test_a_replay_takes_what_the_lab_wants(clean: bool, expected: int) -> None:
    settings = Settings(replay=timedelta(seconds=1), replay_unclean=timedelta(seconds=5))
    assert pick_duration(settings, None, clean=clean, empty=False) == timedelta(seconds=expected)


@pytest.mark.parametrize("clean", [True, False])
def test_a_release_that_always_replays_does_so_whatever_was_left_to_it(clean: bool) -> None:
    assert pick_duration(Settings(), ReplaysAlways(40), clean=clean, empty=False) == timedelta(seconds=40)


def test_without_a_chain_there_is_nothing_to_replay() -> None:
    assert pick_duration(Settings(), ReplaysAlways(40), clean=False, empty=True) == timedelta()
