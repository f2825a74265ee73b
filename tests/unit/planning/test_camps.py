"""Who is on one chain with whom, by hand-made witnesses: blocks 20 slots apart, chains that part where a test says."""

from __future__ import annotations

from itertools import permutations

import pytest

from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.planning.camps import (
    Camp,
    Parting,
    Witness,
    describe_camp,
    find_camps,
    find_common,
    find_parting,
    is_apart,
    list_lacking,
    make_witness,
)
from tests.planning_chains import EVERY, HEIGHTS, chain, point

DEPTH = 5


def witness(name, block, branch="main", *, asked=EVERY, **changes):
    has = chain(block, branch) & asked
    values = {"partner": name in ("alpha", "beta"), "release": None, **changes}
    tip = point(block, branch)
    return Witness(name=name, tip=tip, block=block, asked=asked | {tip}, has=has | {tip}, **values)


def members(camps):
    return [[each.name for each in camp.members] for camp in camps]


def camps_of(*witnesses, known=None):
    return find_camps(witnesses, HEIGHTS, DEPTH, known or {})


@pytest.mark.parametrize(
    ("verdict", "changes", "told"),
    [
        (Verdict.OK, {}, True),
        (Verdict.STALE_TIP, {}, True),
        (Verdict.REFUSED, {}, False),
        (Verdict.OK, {"tip_block": None}, False),
        (Verdict.OK, {"tip_hash": None}, False),
    ],
)
def test_whoever_tells_tip_and_height_is_a_witness(verdict, changes, told):
    tip = point(9)
    values = {"tip_slot": tip.slot, "tip_hash": tip.hash, "tip_block": 9, "asked": frozenset([point(8)]), **changes}
    made = make_witness("r1", Sighting(verdict, has=frozenset(), **values), partner=False, release="10.5.1")
    if not told:
        assert made is None
        return
    assert made == Witness("r1", False, "10.5.1", tip, 9, frozenset([point(8), tip]), frozenset([tip]))


def test_a_camp_has_the_points_of_more_than_half_of_its_members():
    camp = Camp((witness("a", 20), witness("b", 19), witness("c", 18), witness("d", 17)))
    assert max(camp.points()) == point(18)


