"""A plan as data: actions and holds, each with its reason, and a view of every relay. Decides nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.names import NameChange, NameRecord
from orchestrator.fleet.observation import ElasticAddress, Instance, Volume
from orchestrator.fleet.record import NO_EVIDENCE, Evidence
from orchestrator.planning.rollout_view import RolloutView
from orchestrator.rendering.values import ChangeClass, RenderedRelay

NAMES = "names"
"""In the place of a relay: what is done to the names of them all."""

PUBLISH = "publish"

DISTURBING = ("deploy", "stop")
"""Intents whose relay counts as out from the moment they were started."""


class Phase(StrEnum):
    """Where a relay is in its life; derived in every look, never stored."""

    ABSENT = "absent"
    LAUNCHING = "launching"
    PREPARING = "preparing"
    STAGING = "staging"
    DEPLOYING = "deploying"
    SYNCING = "syncing"
    SERVING = "serving"
    RETIRING = "retiring"
    DRAINING = "draining"
    GONE = "gone"
    QUARANTINED = "quarantined"
    DEAD = "dead"
    UNKNOWN = "unknown"


class Health(StrEnum):
    """Unknown is a third value: never healthy, never a reason to destroy."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RelayView:
    """One relay as this look understood it."""

    name: str
    region: str
    phase: Phase
    health: Health
    reason: str
    instance: Instance | None = None
    address: str | None = None
    release: str | None = None
    """Version that runs, if it is one of the fleet file's."""
    digest: str | None = None
    """Wanted digest if the host has it, else None."""
    pending: ChangeClass | None = None
    """What making the host as rendered would ask for; None if it is so already, or if that is not known."""
    drift: tuple[str, ...] = ()
    """What differs from what was rendered: paths, `release`, `unit`."""
    tip_slot: int | None = None
    tip_age_seconds: float | None = None
    retiring: bool = False
    chain: str = ""
    """What the others' chain says of it: agrees, lags by N slots, forked at slot S (depth D), cannot tell; with evidence."""
    published: bool = False
    """Whether consumers are to find it."""
    notes: tuple[str, ...] = ()
    """What is odd about it without being a reason to act: slow answers, metrics and wire that disagree, missing peers."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an instance is launched from, and as what; both empty where hosts are named."""

    image: str = ""
    instance_type: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """Make an instance for a relay."""

    relay: str
    region: str
    subnet: str
    zone: str
    generation: int
    attempt: int
    reason: str
    repeat_token: str | None = None
    """Token of a recorded intent whose outcome is not known: the same call again."""
    kind: Kind = Kind()
    """Empty: as the fleet file says for the region."""


@dataclass(frozen=True, slots=True)
class Furnish:
    """Give a running instance its address and its chain disk."""

    relay: str
    instance: Instance
    reason: str


@dataclass(frozen=True, slots=True)
class Prepare:
    """Baseline, key exchange, disk. `step` is `identify` (read the new key) or `settle` (switch to it)."""

    relay: str
    instance: Instance
    step: str
    volume_id: str | None
    """The chain disk attached to it, if the cloud has such things."""
    reason: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Download, verify and unpack the release beside older ones."""

    relay: str
    instance: Instance
    rendered: RenderedRelay
    reason: str


@dataclass(frozen=True, slots=True)
class Deploy:
    """Make files, release link and unit as rendered."""

    relay: str
    instance: Instance
    rendered: RenderedRelay
    change: ChangeClass
    disturbs: bool
    """True if a serving relay goes out for it and the budget was charged."""
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the node cleanly before its instance goes."""

    relay: str
    instance: Instance
    reason: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Terminate an instance (aws), or disable and release a host (static)."""

    relay: str
    instance: Instance
    reason: str


@dataclass(frozen=True, slots=True)
class Release:
    """Give back a disk or an address that serves no relay any more."""

    relay: str
    what: Volume | ElasticAddress
    reason: str


Action = Launch | Furnish | Prepare | Stage | Deploy | Stop | Retire | Release


@dataclass(frozen=True, slots=True)
class Hold:
    """Something wanted that is not done now, and why, with numbers."""

    relay: str
    wanted: str
    because: str
    passes: bool = False
    """True if time alone may end it (booting, replaying, a retry due); False if somebody must act."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a chain that is split."""

    relays: tuple[str, ...]
    partners: tuple[str, ...]
    releases: tuple[str, ...]
    """What its relays run, as far as known."""
    point: ChainPoint | None
    """Newest point that its members share and no other side has: what an operator would pin."""


@dataclass(frozen=True, slots=True)
class NamesPlan:
    """What the names are to be, and the way there."""

    wanted: tuple[NameRecord, ...]
    changes: tuple[NameChange, ...] = ()
    """In this order; one, unless so much changes that it does not fit."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One look's decision."""

    relays: tuple[RelayView, ...]
    actions: tuple[Action, ...]
    holds: tuple[Hold, ...]
    warnings: tuple[str, ...] = ()
    out_at_most: int = 0
    """Relays out at the same time, at most, while this plan runs: those out already plus those it disturbs."""
    estimate: timedelta = timedelta()
    """Rough time until all that is planned and held has been done."""
    partners: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Partner → verdict in words."""
    agreed_tip: ChainPoint | None = None
    """Newest point that relays and partners have in common; None without a quorum."""
    evidence: Evidence = NO_EVIDENCE
    """What this look adds to the record."""
    sides: tuple[Side, ...] = ()
    """The sides of a chain that is split, largest first; empty while it is not."""
    rollout: RolloutView | None = None
    """How far the rollout is; None if nothing was found out about it (everything is held)."""
    names: NamesPlan | None = None
    """What becomes of the names; None for a fleet that has none."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether this plan starts nothing."""
        return not self.actions and not self.changes_names

    @property
    def changes_names(self) -> bool:
        """Whether this plan changes who can be found."""
        return self.names is not None and bool(self.names.changes)
