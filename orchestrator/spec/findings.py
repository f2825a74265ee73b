"""One thing that is wrong with a fleet file, and how values and paths are shown to people.

A finding says where, what was found and what is expected. What is wrong is decided elsewhere; here lies only the form,
and the one promise that goes with it: whatever could be a secret is never printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the file down to a value."""

LONGEST_SHOWN = 40
_SECRET_KEY = re.compile(r"store|private_key|host_key|password|passwd|secret|token|credential", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"PRIVATE KEY|\bA[KS]IA[0-9A-Z]{12,}")
_USER_IN_URL = re.compile(r"://[^/@\s]*@")
_QUERY_IN_URL = re.compile(r"(://[^?\s]*)\?.*", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One error of a fleet file; `text` reads `found …, expected …`."""

    line: int
    path: str
    text: str

    def render(self, name: str) -> str:
        """Return `fleet.yaml:LINE: path: found …, expected …`; an error of the whole file has no path."""
        place = f"{name}:{self.line}:"
        return f"{place} {self.path}: {self.text}" if self.path else f"{place} {self.text}"


def render_findings(name: str, findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return one line for each finding, in the order of the file, each once."""
    return tuple(finding.render(name) for finding in sorted(set(findings)))


def render_path(path: Path) -> str:
    """Write a path as people do: `regions.eu-west-1.subnets[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{_shorten(step)}" if text else _shorten(step)
    return text


def show(value: object, key: str | int = "") -> str:
    """Return a value as an error may print it: short, on one line, and nothing that could be a secret."""
    match value:
        case None:
            return "nothing"
        case bool() | int() | float():
            return json.dumps(value)
        case dict():
            return "a mapping"
        case tuple() | list():
            return "a list"
        case _:
            return _show_text(str(value), key)


def _show_text(text: str, key: str | int) -> str:
    if _SECRET_KEY.search(str(key)) or _SECRET_TEXT.search(text):
        return "a value that is not shown here"
    public = _QUERY_IN_URL.sub(r"\1?…", _USER_IN_URL.sub("://…@", text))
    if len(public) <= LONGEST_SHOWN:
        return json.dumps(public, ensure_ascii=False)
    return f"{json.dumps(public[:LONGEST_SHOWN] + '…', ensure_ascii=False)} ({len(text)} characters)"


def _shorten(key: str) -> str:
    plain = key if key.isprintable() and key else json.dumps(key)
    return plain if len(plain) <= LONGEST_SHOWN else plain[:LONGEST_SHOWN] + "…"
