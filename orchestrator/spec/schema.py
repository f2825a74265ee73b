"""The JSON schema of the fleet file, for editors; from the models, so it cannot say anything else than they do.

A schema knows single fields only: rules over several fields, and what lies in the network folder, are for `validate`.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from orchestrator.spec.fields import render_duration
from orchestrator.spec.model import FleetSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _FleetSchema(GenerateJsonSchema):
    """Writes durations the way the file does, where pydantic would write ISO 8601."""

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 - pydantic's own signature
        match dft:
            case timedelta():
                return render_duration(dft)
            case BaseModel():
                return dft.model_dump(mode="json")
            case _:
                return super().encode_default(dft)


def fleet_schema() -> dict[str, Any]:
    """Return the schema as values."""
    schema = FleetSpec.model_json_schema(schema_generator=_FleetSchema)
    _close(schema)
    return {"$schema": DIALECT, **schema, "title": "genesis-fleet fleet file"}


def render_schema() -> str:
    """Return the schema as text, as `genesis-fleet schema` prints it."""
    return json.dumps(fleet_schema(), indent=2, ensure_ascii=False) + "\n"


def _close(node: object) -> None:
    """Refuse keys that match no pattern, as the models do; and drop titles, which only repeat the key."""
    match node:
        case dict():
            if "patternProperties" in node:
                node["additionalProperties"] = False
            if isinstance(node.get("title"), str):
                del node["title"]
            for inner in node.values():
                _close(inner)
        case list():
            for inner in node:
                _close(inner)
        case _:
            pass
