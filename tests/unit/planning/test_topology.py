"""How many names a relay needs, and whose turn a partner is; what every mesh promises is in the properties."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.fleet.relay import Relay, relay_name
from orchestrator.planning.topology import least_named, most_files_changed, pick_neighbours, pick_partners

PARTNERS = ["ada", "ben", "cyd", "dan", "eve", "fay"]


def make_relays(region, count):
    return [Relay(relay_name("demo", region, index), region, index) for index in range(1, count + 1)]


@pytest.mark.parametrize(("connectivity", "least"), [(1, 2), (2, 2), (3, 3), (4, 3), (5, 4), (6, 4)])
def test_a_relay_names_half_of_the_connectivity_and_a_bypass_at_least(connectivity, least):
    assert least_named(connectivity) == least
    named = pick_neighbours(make_relays("a", 9) + make_relays("b", 9), 1, connectivity)
    assert {len(others) for others in named.values()} == {least}


@pytest.mark.parametrize(("wanted", "connectivity", "most"), [(4, 3, 15), (1, 3, 10), (2, 1, 8), (6, 6, 22)])
def test_how_many_files_one_relay_may_change_follows_from_the_argument(wanted, connectivity, most):
    assert most_files_changed(wanted, connectivity) == most


def test_partners_take_turns_so_that_it_comes_out_even_and_then_in_another_order():
    named = pick_partners(make_relays("a", 30), PARTNERS, 2)
    pairs = [named[relay.name] for relay in make_relays("a", 30)]
    for start in range(0, 30, 3):
        assert sorted(name for pair in pairs[start : start + 3] for name in pair) == PARTNERS
    assert len(set(pairs)) >= 10
    assert all(pair == tuple(sorted(pair)) for pair in pairs)


def test_a_turn_is_as_long_as_it_takes_to_come_out_even():
    pairs = list(pick_partners(make_relays("a", 10), PARTNERS[:5], 2).values())
    for start in (0, 5):
        assert set(Counter(name for pair in pairs[start : start + 5] for name in pair).values()) == {2}


def test_regions_begin_with_partners_of_their_own():
    firsts = {pick_partners(make_relays(region, 1), PARTNERS, 1)[f"demo-{region}-01"] for region in "abcdefgh"}
    assert len(firsts) > 2


@pytest.mark.parametrize(("partners", "wanted", "named"), [([], 3, ()), (["ada"], 3, ("ada",)), (PARTNERS, 0, ())])
def test_nobody_names_more_partners_than_there_are_or_than_are_wanted(partners, wanted, named):
    assert set(pick_partners(make_relays("a", 4), partners, wanted).values()) == {named}


def test_partners_are_listed_by_relay_whatever_the_order_of_relays():
    relays = make_relays("a", 4)
    assert list(pick_partners(relays[::-1], PARTNERS, 2).items()) == list(pick_partners(relays, PARTNERS, 2).items())
