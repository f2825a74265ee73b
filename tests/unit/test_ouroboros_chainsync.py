"""Chain-sync's codec against known bytes, its strictness, and what may follow what."""

import pytest

from orchestrator.ouroboros.chainsync import (
    AwaitReply,
    BlockPoint,
    ByronHeader,
    ChainSyncDone,
    EraHeader,
    FindIntersect,
    IntersectFound,
    IntersectNotFound,
    Origin,
    RequestNext,
    RollBackward,
    RollForward,
    Tip,
    decode_chain_sync,
    encode_chain_sync,
    expect_intersection,
    expect_request,
    expect_update,
    expect_update_or_await,
)
from orchestrator.ouroboros.errors import ProtocolError

# Testnet of 2022: its first Shelley point, and a tip that a relay once showed.
SHELLEY = BlockPoint(1598399, bytes.fromhex("7e16781b40ebf8b6da18f7b5e8ade855d6738095ef2f1c58c77e88b6e45997a4"))
SEEN_HASH = "1979d7dd2c7211cb7ce393c83aceca09675ec7786741620676e16c3ad3ac8103"
SEEN_TIP = Tip(BlockPoint(55709684, bytes.fromhex(SEEN_HASH)), 3478323)
TIP_BYTES = f"82821a03520ff45820{SEEN_HASH}1a00351333"
NO_TIP = Tip(Origin(), 0)


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        (RequestNext(), "8100"),
        (AwaitReply(), "8101"),
        (FindIntersect((SHELLEY,)), f"820481821a001863bf5820{SHELLEY.hash.hex()}"),
        (FindIntersect(()), "820480"),
        (FindIntersect((Origin(),)), "82048180"),
        (IntersectFound(Origin(), SEEN_TIP), f"830580{TIP_BYTES}"),
        (IntersectNotFound(SEEN_TIP), f"8206{TIP_BYTES}"),
        (IntersectNotFound(NO_TIP), "8206828000"),
        (RollBackward(Origin(), NO_TIP), "830380828000"),
        (RollForward(EraHeader(6, b"\x82\x01\x02"), NO_TIP), "83028206d81843820102828000"),
        (RollForward(ByronHeader(1, 652, b"\x80"), NO_TIP), "83028200828201" + "19028c" + "d8184180" + "828000"),
        (ChainSyncDone(), "8107"),
    ],
)
def test_messages_have_the_known_bytes(message, encoded):
    assert encode_chain_sync(message).hex() == encoded
    assert decode_chain_sync(bytes.fromhex(encoded)) == message


@pytest.mark.parametrize(
    ("encoded", "points"),
    [
        ("82049fff", ()),
        ("82049f80ff", (Origin(),)),
        (f"82049f80821a001863bf5820{SHELLEY.hash.hex()}ff", (Origin(), SHELLEY)),
    ],
)
def test_lists_of_points_may_be_indefinite_as_haskell_writes_them(encoded, points):
    assert decode_chain_sync(bytes.fromhex(encoded)) == FindIntersect(points)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("8108", "message key 8 in a list of 1"),
        ("820080", "message key 0 in a list of 2"),
        ("84000000", "message is a list of 4"),
        ("810000", "1 bytes follow the message"),
        ("82048101", "point is an integer, not a list"),
        ("8204818101", "point is a list of 1, not of 0 or 2"),
        ("82048182014101", "block hash has 1 bytes, not 32"),
        ("820481820161" + "61", "block hash is text, not bytes"),
        (f"8204818220{'5820' + '00' * 32}", "slot is a negative integer"),
        ("82049f80", "ends before point"),
        ("820680", "tip is a list of 0, not of 2"),
        ("8206828020", "block number is a negative integer"),
        ("83028206d81943820102828000", "header has tag 25, not 24"),
        ("8302820643820102828000", "header is bytes, not a tag"),
        ("83028206d818820102828000", "header is a list, not bytes"),
        ("83028200d81843820102828000", "Byron header is a tag, not a list"),
        ("8302820043820102828000", "Byron header is bytes, not a list"),
        ("8307", "message key 7 in a list of 3"),
    ],
)
def test_bad_messages_are_refused(message, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        decode_chain_sync(bytes.fromhex(message))


def test_an_intersection_may_only_be_at_a_point_that_was_asked_about():
    found = IntersectFound(SHELLEY, SEEN_TIP)
    assert expect_intersection(FindIntersect((Origin(), SHELLEY)), found) == found
    with pytest.raises(ProtocolError, match="which was not asked about"):
        expect_intersection(FindIntersect(()), found)


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        (expect_request, AwaitReply()),
        (expect_update_or_await, IntersectNotFound(NO_TIP)),
        (expect_update, AwaitReply()),
        (lambda message: expect_intersection(FindIntersect(()), message), RollBackward(Origin(), NO_TIP)),
    ],
)
def test_messages_out_of_turn_are_refused(expect, message):
    with pytest.raises(ProtocolError, match=r"where .* was due"):
        expect(message)


def test_a_tip_tells_slot_and_hash_unless_there_is_no_block():
    assert (SEEN_TIP.slot, SEEN_TIP.hash) == (55709684, bytes.fromhex(SEEN_HASH))
    assert (NO_TIP.slot, NO_TIP.hash) == (None, None)
