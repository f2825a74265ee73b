"""What holds for every message and for every string of bytes."""

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.ouroboros import blockfetch, chainsync, handshake, keepalive
from orchestrator.ouroboros.blockfetch import decode_block_fetch, encode_block_fetch
from orchestrator.ouroboros.cbor import MAXIMUM_DEPTH, MessageBuffer, Reader
from orchestrator.ouroboros.chainsync import decode_chain_sync, encode_chain_sync
from orchestrator.ouroboros.errors import ProtocolError
from orchestrator.ouroboros.handshake import decode_proposal, decode_reply, encode_handshake, negotiate
from orchestrator.ouroboros.keepalive import decode_keep_alive, encode_keep_alive
from orchestrator.ouroboros.mux import Demultiplexer, Role, encode_units

U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
POINTS = st.one_of(
    st.just(chainsync.Origin()), st.builds(chainsync.BlockPoint, U64, st.binary(min_size=32, max_size=32))
)
TIPS = st.builds(chainsync.Tip, POINTS, U64)
HEADERS = st.one_of(
    st.builds(chainsync.EraHeader, st.integers(1, 2**64 - 1), st.binary(max_size=2000)),
    st.builds(chainsync.ByronHeader, U64, U64, st.binary(max_size=2000)),
)
CHAIN_SYNC = st.one_of(
    st.just(chainsync.RequestNext()),
    st.just(chainsync.AwaitReply()),
    st.just(chainsync.ChainSyncDone()),
    st.builds(chainsync.RollForward, HEADERS, TIPS),
    st.builds(chainsync.RollBackward, POINTS, TIPS),
    st.builds(chainsync.FindIntersect, st.lists(POINTS, max_size=30).map(tuple)),
    st.builds(chainsync.IntersectFound, POINTS, TIPS),
    st.builds(chainsync.IntersectNotFound, TIPS),
)
BLOCK_POINTS = st.builds(chainsync.BlockPoint, U64, st.binary(min_size=32, max_size=32))
BLOCK_FETCH = st.one_of(
    st.builds(blockfetch.RequestRange, BLOCK_POINTS, BLOCK_POINTS),
    st.builds(blockfetch.Block, st.binary(max_size=20_000)),
    st.sampled_from([blockfetch.ClientDone(), blockfetch.StartBatch(), blockfetch.NoBlocks(), blockfetch.BatchDone()]),
)
KEEP_ALIVE = st.one_of(
    st.builds(keepalive.KeepAlive, U16),
    st.builds(keepalive.KeepAliveResponse, U16),
    st.just(keepalive.KeepAliveDone()),
)
KNOWN = st.sampled_from(handshake.KNOWN_VERSIONS)
TABLES = st.dictionaries(KNOWN, st.builds(handshake.VersionData, U32, st.booleans(), st.booleans(), st.booleans()))
PROPOSALS = st.builds(handshake.ProposeVersions, TABLES)
REASONS = st.one_of(
    st.builds(handshake.VersionMismatch, st.lists(U32, max_size=20).map(tuple)),
    st.builds(handshake.UndecodableVersion, U32, st.text(max_size=200)),
    st.builds(handshake.RefusedVersion, U32, st.text(max_size=200)),
)
REPLIES = st.one_of(
    st.builds(handshake.AcceptVersion, KNOWN, st.builds(handshake.VersionData, U32, st.booleans(), st.booleans())),
    st.builds(handshake.Refuse, REASONS),
    st.builds(handshake.QueryReply, TABLES),
)
ENCODED = st.one_of(
    CHAIN_SYNC.map(encode_chain_sync),
    BLOCK_FETCH.map(encode_block_fetch),
    KEEP_ALIVE.map(encode_keep_alive),
    st.one_of(PROPOSALS, REPLIES).map(encode_handshake),
)
DECODERS = (decode_chain_sync, decode_block_fetch, decode_keep_alive, decode_proposal, decode_reply)


@st.composite
def damaged(draw):
    """Messages with a few bytes replaced, and perhaps an end cut off or put on."""
    message = bytearray(draw(ENCODED))
    for place in draw(st.lists(st.integers(0, len(message) - 1), max_size=4)):
        message[place] = draw(st.integers(0, 255))
    return bytes(message[: draw(st.integers(0, len(message)))]) + draw(st.binary(max_size=3))


@st.composite
def in_chunks(draw, stream):
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def a_buffer():
    return MessageBuffer("test", 65535, 10**6)


