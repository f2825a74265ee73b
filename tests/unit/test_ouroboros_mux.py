"""The multiplexer's headers and units."""

import pytest

from orchestrator.ouroboros.errors import ProtocolError
from orchestrator.ouroboros.mux import (
    LARGEST_SENT_PAYLOAD,
    Demultiplexer,
    Header,
    Role,
    Unit,
    decode_header,
    encode_header,
    encode_units,
)

# The specification's layout, written out: clock 1, protocol 0, 19 bytes; asked, and answered.
ASKED = Header(1, Role.INITIATOR, 0, 19)
ANSWERED = Header(1, Role.RESPONDER, 0, 19)


@pytest.mark.parametrize(("header", "encoded"), [(ASKED, "0000000100000013"), (ANSWERED, "0000000180000013")])
def test_headers_have_the_specified_layout(header, encoded):
    assert encode_header(header).hex() == encoded
    assert decode_header(bytes.fromhex(encoded)) == header


def test_the_clock_wraps_at_32_bits():
    assert encode_header(Header(2**32 + 7, Role.INITIATOR, 2, 1)).hex() == "0000000700020001"


def test_a_length_of_zero_is_refused():
    with pytest.raises(ProtocolError, match="length 0 for protocol 8"):
        decode_header(bytes.fromhex("0000000100080000"))


def test_a_header_of_another_size_is_refused():
    with pytest.raises(ProtocolError, match="7 bytes instead of 8"):
        decode_header(bytes(7))


def test_a_long_message_is_cut_into_units_of_the_sending_limit():
    assert LARGEST_SENT_PAYLOAD == 12288
    message = bytes(2 * LARGEST_SENT_PAYLOAD + 1)
    units = Demultiplexer(Role.INITIATOR).feed(encode_units(2, Role.INITIATOR, message, 0))
    assert [unit.header.length for unit in units] == [LARGEST_SENT_PAYLOAD, LARGEST_SENT_PAYLOAD, 1]
    assert b"".join(unit.payload for unit in units) == message


def test_the_largest_unit_the_length_field_can_say_is_accepted():
    header = Header(0, Role.RESPONDER, 2, 65535)
    assert Demultiplexer(Role.RESPONDER).feed(encode_header(header) + bytes(65535)) == [Unit(header, bytes(65535))]


def test_a_unit_from_the_wrong_role_is_refused():
    with pytest.raises(ProtocolError, match="protocol 2 sent as initiator, this peer is responder"):
        Demultiplexer(Role.RESPONDER).feed(encode_units(2, Role.INITIATOR, b"x", 0))


def test_units_come_out_whole_wherever_the_stream_is_cut():
    stream = encode_units(2, Role.RESPONDER, b"first", 1) + encode_units(8, Role.RESPONDER, b"second", 2)
    whole = Demultiplexer(Role.RESPONDER).feed(stream)
    for cut in range(len(stream) + 1):
        demultiplexer = Demultiplexer(Role.RESPONDER)
        assert demultiplexer.feed(stream[:cut]) + demultiplexer.feed(stream[cut:]) == whole
        assert not demultiplexer.is_mid_unit


@pytest.mark.parametrize("begun", [b"\x00", bytes.fromhex("0000000180000013"), bytes.fromhex("000000018000001301")])
def test_a_unit_that_has_begun_is_known_to_be_unfinished(begun):
    demultiplexer = Demultiplexer(Role.RESPONDER)
    assert demultiplexer.feed(begun) == []
    assert demultiplexer.is_mid_unit
