"""Orders in which relays stand on rings. Pure; who names whom along them is decided in `topology`.

A relay's place depends on nothing but its own name, region and number. So a relay that joins or leaves moves nobody
else, and each ring changes in one place only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.fleet.relay import Relay

CIRCLE = 1 << 64
GOLDEN_STEP = 0x9E3779B97F4A7C15
"""The golden section of the circle. Steps of it leave no gap more than 2.7 times as wide as another, however many are
taken (the three-distance theorem), and a further step never moves those before it."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Relays in an order without beginning or end."""

    relays: tuple[Relay, ...]

    def after(self, place: int, steps: int) -> Relay:
        """Return the relay that many steps after a place; negative steps go back."""
        return self.relays[(place + steps) % len(self.relays)]


def mixed_ring(relays: Iterable[Relay]) -> Ring:
    """Order relays so that regions alternate: each region's relays are spread evenly over the circle by their numbers."""
    return Ring(tuple(sorted(relays, key=lambda relay: (_mixed_place(relay), relay.name))))


def shuffled_ring(relays: Iterable[Relay], number: int) -> Ring:
    """Order relays by a hash of their names; each number gives another order, as good as random and always the same."""
    return Ring(tuple(sorted(relays, key=lambda relay: (hashed("ring", str(number), relay.name), relay.name))))


def shuffled(words: Iterable[str], *seed: str) -> Sequence[str]:
    """Order words by a hash of each with the seed."""
    return sorted(words, key=lambda word: (hashed(*seed, word), word))


@lru_cache(maxsize=1 << 18)  # a mesh is made in every look, of the same few words each time
def hashed(*words: str) -> int:
    """Return a place on the circle for these words."""
    return int.from_bytes(hashlib.sha256("\0".join(words).encode()).digest()[:8], "big")


def _mixed_place(relay: Relay) -> int:
    return (hashed("region", relay.region) + relay.index * GOLDEN_STEP) % CIRCLE
