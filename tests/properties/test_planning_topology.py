"""What every mesh promises, for any fleet; networkx is the judge."""

from __future__ import annotations

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.fleet.relay import Relay, relay_name
from orchestrator.planning.topology import pick_neighbours, pick_partners

MANY = settings(deadline=None, max_examples=60)
REGIONS = [f"region-{letter}" for letter in "abcdefghij"]


@st.composite
def fleets(draw: st.DrawFn) -> list[Relay]:
    """Of 3 to 300 relays in 1 to 10 regions."""
    counts = draw(st.lists(st.integers(1, 30), min_size=1, max_size=10).filter(lambda c: sum(c) >= 3))
    return [
        Relay(relay_name("demo", region, index), region, index)
        for region, count in zip(REGIONS, counts, strict=False)
        for index in range(1, count + 1)
    ]


def graph(relays: list[Relay], wanted: int) -> nx.Graph:
    made = nx.Graph()
    made.add_nodes_from((relay.name, {"region": relay.region}) for relay in relays)
    made.add_edges_from((name, other) for name, others in pick_neighbours(relays, wanted).items() for other in others)
    return made


wanted_numbers = st.integers(1, 8)


@MANY
@given(relays=fleets(), wanted=wanted_numbers)
def test_a_mesh_is_connected_without_partners(relays, wanted) -> None:
    assert nx.is_connected(graph(relays, wanted))


@MANY
@given(relays=fleets(), wanted=wanted_numbers)
def test_a_mesh_survives_the_loss_of_any_one_region(relays, wanted) -> None:
    whole = graph(relays, wanted)
    for region in {relay.region for relay in relays}:
        left = [name for name, data in whole.nodes(data=True) if data["region"] != region]
        assert not left or nx.is_connected(whole.subgraph(left)), f"torn apart without {region}"


@MANY
@given(relays=fleets(), wanted=wanted_numbers)
def test_nobody_names_itself_a_stranger_or_anybody_twice(relays, wanted) -> None:
    names = {relay.name for relay in relays}
    for name, others in pick_neighbours(relays, wanted).items():
        assert len(others) == len(set(others)) == min(max(wanted, 2), len(relays) - 1)
        assert set(others) <= names - {name}


@MANY
@given(relays=fleets(), wanted=wanted_numbers, random=st.randoms(use_true_random=False))
def test_the_order_of_relays_does_not_matter(relays, wanted, random) -> None:
    assert pick_neighbours(random.sample(relays, len(relays)), wanted) == pick_neighbours(relays, wanted)


@MANY
@given(relays=fleets(), data=st.data())
def test_a_relay_that_joins_changes_only_the_files_of_those_who_name_it(relays, data) -> None:
    joining = data.draw(st.sampled_from(relays))
    before = [relay for relay in relays if relay != joining]
    if not any(relay.region == joining.region for relay in before):
        return  # a new region is a new link in the ring of regions
    old, new = pick_neighbours(before, 4), pick_neighbours(relays, 4)
    changed = [name for name in old if set(old[name]) != set(new[name])]
    for name in changed:
        assert len(set(new[name]) - set(old[name])) <= 2
    only_those_who_name_it = [name for name in changed if joining.name not in new[name]]
    assert not only_those_who_name_it


@MANY
@given(
    relays=st.sets(st.text("abc-0123456789", min_size=1, max_size=12), min_size=1, max_size=40),
    partners=st.sets(st.text("xyz", min_size=1, max_size=5), max_size=8),
    wanted=st.integers(1, 6),
)
def test_partners_of_a_relay_depend_on_no_other_relay(relays, partners, wanted) -> None:
    picked = pick_partners(sorted(relays), sorted(partners), wanted)
    for relay in relays:
        assert len(picked[relay]) == min(wanted, len(partners))
        assert picked[relay] == pick_partners([relay], sorted(partners, reverse=True), wanted)[relay]


def test_partners_are_named_about_equally_often() -> None:
    relays = [relay_name("demo", region, index) for region in REGIONS[:4] for index in range(1, 6)]
    picked = pick_partners(relays, ["alpha", "beta", "gamma", "delta", "epsilon"], 3)
    named = [
        sum(partner in others for others in picked.values())
        for partner in ("alpha", "beta", "gamma", "delta", "epsilon")
    ]
    assert sum(named) == 60
    assert min(named) >= 8
