"""The lab node's blocks: bodies that are the same everywhere, and belong to one header only."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.node.block import (
    LARGEST_BODY,
    SMALLEST_BODY,
    RefusedBlock,
    belongs,
    encode_block,
    make_body,
    read_body,
)
from orchestrator.lab.node.header import Header, make_header, parse_header

BODY = make_body(b"seed", 0, 5)
HEADER = make_header(3, 5, b"p" * 32, 0, 7, BODY)


def test_a_block_is_read_as_it_was_made() -> None:
    assert read_body(encode_block(HEADER.encoded, BODY), HEADER) == BODY


def test_the_header_says_whose_body_it_is() -> None:
    header = parse_header(HEADER.encoded)
    assert (header.body_size, belongs(BODY, header)) == (len(BODY), True)
    assert not belongs(make_body(b"seed", 1, 5), header)


def test_bodies_are_the_same_everywhere_mostly_small_and_all_different() -> None:
    bodies = [make_body(b"seed", 0, slot) for slot in range(2000)]
    assert bodies == [make_body(b"seed", 0, slot) for slot in range(2000)]
    assert len(set(bodies)) == len(bodies)
    sizes = [len(body) for body in bodies]
    assert min(sizes) >= SMALLEST_BODY
    assert LARGEST_BODY - 500 < max(sizes) <= LARGEST_BODY
    assert 600 < sum(sizes) / len(sizes) < 900


@pytest.mark.parametrize(
    ("header", "body", "why"),
    [
        (HEADER, BODY[:-1], "its body is not the one"),
        (HEADER, BODY[:-1] + b"?", "its body is not the one"),
        (make_header(3, 6, b"p" * 32, 0, 7, BODY), BODY, "another block was sent"),
    ],
)
def test_another_body_or_another_header_is_refused(header: Header, body: bytes, why: str) -> None:
    with pytest.raises(RefusedBlock, match=why):
        read_body(encode_block(header.encoded, body), HEADER)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader_of_blocks(encoded: bytes) -> None:
    with suppress(RefusedBlock):
        assert read_body(encoded, HEADER) == BODY


@given(st.data())
def test_no_change_of_one_byte_goes_unnoticed(data: st.DataObject) -> None:
    encoded = bytearray(encode_block(HEADER.encoded, BODY))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    with suppress(RefusedBlock):
        # What is changed may be how a length is written, never what is.
        assert read_body(bytes(encoded), HEADER) == BODY
