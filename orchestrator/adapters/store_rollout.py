"""What is kept of a rollout as one JSON document, and back. Which rows it goes with is `store_rollout_rows`' business.

Unlike evidence, a document that cannot be read is never taken for an empty one: that would forget a halt, and what has
failed. A key that is not known is refused as well: saving the rest would lose it. A key that is missing takes the
default of its field, so that a field can be added without rewriting documents; only a document without `current` is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import StoreRefused
from orchestrator.fleet.rollout import RolloutRecord

_READER = TypeAdapter(RolloutRecord)

MEND_IT = (
    "restore the store from a backup, or mend the row of its table rollouts; "
    "deleting that row works too, but forgets every halt and what has failed"
)


def render_rollout(rollout: RolloutRecord) -> str:
    """Return the document, the same for the same record."""
    return json.dumps(_plain(rollout), sort_keys=True)


def parse_rollout(text: str) -> RolloutRecord:
    """Read a document. Raises StoreRefused for whatever is no such document."""
    try:
        document = json.loads(text)
        rollout = _READER.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _unreadable(f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(str(error)) from error
    if "current" not in document:
        raise _unreadable("it does not say which rollout is the current one")
    if unknown := _unknown_key(document, _plain(rollout)):
        raise _unreadable(f"it has a key that this version does not know: {unknown}")
    return rollout


def _unreadable(cause: str) -> StoreRefused:
    return StoreRefused(f"what the store keeps of the rollout cannot be read: {cause}", next_step=MEND_IT)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of the record
    """Return a value as JSON has it."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    match value:
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case frozenset():
            return sorted(_plain(item) for item in value)
        case tuple():
            return [_plain(item) for item in value]
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
        case _:
            return value


def _unknown_key(read: Any, known: Any) -> str | None:  # noqa: ANN401 - any part of a JSON document
    """Return the first key of the document that was not taken up."""
    if not isinstance(read, dict) or not isinstance(known, dict):
        return None
    for key, item in read.items():
        if key not in known:
            return str(key)
        if below := _unknown_key(item, known[key]):
            return f"{key}.{below}"
    return None
