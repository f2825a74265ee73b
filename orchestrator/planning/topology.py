"""Chooses each relay's neighbours: who names whom. Pure; addresses and files are made from it elsewhere.

Relays stand on a ring on which regions alternate (`rings.mixed_ring`). With `half` = half the connectivity, rounded up,
each relay names, in this order:

1. *successors*: the `half` relays after it on the ring;
2. *bypass*: if the first of them, s, is of another region than itself, the first relay after s that is not of s's region;
3. *shortcuts*: for every further name it may give, one that stands close after it on another, shuffled ring.

What follows by construction, with an edge between two relays when either names the other, and no partner counted:

- Any connectivity - 1 relays may go. Successors alone make a circulant graph, in which every cut takes 2 x half relays
  (Harary, 1962): a ring falls apart in two places only, and each needs `half` neighbours in a row to be gone. In a fleet
  of n relays with n - 1 < connectivity everyone knows everyone, and n - 1 is the most there can be.
- Any one region may go. Let x survive the loss of region R, and y be the next survivor on the ring. If nobody between
  them is lost, y is x's first successor. Otherwise all between them are of R and x is not, so y is x's bypass. Hence
  the survivors still form a ring: however uneven the regions, also when one region alone is left.
- A relay that joins or leaves changes few files, however large the fleet and also if its region comes or goes with it:
  `most_files_changed` counts them.

The shortcuts are what makes the diameter small: rings in random orders, laid over each other, have a diameter that grows with the logarithm
of the fleet. They prefer regions that a relay does not name yet. docs/mesh.md has the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import gcd
from types import MappingProxyType

from orchestrator.fleet.relay import Relay
from orchestrator.planning.rings import Ring, mixed_ring, shuffled, shuffled_ring

WINDOW = 4
"""How many relays of a shuffled ring one chooses its shortcut from. More would spread them better over regions; but each
of that many may have to choose anew when another joins."""


def least_named(connectivity: int) -> int:
    """Return how many others a relay must be able to name: its successors and a bypass."""
    return _half(connectivity) + 1


def most_files_changed(wanted: int, connectivity: int) -> int:
    """Return how many other relays' names may change at most when one joins or leaves, whatever the size of the fleet.

    Those who name it as a successor, who bypass with it, and those whose choice of shortcuts it narrows by naming them
    first (2 x half + 1 together); a window's width of relays for each shortcut; and those who make up on the first
    ring for a shortcut that was not to be had. The usual number is that of the relays who name it: `wanted`.
    """
    half, count = _half(connectivity), max(wanted, least_named(connectivity))
    return 2 * half + 1 + (count - half) * (WINDOW + 1)


def pick_neighbours(relays: Sequence[Relay], wanted: int, connectivity: int) -> Mapping[str, tuple[str, ...]]:
    """Return for each relay the names of `wanted` others, most important first; the same for any input order.

    More where the connectivity needs more (`least_named`), fewer only where there are not as many others.
    """
    return _pick_neighbours(tuple(sorted(relays)), max(wanted, least_named(connectivity)), _half(connectivity))


def pick_partners(relays: Sequence[Relay], partners: Sequence[str], wanted: int) -> Mapping[str, tuple[str, ...]]:
    """Return for each relay up to `wanted` partners, so that each partner is named about equally often.

    The relays of a region take turns by their numbers: after so many that it comes out even, each partner was named by
    equally many of them, and the next ones go through the partners in another order. A relay's partners depend on no other
    relay: one that joins changes nobody else's files.
    """
    count = min(wanted, len(partners))
    turn = len(partners) // gcd(len(partners), count) if count else 1
    orders: dict[tuple[str, int], Sequence[str]] = {}
    picked: dict[str, tuple[str, ...]] = {}
    for relay in sorted(relays):
        round_number, place = divmod(relay.index - 1, turn)
        key = (relay.region, round_number)
        if key not in orders:
            orders[key] = shuffled(partners, "partners", relay.region, str(round_number))
        start = place * count % max(len(partners), 1)
        picked[relay.name] = tuple(sorted([*orders[key], *orders[key]][start : start + count]))
    return picked


def _half(connectivity: int) -> int:
    return (connectivity + 1) // 2


# A look plans from the same relays as the one before, unless one came, went or is quarantined.
@lru_cache(maxsize=8)
def _pick_neighbours(relays: tuple[Relay, ...], wanted: int, half: int) -> Mapping[str, tuple[str, ...]]:
    ring = mixed_ring(relays)
    count = min(wanted, len(relays) - 1)
    if count <= 0:
        return MappingProxyType({relay.name: () for relay in relays})
    named = [_along_ring(ring, place, min(half, count)) for place in range(len(relays))]
    shortcuts = max(count - half, 0)
    others = [shuffled_ring(relays, number) for number in range(shortcuts)]
    places = [{relay: place for place, relay in enumerate(other.relays)} for other in others]
    for place, relay in enumerate(ring.relays):
        own = named[place]
        naming_it = {ring.after(place, -step) for step in range(1, half + 1)}
        for other, at in zip(others, places, strict=True):
            if len(own) < count:
                own += _shortcut(other, at[relay], avoid={relay, *own, *naming_it}, have={o.region for o in own})
        _fill_up(ring, place, own, count)
    return MappingProxyType(
        {relay.name: tuple(other.name for other in own) for relay, own in zip(ring.relays, named, strict=True)}
    )


def _along_ring(ring: Ring, place: int, half: int) -> list[Relay]:
    """Return the successors, then the bypass where there is one that is no successor anyway."""
    relay, first = ring.after(place, 0), ring.after(place, 1)
    successors = [ring.after(place, step) for step in range(1, half + 1)]
    if relay.region == first.region:
        return successors
    step = 2
    while ring.after(place, step).region == first.region:
        step += 1  # ends at the relay itself at the latest: it is of another region
    bypass = ring.after(place, step)
    return successors if bypass == relay or bypass in successors else [*successors, bypass]


def _shortcut(ring: Ring, place: int, avoid: set[Relay], have: set[str]) -> list[Relay]:
    """Return the nearest relay of a region that is not yet had, else the nearest, else nobody within the window."""
    window = [ring.after(place, step) for step in range(1, WINDOW + 1)]
    choice = [relay for relay in window if relay not in avoid]
    return [relay for relay in choice if relay.region not in have][:1] or choice[:1]


def _fill_up(ring: Ring, place: int, own: list[Relay], count: int) -> None:
    """Add further successors where shortcuts were not to be had: in the smallest fleets."""
    step = 1
    while len(own) < count:
        successor = ring.after(place, step)
        if successor not in own:
            own.append(successor)
        step += 1
