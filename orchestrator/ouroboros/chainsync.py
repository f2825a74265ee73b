"""Chain-sync (protocol 2): points, tips and the eight messages, both directions.

Headers stay opaque: which era, and the bytes. What they say is left to whoever knows the era.
"""

from dataclasses import dataclass
from typing import TypeAlias

from .cbor import Encodable, Raw, Reader, encode
from .errors import ProtocolError

MESSAGE_LIMIT = 65535
# What the node accepts ahead of reading it; it asks for up to 300 headers at once.
UNREAD_LIMIT = 462000
HASH_LENGTH = 32
BYRON_ERA = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """The point before the first block."""


@dataclass(frozen=True, slots=True)
class BlockPoint:
    """The point of a block: its slot and the 32-byte hash of its header."""

    slot: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.slot}.{self.hash.hex()}"


Point: TypeAlias = Origin | BlockPoint


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest block of a chain and its height; Origin with height 0 when there is none."""

    point: Point
    block: int

    @property
    def slot(self) -> int | None:
        """Return the slot of the newest block, None before the first."""
        return self.point.slot if isinstance(self.point, BlockPoint) else None

    @property
    def hash(self) -> bytes | None:
        """Return the hash of the newest block, None before the first."""
        return self.point.hash if isinstance(self.point, BlockPoint) else None


@dataclass(frozen=True, slots=True)
class EraHeader:
    """A header of a Shelley or later era, opaque: `era` counts from 1 (Shelley)."""

    era: int
    body: bytes


@dataclass(frozen=True, slots=True)
class ByronHeader:
    """A Byron header, opaque, with the type and size that go before it."""

    kind: int
    size: int
    body: bytes


Header: TypeAlias = EraHeader | ByronHeader


@dataclass(frozen=True, slots=True)
class RequestNext:
    """Ask for what follows the read pointer."""


@dataclass(frozen=True, slots=True)
class AwaitReply:
    """Nothing follows yet; the answer comes when something does."""


@dataclass(frozen=True, slots=True)
class RollForward:
    """The next header, and the sender's tip."""

    header: Header
    tip: Tip


@dataclass(frozen=True, slots=True)
class RollBackward:
    """Go back to a point, and the sender's tip."""

    point: Point
    tip: Tip


@dataclass(frozen=True, slots=True)
class FindIntersect:
    """Ask which of these points, best first, is on the other's chain."""

    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class IntersectFound:
    """The first of the asked points that is on the chain."""

    point: Point
    tip: Tip


@dataclass(frozen=True, slots=True)
class IntersectNotFound:
    """None of the asked points is on the chain (or none was asked)."""

    tip: Tip


@dataclass(frozen=True, slots=True)
class ChainSyncDone:
    """The initiator ends the protocol."""


ChainSyncRequest: TypeAlias = RequestNext | FindIntersect | ChainSyncDone
ChainSyncReply: TypeAlias = AwaitReply | RollForward | RollBackward | IntersectFound | IntersectNotFound
ChainSyncMessage: TypeAlias = ChainSyncRequest | ChainSyncReply


def expect_request(message: ChainSyncMessage) -> ChainSyncRequest:
    """Refuse what an initiator may not send."""
    if isinstance(message, ChainSyncRequest):
        return message
    raise _out_of_turn(message, "a request")


def expect_intersection(asked: FindIntersect, message: ChainSyncMessage) -> IntersectFound | IntersectNotFound:
    """Refuse what does not answer FindIntersect, and an intersection that was not asked about."""
    match message:
        case IntersectFound(point) if point not in asked.points:
            raise ProtocolError("chain-sync", f"intersection at {point}, which was not asked about")
        case IntersectFound() | IntersectNotFound():
            return message
        case _:
            raise _out_of_turn(message, "an intersection")


def expect_update_or_await(message: ChainSyncMessage) -> RollForward | RollBackward | AwaitReply:
    """Refuse what may not be the first answer to RequestNext."""
    return message if isinstance(message, AwaitReply) else expect_update(message)


