"""Which failure of a release somebody who looks can see by now, in the words of the oracle."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from orchestrator.fleet.observation import UnitState
from orchestrator.simulation.faults import ReleaseFault
from orchestrator.simulation.machines import SimulatedHost
from orchestrator.simulation.rules import Make, Rules
from orchestrator.simulation.world import World

LOOKS_TO_SEE = 4
"""In so many looks a failure was there to be seen before a controller is blamed for not having seen it."""

TIME_TO_SEE = timedelta(minutes=2)
"""The same in time, beyond the deadline in force."""

LONGEST_PAUSE = timedelta(seconds=50)
"""Between two looks further apart than that nobody watched: slowness cannot be told from what was not seen."""


class Watched(NamedTuple):
    """How long somebody has been looking at a failure."""

    last: datetime
    looks: int = 0
    time: timedelta = timedelta()

    def go_on(self, now: datetime) -> Watched:
        """Return it with one more look."""
        pause = now - self.last
        return Watched(now, self.looks + 1, self.time + (pause if pause <= LONGEST_PAUSE else timedelta()))


@dataclass(slots=True)
class VisibleFailures:
    """Keeps what is being watched, and since when it is visible that a make has failed."""

    world: World
    watched: dict[tuple[str, Make], Watched] = field(default_factory=dict)
    """By relay and make; without a break."""
    failed: dict[Make, tuple[datetime, str]] = field(default_factory=dict)
    """Since when, and on whom."""

    def note_look(self, host: SimulatedHost, made: Make, rules: Rules) -> None:
        """Keep what a look at one inspected host can tell."""
        relay, now = host.instance.relay, self.world.clock.now()
        fault = self._what_shows(host)
        if fault is None:
            self.watched.pop((relay, made), None)
            return
        watched = self.watched.get((relay, made), Watched(now)).go_on(now)
        self.watched[relay, made] = watched
        silent = fault in (ReleaseFault.NEVER_LISTENS, ReleaseFault.HANGS)
        late = rules.progress_deadline + TIME_TO_SEE if silent else timedelta()
        if watched.looks >= LOOKS_TO_SEE and watched.time >= late and made not in self.failed:
            self.failed[made] = now, relay

    def forget(self) -> None:
        """An operator wants what failed to be tried again."""
        self.failed.clear()
        self.watched.clear()

    def _what_shows(self, host: SimulatedHost) -> ReleaseFault | None:
        """Return what is wrong with a node by its release if an inspection and a probe show something of it now."""
        world, fault = self.world, self.world.fault_of(host)
        if fault is None or host.node_started is None or host.node_stops_at is not None:
            return None
        replayed = world.clock.now() > host.node_started + host.replays_for
        honest = host.instance.relay not in world.faults.told_by_probe
        match fault:
            case ReleaseFault.NEVER_STARTS:
                return fault if world.unit_state(host) is UnitState.FAILED else None
            case ReleaseFault.WRONG_MAGIC:
                return fault if honest and world.serves(host) else None
            case ReleaseFault.NEVER_LISTENS | ReleaseFault.HANGS:
                return fault if honest and replayed else None
            case ReleaseFault.FORKS | ReleaseFault.GOES_STALE | ReleaseFault.REPLAYS_LONG:
                return None  # whether a chain is wrong, or a replay too long, is a matter of judgement
