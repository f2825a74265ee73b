"""Writes docs/fleet-file.md, the reference of the fleet file, from the models: `.venv/bin/python scripts/fleet_file_reference.py`.

What a key means is said in `orchestrator/spec`, once; this only sets it in tables. A test holds the two together.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "fleet-file.md"

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from orchestrator.spec.parse import RULES  # noqa: E402
from orchestrator.spec.schema import fleet_schema  # noqa: E402

Schema = Mapping[str, Any]

PREAMBLE = """\
# The fleet file

<!-- Written by scripts/fleet_file_reference.py from orchestrator/spec; a test refuses edits made here. -->

One YAML file, `inventory/<fleet>/fleet.yaml`, says all that an operator wants of a fleet. `genesis-fleet init` writes a
commented one, `genesis-fleet validate` checks it, `genesis-fleet schema` prints its JSON schema for editors.

- An unknown key, a duplicate key, a wrong type (a port in quotes, `yes` for `true`) is an error. Every error names line, key, what was
  found and what is expected; all errors of a file are reported together.
- Tags, anchors, aliases and merge keys of YAML are refused. Plain words mean what YAML 1.2 says: `no` is text.
- Durations are written `90s`, `15m`, `2h` or `3d`. Sizes carry their unit in the key.
- Where `null` means something, it has to be written: a key with nothing behind it is an error there.
- Relative paths start at the folder of the fleet file.
- A key without a default is needed, unless its meaning says for which kind of cloud it is.
"""

NETWORK_FOLDER = """\
## The network folder

`network.folder` holds the network's own `config.json` and every genesis file that it names. It is not part of this project: take it
from <https://book.play.dev.cardano.org/environments.html>, or from `share/<network>` of the cardano-node release archive. Refused are:

- a file that `config.json` names and that is not there; Byron, Shelley, Alonzo and Conway must be named;
- a genesis file whose hash is not the one that `config.json` states, or for which it states none. Shelley and later: blake2b-256 of the
  bytes; Byron: of its canonical JSON;
- a magic in the Shelley or Byron genesis that is not `network.magic`;
- a network with a Byron era that is not well known, without `network.slot_zero`;
- a peer snapshot of another network; and, when a relay is rendered, one in the format of another release or from before
  `topology.use_ledger_after_slot`.
"""


def render_reference() -> str:
    """Return the whole document."""
    root = fleet_schema()
    sections = "\n".join(_sections((), root, root))
    rules = "\n".join(f"- {sentence}" for sentence in _sentences())
    intro = "## Rules over several keys\n\nBeside what each key may be by itself:\n"
    return f"{PREAMBLE}\n{sections}\n{intro}\n{rules}\n\n{NETWORK_FOLDER}"


def _sections(path: tuple[str, ...], node: Schema, root: Schema) -> Iterator[str]:
    """Yield the table of one mapping, then those of the mappings in it."""
    yield f"## {_title(path)}\n\n{node['description']}\n"
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    required = set(node.get("required", ()))
    inner: list[tuple[tuple[str, ...], Schema]] = []
    for key, value in node["properties"].items():
        found = _mapping_within((*path, key), value, root)
        inner += [found] if found else []
        meaning = _value(value, root) + _or_null(value)
        default = "" if key in required else _default(value, is_mapping="properties" in _follow(value, root))
        yield f"| `{key}` | {meaning} | {default} | {_cell(value.get('description', ''))} |"
    yield ""
    for where, mapping in inner:
        yield from _sections(where, mapping, root)


def _mapping_within(path: tuple[str, ...], node: Schema, root: Schema) -> tuple[tuple[str, ...], Schema] | None:
    """Return the mapping with named keys that a value is, or is made of, and the path to it."""
    node = _follow(node, root)
    if "properties" in node:
        return path, node
    if node.get("type") == "array":
        return _mapping_within((*path[:-1], f"{path[-1]}[]"), node["items"], root)
    for values in (*node.get("patternProperties", {}).values(), node.get("additionalProperties")):
        if isinstance(values, dict):
            return _mapping_within((*path, f"<{_free_key(path)}>"), values, root)
    return None


def _free_key(path: tuple[str, ...]) -> str:
    if path[0] == "releases":
        return "version" if len(path) == 1 else "architecture"
    return "name"


def _value(node: Schema, root: Schema) -> str:
    """Say in words what a value may be, in the same words as the errors do."""
    node = _follow(node, root)
    if "errorMessage" in node:
        return _cell(str(node["errorMessage"]).removeprefix("expected "))
    if "enum" in node or "const" in node:
        return " or ".join(f"`{choice}`" for choice in node.get("enum", [node.get("const")]))
    match node.get("type"):
        case "integer" if "maximum" in node:
            return f"whole number from {node['minimum']} to {node['maximum']}"
        case "integer":
            return f"whole number of at least {node['minimum']}"
        case "boolean":
            return "`true` or `false`"
        case "array":
            items = _follow(node["items"], root)
            return "list, see below" if "properties" in items else f"list: each {_value(items, root)}"
        case _:
            return "mapping, see below"


def _or_null(node: Schema) -> str:
    """Say so where `null` is a wish of its own, as the errors do."""
    nullable = any(choice.get("type") == "null" for choice in node.get("anyOf", ()))
    return ", or `null`" if nullable and node.get("default") is not None else ""


def _default(node: Schema, *, is_mapping: bool) -> str:
    default = node.get("default")
    if default is None or is_mapping:
        return "none" if default is None else "its own"
    if default in ([], (), {}):
        return "empty"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _follow(node: Schema, root: Schema) -> Schema:
    """Resolve references, and look behind `or nothing`; words beside a reference or a choice win."""
    if "anyOf" in node and "errorMessage" not in node:
        return _follow(next(choice for choice in node["anyOf"] if choice.get("type") != "null"), root)
    if "$ref" in node:
        return _follow(root["$defs"][node["$ref"].rpartition("/")[2]], root)
    return node


def _sentences() -> Iterable[str]:
    """Say each rule: its name, which is a sentence, and why there is such a rule."""
    for rule in RULES:
        yield f"*{rule.__name__.replace('_', ' ').capitalize()}.* {_cell(rule.__doc__ or '')}"


def _title(path: tuple[str, ...]) -> str:
    return f"`{'.'.join(path)}`" if path else "Top of the file"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    TARGET.write_text(render_reference(), encoding="utf-8")
