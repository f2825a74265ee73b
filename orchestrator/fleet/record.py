"""What cannot be observed and is therefore kept: identity, intents, keys, attempts, when something was first missed.

Frozen values; the store's adapter reads and writes them. Nothing here is the truth about a host or an instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from orchestrator.fleet.chain import ChainPoint, ShownPoint
from orchestrator.fleet.rollout import NO_ROLLOUT, Bundle, Order, RolloutRecord


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
class Suspicion:
    """A relay or partner whose chain has parted from the others': a slot battle as yet, or a fork.

    It is kept from the first sign on, because later looks may know less of where the chains parted: points are forgotten.
    """

    name: str
    common: ChainPoint | None
    """Newest point known to be in common with the others; None if it shared none of those asked about."""
    common_block: int | None
    """Block number of that point."""
    parted_block: int
    """Block number of the oldest point known that only one of the sides has: the chains parted before it."""
    looks: int
    """Looks that counted: it was past a slot battle, and lacked a block of the others that no look before had seen."""
    newest_lacking: ChainPoint | None
    """Newest of the others' points that it lacked at the last look that counted."""
    since: datetime


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A relay that was proven to be on another chain, or on another network."""

    relay: str
    since: datetime
    evidence: str
    agreeing_since: datetime | None = None
    """Since when it has agreed with the others without a break."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The operator's word: the chain with this point is the right one."""

    point: ChainPoint
    user: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """What earlier looks saw of the chain, and what came of it. No effect depends on it alone."""

    points: tuple[ShownPoint, ...] = ()
    """Newest first."""
    suspicions: Mapping[str, Suspicion] = field(default_factory=lambda: MappingProxyType({}))
    quarantines: Mapping[str, Quarantine] = field(default_factory=lambda: MappingProxyType({}))
    published: frozenset[str] = frozenset()
    """Relays that the last look published."""
    releases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Relay → version that it was last known to run."""
    withdrawn: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    """Relay that is not published → since when, if it ever was."""
    named: frozenset[str] = frozenset()
    """Relays that the zone had at the last look that could read it."""


NO_EVIDENCE = Evidence()


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
    evidence: Evidence = NO_EVIDENCE
    pin: Pin | None = None
    rollout: RolloutRecord = NO_ROLLOUT
    orders: tuple[Order, ...] = ()
    """What operators asked of rollouts, oldest first."""
    bundles: Mapping[str, Bundle] = field(default_factory=lambda: MappingProxyType({}))
    """By digest."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may act, until when, with which fencing token."""

    holder: str
    token: int
    until: datetime
