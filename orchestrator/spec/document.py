"""Bytes of a fleet file → plain values with the line of each, refusing whatever YAML can do beyond that.

No YAML constructor ever runs: values are built here from the parser's events, so tags, anchors, aliases, merge keys and
directives cannot do anything but be refused. Plain words mean what YAML 1.2 says: `no` is text, `0777` is no octal,
`22:22` is no number of seconds, and dates stay text. What the values must be is decided in `parse.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from orchestrator.spec.findings import Finding, Path, render_path

LARGEST_FILE_BYTES = 512 * 1024
"""A thousand static hosts need 150 KiB; the parser reads about 200 KiB a second, and nobody should wait for an attack."""

DEEPEST_NESTING = 12
"""The models nest five levels deep."""

# Everything that is not printed, and what would make our line numbers differ from an editor's (NEL, LS, PS) or let a
# line read differently from what it says (bidirectional overrides).
_FORBIDDEN = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_ONE_LINE = re.compile("[\t\n]")

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# At most 18 digits: more is no number that any field here could mean, and it stays text.
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,2})?")
_OTHER_BASE = re.compile(r"0x[0-9a-fA-F]{1,15}|0o[0-7]{1,20}")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")


@dataclass(frozen=True, slots=True)
class Document:
    """A fleet file as values (mappings, tuples, text, numbers, booleans, None) and where each of them stands."""

    value: object
    lines: dict[Path, int]
    """Line of each value; of a mapping or list under a key, the line of that key."""
    key_lines: dict[Path, int]
    refused: frozenset[Path]
    """Values that mean nothing because of what was found there."""
    findings: tuple[Finding, ...]
    """What was refused on the way, in the order of the file."""
    blank: frozenset[Path] = frozenset()
    """Values that are not there at all, not even as `null`."""

    def line_of(self, path: Path) -> int:
        """Return the line of a value; for one that is not in the file, that of the closest mapping around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def key_line_of(self, path: Path) -> int:
        """Return the line of a key; where there is none, the line of the value."""
        return self.key_lines.get(path) or self.line_of(path)


class _Unreadable(Exception):
    """Reading cannot go on behind this point."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


def read_document(content: bytes) -> Document | Finding:
    """Read a fleet file; a Finding if it is no such text at all (too big, not UTF-8, not YAML)."""
    try:
        return _Reader(yaml.parse(_decode(content), Loader=yaml.SafeLoader)).read()
    except _Unreadable as error:
        return error.finding
    except yaml.MarkedYAMLError as error:
        return _explain_syntax(error)
    except (yaml.YAMLError, ValueError, OverflowError):
        # The scanner turns escapes such as "\UFFFFFFFF" into characters without looking whether they exist.
        return Finding(1, "", "found an escape or character that does not exist, expected YAML")


def _decode(content: bytes) -> str:
    if len(content) > LARGEST_FILE_BYTES:
        raise _Unreadable(Finding(1, "", f"found more than {LARGEST_FILE_BYTES // 1024} KiB, expected a fleet file"))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        text = f"found byte 0x{content[error.start]:02x} at offset {error.start}, expected UTF-8"
        raise _Unreadable(Finding(line, "", text)) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if found := _FORBIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise _Unreadable(Finding(line, "", f"found the control character U+{ord(found[0]):04X}, expected plain text"))
    return text


def _explain_syntax(error: yaml.MarkedYAMLError) -> Finding:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "no more is known"
    if r"'\t'" in problem:
        problem = "a tab stands where a word begins; indent with spaces"
    # The parser's own words may quote the file; one short line of them is enough.
    text = f"found text that is not YAML ({problem.splitlines()[0][:100]}), expected YAML"
    return Finding(mark.line + 1 if mark else 1, "", text)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _excerpt(name: object) -> str:
    return str(name).encode("ascii", "replace").decode()[:40]


def resolve_plain(text: str) -> object:
    """Return what an unquoted word means in YAML 1.2; words that YAML 1.1 reads differently stay text."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FRACTION.fullmatch(text) and not _LEADING_ZERO.fullmatch(text):
        return float(text)
    return text


