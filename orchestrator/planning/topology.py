"""Chooses each relay's neighbours: who names whom. Pure; addresses and files are made from it elsewhere.

The mesh is connected by construction, without counting partners, and stays so when any one region is gone:
- within a region every relay names its successor, so a region's relays form a ring;
- every relay also names one relay in the next region (in name order, cyclically), so regions form a ring too, and a
  ring of regions without one region is still a path.
Further neighbours go round the regions. *Which* relay of a region is named is chosen by rendezvous hashing, so a relay
that joins or leaves changes the files of few others.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from orchestrator.fleet.relay import Relay

LEAST_NEIGHBOURS = 2
"""The successor in its own region and one in the next: what both rings need."""


CANDIDATES = 32
"""How many relays of each region a relay weighs against each other. Weighing all of them would take time with the square
of the fleet; this many leave nobody named much more often than others, and most fleets have fewer a region."""


def pick_neighbours(relays: Sequence[Relay], wanted: int) -> Mapping[str, tuple[str, ...]]:
    """Return for each relay the names of up to `wanted` others, most important first; the same for any input order.

    Never fewer than LEAST_NEIGHBOURS where there are as many: less would tear the fleet apart.
    """
    by_region: dict[str, list[str]] = {}
    for relay in sorted(relays):
        by_region.setdefault(relay.region, []).append(relay.name)
    rings = {region: _Ring.of(names) for region, names in sorted(by_region.items())}
    count = max(wanted, LEAST_NEIGHBOURS)
    return {relay.name: tuple(islice(_neighbours(relay, rings, count), count)) for relay in sorted(relays)}


def pick_partners(relays: Sequence[str], partners: Sequence[str], wanted: int) -> Mapping[str, tuple[str, ...]]:
    """Return for each relay up to `wanted` partners, spread so that each partner is named about equally often.

    A relay's partners do not depend on the other relays: one that joins changes nobody else's files.
    """
    return {relay: tuple(sorted(_by_affinity(relay, partners)[:wanted])) for relay in sorted(relays)}


@dataclass(frozen=True, slots=True)
class _Ring:
    """One region's relays: each one's successor by name, and all of them in the order of their hashes."""

    successors: Mapping[str, str]
    points: Sequence[bytes]
    names: Sequence[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> _Ring:
        """Lay the relays of a region, given in name order, on their ring."""
        placed = sorted((_point(name), name) for name in names)
        return cls(
            dict(zip(names, [*names[1:], names[0]], strict=True)),
            [point for point, _ in placed],
            [name for _, name in placed],
        )

    def candidates(self, relay: str, count: int) -> Sequence[str]:
        """Return those that a relay chooses from: all of a small region, of a large one those next on the ring."""
        width = max(CANDIDATES, count + 1)
        if len(self.names) <= width:
            return self.names
        start = bisect_left(self.points, _point(relay))
        return [self.names[(start + step) % len(self.names)] for step in range(width)]


def _neighbours(relay: Relay, rings: Mapping[str, _Ring], count: int) -> Iterator[str]:
    successor = rings[relay.region].successors[relay.name]
    regions = list(rings)
    named = {relay.name}
    if successor != relay.name:
        named.add(successor)
        yield successor
    start = regions.index(relay.region)
    ring = [*regions[start + 1 :], *regions[: start + 1]]
    ranked = {region: iter(_by_affinity(relay.name, rings[region].candidates(relay.name, count))) for region in ring}
    while ranked:
        for region in ring:
            if region not in ranked:
                continue
            pick = next((name for name in ranked[region] if name not in named), None)
            if pick is None:
                del ranked[region]
                continue
            named.add(pick)
            yield pick


def _by_affinity(relay: str, candidates: Sequence[str]) -> list[str]:
    """Order candidates by their rendezvous weight for this relay."""
    return sorted(candidates, key=lambda name: hashlib.sha256(f"{relay}\0{name}".encode()).digest())


def _point(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
