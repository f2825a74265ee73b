"""The chain of a simulated world: blocks at regular slots, branches that part from it, and who stands on which.

Every block's hash follows from its branch and its slot, so whether a point is on somebody's chain needs no history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from orchestrator.fleet.chain import ChainPoint

SLOTS_A_BLOCK = 20
"""One block in twenty slots, as on mainnet; here they come regularly, but for battles."""

MAIN = "main"


@dataclass(frozen=True, slots=True)
class Branch:
    """A chain that left the main one: its blocks from this slot on are its own."""

    name: str
    since_slot: int
    slowness: int = 1
    """It makes one block where the main chain makes so many, as a fork with little stake behind it does."""


@dataclass(slots=True)
class SimulatedChain:
    """Who follows what. Names are relays or partners; whoever is not named follows the main chain up to now."""

    branches: dict[str, Branch] = field(default_factory=dict)
    stalled_at: dict[str, int] = field(default_factory=dict)
    """Name → slot beyond which it has no block."""
    battles: dict[str, int] = field(default_factory=dict)
    """Name → how many of its newest blocks are rivals of everybody else's, in this look."""

    false_tips: dict[str, tuple[ChainPoint, int]] = field(default_factory=dict)
    """Name → the tip and block number that it tells instead of its own."""

    def tip_of(self, name: str, slot: int) -> tuple[ChainPoint, int]:
        """Return the newest point of somebody's chain at a slot, and its block number, as it tells them."""
        if name in self.false_tips:
            return self.false_tips[name]
        return self._tip_of(name, slot)

    def _tip_of(self, name: str, slot: int) -> tuple[ChainPoint, int]:
        slot, number = self._newest_block(name, min(slot, self.stalled_at.get(name, slot)))
        return self._point(name, slot, number, number), number

    def view_of(self, name: str) -> tuple[Branch | None, int | None, int, tuple[ChainPoint, int] | None, str]:
        """Return all that somebody's chain depends on beside the slot: whoever has the same view has the same chain."""
        battles = self.battles.get(name, 0)
        false_tip = self.false_tips.get(name)
        return self.branches.get(name), self.stalled_at.get(name), battles, false_tip, name if battles else ""

    def select_known(self, name: str, slot: int, points: Iterable[ChainPoint]) -> frozenset[ChainPoint]:
        """Return which of these points are on somebody's chain at a slot."""
        tip, newest = self._tip_of(name, slot)
        known = set()
        for point in points:
            at, number = self._newest_block(name, point.slot)
            if at == point.slot <= tip.slot and self._point(name, at, number, newest) == point:
                known.add(point)
        return frozenset(known)

    def _newest_block(self, name: str, slot: int) -> tuple[int, int]:
        """Return slot and number of the newest block of somebody's chain up to a slot."""
        branch = self.branches.get(name)
        if branch is None or slot < branch.since_slot:
            number = slot // SLOTS_A_BLOCK
            return number * SLOTS_A_BLOCK, number
        blocks = (slot - branch.since_slot) // (SLOTS_A_BLOCK * branch.slowness)
        return branch.since_slot + blocks * SLOTS_A_BLOCK * branch.slowness, branch.since_slot // SLOTS_A_BLOCK + blocks

    def _point(self, name: str, slot: int, number: int, newest: int) -> ChainPoint:
        branch = self.branches.get(name)
        on = branch.name if branch is not None and slot >= branch.since_slot else MAIN
        if newest - number < self.battles.get(name, 0):
            on = f"{on}, rival of {name}"
        return _make_point(on, slot)


@lru_cache(maxsize=100_000)
def _make_point(on: str, slot: int) -> ChainPoint:
    return ChainPoint(slot, hashlib.sha256(f"{on}/{slot}".encode()).hexdigest())
