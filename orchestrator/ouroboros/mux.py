"""The multiplexer's wire format: many protocols' streams in one connection, cut into short units.

A unit (SDU) is an 8-byte big-endian header and up to 65535 bytes: u32 sender's clock in microseconds, one bit
for who sends (0 the side that opened the conversation, 1 the side that answers), 15 bits of protocol, u16 length.
Messages and units need not match: a message may span units, and a unit may hold several.
Where messages begin and end is left to `cbor.MessageBuffer`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum

from .errors import ProtocolError

HEADER = struct.Struct(">IHH")
HEADER_LENGTH = HEADER.size
# The node never sends more in one unit, though it accepts what the length field can say.
LARGEST_SENT_PAYLOAD = 12288
LARGEST_ACCEPTED_PAYLOAD = 65535
RESPONDER_BIT = 0x8000
CLOCK_MODULUS = 2**32


class ProtocolId(IntEnum):
    """The mini-protocols spoken here, by their numbers on the wire."""

    HANDSHAKE = 0
    CHAIN_SYNC = 2
    BLOCK_FETCH = 3
    KEEP_ALIVE = 8


class Role(Enum):
    """Which side of a mini-protocol sends a unit: the one that opened the conversation, or the one asked."""

    INITIATOR = 0
    RESPONDER = 1

    @property
    def opposite(self) -> "Role":
        """Return the other side."""
        return Role.RESPONDER if self is Role.INITIATOR else Role.INITIATOR


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one unit; `timestamp` in microseconds, modulo 2^32."""

    timestamp: int
    sender: Role
    protocol: int
    length: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit as received."""

    header: Header
    payload: bytes


def encode_header(header: Header) -> bytes:
    """Write a header."""
    mode = RESPONDER_BIT if header.sender is Role.RESPONDER else 0
    return HEADER.pack(header.timestamp % CLOCK_MODULUS, mode | header.protocol, header.length)


def decode_header(data: bytes) -> Header:
    """Read a header from its eight bytes; a length of zero is an error, as in the node."""
    if len(data) != HEADER_LENGTH:
        raise ProtocolError("mux header", f"{len(data)} bytes instead of {HEADER_LENGTH}")
    timestamp, mode_and_protocol, length = HEADER.unpack(data)
    sender = Role.RESPONDER if mode_and_protocol & RESPONDER_BIT else Role.INITIATOR
    header = Header(timestamp, sender, mode_and_protocol & ~RESPONDER_BIT, length)
    if length == 0:
        raise ProtocolError("mux header", f"length 0 for protocol {header.protocol}")
    return header


def encode_units(protocol: int, sender: Role, message: bytes, timestamp: int) -> bytes:
    """Cut one message into as few units as the sending limit allows, and join them again."""
    return b"".join(cut_into_units(protocol, sender, message, timestamp))


def cut_into_units(protocol: int, sender: Role, message: bytes, timestamp: int) -> Iterator[bytes]:
    """Yield one message as units, each written whole before another protocol has its turn."""
    for start in range(0, len(message), LARGEST_SENT_PAYLOAD):
        piece = message[start : start + LARGEST_SENT_PAYLOAD]
        yield encode_header(Header(timestamp, sender, protocol, len(piece))) + piece


class Demultiplexer:
    """Bytes of a connection in, whole units out; checks who sent them.

    `sender` is the role that the peer has: units in the other role are refused, since we never offer both.
    """

    def __init__(self, sender: Role) -> None:
        self._sender = sender
        self._data = bytearray()
        self._header: Header | None = None

    @property
    def is_mid_unit(self) -> bool:
        """Say whether a unit has begun and not ended (the time for that is limited)."""
        return bool(self._data) or self._header is not None

    def feed(self, data: bytes) -> list[Unit]:
        """Take in what arrived; return the units that it completes."""
        self._data += data
        units = []
        while (unit := self._next_unit()) is not None:
            units.append(unit)
        return units

    def _next_unit(self) -> Unit | None:
        if self._header is None:
            self._header = self._next_header()
        if self._header is None or len(self._data) < self._header.length:
            return None
        header, self._header = self._header, None
        payload = bytes(self._data[: header.length])
        del self._data[: header.length]
        return Unit(header, payload)

    def _next_header(self) -> Header | None:
        if len(self._data) < HEADER_LENGTH:
            return None
        header = decode_header(bytes(self._data[:HEADER_LENGTH]))
        if header.sender is not self._sender:
            raise ProtocolError(
                "mux header",
                f"protocol {header.protocol} sent as {header.sender.name.lower()}, "
                f"this peer is {self._sender.name.lower()}",
            )
        del self._data[:HEADER_LENGTH]
        return header
