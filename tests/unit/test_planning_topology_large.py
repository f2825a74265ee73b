"""Thousands of relays: neighbours are found in seconds, as evenly and as steadily as for twenty."""

from __future__ import annotations

import time
from collections import Counter

import networkx as nx

from orchestrator.fleet.relay import Relay, relay_name
from orchestrator.planning.topology import most_files_changed, pick_neighbours

WANTED, CONNECTIVITY = 6, 3
SIZE = 500
HUGE = 20_000
FEW_SECONDS = 10
"""Of processor time; it takes about one."""


def fleet(size: int = SIZE, regions: tuple[str, ...] = ("eu", "us")) -> list[Relay]:
    return [Relay(relay_name("f", region, n), region, n) for region in regions for n in range(1, size + 1)]


def test_every_relay_of_a_large_region_has_all_its_neighbours_and_all_are_connected() -> None:
    picked = pick_neighbours(fleet(), WANTED, CONNECTIVITY)
    assert {len(set(others)) for others in picked.values()} == {WANTED}
    assert not any(name in others for name, others in picked.items())
    assert nx.is_connected(nx.Graph([(name, other) for name, others in picked.items() for other in others]))


def test_nobody_in_a_large_region_is_named_far_more_often_than_the_others() -> None:
    named = Counter(other for others in pick_neighbours(fleet(), WANTED, CONNECTIVITY).values() for other in others)
    assert max(named.values()) <= 2 * WANTED
    assert len(named) == 2 * SIZE


def test_a_relay_that_joins_a_large_region_changes_few_others() -> None:
    before = pick_neighbours(fleet(), WANTED, CONNECTIVITY)
    joined = Relay(relay_name("f", "eu", SIZE + 1), "eu", SIZE + 1)
    after = pick_neighbours([*fleet(), joined], WANTED, CONNECTIVITY)
    changed = sum(1 for name, others in before.items() if set(after[name]) != set(others))
    assert 0 < changed <= most_files_changed(WANTED, CONNECTIVITY)


def test_neighbours_of_twenty_thousand_relays_are_found_in_seconds() -> None:
    relays = fleet(HUGE // 2)
    began = time.process_time()
    assert len(pick_neighbours(relays, WANTED, CONNECTIVITY)) == HUGE
    assert time.process_time() - began < FEW_SECONDS
