"""The rollout of a wish as it is handed on within one look, and what its states mean. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.fleet.rollout import Rollout, RolloutEvent, RolloutRecord, RolloutState, Settling
from orchestrator.planning.footing import Footing
from orchestrator.planning.look import Look

BACKWARD = (RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK)

STOPPED = (RolloutState.HALTED, *BACKWARD)
"""States in which nobody further is updated until somebody says so."""


@dataclass(frozen=True, slots=True)
class Wished:
    """The rollout of the present wish, and what became of it in this look."""

    rollout: Rollout
    record: RolloutRecord
    """Everything else that is kept."""
    events: tuple[RolloutEvent, ...] = field(default=())

    def turn(self, state: RolloutState, because: str, what: str, look: Look, *, user: str = "") -> Wished:
        """Return it in another state, with the event that tells so."""
        rollout = replace(self.rollout, state=state, because=because, since=look.now, by=user)
        return replace(self, rollout=rollout).tell(what, because, look, user=user)

    def tell(self, what: str, text: str, look: Look, *, user: str = "") -> Wished:
        """Return it with one more event."""
        event = RolloutEvent(look.now, self.rollout.target, self.rollout.version, what, text, user)
        return replace(self, events=(*self.events, event))


def is_trusted(rollout: Rollout) -> bool:
    """Whether the wish is what the fleet had proven before: the way back needs no canary."""
    return all(rollout.good.get(region) == digest for region, digest in rollout.wish.items())


def list_wanted_waves(rollout: Rollout, footings: Mapping[str, Footing]) -> tuple[tuple[str, ...], ...]:
    """Return the waves without relays that the fleet file no longer asks for; a wave may be empty."""
    return tuple(tuple(name for name in wave if name in footings) for wave in rollout.waves)


def told_digest(record: RolloutRecord, name: str) -> str:
    """Return what a relay was told to be at its last restart, or nothing."""
    restart = record.restarts.get(name)
    return restart.digest if restart is not None else ""


def is_settled(name: str, settling: Mapping[str, Settling]) -> bool:
    """Whether a relay has served out its bake."""
    found = settling.get(name)
    return found is not None and found.settled


def find_open_wave(waves: Sequence[Sequence[str]], settling: Mapping[str, Settling]) -> int | None:
    """Return the first wave in which somebody has not settled; None if all have."""
    for index, wave in enumerate(waves):
        if not all(is_settled(name, settling) for name in wave):
            return index
    return None
