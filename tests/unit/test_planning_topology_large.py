"""Neighbours in regions larger than what one relay weighs: as even, as steady and as connected as in small ones."""

from __future__ import annotations

from collections import Counter

import networkx as nx

from orchestrator.fleet.relay import Relay, relay_name
from orchestrator.planning.topology import CANDIDATES, pick_neighbours

WANTED = 6
SIZE = 10 * CANDIDATES


def fleet(size: int = SIZE, regions: tuple[str, ...] = ("eu", "us")) -> list[Relay]:
    return [Relay(relay_name("f", region, n), region, n) for region in regions for n in range(1, size + 1)]


def test_every_relay_of_a_large_region_has_all_its_neighbours_and_all_are_connected() -> None:
    picked = pick_neighbours(fleet(), WANTED)
    assert {len(set(others)) for others in picked.values()} == {WANTED}
    assert not any(name in others for name, others in picked.items())
    assert nx.is_connected(nx.Graph([(name, other) for name, others in picked.items() for other in others]))


def test_nobody_in_a_large_region_is_named_far_more_often_than_the_others() -> None:
    named = Counter(other for others in pick_neighbours(fleet(), WANTED).values() for other in others)
    assert max(named.values()) <= 4 * WANTED
    assert len(named) == 2 * SIZE


def test_a_relay_that_joins_a_large_region_changes_few_others() -> None:
    before = pick_neighbours(fleet(), WANTED)
    joined = Relay(relay_name("f", "eu", SIZE + 1), "eu", SIZE + 1)
    after = pick_neighbours([*fleet(), joined], WANTED)
    assert sum(1 for name, others in before.items() if after[name] != others) <= 4 * WANTED


def test_a_request_for_more_neighbours_than_are_usually_weighed_is_met() -> None:
    picked = pick_neighbours(fleet(regions=("eu",)), CANDIDATES + 10)
    assert {len(set(others)) for others in picked.values()} == {CANDIDATES + 10}
