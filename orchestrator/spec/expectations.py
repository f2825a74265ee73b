"""What a value must be, in words, and the translation of pydantic's errors into them.

The words come from the models themselves, by way of their JSON schema: ranges, choices, and the `errorMessage` beside each
pattern. So an error names what is expected without a second list of the same rules. Nothing is decided here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from orchestrator.spec.document import Document
from orchestrator.spec.findings import Finding, Path, render_path, show
from orchestrator.spec.model import FleetSpec

Schema = Mapping[str, Any]


def explain(error: ErrorDetails, document: Document) -> Finding:
    """Turn one error of pydantic into a finding, with the line of the value or key that is wrong."""
    location = error["loc"]
    if location and location[-1] == "[key]":
        return _explain_key(location[:-1], document)
    if error["type"] == "extra_forbidden":
        return _explain_unknown_key(location, document)
    if error["type"] == "missing":
        return Finding(document.line_of(location), render_path(location), f"found nothing, {expected_at(location)}")
    expected = expected_at(location)
    if error["type"] == "value_error" and (reason := str(error["ctx"]["error"])).startswith("expected "):
        expected = reason + _or_null(location)
    value = error["input"]
    found = show(value, location[-1] if location else "") + _kind_note(error["type"], value)
    return Finding(document.line_of(location), render_path(location), f"found {found}, {expected}")


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the nearest known word, or nothing."""
    # The first match is the nearest; beyond 0.6 suggestions become riddles.
    nearest = difflib.get_close_matches(word[:100], sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def expected_at(path: Path) -> str:
    """Say what the value at a path must be: `expected …`."""
    return _describe(_schema_at(path)) + _or_null(path)


def explain_blank(document: Document) -> list[Finding]:
    """Return a finding for each value that was left out where `null` means something: it might mean nothing at all."""
    return [
        Finding(document.line_of(path), render_path(path), f"found nothing, {expected_at(path)}")
        for path in document.blank
        if _or_null(path)
    ]


def _explain_key(path: Path, document: Document) -> Finding:
    names = _schema_at(path[:-1]).get("propertyNames", {})
    choices = names.get("enum", ())
    expected = names.get("errorMessage") or _either(choices)
    text = f"found the key {show(path[-1])}, {expected}{suggest(str(path[-1]), choices)}"
    return Finding(document.key_line_of(path), render_path(path), text)


def _explain_unknown_key(path: Path, document: Document) -> Finding:
    known = tuple(_schema_at(path[:-1]).get("properties", {}))
    text = f"found an unknown key, expected one of {', '.join(known)}{suggest(str(path[-1]), known)}"
    return Finding(document.key_line_of(path), render_path(path), text)


def _kind_note(error_type: str, value: object) -> str:
    """Say which kind was found where the kind is what is wrong, as with a port in quotes."""
    if not error_type.endswith("_type"):
        return ""
    match value:
        case bool():
            return " (true or false)"
        case int() | float():
            return " (a number)"
        case str():
            return " (text)"
        case _:
            return ""


@cache
def _root() -> Schema:
    return FleetSpec.model_json_schema()


def _schema_at(path: Path) -> Schema:
    return _follow(_written_schema_at(path))


def _written_schema_at(path: Path) -> Schema:
    node: Schema = _root()
    for step in path:
        node = _follow(node)
        if isinstance(step, int):
            node = node.get("items", {})
        elif step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            # A mapping with free keys has one schema for all of its values.
            patterns = node.get("patternProperties", {})
            free: Schema | None = next(iter(patterns.values()), None)
            node = free or node.get("additionalProperties") or {}
    return node


def _follow(node: Schema) -> Schema:
    """Resolve references and look behind `or nothing`; a choice that is said in words as a whole is left as it is."""
    if "$ref" in node:
        return _follow(_root()["$defs"][node["$ref"].rpartition("/")[2]])
    if "anyOf" in node and "errorMessage" not in node:
        return _follow(next(choice for choice in node["anyOf"] if choice.get("type") != "null"))
    return node


def _or_null(path: Path) -> str:
    """Say so where `null` is a wish of its own: where something else than nothing is the default."""
    node = _written_schema_at(path)
    nullable = any(choice.get("type") == "null" for choice in node.get("anyOf", ()))
    return ", or null" if nullable and node.get("default") is not None else ""


def _describe(node: Schema) -> str:
    if "errorMessage" in node:
        return str(node["errorMessage"])
    if "enum" in node:
        return _either(node["enum"])
    match node.get("type"):
        case "integer":
            bounds = (
                f"from {node['minimum']} to {node['maximum']}"
                if "maximum" in node
                else f"of at least {node['minimum']}"
            )
            return f"expected a whole number {bounds}"
        case "boolean":
            return "expected true or false"
        case "array":
            return "expected a list"
        case "object" if "properties" in node:
            return f"expected a mapping with {', '.join(node['properties'])}"
        case _:
            return "expected a mapping"


def _either(choices: Iterable[str]) -> str:
    return f"expected {' or '.join(choices)}"
