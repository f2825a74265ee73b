"""Genesis hashes: by the bytes for Shelley and later, by the canonical rendering for Byron."""

from __future__ import annotations

import hashlib

import pytest

from orchestrator.spec.genesis import byron_genesis_hash, render_canonical_json, shelley_genesis_hash


def test_shelley_genesis_hash_is_of_the_very_bytes() -> None:
    # The widely published blake2b-256 of nothing at all.
    assert shelley_genesis_hash(b"") == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
    assert shelley_genesis_hash(b"{}") != shelley_genesis_hash(b"{} ")


def test_canonical_json_sorts_keys_and_drops_blanks() -> None:
    content = b' {"b" : [1, -2 ,\n true, null, false], "a":{"z":0,"B":""} }\n'
    assert render_canonical_json(content) == b'{"a":{"B":"","z":0},"b":[1,-2,true,null,false]}'


def test_byron_genesis_hash_does_not_depend_on_layout() -> None:
    canonical = b'{"protocolConsts":{"k":36,"protocolMagic":3},"startTime":1689206400}'
    laid_out = b'{\n  "startTime": 1689206400,\n  "protocolConsts": {"protocolMagic": 3, "k": 36}\n}\n'
    expected = hashlib.blake2b(canonical, digest_size=32).hexdigest()
    assert byron_genesis_hash(laid_out) == byron_genesis_hash(canonical) == expected


def test_canonical_json_escapes_only_quotes_and_backslashes() -> None:
    assert render_canonical_json(rb'["a\"b\\c"]') == rb'["a\"b\\c"]'
    assert render_canonical_json(b'["tab\there"]') == b'["tab\there"]'
    assert render_canonical_json('["Übung"]'.encode()) == '["Übung"]'.encode()


def test_canonical_json_sorts_by_bytes_not_by_code_points_or_locale() -> None:
    content = '{"é":1,"z":2,"Z":3}'.encode()
    assert render_canonical_json(content) == '{"Z":3,"z":2,"é":1}'.encode()


def test_canonical_json_keeps_a_key_that_stands_there_twice() -> None:
    assert render_canonical_json(b'{"b":1,"a":2,"b":3}') == b'{"a":2,"b":1,"b":3}'


@pytest.mark.parametrize(
    "content",
    [b"[1.5]", b"[1e3]", b"[NaN]", b"[-0]", b"[1234567890123456]", rb'["\n"]', rb'["\u0041"]', b"[1", b""],
)
def test_what_the_node_cannot_parse_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kinds differ, the family is what callers catch
        byron_genesis_hash(content)
