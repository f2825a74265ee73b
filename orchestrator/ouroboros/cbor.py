"""CBOR from a peer: finding where a message ends, and reading one without believing anything.

`MessageBuffer` cuts a byte stream into single items, in linear time however the bytes arrive;
`Reader` walks one item and accepts exactly what the caller names. Neither raises anything but
ProtocolError. Writing is `encode`, on cbor2.

Reading does not use `cbor2.loads`, for reasons seen with 5.4.6 (Debian 12) and 6.2: it drops duplicate
map keys and their order, which the handshake must check; it makes True equal 1; it follows tags into
dates, regular expressions, big decimals and shared references, with a different exception for each
(MemoryError, OverflowError, RecursionError, decimal.Overflow, re.error) and per version; and it cannot
say "not yet complete" apart from "broken". The tests compare both readers on ordinary input.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import cbor2

from .errors import ProtocolError

# What we write: cbor2 takes these as they are.
Encodable: TypeAlias = "int | bytes | str | bool | Sequence[Encodable] | Mapping[int, Encodable] | Raw"

# The deepest message of the protocols here nests six levels; unknown version data may add a few.
MAXIMUM_DEPTH = 16

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
KIND_NAMES = ("an integer", "a negative integer", "bytes", "text", "a list", "a map", "a tag", "a simple value")
FALSE, TRUE = 20, 21
EMBEDDED_CBOR_TAG = 24
# From this size on, a head's number is in the bytes that follow it.
LONGER_HEAD = 24
INDEFINITE = -1
BREAK = 0xFF

U16_MAXIMUM = 2**16 - 1
U32_MAXIMUM = 2**32 - 1
U64_MAXIMUM = 2**64 - 1


class Raw(NamedTuple):
    """Bytes that go out as embedded CBOR (tag 24)."""

    content: bytes


def encode(value: Encodable) -> bytes:
    """Write a value; lists are definite, which every peer accepts."""
    written: bytes = cbor2.dumps(_for_cbor2(value))
    return written


def _for_cbor2(value: Encodable) -> object:
    match value:
        case Raw(content):
            return cbor2.CBORTag(EMBEDDED_CBOR_TAG, content)
        case int() | bytes() | str():
            return value
        case Mapping():
            return {key: _for_cbor2(entry) for key, entry in value.items()}
        case _:
            return [_for_cbor2(entry) for entry in value]


class Head(NamedTuple):
    """The first bytes of an item: its kind, its number or length, and where the rest begins."""

    kind: int
    argument: int
    end: int


def read_head(data: bytes | bytearray, position: int, where: str) -> Head | None:
    """Read one item's head; None when its bytes have not all arrived."""
    if position >= len(data):
        return None
    first = data[position]
    kind, size = first >> 5, first & 0x1F
    if size < LONGER_HEAD:
        return Head(kind, size, position + 1)
    if size < 28:
        end = position + 1 + (1 << (size - LONGER_HEAD))
        if end > len(data):
            return None
        return Head(kind, int.from_bytes(data[position + 1 : end], "big"), end)
    if size == 31 and kind == ARRAY:
        return Head(kind, INDEFINITE, position + 1)
    raise ProtocolError(where, f"byte 0x{first:02x} does not begin anything that is allowed here")