def test_a_camp_rejects_what_more_than_half_are_past_without_having():
    one, two = (witness(name, 20) for name in "ab")
    slow = [witness(name, 13) for name in "cd"]
    rejected = Camp((one, two, *slow)).rejected()
    assert {each.slot // 20 for each in rejected} == {11, 12, 13}
    assert {each.hash[:4] for each in rejected} == {"fork"}
    # A block of the same slot as one's own tip cannot be yet to come.
    assert point(13, "fork") in Camp((witness("a", 13),)).rejected()
    assert point(14, "fork") not in Camp((witness("a", 13),)).rejected()


def test_relays_and_partners_of_a_camp_and_the_releases_that_are_known():
    camp = Camp((witness("alpha", 5), witness("a", 5, release="2"), witness("b", 5), witness("c", 5, release="1")))
    assert [each.name for each in camp.relays] == ["a", "b", "c"]
    assert [each.name for each in camp.partners] == ["alpha"]
    assert camp.releases == {"1", "2"}


def test_the_newest_common_point_is_the_highest_whose_height_is_known():
    one, other = frozenset([point(3), point(7), point(9)]), frozenset([point(3), point(7), point(8)])
    assert find_common(one, other, HEIGHTS) == point(7)
    assert find_common(one, other, {point(3): 3, point(9): 9}) == point(3)
    assert find_common(one, frozenset([point(8)]), HEIGHTS) is None


def test_of_two_common_points_of_one_height_the_later_counts():
    both = frozenset([point(12), point(12, "fork")])
    assert find_common(both, both, HEIGHTS) == max(both)


def test_a_witness_lacks_what_it_was_asked_about_and_is_past():
    one = witness("a", 12, asked=frozenset(point(block) for block in (10, 12)) | {point(12, "fork"), point(13, "fork")})
    assert list_lacking(one, EVERY) == {point(12, "fork")}
    assert list_lacking(one, frozenset([point(11, "fork")])) == frozenset()


@pytest.mark.parametrize(("block", "least", "most"), [(9, 0, 0), (10, 0, 0), (11, 0, 1), (12, 1, 2), (20, 9, 10)])
def test_how_deep_a_fork_is_counts_from_where_the_chains_parted(block, least, most):
    parting = Parting(point(10), 10, 12)
    assert (parting.least_depth(block), parting.most_depth(block)) == (least, most)


def test_nobody_knows_how_deep_a_fork_is_at_most_without_a_common_point():
    assert Parting(None, None, 12).most_depth(99) is None


def test_nothing_contradicts_whoever_is_on_a_chain_or_lags():
    theirs = witness("a", 20).has
    for one in (witness("b", 20), witness("b", 12), witness("b", 24)):
        assert find_parting(one, theirs, frozenset(), HEIGHTS) is None


def test_a_parting_is_told_by_what_a_witness_lacks():
    parting = find_parting(witness("b", 15, "fork"), witness("a", 20).has, frozenset(), HEIGHTS)
    assert parting == Parting(point(10), 10, 11)


def test_a_parting_is_told_by_what_a_witness_has_and_the_chain_has_not():
    few = frozenset(point(block) for block in (8, 20))
    rejected = frozenset([point(13, "fork"), point(12, "fork")])
    parting = find_parting(witness("b", 15, "fork"), few, rejected, HEIGHTS)
    assert parting == Parting(point(8), 8, 12)


def test_a_parting_without_anything_in_common_has_no_common_point():
    theirs = frozenset([point(12)])
    assert find_parting(witness("b", 15, "fork"), theirs, frozenset(), HEIGHTS) == Parting(None, None, 12)


def test_points_of_unknown_height_prove_no_parting():
    heights = {each: height for each, height in HEIGHTS.items() if height < 11}
    assert find_parting(witness("b", 15, "fork"), witness("a", 20).has, frozenset(), heights) is None


@pytest.mark.parametrize(("block", "apart"), [(11, False), (15, False), (16, True), (20, True)])
def test_a_slot_battle_s_few_blocks_are_not_apart(block, apart):
    assert is_apart(witness("b", block, "fork"), witness("a", 25), HEIGHTS, DEPTH) is apart


def test_all_on_one_chain_are_one_camp_with_the_highest_first():
    assert members(camps_of(witness("a", 20), witness("b", 22), witness("c", 12), witness("d", 22))) == [
        ["b", "d", "a", "c"]
    ]


def test_two_chains_make_two_camps_the_larger_first():
    found = camps_of(witness("a", 20, "fork"), witness("b", 20), witness("c", 21))
    assert members(found) == [["c", "b"], ["a"]]


def test_of_two_equal_camps_the_one_whose_head_comes_first_by_name_is_first():
    assert members(camps_of(witness("b", 20), witness("a", 25, "fork"))) == [["a"], ["b"]]
    assert members(camps_of(witness("a", 20), witness("b", 25, "fork"))) == [["a"], ["b"]]


def test_whoever_fits_into_several_camps_is_in_none():
    found = camps_of(witness("a", 20, "fork"), witness("b", 20), witness("c", 9))
    assert members(found) == [["a"], ["b"]]


def test_any_order_of_witnesses_makes_the_same_camps():
    crowd = [witness("a", 20, "fork"), witness("b", 20), witness("c", 21), witness("d", 16, "fork"), witness("e", 9)]
    assert len({str(members(camps_of(*order))) for order in permutations(crowd)}) == 1


def test_whoever_is_known_to_have_left_stays_apart_until_it_shows_something_in_common_since():
    # It was asked about nothing that would show it now.
    left = witness("a", 20, "fork", asked=frozenset([point(5), point(20, "fork")]))
    known = {"a": Parting(point(10), 10, 11)}
    assert members(camps_of(left, witness("b", 20))) == [["a", "b"]]
    assert members(camps_of(left, witness("b", 20), known=known)) == [["a"], ["b"]]
    back = witness("a", 20)
    assert members(camps_of(back, witness("b", 20), known=known)) == [["a", "b"]]


@pytest.mark.parametrize(("block", "apart"), [(15, False), (16, True)])
def test_a_known_parting_counts_from_the_depth_of_a_fork_on(block, apart):
    left = witness("a", block, "fork", asked=frozenset([point(5)]))
    found = camps_of(left, witness("b", 18), known={"a": Parting(point(10), 10, 11)})
    assert len(found) == 1 + apart


def test_the_very_point_that_was_common_before_brings_nobody_back():
    left = witness("a", 20, "fork", asked=frozenset([point(10)]))
    known = {"a": Parting(point(10), 10, 11)}
    assert len(camps_of(left, witness("b", 20), known=known)) == 2
    earlier = {"a": Parting(point(9), 9, 11)}
    assert len(camps_of(left, witness("b", 20), known=earlier)) == 1


def test_whoever_never_had_anything_in_common_comes_back_by_nothing_known_less():
    left = witness("a", 20, "fork", asked=frozenset([point(5)]))
    unknown = {"a": Parting(None, None, 11)}
    assert len(camps_of(left, witness("b", 20), known=unknown)) == 1
    nothing = witness("a", 20, "fork", asked=frozenset())
    assert len(camps_of(nothing, witness("b", 20), known=unknown)) == 2


def test_a_camp_is_described_by_releases_partners_and_its_highest_tip():
    relays = [
        witness("a", 21, release="2"),
        witness("b", 20, release="1"),
        witness("c", 19, release="2"),
        witness("d", 18),
    ]
    text = describe_camp(Camp((*relays, witness("alpha", 17))))
    assert text == (
        "4 relays (1 on 1, 2 on 2, 1 on unknown release: a, b, c and 1 more) and 1 partner (alpha) "
        f"at {point(21).short}, block 21"
    )
    assert (
        describe_camp(Camp((witness("alpha", 7), witness("beta", 6))))
        == f"2 partners (alpha, beta) at {point(7).short}, block 7"
    )
    assert describe_camp(Camp((witness("a", 7, release="1"),))) == f"1 relay (1 on 1: a) at {point(7).short}, block 7"