@dataclass(slots=True)
class _Reader:
    """Builds values from events; the only state is what has been seen so far."""

    events: Iterator[yaml.Event]
    lines: dict[Path, int] = field(default_factory=dict)
    key_lines: dict[Path, int] = field(default_factory=dict)
    refused: set[Path] = field(default_factory=set)
    blank: set[Path] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    def read(self) -> Document:
        next(self.events)  # the stream's start
        start = next(self.events)
        if isinstance(start, yaml.StreamEndEvent):
            raise _Unreadable(Finding(1, "", "found nothing, expected a fleet file"))
        if isinstance(start, yaml.DocumentStartEvent) and (start.version or start.tags):
            self.find(start, (), "found a directive (%YAML, %TAG), expected none")
        value = self.value((), next(self.events), None)
        next(self.events)  # the document's end
        following = next(self.events)
        if isinstance(following, yaml.DocumentStartEvent):
            self.find(following, (), "found a second document (---), expected one")
        refused, blank = frozenset(self.refused), frozenset(self.blank)
        return Document(value, self.lines, self.key_lines, refused, tuple(self.findings), blank)

    def find(self, event: yaml.Event, path: Path, text: str) -> None:
        self.findings.append(Finding(_line(event), render_path(path), text))

    def refuse(self, event: yaml.Event, path: Path, text: str) -> None:
        self.find(event, path, text)
        self.refused.add(path)

    def value(self, path: Path, event: yaml.Event, key_line: int | None) -> object:
        line = _line(event)
        self.lines[path] = line
        if isinstance(event, yaml.AliasEvent):
            self.refuse(event, path, f"found the alias *{_excerpt(event.anchor)}, expected the value itself")
            return None
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self.find(event, path, f"found the anchor &{_excerpt(event.anchor)}, expected a value without one")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            self.refuse(event, path, f"found the tag {_excerpt(event.tag)}, expected a value without one")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(path, event)
        self.lines[path] = key_line or line
        if len(path) > DEEPEST_NESTING:
            raise _Unreadable(Finding(line, "", f"found more than {DEEPEST_NESTING} levels, expected a fleet file"))
        return self.mapping(path) if isinstance(event, yaml.MappingStartEvent) else self.sequence(path)

    def scalar(self, path: Path, event: yaml.ScalarEvent) -> object:
        text: str = event.value
        if _FORBIDDEN.search(text) or _ONE_LINE.search(text):
            self.refuse(event, path, "found control characters or several lines, expected one line of plain text")
            return text
        if not text and event.implicit[0]:
            self.blank.add(path)
        return resolve_plain(text) if event.implicit[0] else text

    def sequence(self, path: Path) -> tuple[object, ...]:
        items: list[object] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.value((*path, len(items)), event, None))
        return tuple(items)

    def mapping(self, path: Path) -> dict[str, object]:
        values: dict[str, object] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(path, event, values)
            inner = next(self.events)
            if key is None:
                self.skip(path, inner)
            else:
                line = _line(event)
                self.key_lines[*path, key] = line
                values[key] = self.value((*path, key), inner, line)
        return values

    def skip(self, path: Path, event: yaml.Event) -> None:
        """Read past a value that belongs nowhere, one level down, so that no nesting goes deeper than allowed."""
        _Reader(self.events).value((*path, "?"), event, None)

    def key(self, path: Path, event: yaml.Event, seen: dict[str, object]) -> str | None:
        """Return the key, or None if it cannot be one; a refused mapping is judged no further."""
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None or event.anchor is not None:
            self.refuse(event, path, "found a key that is not plain text, expected a name")
            if not isinstance(event, yaml.ScalarEvent):
                self.skip(path, event)
            return None
        key: str = event.value
        if key == "<<":
            self.refuse(event, path, "found a merge key (<<), expected the keys themselves")
            return None
        if _FORBIDDEN.search(key) or _ONE_LINE.search(key) or not key:
            self.refuse(event, path, "found a key that is empty or has control characters, expected a name")
            return None
        if key in seen:
            first = self.key_lines[*path, key]
            self.find(event, (*path, key), f"found this key again (first on line {first}), expected it once")
            return None
        return key
