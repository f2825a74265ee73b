"""docs/mesh.md shows what its script counts; the rules of others in that script do what their generators do."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.mesh import BEGIN, DOCUMENT, END, FLEETS, HEAD, make_fleet, render_rows
from benchmarks.mesh_rules import RULES, dealt_by_region, everyone, next_in_order


def written_rows(size: int) -> list[str]:
    table = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    return [line for line in table.splitlines() if line.startswith(f"| {size} |")]


def test_the_table_s_rows_for_twenty_relays_are_what_is_counted() -> None:
    assert written_rows(20) == render_rows(20), "write it anew: .venv/bin/python -m benchmarks.mesh --write"


def test_the_table_has_a_row_for_each_rule_and_fleet() -> None:
    for size, counts in FLEETS.items():
        assert sum(counts) == size
        rows = written_rows(size)
        assert [row.split(" | ")[1] for row in rows] == list(RULES)
        assert {row.count("|") for row in rows} == {len(HEAD) + 1}


def test_everyone_is_everyone_but_oneself() -> None:
    named = everyone(make_fleet((2, 1)))
    assert named["demo-region-01-01"] == ["demo-region-01-02", "demo-region-02-01"]


def test_a_ring_of_names_goes_on_at_its_beginning() -> None:
    named = next_in_order(make_fleet((3, 3)))
    assert [name[-5:] for name in named["demo-region-02-02"]] == ["02-03", "01-01", "01-02", "01-03"]


def test_a_region_of_six_knows_itself_whole_and_one_of_each_other_region() -> None:
    named = dealt_by_region(make_fleet((6, 3)))
    assert len(named["demo-region-01-01"]) == 5 + 1
    assert named["demo-region-01-06"][-1] == "demo-region-02-03"
    assert named["demo-region-02-02"][-1] == "demo-region-01-03"


@pytest.mark.parametrize(("size", "share"), [(6, 5), (7, 3), (20, 4), (30, 5), (31, 3)])
def test_a_region_is_dealt_evenly_and_no_more_each_than_two_hops_take(size, share) -> None:
    named = dealt_by_region(make_fleet((size,)))
    assert {len(others) for others in named.values()} == {share}
    assert max(Counter(other for others in named.values() for other in others).values()) <= share + 1


def test_shares_are_dealt_one_after_the_other_and_nobody_is_dealt_itself() -> None:
    named = {name[-2:]: [other[-2:] for other in others] for name, others in dealt_by_region(make_fleet((8,))).items()}
    assert list(named.values())[:4] == [["02", "03", "04"], ["05", "06", "07"], ["08", "01", "02"], ["03", "05", "06"]]
