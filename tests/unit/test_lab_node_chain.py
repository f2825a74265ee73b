"""The lab node's chain: linking, rolling back, intersecting, and which of two chains is better."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.node.chain import BrokenChain, Candidate, Chain, choose, prefers
from orchestrator.lab.node.header import Header, InvalidHeader, make_header, parse_header
from orchestrator.lab.node.lottery import Lottery, draw, next_led_slot
from orchestrator.ouroboros.chainsync import BlockPoint, Origin, Point


def make_headers(slots: list[int], *, after: Header | None = None, issuer: int = 0, draw: int = 7) -> list[Header]:
    headers: list[Header] = []
    for slot in slots:
        number = 0 if after is None else after.number + 1
        after = make_header(number, slot, after.hash if after else None, issuer, draw)
        headers.append(after)
    return headers


def point_of(header: Header) -> BlockPoint:
    return BlockPoint(header.slot, header.hash)


def candidate_of(anchor: Point, headers: list[Header]) -> Candidate:
    candidate = Candidate(anchor)
    for header in headers:
        candidate.roll_forward(header)
    return candidate


def adopt(chain: Chain, candidate: Candidate) -> bool:
    adoption = choose(chain, candidate)
    if adoption is None:
        return False
    chain.roll_back(adoption.kept, adoption.tip)
    for header in adoption.added:
        chain.extend(header)
    return True


def test_a_header_is_read_as_it_was_made() -> None:
    header = make_header(3, 140_000_000, b"p" * 32, 1, 2**63)
    assert parse_header(header.encoded) == header


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xff",
        b"\x80",
        b"\x82\x80\x40",
        make_header(0, 1, b"short", 0, 0).encoded,
        make_header(0, 2**64, None, 0, 0).encoded,
        make_header(0, 10**400, None, 0, 0).encoded,
        make_header(0, -1, None, 0, 0).encoded,
    ],
)
def test_what_is_no_header_is_refused(encoded: bytes) -> None:
    with pytest.raises(InvalidHeader):
        parse_header(encoded)


@given(st.binary(max_size=100))
def test_no_bytes_crash_the_header_parser(encoded: bytes) -> None:
    with suppress(InvalidHeader):
        assert parse_header(encoded).encoded == encoded


def test_a_block_that_names_another_previous_one_is_not_put_on_the_chain() -> None:
    chain = Chain(100, make_headers([1, 2]))
    with pytest.raises(BrokenChain, match="another previous block"):
        chain.extend(make_headers([5, 6, 7], issuer=1)[2])


def test_a_block_of_an_earlier_slot_is_not_put_on_the_chain() -> None:
    headers = make_headers([1, 9])
    chain = Chain(100, headers)
    with pytest.raises(BrokenChain, match="not after slot 9"):
        chain.extend(make_header(2, 9, headers[-1].hash, 0, 0))


def test_the_longer_chain_is_better_whatever_the_lottery() -> None:
    long, short = make_headers([1, 2, 3], draw=9)[-1], make_headers([1, 3], draw=0)[-1]
    assert prefers(long, short)
    assert not prefers(short, long)


def test_a_battle_of_near_slots_goes_to_the_lower_draw_and_only_then() -> None:
    unlucky, lucky = make_header(0, 10, None, 0, 9), make_header(0, 12, None, 1, 3)
    assert prefers(lucky, unlucky)
    assert not prefers(unlucky, lucky)
    late = make_header(0, 16, None, 1, 3)
    assert not prefers(late, unlucky)


def test_a_better_candidate_is_adopted_from_where_the_chains_part() -> None:
    common = make_headers([1, 2, 3])
    ours = make_headers([4, 5], after=common[-1])
    theirs = make_headers([6, 7, 8], after=common[-1], issuer=1)
    chain = Chain(100, common + ours)
    assert adopt(chain, candidate_of(point_of(common[0]), common[1:] + theirs))
    assert chain.tip == theirs[-1]
    assert [chain.point_at(index) for index in range(len(chain))] == [point_of(h) for h in common + theirs]


def test_a_candidate_that_would_undo_too_much_is_not_adopted() -> None:
    ours, theirs = make_headers([1, 2, 3]), make_headers([4, 5, 6, 7], issuer=1)
    assert not adopt(Chain(2, ours), candidate_of(Origin(), theirs))
    assert adopt(Chain(3, ours), candidate_of(Origin(), theirs))


def test_a_candidate_with_nothing_in_common_has_to_be_asked_again() -> None:
    ours, theirs = make_headers([1, 2]), make_headers([4, 5, 6, 7], issuer=1)
    with pytest.raises(BrokenChain, match="nothing in common"):
        choose(Chain(100, ours), candidate_of(point_of(theirs[0]), theirs[1:]))


def test_a_candidate_follows_its_peer_back_and_refuses_to_go_further() -> None:
    headers = make_headers([1, 2, 3])
    candidate = candidate_of(Origin(), headers)
    candidate.roll_backward(point_of(headers[0]))
    assert candidate.fragment == headers[:1]
    candidate.trim(0)
    assert candidate.fragment == []
    with pytest.raises(BrokenChain, match="beyond"):
        candidate.roll_backward(Origin())


def test_a_trimmed_candidate_still_takes_the_next_block() -> None:
    headers = make_headers(list(range(1, 12)))
    candidate = candidate_of(Origin(), headers[:10])
    candidate.trim(3)
    assert candidate.fragment == headers[7:10]
    candidate.roll_forward(headers[10])


def test_a_reader_on_a_rolled_back_block_is_sent_to_where_the_chains_parted() -> None:
    common = make_headers([1, 2])
    gone = make_headers([3, 4, 5], after=common[-1])
    chain = Chain(100, common + gone)
    chain.roll_back(2, common[-1])
    chain.extend(make_headers([6], after=common[-1], issuer=1)[0])
    assert chain.where_parted(point_of(gone[-1])) == point_of(common[-1])
    assert chain.where_parted(BlockPoint(99, b"?" * 32)) == Origin()


def test_intersection_is_the_first_point_that_is_on_the_chain() -> None:
    headers = make_headers([1, 2, 3])
    chain = Chain(100, headers)
    unknown = BlockPoint(2, b"?" * 32)
    assert chain.intersect([unknown, point_of(headers[1]), point_of(headers[0])]) == point_of(headers[1])
    assert chain.intersect([unknown]) is None
    assert chain.intersect([unknown, Origin()]) == Origin()


@given(st.integers(0, 400))
def test_recent_points_are_few_and_reach_from_the_tip_to_the_origin(length: int) -> None:
    chain = Chain(1000, make_headers(list(range(1, length + 1))))
    points = chain.recent_points()
    assert points[-1] == Origin()
    assert len(points) <= 20
    if length:
        assert points[0] == chain.point_at(length - 1)
    assert all(chain.index_of(point) is not None for point in points)


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=12), min_size=1, max_size=5))
def test_a_chain_over_any_forks_stays_linked(forks: list[list[int]]) -> None:
    chain = Chain(1000)
    for issuer, steps in enumerate(forks):
        base = max(0, len(chain) - sum(steps))
        kept = [parse_header(chain.encoded_at(index)) for index in range(base)]
        start = kept[-1] if kept else None
        first_slot = (start.slot if start else 0) + 1
        slots = list(range(first_slot, first_slot + len(steps)))
        candidate = candidate_of(Origin(), kept + make_headers(slots, after=start, issuer=issuer))
        before = chain.tip
        adopted = adopt(chain, candidate)
        assert adopted == prefers(candidate.fragment[-1], before)
    headers = [parse_header(chain.encoded_at(index)) for index in range(len(chain))]
    assert [h.number for h in headers] == list(range(len(headers)))
    assert all(after.previous == before.hash for before, after in pairwise(headers))
    assert chain.tip == headers[-1]


def test_the_lottery_gives_all_issuers_together_the_share_of_slots_that_the_genesis_says() -> None:
    lotteries = [Lottery(b"seed", issuer, 3, 0.2) for issuer in range(3)]
    led = {slot for lottery in lotteries for slot in range(20_000) if draw(lottery, slot) < lottery.threshold()}
    assert 0.19 < len(led) / 20_000 < 0.21


def test_the_next_led_slot_is_led_and_none_before_it_is() -> None:
    lottery = Lottery(b"seed", 0, 2, 0.2)
    slot, drawn = next_led_slot(lottery, 1000)
    assert drawn == draw(lottery, slot) < lottery.threshold()
    assert all(draw(lottery, earlier) >= lottery.threshold() for earlier in range(1000, slot))
