"""Decide which slots an issuer leads, from a seed: the stake lottery without the stake. No clock, no randomness.

Every issuer draws for every slot; a draw below its threshold makes it the leader. With equal shares the chance that any of
them leads is the genesis' activeSlotsCoeff, and now and then two lead the same slot: a slot battle, as on the real network.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

DRAW_BYTES = 8
DRAWS = 1 << (8 * DRAW_BYTES)


@dataclass(frozen=True, slots=True)
class Lottery:
    """One issuer's lot. `issuer` counts from 0; `issuers` is how many share the slots equally."""

    seed: bytes
    issuer: int
    issuers: int
    active_slots_coefficient: float

    def threshold(self) -> int:
        """Return the draw below which a slot is led: 1 - (1 - f) ** share, as Praos has it."""
        chance = 1.0 - (1.0 - self.active_slots_coefficient) ** (1.0 / self.issuers)
        return int(chance * DRAWS)


def draw(lottery: Lottery, slot: int) -> int:
    """Return this issuer's draw for a slot, the same on every machine."""
    text = b"%b/%d/%d" % (lottery.seed, lottery.issuer, slot)
    return int.from_bytes(hashlib.blake2b(text, digest_size=DRAW_BYTES).digest(), "big")


def next_led_slot(lottery: Lottery, first: int) -> tuple[int, int]:
    """Return the first slot from `first` on that this issuer leads, and its draw for it."""
    threshold = lottery.threshold()
    slot = first
    while (drawn := draw(lottery, slot)) >= threshold:
        slot += 1
    return slot, drawn
