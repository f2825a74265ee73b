"""Consumers that come and go while something is done to a fleet, and relays whose nodes are as slow to start as real ones."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.lab_fleet import Ended, Fleet

REPLAY = "GENESIS_LAB_REPLAY_SECONDS"


@dataclass
class Crowd:
    """Consumers of one run; what they saw is known after its end."""

    ended: list[Ended] = field(default_factory=list)

    @property
    def saw(self) -> dict[str, Any]:
        """What `lab consumers --json` told."""
        (ended,) = self.ended
        found: dict[str, Any] = json.loads(ended.out)
        return found

    @property
    def words(self) -> str:
        """Tell of the crowd in two lines."""
        saw = self.saw
        counts = ", ".join(f"{saw[key]} {key.replace('_', ' ')}" for key in ("bootstrapped", "failed", "cut_short"))
        stalls = f"stall: slowest {saw['slowest_stall_seconds']:.1f} s, median {saw['median_stall_seconds']:.1f} s"
        met = f"connections lost on the way {saw['reconnects']}, addresses unusable {saw['unusable']}"
        return f"{counts}; {met}\n{stalls}; time to bootstrap: median {saw['median_bootstrap_seconds'] or 0:.0f} s"

    @property
    def reasons(self) -> list[str]:
        """Why some failed."""
        return [each["reason"] for each in self.saw["consumers"] if each["outcome"] == "failed"]


@contextmanager
def crowding(fleet: Fleet, count: int) -> Iterator[Crowd]:
    """Have so many consumers there at once meanwhile, from before the first step to after the last."""
    crowd = Crowd()
    running = fleet.start("lab", "consumers", str(count), "--json")
    try:
        running.wait_line(rf" here {count},")
        yield crowd
    finally:
        crowd.ended.append(running.send(signal.SIGINT))


@contextmanager
def slow_starts(fleet: Fleet, seconds: float) -> Iterator[None]:
    """Let every node of the fleet that starts meanwhile take so long to replay its chain, as a real one does."""
    fleet.shells(f"systemctl set-environment {REPLAY}={seconds:g}")
    try:
        yield
    finally:
        fleet.shells(f"systemctl unset-environment {REPLAY}")
