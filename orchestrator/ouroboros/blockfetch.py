"""Block-fetch (protocol 3): the six messages, both directions, and the order they may come in.

Blocks stay opaque: the bytes inside tag 24, which for a real chain are `[era, block]` (and there the era counts
differently from a header's: 0 and 1 are Byron, 2 is Shelley). Which blocks to ask for, and whether they fit their
headers, is left to the caller.

Shapes and limits are those of the node's codec and of gouroboros: 65535 bytes for a request and for the beginning of
an answer, 2,500,000 for a block; 60 s for the beginning of an answer and for each message after it; no limit on how long
a client may ask for nothing.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from .cbor import Raw, Reader, encode
from .chainsync import BlockPoint, point_items, read_point
from .errors import ProtocolError

REQUEST_LIMIT = 65535
BLOCK_LIMIT = 2_500_000
# What may lie unread of requests, and of blocks: ten of the largest blocks and a tenth more, as in the node.
UNREAD_REQUESTS_LIMIT = 65535
UNREAD_BLOCKS_LIMIT = 23_068_694
ANSWER_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class RequestRange:
    """Ask for the blocks from first to last, both included."""

    first: BlockPoint
    last: BlockPoint


@dataclass(frozen=True, slots=True)
class ClientDone:
    """The initiator ends the protocol."""


@dataclass(frozen=True, slots=True)
class StartBatch:
    """The range is here: its blocks follow."""


@dataclass(frozen=True, slots=True)
class NoBlocks:
    """The range is not here, or not in one piece."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block, oldest first."""

    body: bytes


@dataclass(frozen=True, slots=True)
class BatchDone:
    """That was the range's last block."""


BlockFetchRequest: TypeAlias = RequestRange | ClientDone
BlockFetchReply: TypeAlias = StartBatch | NoBlocks | Block | BatchDone
BlockFetchMessage: TypeAlias = BlockFetchRequest | BlockFetchReply


def expect_range_or_done(message: BlockFetchMessage) -> BlockFetchRequest:
    """Refuse what an initiator may not send."""
    if isinstance(message, BlockFetchRequest):
        return message
    raise _out_of_turn(message, "a request")


def expect_beginning(message: BlockFetchMessage) -> StartBatch | NoBlocks:
    """Refuse what may not be the first answer to a request."""
    if isinstance(message, StartBatch | NoBlocks):
        return message
    raise _out_of_turn(message, "the beginning of a batch")


def expect_block_or_end(message: BlockFetchMessage) -> Block | BatchDone:
    """Refuse what may not come within a batch."""
    if isinstance(message, Block | BatchDone):
        return message
    raise _out_of_turn(message, "a block or the end of the batch")


def _out_of_turn(message: BlockFetchMessage, expected: str) -> ProtocolError:
    return ProtocolError("block-fetch", f"{type(message).__name__} where {expected} was due")


def encode_block_fetch(message: BlockFetchMessage) -> bytes:
    """Write a message."""
    match message:
        case RequestRange(first, last):
            return encode([0, point_items(first), point_items(last)])
        case ClientDone():
            return encode([1])
        case StartBatch():
            return encode([2])
        case NoBlocks():
            return encode([3])
        case Block(body):
            return encode([4, Raw(body)])
        case BatchDone():
            return encode([5])


def decode_block_fetch(data: bytes) -> BlockFetchMessage:
    """Read one whole message."""
    reader = Reader(data, "block-fetch")
    length = reader.array("message", 1, 2, 3)
    key = reader.unsigned("message key")
    message: BlockFetchMessage
    match key, length:
        case 0, 3:
            message = RequestRange(_read_block_point(reader, "first"), _read_block_point(reader, "last"))
        case 1, 1:
            message = ClientDone()
        case 2, 1:
            message = StartBatch()
        case 3, 1:
            message = NoBlocks()
        case 4, 2:
            message = Block(reader.embedded("block"))
        case 5, 1:
            message = BatchDone()
        case _:
            raise reader.refuse(f"message key {key} in a list of {length}")
    reader.end()
    return message


def _read_block_point(reader: Reader, which: str) -> BlockPoint:
    point = read_point(reader)
    # The codec of the node lets the origin through, and its server then fails: there is no such block.
    if not isinstance(point, BlockPoint):
        raise reader.refuse(f"the {which} point is the origin, which has no block")
    return point
