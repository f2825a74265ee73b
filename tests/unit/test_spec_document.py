"""The text of a fleet file: what YAML may not do here, and what plain words mean."""

from __future__ import annotations

import pytest

from orchestrator.spec.document import LARGEST_FILE_BYTES, Document, read_document
from orchestrator.spec.findings import render_findings
from orchestrator.spec.parse import parse_fleet_text


def values(text: str) -> object:
    document = read_document(text.encode())
    assert isinstance(document, Document)
    assert not document.findings
    return document.value


def lines(content: bytes) -> tuple[str, ...]:
    document = read_document(content)
    return render_findings("f", document.findings if isinstance(document, Document) else [document])


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("22:22", "22:22"),
        ("0777", "0777"),
        ("1_000", "1_000"),
        ("2026-05-05", "2026-05-05"),
        ("10.5.1", "10.5.1"),
        ("=", "="),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-1", -1),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("9" * 19, "9" * 19),
        ("'12'", "12"),
        ('"true"', "true"),
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(text: str, meaning: object) -> None:
    found = values(f"key: {text}\n")
    assert found == {"key": meaning}
    assert type(found["key"]) is type(meaning)  # type: ignore[index]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"a: !!python/object/apply:os.system [id]\n",
            "f:1: a: found the tag tag:yaml.org,2002:python/object/apply:os",
        ),
        (b"a: 1\nb: !x 1\n", "f:2: b: found the tag !x, expected a value without one"),
        (b"a: &x 1\nb: *x\n", "f:1: a: found the anchor &x, expected a value without one"),
        (b"a: &x 1\nb: *x\n", "f:2: b: found the alias *x, expected the value itself"),
        (b"a: {}\nb:\n  <<: {c: 1}\n", "f:3: b: found a merge key (<<), expected the keys themselves"),
        (b"a: 1\n\nb: 2\na: 3\n", "f:4: a: found this key again (first on line 1), expected it once"),
        (b"a: 1\n---\nb: 2\n", "f:2: found a second document (---), expected one"),
        (b"%YAML 1.1\n---\na: 1\n", "f:1: found a directive (%YAML, %TAG), expected none"),
        (b"a: 1\nb: \xff\n", "f:2: found byte 0xff at offset 8, expected UTF-8"),
        (b"a: 1\nb: \x00\n", "f:2: found the control character U+0000, expected plain text"),
        ("a: 1\nb: x\u202ey\n".encode(), "f:2: found the control character U+202E, expected plain text"),
        (b'a: 1\nb: "x\\0"\n', "f:2: b: found control characters or several lines, expected one line of plain text"),
        (b"a: |\n  x\n  y\n", "f:1: a: found control characters or several lines, expected one line of plain text"),
        (b'a: "\\UFFFFFFFF"\n', "f:1: found an escape or character that does not exist, expected YAML"),
        (b"a: 1\n[x]: 2\n", "f:2: found a key that is not plain text, expected a name"),
        (b"a: 1\n'': 2\n", "f:2: found a key that is empty or has control characters, expected a name"),
        (b"a: 1\nb: [1\nc: 2\n", "f:3: found text that is not YAML (expected ',' or ']', but got ':'), expected YAML"),
        (b"a: 1\n\tb: 2\n", "f:2: found text that is not YAML (a tab stands where a word begins; indent with spaces)"),
        (b"", "f:1: found nothing, expected a fleet file"),
        (b"# only a comment\n", "f:1: found nothing, expected a fleet file"),
        (b"a: " + b"[" * 500 + b"]" * 500, "f:1: found more than 12 levels, expected a fleet file"),
        (b"a: " + b"{" * 600, "f:1: found more than 12 levels, expected a fleet file"),
        (b"? " * 600, "f:1: found more than 12 levels, expected a fleet file"),
        (b"{<<: " * 600, "f:1: found more than 12 levels, expected a fleet file"),
        (b"#" * (LARGEST_FILE_BYTES + 1), "f:1: found more than 512 KiB, expected a fleet file"),
    ],
)
def test_what_yaml_may_not_do_here_is_refused_with_its_line(content: bytes, expected: str) -> None:
    assert any(line.startswith(expected) for line in lines(content)), lines(content)


def test_a_bomb_of_aliases_is_refused_at_each_of_them_and_never_expanded() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    aliases = [line for line in lines(bomb.encode()) if "alias" in line]
    assert len(aliases) == 4
    assert aliases[0] == "f:2: b[0]: found the alias *a, expected the value itself"


def test_a_refused_value_causes_no_second_error_of_its_own() -> None:
    findings = parse_fleet_text(b"fleet: !x [1]\n", "f")
    assert isinstance(findings, tuple)
    assert [line for line in findings if ": fleet: " in line] == [
        "f:1: fleet: found the tag !x, expected a value without one"
    ]


def test_lines_are_those_that_an_editor_counts() -> None:
    document = read_document("\ufeffa: 1\r\nb:\r\n  - c: x\r\n    d: y\r\n".encode())
    assert isinstance(document, Document)
    assert document.lines == {(): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 0, "c"): 3, ("b", 0, "d"): 4}
    assert document.line_of(("b", 0, "missing")) == 3
