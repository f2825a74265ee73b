"""What the simulation costs: random schedules played against the real cycle in virtual time, in one process.

Most of it is the planner's time: a step that lets time pass is a look with its plan, and each schedule ends in many more, until
the fleet has become whole.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

from orchestrator.adapters.assets import assets
from orchestrator.simulation.many import GARBAGE_THRESHOLD, NONE, Tally, play_seeds

SEEDS = range(30)
STEPS = 200


def measure_simulation(rounds: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Play the same schedules a few times; the medians, in processor time."""
    templates = assets().templates
    total, taken = NONE, []
    before = gc.get_threshold()
    gc.set_threshold(GARBAGE_THRESHOLD)  # as `make simulate` has it
    try:
        for number in range(rounds):
            began = time.process_time()
            total = play_seeds(SEEDS, steps=STEPS, templates=templates)
            taken.append(time.process_time() - began)
            report(f"simulation, round {number + 1}: {total.steps / taken[-1]:.0f} steps/s")
    finally:
        gc.set_threshold(*before)
    return _row(total, statistics.median(taken))


def _row(total: Tally, seconds: float) -> dict[str, Any]:
    return {
        "seeds": total.seeds,
        "steps": total.steps,
        "seconds": round(seconds, 2),
        "steps_a_second": round(total.steps / seconds),
    }
