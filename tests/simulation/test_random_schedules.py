"""Random schedules: the oracle finds nothing, the same seed is the same story, and each rule of the oracle can be broken."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import pytest

from orchestrator.simulation.many import Tally, play_in_processes, play_seeds, replay_command
from orchestrator.simulation.play import play
from orchestrator.simulation.schedule import make_schedule
from tests.scenarios.builders import wanted

STEPS = 40
PORTIONS = 8
SEEDS = 200


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_no_random_schedule_breaks_what_always_holds(portion: int) -> None:
    found = play_seeds(range(portion, SEEDS, PORTIONS), steps=STEPS, templates=wanted().templates)
    assert found.seeds == SEEDS // PORTIONS
    assert [f"{breach}; replay: {replay_command(seed, STEPS)}" for seed, breach in found.breaches] == []


def test_a_seed_tells_the_same_story_every_time() -> None:
    once, again = (play(make_schedule(7, STEPS), wanted().templates, tell=True) for _ in range(2))
    assert once == again
    assert len(once.story) > STEPS


def test_telling_the_story_changes_nothing_about_it() -> None:
    told, silent = (play(make_schedule(8, STEPS), wanted().templates, tell=tell) for tell in (True, False))
    assert replace(told, story=()) == silent


def die(_seeds: Sequence[int]) -> Tally:
    os._exit(1)


def test_a_process_that_is_killed_is_told_and_not_waited_for() -> None:
    with pytest.raises(BrokenProcessPool):
        list(play_in_processes([[1], [2]], die, 2))
