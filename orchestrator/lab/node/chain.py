"""The chain that a node has adopted, and the rule by which it prefers another one. No I/O, no clock.

A chain is headers in order, each naming the hash of the one before. It can be extended, rolled back, searched for a
common point, and read from a point onward; a reader whose point was rolled back is sent to where the chains parted. The
better chain is the longer one. Of two chains of one length the node keeps its own, unless both tips are of nearly the same
slot and the other tip drew the lower lottery number: so two nodes that made a block in one slot soon agree, as real ones do.

Only the newest `security_parameter` blocks can be rolled back. What is on disk is decided by `database`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.ouroboros.chainsync import BlockPoint, Origin, Point

from .header import HASH_BYTES, Header, parse_header

# Two blocks of one height are decided by the lottery only if their slots are this close, as from the Conway era on.
# Otherwise a late block with a lucky number could replace one that everybody has long since followed.
SLOTS_OF_A_BATTLE = 5

# How many rolled-back blocks are remembered, so that readers who stand on one find back; older readers start anew.
REMEMBERED_ROLLBACKS = 10_000


class BrokenChain(Exception):
    """A header that does not continue the chain it was put on."""


ORIGIN = Origin()


class Chain:
    """The adopted chain, in few bytes a block: a day of blocks has to fit beside nineteen other nodes."""

    __slots__ = ("_encoded", "_hashes", "_parted", "_slots", "security_parameter", "tip")

    def __init__(self, security_parameter: int, headers: Iterable[Header] = ()) -> None:
        self.security_parameter = security_parameter
        self.tip: Header | None = None
        self._encoded: list[bytes] = []
        self._hashes = bytearray()
        self._slots = array("Q")
        self._parted: OrderedDict[bytes, Point] = OrderedDict()
        for header in headers:
            self.extend(header)

    def __len__(self) -> int:
        return len(self._encoded)

    def extend(self, header: Header) -> None:
        """Add the next block; raise BrokenChain if it does not continue the tip."""
        reason = why_not_after(header, self.tip)
        if reason is not None:
            raise BrokenChain(f"block {header.number} of slot {header.slot}: {reason}")
        self._encoded.append(header.encoded)
        self._hashes += header.hash
        self._slots.append(header.slot)
        self.tip = header

    def roll_back(self, length: int, tip: Header | None) -> None:
        """Cut the chain to its first `length` blocks, the last of which is `tip`."""
        for index in range(length, len(self)):
            self._parted[self._hash_at(index)] = self.point_at(index - 1)
        while len(self._parted) > REMEMBERED_ROLLBACKS:
            self._parted.popitem(last=False)
        del self._encoded[length:]
        del self._slots[length:]
        del self._hashes[length * HASH_BYTES :]
        self.tip = tip

    def point_at(self, index: int) -> Point:
        """Return the point of the block at this index, -1 being the origin."""
        return ORIGIN if index < 0 else BlockPoint(self._slots[index], self._hash_at(index))

    def encoded_at(self, index: int) -> bytes:
        """Return the header at this index as it travels."""
        return self._encoded[index]

    def index_of(self, point: Point) -> int | None:
        """Return the index of a point, -1 for the origin, None if it is not on this chain."""
        if isinstance(point, Origin):
            return -1
        index = bisect_left(self._slots, point.slot)
        found = index < len(self) and self._slots[index] == point.slot and self._hash_at(index) == point.hash
        return index if found else None

    def intersect(self, points: Iterable[Point]) -> Point | None:
        """Return the first of these points that is on the chain."""
        return next((point for point in points if self.index_of(point) is not None), None)

    def where_parted(self, point: Point) -> Point:
        """Return the newest point of this chain that is before a point no longer on it; the origin if forgotten."""
        while isinstance(point, BlockPoint) and self.index_of(point) is None:
            point = self._parted.get(point.hash, ORIGIN)
        return point

    def recent_points(self) -> list[Point]:
        """Return points to ask a peer about, newest first: dense at the tip, sparse below, the origin last."""
        points: list[Point] = []
        step = 1
        index = len(self) - 1
        while index >= 0:
            points.append(self.point_at(index))
            step = step * 2 if len(points) > 5 else 1
            index -= step
        return [*points, ORIGIN]

    def count_blocks_since(self, slot: int) -> int:
        """Count the blocks of this slot and later ones."""
        return len(self) - bisect_left(self._slots, slot)

    def _hash_at(self, index: int) -> bytes:
        return bytes(self._hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES])


def why_not_after(header: Header, tip: Header | None) -> str | None:
    """Say why this header cannot follow this tip, or None if it can."""
    if tip is None:
        return None if header.previous is None and header.number == 0 else "it is not the first block of a chain"
    if header.previous != tip.hash:
        return "it names another previous block"
    if header.number != tip.number + 1:
        return f"its number should be {tip.number + 1}"
    if header.slot <= tip.slot:
        return f"its slot is not after slot {tip.slot}"
    return None


def prefers(candidate: Header | None, current: Header | None) -> bool:
    """Tell whether the chain that ends in `candidate` is better than the one that ends in `current`."""
    if candidate is None or current is None:
        return candidate is not None
    if candidate.number != current.number:
        return candidate.number > current.number
    close = abs(candidate.slot - current.slot) <= SLOTS_OF_A_BATTLE
    # One issuer draws one number a slot: two of its blocks in one slot, on different ones before, are told apart by hash.
    return close and (candidate.draw, candidate.hash) < (current.draw, current.hash)


class Candidate:
    """What one peer has shown of its chain, since a point that we once had in common."""

    __slots__ = ("anchor", "fragment")

    def __init__(self, anchor: Point) -> None:
        self.anchor = anchor
        self.fragment: list[Header] = []

    def roll_forward(self, header: Header) -> None:
        """Add the peer's next header; raise BrokenChain if it does not follow the one before."""
        expected = self.fragment[-1].hash if self.fragment else (_hash_of(self.anchor))
        reason = why_not_after(header, self.fragment[-1]) if self.fragment else None
        if reason is not None or header.previous != expected:
            raise BrokenChain(f"block {header.number} of slot {header.slot}: {reason or 'another previous block'}")
        self.fragment.append(header)

    def roll_backward(self, point: Point) -> None:
        """Go back to a point; raise BrokenChain if it lies before all that the peer has shown."""
        if point == self.anchor:
            self.fragment.clear()
            return
        for index, header in enumerate(self.fragment):
            if isinstance(point, BlockPoint) and header.hash == point.hash:
                del self.fragment[index + 1 :]
                return
        raise BrokenChain("a roll back beyond all that was shown")

    def trim(self, keep: int) -> None:
        """Forget all but the newest blocks, of a candidate that has been adopted."""
        if len(self.fragment) > 2 * keep:
            forgotten = len(self.fragment) - keep
            newest = self.fragment[forgotten - 1]
            self.anchor = BlockPoint(newest.slot, newest.hash)
            del self.fragment[:forgotten]


