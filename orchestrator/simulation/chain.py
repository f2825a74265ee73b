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


@dataclass(slots=True)
class SimulatedChain:
    """Who follows what. Names are relays or partners; whoever is not named follows the main chain up to now."""

    branches: dict[str, Branch] = field(default_factory=dict)
    stalled_at: dict[str, int] = field(default_factory=dict)
    """Name → slot beyond which it has no block."""
    battles: dict[str, int] = field(default_factory=dict)
    """Name → how many of its newest blocks are rivals of everybody else's, in this look."""

    def tip_of(self, name: str, slot: int) -> tuple[ChainPoint, int]:
        """Return the newest point of somebody's chain at a slot, and its block number."""
        slot = min(slot, self.stalled_at.get(name, slot))
        block = slot // SLOTS_A_BLOCK
        return self._point(name, block, block), block

    def select_known(self, name: str, slot: int, points: Iterable[ChainPoint]) -> frozenset[ChainPoint]:
        """Return which of these points are on somebody's chain at a slot."""
        _, newest = self.tip_of(name, slot)
        known = set()
        for point in points:
            block = point.slot // SLOTS_A_BLOCK
            if block <= newest and self._point(name, block, newest) == point:
                known.add(point)
        return frozenset(known)

    def _point(self, name: str, block: int, newest: int) -> ChainPoint:
        slot = block * SLOTS_A_BLOCK
        branch = self.branches.get(name)
        on = branch.name if branch is not None and slot >= branch.since_slot else MAIN
        if newest - block < self.battles.get(name, 0):
            on = f"{on}, rival of {name}"
        return _make_point(on, block)


@lru_cache(maxsize=100_000)
def _make_point(on: str, block: int) -> ChainPoint:
    return ChainPoint(block * SLOTS_A_BLOCK, hashlib.sha256(f"{on}/{block}".encode()).hexdigest())
