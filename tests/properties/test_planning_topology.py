"""What every mesh promises, for any fleet; networkx is the judge, never the maker's own word."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from statistics import mean

import networkx as nx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.fleet.relay import Relay, relay_name
from orchestrator.planning.topology import least_named, most_files_changed, pick_neighbours, pick_partners

MANY = settings(deadline=None, max_examples=150, derandomize=True)
FEW = settings(deadline=None, max_examples=80, derandomize=True)
REGIONS = [f"region-{letter}" for letter in "abcdefghij"]
WANTED, CONNECTIVITY = 4, 3
"""What a fleet file gets that says nothing about it."""


def make_fleet(*counts: int) -> list[Relay]:
    return [
        Relay(relay_name("demo", region, index), region, index)
        for region, count in zip(REGIONS, counts, strict=False)
        for index in range(1, count + 1)
    ]


@st.composite
def fleets(draw: st.DrawFn, most: int = 30, least: int = 3) -> list[Relay]:
    """Of 3 to 300 relays in 1 to 10 regions of any sizes, with gaps in their numbers as retired hosts leave them."""
    counts = draw(st.lists(st.integers(1, most), min_size=1, max_size=10).filter(lambda c: sum(c) >= least))
    relays = make_fleet(*counts)
    gone = draw(st.sets(st.sampled_from(relays), max_size=len(relays) - least))
    return [relay for relay in relays if relay not in gone]


wanted_numbers = st.integers(1, 8)
connectivities = st.integers(1, 6)
THREE_REGIONS = make_fleet(30, 1, 1)


def graph(relays: list[Relay], wanted: int = WANTED, connectivity: int = CONNECTIVITY) -> nx.Graph:
    made = nx.Graph()
    made.add_nodes_from((relay.name, {"region": relay.region}) for relay in relays)
    picked = pick_neighbours(relays, wanted, connectivity)
    made.add_edges_from((name, other) for name, others in picked.items() for other in others)
    return made


def without(whole: nx.Graph, gone: set[str]) -> nx.Graph:
    return whole.subgraph(set(whole) - gone)


@FEW
@given(relays=fleets(most=12), wanted=wanted_numbers, connectivity=connectivities)
def test_a_mesh_is_as_connected_as_is_asked_for_or_as_its_size_allows(relays, wanted, connectivity) -> None:
    found = nx.node_connectivity(graph(relays, wanted, connectivity))
    assert found >= min(connectivity, len(relays) - 1)


@FEW
@given(relays=fleets(), wanted=wanted_numbers, connectivity=connectivities, seed=st.integers(0, 1000))
def test_a_mesh_of_any_size_survives_any_loss_of_fewer_relays_than_its_connectivity(
    relays, wanted, connectivity, seed
) -> None:
    whole = graph(relays, wanted, connectivity)
    chance = random.Random(seed)
    few = min(connectivity, len(relays) - 1) - 1
    for _ in range(20):
        assert nx.is_connected(without(whole, set(chance.sample(sorted(whole), few))))
    # Whoever may be cut off by losing few: those around one relay.
    for name in chance.sample(sorted(whole), 3):
        around = sorted(whole[name])
        assert nx.is_connected(without(whole, set(chance.sample(around, min(few, len(around))))))


def test_a_mesh_of_twenty_survives_every_loss_of_two() -> None:
    whole = graph(make_fleet(5, 5, 5, 5))
    assert all(nx.is_connected(without(whole, set(pair))) for pair in combinations(whole, 2))


@MANY
@given(relays=fleets(), wanted=wanted_numbers, connectivity=connectivities)
@example(relays=THREE_REGIONS, wanted=1, connectivity=1)
def test_a_mesh_survives_the_loss_of_any_one_region(relays, wanted, connectivity) -> None:
    whole = graph(relays, wanted, connectivity)
    assert nx.is_connected(whole)
    for region in {relay.region for relay in relays}:
        left = [name for name, data in whole.nodes(data=True) if data["region"] != region]
        assert not left or nx.is_connected(whole.subgraph(left)), f"torn apart without {region}"


@MANY
@given(relays=fleets())
def test_every_relay_is_few_steps_from_every_other(relays) -> None:
    assert nx.diameter(graph(relays)) <= 5


def test_a_mesh_of_three_hundred_is_hardly_wider_than_one_of_twenty() -> None:
    assert nx.diameter(graph(make_fleet(5, 5, 5, 5))) <= 3
    assert nx.diameter(graph(make_fleet(*[30] * 10))) <= 5


@MANY
@given(relays=fleets(least=1), wanted=wanted_numbers, connectivity=connectivities)
def test_nobody_names_itself_a_stranger_or_anybody_twice(relays, wanted, connectivity) -> None:
    names = {relay.name for relay in relays}
    count = min(max(wanted, least_named(connectivity)), len(relays) - 1)
    for name, others in pick_neighbours(relays, wanted, connectivity).items():
        assert len(others) == len(set(others)) == count
        assert set(others) <= names - {name}


@pytest.mark.parametrize("connectivity", range(1, 11))
@pytest.mark.parametrize("size", range(1, 9))
def test_where_there_are_few_everyone_knows_everyone(size, connectivity) -> None:
    found = graph(make_fleet(size), 1, connectivity)
    if size <= connectivity:
        assert nx.density(found) == 1 or size == 1
    assert size == 1 or nx.node_connectivity(found) >= min(connectivity, size - 1)


@MANY
@given(relays=fleets())
def test_nobody_is_named_far_more_often_than_others(relays) -> None:
    named = Counter(other for others in pick_neighbours(relays, WANTED, CONNECTIVITY).values() for other in others)
    assert max(named.values()) <= 3 * WANTED


@MANY
@given(count=st.integers(2, 30), regions=st.integers(2, 10), wanted=st.integers(4, 8))
def test_in_regions_of_one_size_everyone_knows_others_in_as_many_as_it_can(count, regions, wanted) -> None:
    relays = make_fleet(*[count] * regions)
    region = {relay.name: relay.region for relay in relays}
    reached = [
        len({region[other] for other in others}) for others in pick_neighbours(relays, wanted, CONNECTIVITY).values()
    ]
    possible = min(regions, wanted, len(relays) - 1)
    assert min(reached) >= possible / 2
    assert mean(reached) >= 0.75 * possible


@MANY
@given(relays=fleets(), wanted=wanted_numbers, chance=st.randoms(use_true_random=False))
def test_the_order_of_relays_does_not_matter(relays, wanted, chance) -> None:
    mixed = chance.sample(relays, len(relays))
    assert pick_neighbours(mixed, wanted, CONNECTIVITY) == pick_neighbours(relays, wanted, CONNECTIVITY)
    assert pick_partners(mixed, ["a", "b"], 1) == pick_partners(relays, ["b", "a"], 1)


def changed_files(before: list[Relay], after: list[Relay], wanted: int, connectivity: int) -> set[str]:
    old, new = pick_neighbours(before, wanted, connectivity), pick_neighbours(after, wanted, connectivity)
    return {name for name in old.keys() & new.keys() if set(old[name]) != set(new[name])}


@MANY
@given(relays=fleets(least=2), wanted=wanted_numbers, connectivity=connectivities, data=st.data())
@example(relays=THREE_REGIONS, wanted=WANTED, connectivity=CONNECTIVITY, data=None)
def test_a_relay_that_joins_or_leaves_changes_few_files_also_as_the_only_one_of_its_region(
    relays, wanted, connectivity, data
) -> None:
    moving = relays[-1] if data is None else data.draw(st.sampled_from(relays))
    rest = [relay for relay in relays if relay != moving]
    assert len(changed_files(rest, relays, wanted, connectivity)) <= most_files_changed(wanted, connectivity)


@pytest.mark.parametrize("counts", [(5,) * 4, (15,) * 4, (20,) * 10, (75, 75)])
def test_as_many_files_change_as_name_the_relay_however_large_the_fleet(counts) -> None:
    relays = make_fleet(*counts)
    changed = [
        len(changed_files(relays, [r for r in relays if r != leaving], WANTED, CONNECTIVITY))
        for leaving in relays[:: len(relays) // 20]
    ]
    assert mean(changed) <= WANTED + 1
    assert max(changed) <= 2 * WANTED + 1


def test_a_region_that_comes_changes_no_more_than_its_relays_would_one_by_one() -> None:
    relays = make_fleet(*[30] * 9)
    new = [relay for relay in make_fleet(*[30] * 9, 3) if relay not in relays]
    assert len(changed_files(relays, [*relays, *new], WANTED, CONNECTIVITY)) <= 3 * 2 * WANTED


@MANY
@given(
    relays=fleets(least=1), partners=st.sets(st.text("xyz", min_size=1, max_size=5), max_size=8), wanted=wanted_numbers
)
def test_partners_of_a_relay_depend_on_no_other_relay(relays, partners, wanted) -> None:
    picked = pick_partners(relays, sorted(partners), wanted)
    for relay in relays:
        assert len(set(picked[relay.name])) == len(picked[relay.name]) == min(wanted, len(partners))
        assert set(picked[relay.name]) <= partners
        assert picked[relay.name] == pick_partners([relay], sorted(partners, reverse=True), wanted)[relay.name]


@MANY
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=10), partners=st.integers(1, 12), wanted=st.integers(1, 6)
)
def test_within_a_region_each_partner_is_named_at_most_once_more_than_another(counts, partners, wanted) -> None:
    names = [f"partner-{number}" for number in range(partners)]
    relays = make_fleet(*counts)
    picked = pick_partners(relays, names, wanted)
    for region in {relay.region for relay in relays}:
        named = Counter(partner for relay in relays if relay.region == region for partner in picked[relay.name])
        times = [named[name] for name in names]
        assert max(times) - min(times) <= 1


def test_twenty_relays_name_each_of_five_partners_equally_often() -> None:
    picked = pick_partners(make_fleet(5, 5, 5, 5), ["alpha", "beta", "gamma", "delta", "epsilon"], 3)
    assert set(Counter(partner for others in picked.values() for partner in others).values()) == {12}


def test_no_fleet_with_default_settings_changes_more_than_fifteen_files_for_one_relay() -> None:
    assert most_files_changed(WANTED, CONNECTIVITY) == 15
