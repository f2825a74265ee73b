"""Play random schedules against the real cycle in virtual time: many seeds on all cores, or the story of one.

    .venv/bin/python scripts/simulate.py --seeds 10000 --first 0 --steps 200
    .venv/bin/python scripts/simulate.py --seed 123 --steps 200

Exit code: 0 without a breach, 1 with one, 2 if a process was killed. The last line of many seeds says how many seeds, steps and breaches there were.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orchestrator.adapters.assets import assets
from orchestrator.simulation.many import Tally, play_many, replay_command
from orchestrator.simulation.play import play
from orchestrator.simulation.schedule import make_schedule

PROGRESS_SECONDS = 10.0


def main() -> int:
    """Play what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="tell the story of this one seed")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--steps", type=int, default=200, help="steps of each")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.seed is not None:
        return tell_story(asked.seed, asked.steps)
    return play_all(range(asked.first, asked.first + asked.seeds), asked.steps, asked.processes)


def tell_story(seed: int, steps: int) -> int:
    """Print one seed's story, and what was found."""
    outcome = play(make_schedule(seed, steps), assets().templates, tell=True)
    print("\n".join(outcome.story))
    for breach in outcome.breaches:
        print(f"BREACH: {breach}")
    print(f"seed {seed}: {outcome.steps} steps, {outcome.rounds} rounds, {len(outcome.breaches)} breaches")
    return 1 if outcome.breaches else 0


def play_all(seeds: range, steps: int, processes: int) -> int:
    """Print breaches as they are found, progress now and then, and the sum as the last line."""
    told, due = 0, time.monotonic() + PROGRESS_SECONDS

    def report(total: Tally, seconds: float) -> None:
        nonlocal told, due
        for seed, breach in total.breaches[told:]:
            print(f"seed {seed}: {breach}\n  replay: {replay_command(seed, steps)}", flush=True)
        told = len(total.breaches)
        if time.monotonic() >= due:
            due = time.monotonic() + PROGRESS_SECONDS
            text = f"{total.seeds} of {len(seeds)} seeds, {total.steps / seconds:.0f} steps/s, {told} breaches"
            print(text, file=sys.stderr, flush=True)

    began = time.monotonic()
    try:
        total = play_many(seeds, steps, assets().templates, processes, report)
    except BrokenProcessPool:
        print("one of the processes was killed (for want of memory?): what it played is not known", file=sys.stderr)
        return 2
    rate = total.steps / max(time.monotonic() - began, 0.001)
    print(f"{total.seeds} seeds, {total.steps} steps, {len(total.breaches)} breaches ({rate:.0f} steps/s)")
    return 1 if total.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
