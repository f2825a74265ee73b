"""The valid parts of a fleet file that may be wrong elsewhere: what the rules over several fields look at.

A rule asks for a value and gets None unless that value is valid, so that one wrong field neither hides the errors of the
others nor produces errors of its own making. Defaults are those of the models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel

from orchestrator.spec.document import Document
from orchestrator.spec.fields import parse_duration
from orchestrator.spec.findings import Finding, Path, render_path


@dataclass(frozen=True, slots=True)
class Invalid:
    """Where something is wrong already, and around what; looked up often, so both are sets."""

    places: frozenset[Path]
    around: frozenset[Path]
    """Every path that has one of the places within it."""


def mark_invalid(places: Iterable[Path]) -> Invalid:
    """Return the places with all that lies around them."""
    exact = frozenset(places)
    return Invalid(exact, frozenset(place[:length] for place in exact for length in range(len(place))))


@dataclass(frozen=True, slots=True)
class Section:
    """One mapping of the file, seen through its model."""

    document: Document
    invalid: Invalid
    model: type[BaseModel]
    path: Path = ()

    def has(self, key: str) -> bool:
        """Tell whether the key is written in the file with a value."""
        return self._written().get(key) is not None

    def is_filled(self, key: str) -> bool:
        """Tell whether the key is written in the file with a value that is not an empty list or mapping."""
        return self._written().get(key) not in (None, (), {})

    def text(self, key: str) -> str | None:
        """Return a valid text, or its default."""
        value = self._value(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """Return a valid whole number, or its default."""
        value = self._value(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def share(self, key: str) -> int | str | None:
        """Return a valid number or share, or its default."""
        number = self.number(key)
        return number if number is not None else self.text(key)

    def duration(self, key: str) -> timedelta | None:
        """Return a valid duration, or its default; None where it is null, too."""
        value = self._value(key)
        return parse_duration(value) if value is not None else None

    def flag(self, key: str) -> bool | None:
        """Return a valid true or false, or its default."""
        value = self._value(key)
        return value if isinstance(value, bool) else None

    def texts(self, key: str) -> tuple[tuple[str, Path], ...]:
        """Return the valid texts of a list, each with its path."""
        value = self._value(key)
        places = (
            ((*self.path, key, index), item) for index, item in enumerate(value if isinstance(value, tuple) else ())
        )
        return tuple((item, path) for path, item in places if isinstance(item, str) and self._is_valid(path))

    def section(self, key: str, model: type[BaseModel] = BaseModel) -> Section:
        """Return the mapping under a key; an absent one has defaults only."""
        return Section(self.document, self.invalid, model, (*self.path, key))

    def at(self, path: Path, model: type[BaseModel]) -> Section:
        """Return the mapping at a path from the top of the file."""
        return Section(self.document, self.invalid, model, path)

    def sections(self, key: str, model: type[BaseModel]) -> Iterator[Section]:
        """Return the mappings of a list, or of a mapping with free keys; those that are mappings."""
        inner = self._written().get(key)
        match inner:
            case tuple():
                steps: Iterator[str | int] = iter(range(len(inner)))
            case dict():
                steps = iter(inner)
            case _:
                return
        for step in steps:
            path = (*self.path, key, step)
            if self._is_valid(path):
                yield Section(self.document, self.invalid, model, path)

    def keys(self, key: str) -> tuple[str, ...]:
        """Return the keys written under a key, valid or not."""
        inner = self._written().get(key)
        return tuple(inner) if isinstance(inner, dict) else ()

    def has_valid_key(self, key: str, inner: str) -> bool:
        """Tell whether nothing is wrong with what stands under a free key of a mapping."""
        return self._is_valid((*self.path, key, inner))

    def is_whole(self, key: str) -> bool:
        """Tell whether nothing is wrong at a key, above it or below it."""
        path = (*self.path, key)
        return self._is_valid(path) and path not in self.invalid.around

    def finding(self, text: str, *keys: str | int) -> Finding:
        """Return a finding at this mapping, or at a value within it."""
        path = (*self.path, *keys)
        return Finding(self.document.line_of(path), render_path(path), text)

    def key_finding(self, text: str, *keys: str) -> Finding:
        """Return a finding at a key rather than at its value."""
        path = (*self.path, *keys)
        return Finding(self.document.key_line_of(path), render_path(path), text)

    def _written(self) -> Mapping[str, object]:
        value: object = self.document.value
        for step in self.path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, tuple) and isinstance(step, int):
                value = value[step]
        return value if isinstance(value, dict) else {}

    def _value(self, key: str) -> object:
        path = (*self.path, key)
        if not self._is_valid(path):
            return None
        written = self._written()
        return written[key] if key in written else self.model.model_fields[key].get_default()

    def _is_valid(self, path: Path) -> bool:
        return not any(path[:length] in self.invalid.places for length in range(len(path) + 1))


def find_repeated(items: Iterable[tuple[object, Path]]) -> Iterator[tuple[Path, Path]]:
    """Yield the path of everything that was there before, with the path of the first."""
    first: dict[object, Path] = {}
    for value, path in items:
        if value in first:
            yield path, first[value]
        first.setdefault(value, path)
