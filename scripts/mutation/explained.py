"""Survivors that somebody has looked at, each with the reason why no test can tell it apart: one reviewed TOML file.

An entry holds for one mistake: by module, owner, the line as it is written, and what is replaced by what. Line numbers would be
wrong after the next change; so are entries whose line is no more, which is said.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.mutation.mutants import Mutant


@dataclass(frozen=True, slots=True)
class Key:
    """What an entry is found by."""

    module: str
    owner: str
    line: str
    mutation: str


def key_of(mutant: Mutant) -> Key:
    """Return what an entry for this mistake is found by."""
    return Key(mutant.module.rpartition(".")[2], mutant.owner, mutant.before, mutant.mutation)


def read_explained(path: Path) -> Mapping[Key, str]:
    """Return mistake → why it is equivalent. Raises ValueError for an entry without a reason, or twice."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", []) if path.is_file() else []
    found: dict[Key, str] = {}
    for entry in entries:
        key = Key(entry["module"], entry["owner"], entry["line"], entry["mutation"])
        why = entry["why"].strip()
        if not why or key in found:
            raise ValueError(f"{path}: {key} {'is there twice' if why else 'says no reason'}")
        found[key] = why
    return found


def write_entry(mutant: Mutant) -> str:
    """Return an entry to be completed by hand."""
    key = key_of(mutant)
    lines = [f"{name} = {_quote(getattr(key, name))}" for name in ("module", "owner", "line", "mutation")]
    return "\n".join(("[[equivalent]]", *lines, 'why = ""'))


def _quote(text: str) -> str:
    return f"'{text}'" if "'" not in text else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
