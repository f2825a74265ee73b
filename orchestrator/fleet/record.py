"""What cannot be observed and is therefore kept: identity, intents, keys, attempts, when something was first missed.

Frozen values; the store's adapter reads and writes them. Nothing here is the truth about a host or an instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class LaunchIntent:
    """A launch request, written before the call: the whole of it, so that the same call can be made again."""

    relay: str
    region: str
    generation: int
    attempt: int
    token: str
    """Idempotency token: hash of store id, relay, generation and attempt."""
    request_json: str
    """The complete request (image, type, subnet, user data, tags), canonical JSON."""
    one_time_public_key: str
    """Public half of the host key in the user data."""
    subnet: str
    """Where it was to be; empty once it was refused for a reason that has nothing to do with its zone."""
    at: datetime
    instance_id: str | None = None
    """Filled in when the call answered."""
    refused: str | None = None
    """Why the cloud refused this attempt for good (capacity, say); None while it may still succeed."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The pinned SSH host key of one instance."""

    instance_id: str
    relay: str
    public_key: str
    confirmed: bool
    """True once the host was seen to present it; until then the one-time key is accepted as well."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How often one intent failed in a row on one relay, and when and why last."""

    relay: str
    intent: str
    failures: int
    last_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class FleetRecord:
    """The store's content that a plan reads."""

    store_id: str
    fleet: str
    magic: int | None
    """Network magic the store was made for; None before the first apply."""
    intents: tuple[LaunchIntent, ...] = ()
    identities: Mapping[str, Identity] = field(default_factory=lambda: MappingProxyType({}))
    """By instance id."""
    attempts: Mapping[tuple[str, str], Attempt] = field(default_factory=lambda: MappingProxyType({}))
    """By (relay, intent)."""
    missed_since: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    """Instance id → when it was first not reachable, in an unbroken row."""
    token: int = 0
    """Highest fencing token of this store."""
    confirmed_retirements: frozenset[str] = frozenset()
    """Names of confirmations the operator gave for the submitted revision."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may act, until when, with which fencing token."""

    holder: str
    token: int
    until: datetime
