"""The commented fleet files that `genesis-fleet init` writes: one for aws, one for static hosts.

The texts lie beside this module in `starters/`, as package data, since they belong to the models and not to a relay. They
validate as they are; what only the operator can know is marked CHANGE. Writing them to disk is the command's business.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import FleetError
from orchestrator.spec.fields import Name

StarterKind = Literal["aws", "static"]

SCHEMA_FILE = "fleet.schema.json"
"""The first line of each starter names this file, so that editors complete and check; it lies beside fleet.yaml."""

_PLACEHOLDER = "{fleet}"


def render_starter(kind: StarterKind, fleet: str) -> str:
    """Return the text of a new fleet.yaml. Raises FleetError if the fleet's name is none."""
    try:
        TypeAdapter(Name).validate_python(fleet)
    except ValidationError:
        raise FleetError(
            f"{fleet!r} cannot be a fleet's name",
            next_step="choose lower-case letters, digits and single hyphens, a letter first, at most 24 characters",
        ) from None
    text = (files("orchestrator.spec") / "starters" / f"{kind}.yaml").read_text(encoding="utf-8")
    return text.replace(_PLACEHOLDER, fleet, 1)
