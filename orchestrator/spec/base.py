"""What all parts of the fleet file are made of: strict frozen models, and the access point that several parts name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from orchestrator.spec.fields import Host, Port


class Model(BaseModel):
    """Strict and frozen: an unknown key is an error, and nothing changes after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class AccessPointSpec(Model):
    """An address and port of the node-to-node protocol."""

    address: Host
    """Address or DNS name."""
    port: Port = 3001
    """Port."""