class MessageBuffer:
    """Bytes of one protocol's stream in, whole messages out.

    Bounded by `message_limit` for one message, and by `unread_limit` for everything not yet taken.
    """

    def __init__(self, where: str, message_limit: int, unread_limit: int) -> None:
        self._where = where
        self._message_limit = message_limit
        self._unread_limit = unread_limit
        self._data = bytearray()
        # How far the message at the front has been walked, and how many items each open container
        # still lacks: kept between calls, so that no byte is looked at twice.
        self._position = 0
        self._open: list[int] = []

    def feed(self, data: bytes) -> None:
        """Append what arrived."""
        if len(self._data) + len(data) > self._unread_limit:
            raise ProtocolError(self._where, f"more than {self._unread_limit} bytes sent ahead of being asked")
        self._data += data

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is left, not even a part of a message."""
        return not self._data

    def take(self) -> bytes | None:
        """Return the next whole message, or None until more bytes arrive."""
        whole = self._walk()
        if self._position > self._message_limit or (not whole and len(self._data) >= self._message_limit):
            raise self._too_long()
        if not whole:
            return None
        message = bytes(self._data[: self._position])
        del self._data[: self._position]
        self._position = 0
        return message

    def _walk(self) -> bool:
        """Move on to the end of the message, or as far as there are bytes; say whether it is whole."""
        data, size, opened = self._data, len(self._data), self._open
        while self._position < size:
            first = data[self._position]
            if first == BREAK and opened and opened[-1] == INDEFINITE:
                self._position += 1
                opened.pop()
            elif not self._enter(first):
                return False
            while opened and opened[-1] == 0:
                opened.pop()
            if not opened:
                return True
        return False

    def _too_long(self) -> ProtocolError:
        return ProtocolError(self._where, f"a message exceeds {self._message_limit} bytes")

    def _enter(self, first: int) -> bool:
        """Step over a head and what it carries; False when that has not all arrived."""
        kind, argument, end = first >> 5, first & 0x1F, self._position + 1
        # Most heads are one byte, and this runs for every item that any peer sends.
        if argument >= LONGER_HEAD:
            head = read_head(self._data, self._position, self._where)
            if head is None:
                return False
            kind, argument, end = head
        # Each entry of a list or map takes a byte at least, so a length alone can exceed the limit.
        if BYTES <= kind <= MAP and end + argument > self._message_limit:
            raise self._too_long()
        if BYTES <= kind <= TEXT:
            end += argument
            if end > len(self._data):
                return False
        self._position = end
        if self._open and self._open[-1] != INDEFINITE:
            self._open[-1] -= 1
        if kind == ARRAY:
            self._descend(argument)
        elif kind == MAP:
            self._descend(2 * argument)
        elif kind == TAG:
            self._descend(1)
        return True

    def _descend(self, count: int) -> None:
        if len(self._open) >= MAXIMUM_DEPTH:
            raise ProtocolError(self._where, f"nested deeper than {MAXIMUM_DEPTH} levels")
        self._open.append(count)


class Reader:
    """Walks over one message; each method accepts one kind of item and refuses the rest."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self._position = 0

    def refuse(self, what: str) -> ProtocolError:
        """Make the error for something wrong at this place, to be raised by the caller."""
        return ProtocolError(self._where, what)

    def end(self) -> None:
        """Refuse anything that is left."""
        left = len(self._data) - self._position
        if left:
            raise self.refuse(f"{left} bytes follow the message")

    def unsigned(self, what: str, maximum: int = U64_MAXIMUM) -> int:
        """Read a number from 0 to maximum."""
        number = self._expect(UNSIGNED, what).argument
        if number > maximum:
            raise self.refuse(f"{what} is {number}, above {maximum}")
        return number

    def boolean(self, what: str) -> bool:
        """Read true or false; 0 and 1 are not accepted for them."""
        start = self._position
        head = self._expect(SIMPLE, what)
        # One byte: the same argument in a longer head would be a float.
        if head.argument not in (FALSE, TRUE) or head.end != start + 1:
            raise self.refuse(f"{what} is neither true nor false")
        return head.argument == TRUE

    def byte_string(self, what: str) -> bytes:
        """Read bytes of a stated length."""
        return self._content(self._expect(BYTES, what), what)

    def text(self, what: str) -> str:
        """Read UTF-8 text."""
        content = self._content(self._expect(TEXT, what), what)
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise self.refuse(f"{what} is not UTF-8") from None

    def embedded(self, what: str) -> bytes:
        """Read tag 24 with its bytes; what they hold is not looked at."""
        tag = self._expect(TAG, what).argument
        if tag != EMBEDDED_CBOR_TAG:
            raise self.refuse(f"{what} has tag {tag}, not {EMBEDDED_CBOR_TAG}")
        return self.byte_string(what)

    def array(self, what: str, *lengths: int) -> int:
        """Enter a list of a stated length, one of those given."""
        length = self._expect(ARRAY, what).argument
        if length not in lengths:
            said = "an indefinite list" if length == INDEFINITE else f"a list of {length}"
            raise self.refuse(f"{what} is {said}, not of {' or '.join(map(str, lengths))}")
        return length

    def open_list(self, what: str) -> int:
        """Enter a list of any length; `more` then says whether an entry follows."""
        return self._expect(ARRAY, what).argument

    def more(self, length: int, taken: int) -> bool:
        """Say whether a list entered by `open_list` has another entry, stepping over its end if not."""
        if length != INDEFINITE:
            return taken < length
        if self._position < len(self._data) and self._data[self._position] == BREAK:
            self._position += 1
            return False
        return True

    def map_length(self, what: str) -> int:
        """Enter a map; return how many keys follow."""
        return self._expect(MAP, what).argument

    def skip(self, what: str) -> None:
        """Step over one item of any kind."""
        rest = self._data[self._position :]
        buffer = MessageBuffer(f"{self._where} {what}", len(rest) + 1, len(rest) + 1)
        buffer.feed(rest)
        skipped = buffer.take()
        if skipped is None:
            raise self.refuse(f"ends within {what}")
        self._position += len(skipped)

    def _expect(self, kind: int, what: str) -> Head:
        head = read_head(self._data, self._position, f"{self._where} {what}")
        if head is None:
            raise self.refuse(f"ends before {what}")
        if head.kind != kind:
            raise self.refuse(f"{what} is {KIND_NAMES[head.kind]}, not {KIND_NAMES[kind]}")
        self._position = head.end
        return head

    def _content(self, head: Head, what: str) -> bytes:
        end = head.end + head.argument
        if end > len(self._data):
            raise self.refuse(f"ends within {what}")
        self._position = end
        return self._data[head.end : end]
