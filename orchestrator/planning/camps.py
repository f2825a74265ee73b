"""Who is on one chain with whom: witnesses that answered the wire, sorted into camps. Pure; judges nobody.

A witness tells which of the points asked about are on its chain, and its tip. Two of them have *parted* if one lacks a block
of the other's that it is already past. They are *apart* if one has certainly built more than a slot battle's few blocks
since. One that merely lags contradicts nobody: it may fit into several camps, and then has no voice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.fleet.record import Suspicion
from orchestrator.planning.budget import name_some

Heights = Mapping[ChainPoint, int]
"""Block number of every point that may be named."""

TOLD = (Verdict.OK, Verdict.STALE_TIP)
"""Verdicts behind which a witness told its tip."""


@dataclass(frozen=True, slots=True)
class Witness:
    """What one relay or partner told of its chain."""

    name: str
    partner: bool
    release: str | None
    """Version that a relay runs; None if that is not known, and for partners."""
    tip: ChainPoint
    block: int
    asked: frozenset[ChainPoint]
    has: frozenset[ChainPoint]
    """Points on its chain, its own tip among them."""


@dataclass(frozen=True, slots=True)
class Camp:
    """Witnesses on one chain; the first has the highest tip."""

    members: tuple[Witness, ...]

    @property
    def relays(self) -> tuple[Witness, ...]:
        """Return those of our fleet."""
        return tuple(member for member in self.members if not member.partner)

    @property
    def partners(self) -> tuple[Witness, ...]:
        """Return those of others."""
        return tuple(member for member in self.members if member.partner)

    @property
    def releases(self) -> frozenset[str]:
        """Return the releases that its relays run, as far as known."""
        return frozenset(member.release for member in self.relays if member.release is not None)

    def points(self) -> frozenset[ChainPoint]:
        """Return the camp's chain: points that more than half of the members are known to have."""
        return self._list_of_most((member.has, None) for member in self.members)

    def rejected(self) -> frozenset[ChainPoint]:
        """Return what is certainly not the camp's chain: points that more than half of the members are past without having."""
        return self._list_of_most((member.asked - member.has, member.tip.slot) for member in self.members)

    def _list_of_most(self, told: Iterable[tuple[frozenset[ChainPoint], int | None]]) -> frozenset[ChainPoint]:
        """Return the points, each up to its teller's slot, that more than half of the members tell.

        Members of one camp mostly tell the very same: what is alike is counted once, with its number.
        """
        counts: Counter[ChainPoint] = Counter()
        for (points, until), tellers in Counter(told).items():
            for point in points:
                if until is None or point.slot <= until:
                    counts[point] += tellers
        return frozenset(point for point, count in counts.items() if count * 2 > len(self.members))


def make_witness(name: str, sighting: Sighting, *, partner: bool, release: str | None = None) -> Witness | None:
    """Return what a sighting witnesses, None if it told no tip."""
    if sighting.verdict not in TOLD or sighting.tip is None or sighting.tip_block is None:
        return None
    itself = frozenset((sighting.tip,))
    return Witness(
        name, partner, release, sighting.tip, sighting.tip_block, sighting.asked | itself, sighting.has | itself
    )


def find_common(one: frozenset[ChainPoint], other: frozenset[ChainPoint], heights: Heights) -> ChainPoint | None:
    """Return the highest point that two chains share, None if they share none of those that are known."""
    shared = [(heights[point], point) for point in one & other if point in heights]
    return max(shared)[1] if shared else None


def list_lacking(witness: Witness, points: frozenset[ChainPoint]) -> frozenset[ChainPoint]:
    """Return which of these points the witness lacks although it is past them."""
    return frozenset(p for p in (points & witness.asked) - witness.has if p.slot <= witness.tip.slot)


@dataclass(frozen=True, slots=True)
class Parting:
    """Where a witness left a chain, as exactly as the points tell: after `common_block`, and before `parted_block`."""

    common: ChainPoint | None
    common_block: int | None
    """None if none of the points asked about is in common: then nobody knows how deep it goes."""
    parted_block: int

    def least_depth(self, block: int) -> int:
        """Return how many blocks a tip at this height is past the common point, at least; 0 if it is below it itself."""
        return max(block - self.parted_block + 1, 0)

    def most_depth(self, block: int) -> int | None:
        """Return how many blocks it is past it, at most; None if that is not known."""
        return max(block - self.common_block, 0) if self.common_block is not None else None


