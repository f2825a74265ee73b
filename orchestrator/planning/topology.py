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
from itertools import cycle, islice

from orchestrator.fleet.relay import Relay


def pick_neighbours(relays: Sequence[Relay], wanted: int) -> Mapping[str, tuple[str, ...]]:
    """Return for each relay the names of up to `wanted` others, most important first; the same for any input order.

    `wanted` must be at least 2 for the promises of this module to hold in a fleet of several regions.
    """
    by_region: dict[str, list[str]] = {}
    for relay in sorted(relays):
        by_region.setdefault(relay.region, []).append(relay.name)
    regions = sorted(by_region)
    return {
        relay.name: tuple(islice(_neighbours(relay, by_region, regions), min(wanted, len(relays) - 1)))
        for relay in sorted(relays)
    }


def pick_partners(relays: Sequence[str], partners: Sequence[str], wanted: int) -> Mapping[str, tuple[str, ...]]:
    """Return for each relay up to `wanted` partners, spread so that each partner is named about equally often."""
    ordered = sorted(partners)
    count = min(wanted, len(ordered))
    if count == 0:
        return dict.fromkeys(relays, ())
    return {
        relay: tuple(
            sorted(islice(cycle(ordered), position * count % len(ordered), position * count % len(ordered) + count))
        )
        for position, relay in enumerate(sorted(relays))
    }


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
