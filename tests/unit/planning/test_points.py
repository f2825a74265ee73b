"""Which points are kept to ask about: all near the middle of the tips, ever fewer below, hardly any far above."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.fleet.chain import ChainPoint, ShownPoint
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.planning.points import MOST_NAMES, heights_of, note_points, thin_out

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEPTH = 5


def point(block, branch="a"):
    return ChainPoint(block * 20, f"{branch}{block}")


def shown(block, branch="a", by=("r1", "r2"), at=NOW):
    return ShownPoint(point(block, branch), block, at, frozenset(by))


def tip(block, branch="a"):
    made = point(block, branch)
    return Sighting(Verdict.OK, tip_slot=made.slot, tip_block=block, tip_hash=made.hash)


def blocks(points):
    return [each.block for each in points]


def test_all_heights_within_the_depth_of_a_fork_are_kept_newest_first():
    kept = thin_out([shown(block) for block in range(90, 111)], 100, DEPTH)
    assert blocks(kept)[4:15] == list(range(105, 94, -1))


def test_of_one_height_four_branches_are_kept_the_best_known_first():
    crowd = [
        shown(100, branch, by=names) for branch, names in zip("abcdef", ("1", "12", "1", "123", "1", "1"), strict=True)
    ]
    assert [each.point.hash for each in thin_out(crowd, 100, DEPTH)] == ["d100", "b100", "a100", "c100"]


@pytest.mark.parametrize(("block", "kept"), [(105, True), (106, False)])
def test_what_is_above_the_depth_of_a_fork_is_of_this_look_or_of_none(block, kept):
    old, new = shown(block, at=NOW - timedelta(minutes=1)), shown(100)
    assert (old in thin_out([old, new], 100, DEPTH)) is kept
    assert shown(block) in thin_out([shown(block), new], 100, DEPTH)


@pytest.mark.parametrize("block", [94, 95, 105, 106])
def test_a_point_at_the_edge_of_the_dense_heights_is_kept_once(block):
    assert sorted(blocks(thin_out([shown(100), shown(block)], 100, DEPTH))) == sorted([100, block])


def test_no_more_than_four_points_far_above_are_kept_the_highest():
    high = [shown(block) for block in range(200, 210)]
    assert blocks(thin_out([*high, shown(100)], 100, DEPTH)) == [209, 208, 207, 206, 100]


def test_below_each_doubling_of_the_distance_keeps_its_oldest_point():
    kept = blocks(thin_out([shown(block) for block in range(1, 101)], 100, DEPTH))
    # Distances 6-7, 8-15, 16-31, 32-63 and 64 on.
    assert kept[6:] == [93, 85, 69, 37, 1]


def test_what_several_have_shown_goes_before_what_is_older_and_lonely():
    crowd = [shown(84, by=("r1",)), shown(80, by=("r3",)), shown(82, by=("r1", "r2"))]
    assert blocks(thin_out([*crowd, shown(100)], 100, DEPTH)) == [100, 82, 80]


def test_what_others_have_shown_is_kept_beside_it():
    crowd = [shown(82, by=("r1", "r2")), shown(81, "b", by=("r1",)), shown(83, "c", by=("r3",))]
    assert blocks(thin_out([*crowd, shown(100)], 100, DEPTH)) == [100, 82, 83]


def test_of_the_same_height_the_lower_point_counts_as_older():
    crowd = [shown(80, branch, by=("r1", "r2")) for branch in "ba"]
    assert [each.point.hash for each in thin_out(crowd, 100, DEPTH)] == ["a80"]


def test_the_order_of_points_does_not_matter():
    points = [shown(block, branch, by=names) for block in range(60, 120) for branch, names in (("a", "12"), ("b", "3"))]
    mixed = points.copy()
    random.Random(1).shuffle(mixed)
    assert thin_out(mixed, 100, DEPTH) == thin_out(points, 100, DEPTH)


def test_a_chain_of_any_length_leaves_no_more_than_thirty_two_points_below():
    far = [shown(2**40 - 2**power, branch, by=(branch,)) for power in range(40) for branch in "ab"]
    kept = thin_out(far, 2**40, DEPTH)
    assert len([each for each in kept if each.block < 2**40 - DEPTH]) == 32
    assert thin_out([], 0, DEPTH) == ()


def test_tips_join_what_was_known_with_the_names_of_those_who_show_them():
    known = [shown(99, by=("r9",))]
    found = note_points(known, {"r1": tip(100), "r2": tip(100), "r3": tip(99)}, NOW, DEPTH)
    assert {each.block: each.shown_by for each in found} == {100: {"r1", "r2"}, 99: {"r3", "r9"}}
    assert blocks(found) == [100, 99]


def test_whoever_shows_no_tip_adds_nothing():
    silent = Sighting(Verdict.REFUSED)
    half = Sighting(Verdict.OK, tip_slot=2000, tip_hash="a100")
    blind = Sighting(Verdict.OK, tip_block=100)
    assert note_points([], {"r1": silent, "r2": half, "r3": blind}, NOW, DEPTH) == ()
    assert blocks(note_points([], {"r1": silent, "r2": half, "r3": blind, "r4": tip(100)}, NOW, DEPTH)) == [100]


def test_a_point_keeps_when_it_was_first_seen():
    before = NOW - timedelta(minutes=3)
    (found,) = note_points([shown(100, at=before)], {"r1": tip(100)}, NOW, DEPTH)
    assert found.at == before
    (new,) = note_points([], {"r1": tip(100)}, NOW, DEPTH)
    assert new.at == NOW


def test_so_many_names_and_no_more_are_kept_of_one_point():
    found = note_points([], {f"r{number:02d}": tip(100) for number in range(19, -1, -1)}, NOW, DEPTH)
    assert found[0].shown_by == {f"r{number:02d}" for number in range(8)}
    assert MOST_NAMES == 8


def test_one_impossible_tip_pushes_nothing_out():
    honest = {f"r{number}": tip(100) for number in range(3)}
    known = [shown(block) for block in range(90, 100)]
    assert set(range(95, 101)) <= set(blocks(note_points(known, {**honest, "liar": tip(10**6)}, NOW, DEPTH)))
    # Of two the lower is the middle.
    assert 100 in blocks(note_points([shown(100, by=("r5",))], {"r1": tip(100), "liar": tip(10**6)}, NOW, DEPTH))


def test_without_any_tip_the_highest_known_is_the_middle():
    known = [shown(block) for block in range(90, 101)]
    assert blocks(note_points(known, {}, NOW, DEPTH))[:6] == [100, 99, 98, 97, 96, 95]
    assert note_points([], {}, NOW, DEPTH) == ()


def test_heights_are_of_all_points_known_or_shown():
    half = Sighting(Verdict.OK, tip_slot=1, tip_hash="x")
    blind = Sighting(Verdict.OK, tip_block=7)
    assert heights_of([shown(99)], [tip(100), Sighting(Verdict.REFUSED), half, blind]) == {
        point(99): 99,
        point(100): 100,
    }