def take_all(buffer):
    taken = []
    while (message := buffer.take()) is not None:
        taken.append(message)
    return taken


@given(CHAIN_SYNC)
def test_chain_sync_survives_the_wire(message):
    assert decode_chain_sync(encode_chain_sync(message)) == message


@given(BLOCK_FETCH)
def test_block_fetch_survives_the_wire(message):
    assert decode_block_fetch(encode_block_fetch(message)) == message


@given(KEEP_ALIVE)
def test_keep_alive_survives_the_wire(message):
    assert decode_keep_alive(encode_keep_alive(message)) == message


@given(PROPOSALS)
def test_proposals_survive_the_wire(message):
    assert decode_proposal(encode_handshake(message)) == message


@given(REPLIES)
def test_replies_survive_the_wire(message):
    assert decode_reply(encode_handshake(message)) == message


@given(PROPOSALS, TABLES)
def test_a_negotiation_always_has_an_answer_that_can_be_sent(proposal, own):
    reply = negotiate(proposal, own)
    assert decode_reply(encode_handshake(reply)) == reply
    if isinstance(reply, handshake.AcceptVersion):
        assert reply.version in proposal.versions.keys() & own.keys()


@pytest.mark.parametrize("decode", DECODERS)
@given(data=st.one_of(st.binary(max_size=200), damaged()))
@settings(max_examples=300)
def test_any_bytes_are_a_message_or_a_protocol_error(decode, data):
    try:
        decode(data)
    except ProtocolError:
        return


@given(st.one_of(st.binary(max_size=300), damaged()))
@settings(max_examples=300)
def test_any_stream_gives_messages_or_a_protocol_error(stream):
    buffer = a_buffer()
    buffer.feed(stream)
    try:
        taken = take_all(buffer)
    except ProtocolError:
        return
    assert stream.startswith(b"".join(taken))


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_connection_gives_units_or_a_protocol_error(stream):
    demultiplexer = Demultiplexer(Role.RESPONDER)
    try:
        units = demultiplexer.feed(stream)
    except ProtocolError:
        return
    assert sum(8 + len(unit.payload) for unit in units) <= len(stream)


@given(st.data(), st.lists(ENCODED, max_size=6))
def test_messages_come_out_the_same_however_the_stream_is_cut(data, messages):
    buffer, taken = a_buffer(), []
    for chunk in data.draw(in_chunks(b"".join(messages))):
        buffer.feed(chunk)
        taken += take_all(buffer)
    assert taken == messages
    assert buffer.is_empty


@given(st.data(), st.lists(st.tuples(st.integers(0, 2**15 - 1), st.binary(min_size=1, max_size=30000)), max_size=4))
@settings(max_examples=50)
def test_units_come_out_the_same_however_the_stream_is_cut(data, sent):
    stream = b"".join(encode_units(protocol, Role.INITIATOR, message, 0) for protocol, message in sent)
    demultiplexer, units = Demultiplexer(Role.INITIATOR), []
    for chunk in data.draw(in_chunks(stream)):
        units += demultiplexer.feed(chunk)
    assert b"".join(unit.payload for unit in units) == b"".join(message for _, message in sent)
    assert not demultiplexer.is_mid_unit


@given(ENCODED)
def test_no_beginning_of_a_message_is_taken_for_a_message(message):
    for cut in range(min(len(message), 300)):
        buffer = a_buffer()
        buffer.feed(message[:cut])
        assert buffer.take() is None


ORDINARY = st.recursive(
    st.one_of(
        st.integers(-(2**64), 2**64 - 1),
        st.binary(max_size=300),
        st.text(max_size=50),
        st.booleans(),
        st.none(),
        st.floats(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.integers(0, 2**64 - 1), inner, max_size=4)),
    max_leaves=MAXIMUM_DEPTH,
)


@given(ORDINARY, st.binary(max_size=5))
def test_cbor2_and_we_agree_on_where_an_item_ends(value, rest):
    encoded = cbor2.dumps(value)
    buffer = a_buffer()
    buffer.feed(encoded + rest)
    assert buffer.take() == encoded
    reader = Reader(encoded, "test")
    reader.skip("item")
    reader.end()


@given(st.lists(U64, max_size=40))
def test_cbor2_and_we_agree_on_numbers(numbers):
    reader = Reader(cbor2.dumps(numbers), "test")
    assert reader.array("numbers", len(numbers)) == len(numbers)
    assert [reader.unsigned("number") for _ in numbers] == numbers
    reader.end()
