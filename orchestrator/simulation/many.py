"""Plays many seeds on several cores, and tells of each breach with the command that replays it."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial

from orchestrator.rendering.values import Templates
from orchestrator.simulation.machines import SimulatedDeath
from orchestrator.simulation.play import play
from orchestrator.simulation.schedule import make_schedule

GARBAGE_THRESHOLD = 200_000
"""Looks make many values that live briefly and hang on nothing: looking for cycles among them as often as usual costs a tenth."""

SEEDS_A_TASK = 5
"""Few enough that progress is seen, many enough that handing them out costs nothing."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What some seeds came to."""

    seeds: int
    steps: int
    rounds: int
    breaches: tuple[tuple[int, str], ...]
    """(seed, what was found)."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.seeds + other.seeds,
            self.steps + other.steps,
            self.rounds + other.rounds,
            self.breaches + other.breaches,
        )


NONE = Tally(0, 0, 0, ())


def play_seeds(seeds: Sequence[int], *, steps: int, templates: Templates) -> Tally:
    """Play some seeds one after another."""
    total = NONE
    for seed in seeds:
        try:
            outcome = play(make_schedule(seed, steps), templates)
        except (Exception, SimulatedDeath) as error:  # noqa: BLE001 - one story that cannot be told must not cost all others
            total += Tally(1, 0, 0, ((seed, f"the simulation itself broke down: {type(error).__name__}: {error}"),))
            continue
        found = tuple((seed, breach) for breach in outcome.breaches)
        total += Tally(1, outcome.steps, outcome.rounds, found)
    return total


def play_many(
    seeds: range, steps: int, templates: Templates, processes: int, report: Callable[[Tally, float], None]
) -> Tally:
    """Play seeds on several cores; `report` is told the sum so far and the seconds it took, after each portion.

    Raises BrokenProcessPool if one of the processes is killed.
    """
    began, total = time.monotonic(), NONE
    work = partial(play_seeds, steps=steps, templates=templates)
    for part in _portions(seeds, work, processes):
        total += part
        report(total, time.monotonic() - began)
    return total


def _portions(seeds: range, work: Callable[[Sequence[int]], Tally], processes: int) -> Iterable[Tally]:
    tasks = [seeds[at : at + SEEDS_A_TASK] for at in range(0, len(seeds), SEEDS_A_TASK)]
    if processes == 1:
        gc.set_threshold(GARBAGE_THRESHOLD)
        return map(work, tasks)
    return play_in_processes(tasks, work, processes)


def play_in_processes(
    tasks: Sequence[Sequence[int]], work: Callable[[Sequence[int]], Tally], processes: int
) -> Iterator[Tally]:
    """Yield what each task came to, as they end. Raises BrokenProcessPool if one of the processes is killed."""
    # Spawned, not forked: nothing of whoever calls this is carried along. A worker that is killed ends it all with
    # BrokenProcessPool, where a multiprocessing.Pool would wait for ever for what that one was to do.
    spawning = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, spawning, gc.set_threshold, (GARBAGE_THRESHOLD,))
    try:
        for done in as_completed([pool.submit(work, task) for task in tasks]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def replay_command(seed: int, steps: int) -> str:
    """Return the command that tells the story of one seed."""
    return f".venv/bin/python scripts/simulate.py --seed {seed} --steps {steps}"