def recall_parting(found: Suspicion) -> Parting:
    """Return where earlier looks saw a witness leave the others' chain."""
    return Parting(found.common, found.common_block, found.parted_block)


def find_parting(
    witness: Witness, chain: frozenset[ChainPoint], rejected: frozenset[ChainPoint], heights: Heights
) -> Parting | None:
    """Return where the witness left a chain, None if nothing contradicts that it is on it.

    `chain` are points of that chain, `rejected` points that are not on it. Both sides tell: blocks of the chain that the witness
    lacks, and blocks that it has and the chain has not. A fork that is made slowly shows in the second alone.
    """
    apart = list_lacking(witness, chain) | (witness.has & rejected)
    parted = [heights[point] for point in apart if point in heights]
    if not parted:
        return None
    common = find_common(witness.has, chain, heights)
    return Parting(common, heights[common] if common is not None else None, min(parted))


def is_apart(one: Witness, other: Witness, heights: Heights, fork_depth: int) -> bool:
    """Whether a witness is on another chain than another one, by more than a slot battle for certain."""
    if one.has == other.has:
        return False  # as nearly always: neither has what the other lacks
    parting = find_parting(one, other.has, list_lacking(other, one.has), heights)
    return parting is not None and parting.least_depth(one.block) > fork_depth


def find_camps(
    witnesses: Iterable[Witness], heights: Heights, fork_depth: int, known: Mapping[str, Parting]
) -> tuple[Camp, ...]:
    """Sort witnesses into camps, largest first; whoever fits into several is in none. Any order gives the same.

    `known` is what earlier looks knew of who parted where: points are forgotten.
    """

    def part(one: Witness, other: Witness) -> bool:
        return any(
            is_apart(first, second, heights, fork_depth) or _was_apart(first, second, heights, fork_depth, known)
            for first, second in ((one, other), (other, one))
        )

    by_height = sorted(witnesses, key=lambda w: (-w.block, w.tip, w.name))
    heads: list[Witness] = []
    for witness in by_height:
        if all(part(witness, head) for head in heads):
            heads.append(witness)
    members: dict[str, list[Witness]] = {head.name: [head] for head in heads}
    for witness in by_height:
        if witness.name not in members:
            fitting = [head for head in heads if not part(witness, head)]
            if len(fitting) == 1:
                members[fitting[0].name].append(witness)
    camps = [Camp(tuple(camp)) for camp in members.values()]
    return tuple(sorted(camps, key=lambda camp: (-len(camp.members), camp.members[0].name)))


def _was_apart(one: Witness, other: Witness, heights: Heights, fork_depth: int, known: Mapping[str, Parting]) -> bool:
    """Whether a witness is known to have left everybody, and shows nothing in common with this one since."""
    parting = known.get(one.name)
    if parting is None or parting.least_depth(one.block) <= fork_depth:
        return False
    common = find_common(one.has, other.has, heights)
    return common is None or (parting.common_block is not None and heights[common] <= parting.common_block)


def describe_camp(camp: Camp) -> str:
    """Return who is in a camp, by release: `3 relays (2 on 10.6.2, 1 on 10.5.1: …), partners alpha`."""
    parts = []
    if camp.relays:
        releases = sorted({member.release or "unknown release" for member in camp.relays})
        counts = ", ".join(
            f"{sum(1 for m in camp.relays if (m.release or 'unknown release') == release)} on {release}"
            for release in releases
        )
        parts.append(f"{_count(len(camp.relays), 'relay')} ({counts}: {_some(camp.relays)})")
    if camp.partners:
        parts.append(f"{_count(len(camp.partners), 'partner')} ({_some(camp.partners)})")
    head = camp.members[0]
    return f"{' and '.join(parts)} at {head.tip.short}, block {head.block}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _some(members: Iterable[Witness]) -> str:
    return name_some(sorted(member.name for member in members))
