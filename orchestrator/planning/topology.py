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
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from orchestrator.fleet.relay import Relay

LEAST_NEIGHBOURS = 2
"""The successor in its own region and one in the next: what both rings need."""


def pick_neighbours(relays: Sequence[Relay], wanted: int) -> Mapping[str, tuple[str, ...]]:
    """Return for each relay the names of up to `wanted` others, most important first; the same for any input order.

    Never fewer than LEAST_NEIGHBOURS where there are as many: less would tear the fleet apart.
    """
    by_region: dict[str, list[str]] = {}
    for relay in sorted(relays):
        by_region.setdefault(relay.region, []).append(relay.name)
    regions = sorted(by_region)
    return {
        relay.name: tuple(islice(_neighbours(relay, by_region, regions), max(wanted, LEAST_NEIGHBOURS)))
        for relay in sorted(relays)
    }


def pick_partners(relays: Sequence[str], partners: Sequence[str], wanted: int) -> Mapping[str, tuple[str, ...]]:
    """Return for each relay up to `wanted` partners, spread so that each partner is named about equally often.

    A relay's partners do not depend on the other relays: one that joins changes nobody else's files.
    """
    return {relay: tuple(sorted(_by_affinity(relay, partners)[:wanted])) for relay in sorted(relays)}


def _neighbours(relay: Relay, by_region: Mapping[str, Sequence[str]], regions: Sequence[str]) -> Iterator[str]:
    own = by_region[relay.region]
    successor = own[(own.index(relay.name) + 1) % len(own)]
    named = {relay.name}
    if successor != relay.name:
        named.add(successor)
        yield successor
    start = regions.index(relay.region)
    ring = [*regions[start + 1 :], *regions[: start + 1]]
    ranked = {region: iter(_by_affinity(relay.name, by_region[region])) for region in ring}
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