@dataclass(frozen=True, slots=True)
class Adoption:
    """A change of chain: keep the first `kept` blocks, ending in `tip`, then add `added`."""

    kept: int
    tip: Header | None
    added: Sequence[Header]


def choose(chain: Chain, candidate: Candidate) -> Adoption | None:
    """Say how to go over to the candidate, or None if the chain at hand is as good, or too much would be undone.

    Raise BrokenChain when the two have nothing in common any more: the peer has to be asked for an intersection again.
    """
    newest = candidate.fragment[-1] if candidate.fragment else None
    if not prefers(newest, chain.tip):
        return None
    for index in range(len(candidate.fragment) - 1, -1, -1):
        header = candidate.fragment[index]
        at = chain.index_of(BlockPoint(header.slot, header.hash))
        if at is not None:
            return _adopt(chain, at + 1, header, candidate.fragment[index + 1 :])
    at = chain.index_of(candidate.anchor)
    if at is None:
        raise BrokenChain("nothing in common with the chain at hand")
    return _adopt(chain, at + 1, read_header(chain, at), candidate.fragment)


def _adopt(chain: Chain, kept: int, tip: Header | None, added: Sequence[Header]) -> Adoption | None:
    if len(chain) - kept > chain.security_parameter:
        return None
    return Adoption(kept, tip, tuple(added))


def read_header(chain: Chain, index: int) -> Header | None:
    """Return the header at this index of the chain, None before the first."""
    return parse_header(chain.encoded_at(index)) if index >= 0 else None


def _hash_of(point: Point) -> bytes | None:
    return point.hash if isinstance(point, BlockPoint) else None
