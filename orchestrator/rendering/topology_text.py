"""The text of a JSON file → its value, the line of every place in it, and keys that are there twice.

Strict where Python is lenient and the node is not: UTF-8 only, no NaN, no Infinity. What the values mean is judged elsewhere.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.spec.findings import Path

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+|\n')
DEEPEST_PLACE = 6
"""A topology has nothing below that; whatever is deeper is found at the place that it is in."""

MOST_DIGITS = 400
"""A whole number with more digits than any double has is as good as infinite, and slow to read."""


class NotJson(Exception):
    """The text is not JSON; says why and, where it is known, in which line."""

    def __init__(self, cause: str, line: int | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.line = line


@dataclass(frozen=True, slots=True)
class JsonText:
    """A JSON text that was read."""

    value: object
    lines: Mapping[Path, int]
    """Place → line, counted from 1; of a member, the line of its key."""
    duplicates: tuple[tuple[Path, int], ...]
    """Keys that were there already, with the line of the later one."""


def parse_json(content: bytes | str) -> object:
    """Return the value alone. Raises NotJson."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start} is no UTF-8") from None
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant, parse_int=_read_whole)
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg[:1].lower()}{error.msg[1:]} in column {error.colno}", error.lineno) from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    return value


def read_json(content: bytes | str) -> JsonText:
    """Return the value with the places in its text. Raises NotJson."""
    value = parse_json(content)
    text = content if isinstance(content, str) else content.decode("utf-8")
    lines: dict[Path, int] = {(): 1}
    duplicates: dict[Path, int] = {}
    for path, line in _places(text):
        # What is in the later of two equal members is there twice as well, and not worth a word.
        if path in lines and not any(path[:length] in duplicates for length in range(len(path))):
            duplicates[path] = line
        lines.setdefault(path, line)
    return JsonText(value, lines, tuple(duplicates.items()))


def _places(text: str) -> Iterator[tuple[Path, int]]:
    """Walk over a text that is known to be JSON; yield each key and each member of an array, not too deep, with its line."""
    line = 1
    path: list[str | int] = []
    in_object: list[bool] = []
    # What comes next in an object is a key, at its start and behind a comma.
    key_next = False
    for piece in _TOKEN.findall(text):
        if piece == "\n":
            line += 1
            continue
        if piece in "}],:":
            if piece in "}]":
                in_object.pop()
                path.pop()
            elif piece == "," and not in_object[-1]:
                path[-1] = _next(path[-1])
            key_next = piece == "," and in_object[-1]
            continue
        if key_next:
            path[-1] = json.loads(piece)
            if len(path) <= DEEPEST_PLACE:
                yield tuple(path), line
            key_next = False
            continue
        if in_object and not in_object[-1] and len(path) <= DEEPEST_PLACE:
            yield tuple(path), line
        if piece in "{[":
            in_object.append(piece == "{")
            path.append("" if piece == "{" else 0)
            key_next = piece == "{"


def _next(step: str | int) -> int:
    return step + 1 if isinstance(step, int) else 0


def _refuse_constant(name: str) -> object:
    raise NotJson(f"{name} is no number in JSON")


def _read_whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else math.inf
