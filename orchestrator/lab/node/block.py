"""One block: its header and its body, together as they travel and apart as they are kept.

A body stands for transactions; it is made from the seed of the network, the issuer and the slot, so that it is the same on every
machine, and mostly small. What makes it belong to a header is the header's own word: size and hash of the body stand in it.
On the wire a block has the real shape's outline: `[era, [header, body]]`, with the era's number among blocks.
"""

from __future__ import annotations

import hashlib

import cbor2

from orchestrator.ouroboros.errors import WireError

from .header import Header, hash_body

# Conway's number among blocks; it is one more than among headers, since Byron has two kinds of blocks.
CONWAY_BLOCK = 7

SMALLEST_BODY, LARGEST_BODY = 200, 4096
# The higher, the rarer a large body: six makes 750 bytes the mean.
RARITY = 6


class RefusedBlock(WireError):
    """A peer sent something else than the block whose header it showed: the connection to it ends."""


def make_body(seed: bytes, issuer: int, slot: int) -> bytes:
    """Return the body that an issuer's block of a slot has."""
    text = b"%b/%d/%d/body" % (seed, issuer, slot)
    luck = int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big") / 2**32
    size = SMALLEST_BODY + int((LARGEST_BODY - SMALLEST_BODY) * luck**RARITY)
    return hashlib.shake_128(text).digest(size)


def encode_block(header: bytes, body: bytes) -> bytes:
    """Write a block as it travels."""
    return cbor2.dumps([CONWAY_BLOCK, [header, body]])


def read_body(encoded: bytes, header: Header) -> bytes:
    """Return the body of the block of this header; raise RefusedBlock for anything else."""
    where = f"block {header.number} of slot {header.slot}"
    try:
        block = cbor2.loads(encoded)
    except Exception as error:  # cbor2 raises many kinds, and all of them mean the same here
        raise RefusedBlock(f"{where}: not CBOR: {error}") from error
    match block:
        case [7, [bytes() as sent_header, bytes() as body]]:
            pass
        case _:
            raise RefusedBlock(f"{where}: not of the shape [{CONWAY_BLOCK}, [header, body]]")
    if sent_header != header.encoded:
        raise RefusedBlock(f"{where}: another block was sent")
    if not belongs(body, header):
        raise RefusedBlock(f"{where}: its body is not the one that its header commits to")
    return body


def belongs(body: bytes, header: Header) -> bool:
    """Tell whether this is the body that a header commits to."""
    return len(body) == header.body_size and hash_body(body) == header.body_hash