def expect_update(message: ChainSyncMessage) -> RollForward | RollBackward:
    """Refuse what may not follow AwaitReply."""
    if isinstance(message, RollForward | RollBackward):
        return message
    raise _out_of_turn(message, "an update")


def _out_of_turn(message: ChainSyncMessage, expected: str) -> ProtocolError:
    return ProtocolError("chain-sync", f"{type(message).__name__} where {expected} was due")


def encode_chain_sync(message: ChainSyncMessage) -> bytes:
    """Write a message; lists are definite, as the specification's CDDL has them."""
    match message:
        case RequestNext():
            return encode([0])
        case AwaitReply():
            return encode([1])
        case RollForward(header, tip):
            return encode([2, _header_items(header), _tip_items(tip)])
        case RollBackward(point, tip):
            return encode([3, point_items(point), _tip_items(tip)])
        case FindIntersect(points):
            return encode([4, [point_items(point) for point in points]])
        case IntersectFound(point, tip):
            return encode([5, point_items(point), _tip_items(tip)])
        case IntersectNotFound(tip):
            return encode([6, _tip_items(tip)])
        case ChainSyncDone():
            return encode([7])


def point_items(point: Point) -> Encodable:
    """Return what stands for a point on the wire, in block-fetch too."""
    return [point.slot, point.hash] if isinstance(point, BlockPoint) else []


def _tip_items(tip: Tip) -> Encodable:
    return [point_items(tip.point), tip.block]


def _header_items(header: Header) -> Encodable:
    if isinstance(header, ByronHeader):
        return [BYRON_ERA, [[header.kind, header.size], Raw(header.body)]]
    return [header.era, Raw(header.body)]


def decode_chain_sync(data: bytes) -> ChainSyncMessage:
    """Read one whole message."""
    reader = Reader(data, "chain-sync")
    length = reader.array("message", 1, 2, 3)
    key = reader.unsigned("message key")
    message: ChainSyncMessage
    match key, length:
        case 0, 1:
            message = RequestNext()
        case 1, 1:
            message = AwaitReply()
        case 2, 3:
            message = RollForward(_read_header(reader), _read_tip(reader))
        case 3, 3:
            message = RollBackward(read_point(reader), _read_tip(reader))
        case 4, 2:
            message = FindIntersect(_read_points(reader))
        case 5, 3:
            message = IntersectFound(read_point(reader), _read_tip(reader))
        case 6, 2:
            message = IntersectNotFound(_read_tip(reader))
        case 7, 1:
            message = ChainSyncDone()
        case _:
            raise reader.refuse(f"message key {key} in a list of {length}")
    reader.end()
    return message


def read_point(reader: Reader) -> Point:
    """Read a point; block-fetch has the same."""
    if reader.array("point", 0, 2) == 0:
        return Origin()
    slot = reader.unsigned("slot")
    block_hash = reader.byte_string("block hash")
    if len(block_hash) != HASH_LENGTH:
        raise reader.refuse(f"block hash has {len(block_hash)} bytes, not {HASH_LENGTH}")
    return BlockPoint(slot, block_hash)


def _read_points(reader: Reader) -> tuple[Point, ...]:
    # Haskell writes a non-empty list as indefinite, against its own CDDL, and reads both.
    points: list[Point] = []
    length = reader.open_list("points")
    while reader.more(length, len(points)):
        points.append(read_point(reader))
    return tuple(points)


def _read_tip(reader: Reader) -> Tip:
    reader.array("tip", 2)
    return Tip(read_point(reader), reader.unsigned("block number"))


def _read_header(reader: Reader) -> Header:
    reader.array("header", 2)
    era = reader.unsigned("era")
    if era != BYRON_ERA:
        return EraHeader(era, reader.embedded("header"))
    reader.array("Byron header", 2)
    reader.array("Byron header's prefix", 2)
    kind = reader.unsigned("Byron header type")
    size = reader.unsigned("Byron header size")
    return ByronHeader(kind, size, reader.embedded("Byron header"))
