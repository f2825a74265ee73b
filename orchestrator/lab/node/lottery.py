"""Decide which slots an issuer leads, from a seed: the stake lottery without the stake. No clock, no randomness.

Every issuer draws for every slot; a draw below its threshold makes it the leader. With equal shares the chance that any of
them leads is the genesis' activeSlotsCoeff, and now and then two lead the same slot: a slot battle, as on the real network.

Who may issue at all stands in the genesis, so that every node can check a claim: a header of another issuer, or of a slot that
its issuer did not win, is refused. A fork that the lab asks for has an issuer of its own, who wins alone as many slots as all
others together; only nodes that were told of that very fork believe it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

DRAW_BYTES = 8
DRAWS = 1 << (8 * DRAW_BYTES)

# Above every number that a genesis could give.
FIRST_FORK_ISSUER = 1 << 32


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


@dataclass(frozen=True, slots=True)
class ForkRule:
    """A fork that a node believes in: blocks of slots after `since` are this issuer's, and nobody else's."""

    issuer: int
    since: int


@dataclass(frozen=True, slots=True)
class LeaderRules:
    """Whose blocks a node believes: the issuers of the genesis, numbered from 0, and at most one fork's."""

    seed: bytes
    issuers: int
    active_slots_coefficient: float
    fork: ForkRule | None = None

    def lottery_of(self, issuer: int) -> Lottery | None:
        """Return an issuer's lot, None for somebody who has none."""
        if issuer < self.issuers:
            return Lottery(self.seed, issuer, self.issuers, self.active_slots_coefficient)
        if self.fork is not None and issuer == self.fork.issuer:
            return Lottery(self.seed, issuer, 1, self.active_slots_coefficient)
        return None


def why_not_leader(rules: LeaderRules, issuer: int, slot: int, claimed: int) -> str | None:
    """Say why this issuer cannot have made a block in this slot with this draw, or None if it can."""
    lottery = rules.lottery_of(issuer)
    if lottery is None:
        return f"the genesis knows no issuer {issuer}"
    if rules.fork is not None and (slot > rules.fork.since) != (issuer == rules.fork.issuer):
        return f"issuer {issuer} is of the other side of the fork at slot {rules.fork.since}"
    if claimed != draw(lottery, slot):
        return f"issuer {issuer} drew another number for slot {slot}"
    if claimed >= lottery.threshold():
        return f"issuer {issuer} does not lead slot {slot}"
    return None


def fork_issuer(name: str) -> int:
    """Return the number of the issuer of a fork, the same wherever the fork has the same name."""
    return FIRST_FORK_ISSUER + int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big")


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
