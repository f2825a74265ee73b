"""One block's header: the bytes that travel, and the hash of them that names the block.

The shape leans on the real one, `[[number, slot, previous, issuer, draw, body size, body hash], signature]`, wrapped for the
wire as the Conway era's header by `orchestrator.ouroboros`. There is no key behind it: what makes chains comparable is the
hash of the previous header in each, and `draw`, the lottery number that decides between two blocks of one slot.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cbor2

HASH_BYTES = 32
LARGEST_NUMBER = 1 << 64

# The index of the Conway era in a node-to-node header: Byron is 0, and each era since one more.
CONWAY = 6


class InvalidHeader(Exception):
    """Bytes that are no header of the lab's chain."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header as it was read or made; `previous` is None for the first block after the genesis."""

    number: int
    slot: int
    previous: bytes | None
    issuer: int
    draw: int
    body_size: int
    body_hash: bytes
    hash: bytes
    encoded: bytes


def make_header(number: int, slot: int, previous: bytes | None, issuer: int, draw: int, body: bytes = b"") -> Header:
    """Make the header of a new block."""
    fields = (number, slot, previous, issuer, draw, len(body), hash_body(body))
    encoded = cbor2.dumps([list(fields), b""])
    return Header(*fields, hash_header(encoded), encoded)


def parse_header(encoded: bytes) -> Header:
    """Read a header; raise InvalidHeader with the reason for anything that make_header would not have made."""
    try:
        outer = cbor2.loads(encoded)
    except Exception as error:  # cbor2 raises many kinds, and all of them mean the same here
        raise InvalidHeader(f"not CBOR: {error}") from error
    match outer:
        case [
            [
                int(number),
                int(slot),
                (bytes() | None) as previous,
                int(issuer),
                int(draw),
                int(size),
                bytes(body_hash),
            ],
            bytes(),
        ]:
            pass
        case _:
            raise InvalidHeader("not of the shape [[number, slot, previous, issuer, draw, size, hash], signature]")
    if any(len(digest) != HASH_BYTES for digest in (previous, body_hash) if digest is not None):
        raise InvalidHeader("a hash that has not 32 bytes")
    numbers = (number, slot, issuer, draw, size)
    if min(numbers) < 0 or max(numbers) >= LARGEST_NUMBER:
        raise InvalidHeader("a number that is negative or has more than 64 bits")
    return Header(number, slot, previous, issuer, draw, size, body_hash, hash_header(encoded), encoded)


def hash_body(body: bytes) -> bytes:
    """Return the hash by which a header commits to its body."""
    return hashlib.blake2b(body, digest_size=HASH_BYTES).digest()


def hash_header(encoded: bytes) -> bytes:
    """Return the hash that names the block with this header."""
    return hashlib.blake2b(encoded, digest_size=HASH_BYTES).digest()
