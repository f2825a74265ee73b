"""Points of a chain, as relays and partners show them. Frozen values; who is right is decided in planning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

HASH_DIGITS = 64


class ChainPoint(NamedTuple):
    """A block: its slot and the hash of its header, in hexadecimal.

    A tuple and not a dataclass: a look is mostly sets of points, which tuples hash and compare several times as fast.
    """

    slot: int
    hash: str

    def __str__(self) -> str:
        return f"{self.slot}.{self.hash}"

    @property
    def short(self) -> str:
        """Return the point with the first eight digits of its hash: enough for people."""
        return f"{self.slot}.{self.hash[:8]}"


def parse_point(text: str) -> ChainPoint:
    """Read `SLOT.HASH`. Raises ValueError that says what is expected."""
    slot, _, block_hash = text.partition(".")
    digits = block_hash.lower()
    if not (
        slot.isdecimal() and slot.isascii() and len(digits) == HASH_DIGITS and set(digits) <= set("0123456789abcdef")
    ):
        raise ValueError(f"{text!r} is no point: expected SLOT.HASH, the hash in {HASH_DIGITS} hexadecimal digits")
    return ChainPoint(int(slot), digits)


@dataclass(frozen=True, slots=True)
class ShownPoint:
    """A point that somebody's tip was at, and who showed it."""

    point: ChainPoint
    block: int
    """Number of the block on its chain."""
    at: datetime
    """When it was first seen."""
    shown_by: frozenset[str]
    """Names of relays and partners whose tip it was."""
