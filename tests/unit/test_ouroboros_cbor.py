"""Finding where a message ends, and reading one strictly."""

import pytest

from orchestrator.ouroboros.cbor import MAXIMUM_DEPTH, MessageBuffer, Raw, Reader, encode
from orchestrator.ouroboros.errors import ProtocolError


def a_buffer(message_limit: int = 1000, unread_limit: int = 10000) -> MessageBuffer:
    return MessageBuffer("test", message_limit, unread_limit)


def a_reader(hexadecimal: str) -> Reader:
    return Reader(bytes.fromhex(hexadecimal), "test")


def test_messages_come_out_one_by_one_and_the_rest_stays():
    buffer = a_buffer()
    buffer.feed(bytes.fromhex("8100" + "820481 8218aa4101 8101 82".replace(" ", "")))
    assert [buffer.take(), buffer.take(), buffer.take(), buffer.take()] == [
        bytes.fromhex("8100"),
        bytes.fromhex("8204818218aa4101"),
        bytes.fromhex("8101"),
        None,
    ]
    assert not buffer.is_empty


@pytest.mark.parametrize(
    "message",
    [
        "00",
        "9fff",
        "9f809f00ffff",
        "a0",
        "a201020304",
        "d81841ff",
        "f5",
        "f97e00",
        "fb3ff0000000000000",
        "3903e7",
        "820480",
    ],
)
def test_a_message_ends_where_its_structure_ends(message):
    buffer = a_buffer()
    buffer.feed(bytes.fromhex(message) + b"\x00")
    assert buffer.take() == bytes.fromhex(message)


@pytest.mark.parametrize("hostile", ["ff", "82ff", "1c", "5f", "7f", "bf", "df", "9fd818ff", "3f", "1f"])
def test_heads_that_nothing_here_begins_with_are_refused(hostile):
    buffer = a_buffer()
    buffer.feed(bytes.fromhex(hostile))
    with pytest.raises(ProtocolError, match="does not begin anything that is allowed here"):
        buffer.take()


@pytest.mark.parametrize("nesting", [b"\x81", b"\x9f", b"\xd8\x18", b"\xa1\x00"])
def test_nesting_is_limited(nesting):
    buffer = a_buffer()
    buffer.feed(nesting * (MAXIMUM_DEPTH + 1))
    with pytest.raises(ProtocolError, match=f"nested deeper than {MAXIMUM_DEPTH}"):
        buffer.take()


@pytest.mark.parametrize(
    "promised", ["5903e7", "5bffffffffffffffff", "9bffffffffffffffff", "bbffffffffffffffff", "7a7fffffff"]
)
def test_a_length_beyond_the_limit_is_refused_before_its_bytes_arrive(promised):
    buffer = a_buffer(message_limit=999)
    buffer.feed(bytes.fromhex(promised))
    with pytest.raises(ProtocolError, match="exceeds 999 bytes"):
        buffer.take()


@pytest.mark.parametrize("arriving", [b"\x9f" + bytes(20), b"\x9f" + bytes(8) + b"\xff"])
def test_a_message_that_grows_past_the_limit_is_refused(arriving):
    buffer = a_buffer(message_limit=9)
    buffer.feed(arriving)
    with pytest.raises(ProtocolError, match="exceeds 9 bytes"):
        buffer.take()


def test_a_message_of_exactly_the_limit_is_taken():
    buffer = a_buffer(message_limit=9)
    buffer.feed(b"\x9f" + bytes(7) + b"\xff")
    assert buffer.take() == b"\x9f" + bytes(7) + b"\xff"


def test_what_is_sent_ahead_is_limited():
    buffer = a_buffer(unread_limit=4)
    buffer.feed(bytes(4))
    with pytest.raises(ProtocolError, match="more than 4 bytes sent ahead"):
        buffer.feed(b"\x00")


def test_a_long_message_arriving_byte_by_byte_is_looked_at_once():
    # Looking again from the start at each byte would take hours.
    message = b"\x9f" + bytes(60000) + b"\xff"
    buffer = a_buffer(message_limit=65535, unread_limit=65535)
    for byte in message[:-1]:
        buffer.feed(bytes([byte]))
        assert buffer.take() is None
    buffer.feed(message[-1:])
    assert buffer.take() == message


def test_embedded_cbor_is_written_with_its_tag():
    assert encode([6, Raw(b"\x82\x01\x02")]).hex() == "8206d81843820102"


@pytest.mark.parametrize(
    ("read", "wrong", "complaint"),
    [
        (lambda reader: reader.unsigned("n"), "f5", "n is a simple value, not an integer"),
        (lambda reader: reader.unsigned("n"), "20", "n is a negative integer"),
        (lambda reader: reader.unsigned("n", 9), "0a", "n is 10, above 9"),
        (lambda reader: reader.unsigned("n"), "", "ends before n"),
        (lambda reader: reader.boolean("b"), "00", "b is an integer"),
        (lambda reader: reader.boolean("b"), "f6", "b is neither true nor false"),
        (lambda reader: reader.boolean("b"), "f90014", "b is neither true nor false"),
        (lambda reader: reader.byte_string("s"), "6161", "s is text, not bytes"),
        (lambda reader: reader.byte_string("s"), "4261", "ends within s"),
        (lambda reader: reader.text("t"), "61ff", "t is not UTF-8"),
        (lambda reader: reader.embedded("e"), "d90102 4100", "e has tag 258, not 24"),
        (lambda reader: reader.embedded("e"), "4100", "e is bytes, not a tag"),
        (lambda reader: reader.array("l", 1, 2), "83", "l is a list of 3, not of 1 or 2"),
        (lambda reader: reader.array("l", 1), "9f", "l is an indefinite list"),
        (lambda reader: reader.map_length("m"), "80", "m is a list, not a map"),
        (lambda reader: reader.skip("x"), "8201", "ends within x"),
        (lambda reader: reader.end(), "00", "1 bytes follow the message"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(read, wrong, complaint):
    with pytest.raises(ProtocolError, match=f"test: {complaint}"):
        read(a_reader(wrong))


def test_an_error_says_where_and_what():
    with pytest.raises(ProtocolError) as caught:
        a_reader("f5").unsigned("slot")
    assert (caught.value.where, caught.value.what) == ("test", "slot is a simple value, not an integer")
