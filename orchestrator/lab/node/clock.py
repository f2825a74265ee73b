"""The slot clock: what slot a time is in, and when a slot begins. The only place of the lab node that knows the time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .config import Genesis


@dataclass(frozen=True, slots=True)
class SlotClock:
    """Slots of a fixed length since the start of the system."""

    start_seconds: float
    slot_seconds: float

    def slot_now(self) -> int:
        """Return the slot of this moment."""
        return self.slot_at(time.time())

    def slot_at(self, unix_seconds: float) -> int:
        """Return the slot of a moment."""
        return int((unix_seconds - self.start_seconds) / self.slot_seconds)

    def seconds_until(self, slot: int) -> float:
        """Return how long until a slot begins; negative once it has."""
        return self.start_seconds + slot * self.slot_seconds - time.time()


def make_clock(genesis: Genesis) -> SlotClock:
    """Take the clock from the genesis."""
    return SlotClock(genesis.system_start.timestamp(), genesis.slot_length.total_seconds())
