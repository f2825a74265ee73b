"""Rules by which others choose who names whom, written from what their generators do, to be compared with ours.

- cardano-parts, role `relay` of `profile-cardano-node-topology.nix`: every other relay of the group.
- cardano-parts, `topoSimpleMax` of `lib/topology.nix`: the next few of all names in order, round and round.
- cardano-ops, `mkRelayTopology` of `nix/topology-lib.nix` as `topologies/mainnet.nix` calls it: in the own region as
  many as make everyone known within one hop, or within two where that takes more than the limit (`connectNodesWithin`,
  `nbPeersWithin`); of every other region one, by the relay's own position scaled to that region's size.

All take a fleet's relays by region in order; none of them looks at what it gave before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count, groupby

from orchestrator.fleet.relay import Relay
from orchestrator.planning.topology import pick_neighbours

NEIGHBOURS, CONNECTIVITY = 4, 3
"""What a fleet file gets that says nothing about it; the ring of topoSimpleMax gets as many."""

MOST_IN_REGION = 5
"""`maxInRegionPeers` of cardano-ops' mainnet."""

Rule = Callable[[Sequence[Relay]], Mapping[str, Sequence[str]]]


def our_rule(relays: Sequence[Relay]) -> Mapping[str, Sequence[str]]:
    """Choose as `planning.topology` does."""
    return pick_neighbours(relays, NEIGHBOURS, CONNECTIVITY)


def everyone(relays: Sequence[Relay]) -> Mapping[str, Sequence[str]]:
    """Name all others."""
    names = [relay.name for relay in relays]
    return {name: [other for other in names if other != name] for name in names}


def next_in_order(relays: Sequence[Relay]) -> Mapping[str, Sequence[str]]:
    """Name the next ones in the order of names."""
    names = sorted(relay.name for relay in relays)
    if len(names) - 1 <= NEIGHBOURS:
        return everyone(relays)
    return {
        name: [names[(place + step) % len(names)] for step in range(1, NEIGHBOURS + 1)]
        for place, name in enumerate(names)
    }


def dealt_by_region(relays: Sequence[Relay]) -> Mapping[str, Sequence[str]]:
    """Name some of the own region, dealt in turn, and one of every other region."""
    regions = {
        region: [relay.name for relay in group]
        for region, group in groupby(sorted(relays, key=lambda relay: (relay.region, relay.index)), lambda r: r.region)
    }
    named: dict[str, list[str]] = {}
    for region, names in regions.items():
        for place, (name, dealt) in enumerate(_deal(names).items()):
            across = [others[place * len(others) // len(names)] for r, others in regions.items() if r != region]
            named[name] = [*dealt, *across]
    return named


def _deal(names: Sequence[str]) -> dict[str, list[str]]:
    """Give each its share of the names, each share beginning where the one before ended; who meets itself takes one more."""
    share, start = _share(len(names)), 1
    dealt: dict[str, list[str]] = {}
    for name in names:
        start %= len(names)
        end = start + share
        if name in (names[place % len(names)] for place in range(start, end)):
            end += 1
        dealt[name] = [other for place in range(start, end) if (other := names[place % len(names)]) != name]
        start = end
    return dealt


def _share(size: int) -> int:
    """Return how many of a region of that size each of its relays names."""
    if size <= MOST_IN_REGION + 1:
        return size - 1
    within_one_hop = next(peers for peers in count(1) if size <= peers**2 + peers)
    if within_one_hop <= MOST_IN_REGION:
        return within_one_hop
    return next(peers for peers in count(1) if size <= peers**3 + peers**2 + peers)


RULES: Mapping[str, Rule] = {
    "this project": our_rule,
    "everyone (cardano-parts, role relay)": everyone,
    "ring of names (cardano-parts, topoSimpleMax 4)": next_in_order,
    "dealt by region (cardano-ops)": dealt_by_region,
}
