r"""Decide the hash of a genesis file as the node does, to be compared with what config.json states.

Two rules, by era. Shelley and later: blake2b-256 of the file's bytes, so that one blank more is another
network. Byron: blake2b-256 of the file's *canonical JSON*: keys sorted by their bytes, no blanks, nothing
escaped but `"` and `\`, so that blanks and the order of keys do not matter. Canonical JSON knows whole numbers
of at most 15 digits and only those two escapes; what the node's parser refuses (fractions, exponents, other
escapes) is refused here too, with `ValueError`. The rules are those of cardano-ledger's `readGenesisData` and
of the canonical-json library it uses.

Only the standard library, and Python 3.11 as Debian 12 has it: the lab node runs this file too. What
config.json states, and where the files lie, is decided by the callers.
"""

from __future__ import annotations

import hashlib
import json
import re

ESCAPE = re.compile(rb"\\(.)", re.DOTALL)

# The node's parser takes no more: a crude form of the 54 bits that any JSON reader represents exactly.
LONGEST_NUMBER_DIGITS = 15


def shelley_genesis_hash(content: bytes) -> str:
    """Return the hash, in hexadecimal, of a Shelley, Alonzo, Conway or later genesis file."""
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def byron_genesis_hash(content: bytes) -> str:
    """Return the hash, in hexadecimal, of a Byron genesis file; ValueError if the node could not read it."""
    return hashlib.blake2b(render_canonical_json(content), digest_size=32).hexdigest()


def render_canonical_json(content: bytes) -> bytes:
    """Return the same JSON in canonical form; raise ValueError for what canonical JSON cannot say."""
    for escape in ESCAPE.finditer(content):
        if escape.group(1) not in (b'"', b"\\"):
            raise ValueError(f"canonical JSON has no escape {escape.group(0).decode('latin-1')!r}")
    # One character a byte, as the node's parser does: sorting is by bytes, and UTF-8 passes through.
    value = json.loads(
        content.decode("latin-1"),
        strict=False,
        object_pairs_hook=_Members,
        parse_int=_parse_whole_number,
        parse_float=_refuse_number,
        parse_constant=_refuse_number,
    )
    return _render(value).encode("latin-1")


class _Members(list[tuple[str, object]]):
    """An object's members in order; not a dict, since the node keeps a key that stands there twice."""


def _parse_whole_number(text: str) -> int:
    if len(text.lstrip("-")) > LONGEST_NUMBER_DIGITS or text == "-0":
        raise ValueError(f"canonical JSON has no number {text}")
    return int(text)


def _refuse_number(text: str) -> object:
    raise ValueError(f"canonical JSON has only whole numbers, not {text}")


def _render(value: object) -> str:
    match value:
        case _Members():
            members = sorted(value, key=lambda member: member[0])
            return "{" + ",".join(f"{_quote(name)}:{_render(inner)}" for name, inner in members) + "}"
        case list():
            return "[" + ",".join(_render(inner) for inner in value) + "]"
        case str():
            return _quote(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
