"""Policies of the fleet file: how much may be out, who counts as serving, who is believed, who is published.

What follows from a policy is decided in `planning`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from orchestrator.spec.base import AccessPointSpec, Model
from orchestrator.spec.fields import Duration


class RolloutSpec(Model):
    """How much may be out at once, for whatever reason."""

    max_unavailable: Annotated[int, Field(ge=1, le=100)] = 1
    """Relays that may be out at the same time in the whole fleet."""
    max_unavailable_per_region: Annotated[int, Field(ge=1, le=100)] = 1
    """The same within one region; the last serving relay of a region is never taken."""
    replace_after: Duration = timedelta(minutes=30)
    """A relay unreachable for longer than this, while others answer, counts as dead."""
    retry_after: Duration = timedelta(minutes=1)
    """Pause after the first failed attempt at something; doubles with each further one, up to 16 times."""
    boot_deadline: Duration = timedelta(minutes=10)
    """An instance that never answered within this time after its launch counts as dead."""


class HealthSpec(Model):
    """When a relay counts as serving."""

    max_tip_age: Duration = timedelta(minutes=5)
    """A tip older than this is stale; with 20 s between blocks, five minutes without one is 3 in 10 million."""
    probe_timeout: Duration = timedelta(seconds=10)
    """How long one step of a probe may take; the node's own limit in the handshake is 10 s."""
    slow_after: Duration = timedelta(seconds=2)
    """A relay whose answers take longer than this serves, and is named as slow."""


class TrustSpec(Model):
    """When a relay counts as being on the right chain. Trust needs partners: a fleet cannot vouch for itself."""

    fork_depth: Annotated[int, Field(ge=1, le=50)] = 5
    """A tip more than this many blocks past the newest point in common with the others is a fork; less is a slot battle."""
    fork_looks: Annotated[int, Field(ge=1, le=100)] = 3
    """Looks in a row, each with a new block of the others, until a fork counts as proven."""
    return_after: Duration = timedelta(minutes=5)
    """A quarantined relay comes back after having agreed with the others for this long."""


class PublishSpec(Model):
    """Under which names consumers find this fleet, and how few relays may be left to find."""

    names: tuple[AccessPointSpec, ...] = ()
    """DNS names of the fleet as a whole; without any, consumers are given the relays' addresses."""
    floor_percent: Annotated[int, Field(ge=0, le=100)] = 50
    """Lack of evidence never takes the published set below this share of the wanted relays."""
