"""Whatever stands in a fleet file: it is a fleet or it has findings, and a mistake is found where it was made."""

from __future__ import annotations

import re
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.spec.model import FleetSpec
from orchestrator.spec.parse import ParsedFleet, parse_fleet_text
from orchestrator.spec.starter import render_starter
from tests.spec_texts import AWS, STATIC

STARTERS = (render_starter("aws", "my-fleet"), render_starter("static", "my-fleet"), AWS, STATIC)
FINDING = re.compile(r"f:[1-9][0-9]*: \S.*")

# Pieces of YAML that are likely to mean something, so that not everything fails in the first byte.
WORDS = rb"""fleet regions releases ssh network null : - [ ] { } , &a *a ! !!str << | > ' " \ \U \x # --- %YAML ? 1 0x ~ . @"""
BLANKS = (
    b": ",
    b"\n",
    b"  ",
    b"- ",
    b"\t",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b"%YAML 1.1\n---\n",
)
PIECES = st.sampled_from((*WORDS.split(b" "), *BLANKS))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SECTIONS = st.dictionaries(st.sampled_from(sorted(FleetSpec.model_fields)), VALUES, max_size=8)


def check(content: bytes) -> ParsedFleet | tuple[str, ...]:
    """Parse, and check what holds for any result."""
    result = parse_fleet_text(content, "f")
    if isinstance(result, ParsedFleet):
        assert isinstance(result.spec, FleetSpec)
    else:
        assert result
        last = content.count(b"\n") + content.count(b"\r") + 1
        for line in result:
            assert FINDING.fullmatch(line), line
            assert int(line.split(":")[1]) <= last
    return result


@given(st.binary(max_size=200) | st.lists(PIECES, max_size=40).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_fleet_or_findings(content: bytes) -> None:
    check(content)


@given(SECTIONS)
@settings(max_examples=200, deadline=None)
def test_any_values_under_the_right_keys_are_a_fleet_or_findings(values: dict[str, Any]) -> None:
    check(yaml.safe_dump(values, allow_unicode=True).encode("utf-8", "surrogatepass"))


@given(st.sampled_from(STARTERS), st.data())
@settings(max_examples=200, deadline=None)
def test_a_valid_file_with_bytes_changed_is_a_fleet_or_findings(text: str, data: st.DataObject) -> None:
    content = text.encode()
    start = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 20))
    check(content[:start] + data.draw(st.binary(max_size=5) | PIECES) + content[start + length :])


def keyed_lines(text: str) -> list[tuple[int, re.Match[str]]]:
    """Lines of block style that have a key: number from 1, and its indentation, key and value."""
    found = (
        (number, re.fullmatch(r"((?:  )*(?:- )?)([a-z_]+):(?: (.*))?", line))
        for number, line in enumerate(text.splitlines(), 1)
    )
    return [(number, match) for number, match in found if match]


@given(st.sampled_from(STARTERS), st.data())
@settings(max_examples=150, deadline=None)
def test_a_renamed_key_is_found_on_its_line(text: str, data: st.DataObject) -> None:
    # Region names of static fleets are free: renaming one is no mistake.
    candidates = [(number, match) for number, match in keyed_lines(text) if match[2] not in ("europe", "america")]
    number, match = data.draw(st.sampled_from(candidates))
    lines = text.splitlines()
    lines[number - 1] = f"{match[1]}{match[2]}_x:" + (f" {match[3]}" if match[3] else "")
    result = check("\n".join(lines).encode())
    assert not isinstance(result, ParsedFleet)
    assert any(line.startswith(f"f:{number}: ") and f"{match[2]}_x" in line for line in result), result


@given(st.sampled_from(STARTERS), st.sampled_from(["[[]]", "{a: 1}", "!x y", "'\u00e4\u00f6 '"]), st.data())
@settings(max_examples=150, deadline=None)
def test_a_value_of_the_wrong_kind_is_found_on_its_line(text: str, value: str, data: st.DataObject) -> None:
    # Texts that may be anything (a path on this machine, a folder) cannot be of the wrong kind in quotes.
    free = ("folder", "private_key") if value.startswith("'") else ()
    candidates = [(number, match) for number, match in keyed_lines(text) if match[3] and match[2] not in free]
    number, match = data.draw(st.sampled_from(candidates))
    lines = text.splitlines()
    lines[number - 1] = f"{match[1]}{match[2]}: {value}"
    result = check("\n".join(lines).encode())
    assert not isinstance(result, ParsedFleet)
    assert any(line.startswith(f"f:{number}: ") for line in result), result


@given(st.sampled_from([AWS, STATIC]), st.data())
@settings(max_examples=100, deadline=None)
def test_a_dropped_key_is_found_at_what_it_belonged_to(text: str, data: st.DataObject) -> None:
    needed = [
        (number, match)
        for number, match in keyed_lines(text)
        if match[3] and match[2] in ("fleet", "magic", "folder", "release", "url", "sha256", "host_key", "image")
        and not match[1].endswith("- ")
    ]  # fmt: skip
    number, match = data.draw(st.sampled_from(needed))
    lines = text.splitlines()
    del lines[number - 1]
    result = check("\n".join(lines).encode())
    assert not isinstance(result, ParsedFleet)
    place = next((line for line in result if f"{match[2]}: found nothing, expected" in line), None)
    assert place is not None, result
    # The mapping that it belonged to begins on a line before it; at the top of the file that may be the line itself.
    assert int(place.split(":")[1]) <= max(number - 1, 1)
