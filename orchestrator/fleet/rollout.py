"""What is kept of a rollout because no look can see it: how far it is, what failed, what an operator said. Frozen values.

The unit is the *digest* of a relay: all that would ask for a restart or a replacement if it differed. What follows from it is
decided in `planning.rollout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType


class RolloutState(StrEnum):
    """Where a rollout is."""

    RUNNING = "running"
    PAUSED = "paused"
    """Nobody further is updated until an operator resumes; what an operator paused stays so when the wish changes."""
    HALTED = "halted"
    """Something failed, or an operator said so: only an operator or another wish goes on."""
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    COMPLETE = "complete"


class Verb(StrEnum):
    """What an operator may ask of a rollout, or of one relay."""

    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    ROLLBACK = "rollback"
    RETRY = "retry"
    DRAIN = "drain"
    """Take a relay out of the names until further notice."""
    UNDRAIN = "undrain"


@dataclass(frozen=True, slots=True)
class Order:
    """An operator's request, kept in the order in which they came."""

    number: int
    """From 1; given by the store."""
    verb: Verb
    user: str
    reason: str
    at: datetime
    relay: str = ""
    """For `retry`, `drain` and `undrain`."""


@dataclass(frozen=True, slots=True)
class Settling:
    """A relay that runs what is wanted of it: since when it serves, and how it compared with the others meanwhile."""

    digest: str
    since: datetime
    looks: int = 0
    """Looks in a row in which it served."""
    compared: int = 0
    """Looks in which it was compared with others."""
    measured: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Signal → in how many of them it could be measured, here and there."""
    worse: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Signal → in how many of those it was worse than on the others."""
    settled: bool = False
    """Whether it has served out its bake."""
    row: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Signal → looks in a row, this one the last, in which it was worse."""
    seen_at: datetime | None = None
    """When it was last seen to serve: time in which nobody looked proves nothing."""
    restarts_before: int = 0
    """How often its node had been restarted by itself before: what was then is not held against it now."""


@dataclass(frozen=True, slots=True)
class Restart:
    """A relay that was told to restart with a digest: when, and what it last showed of progress."""

    digest: str
    at: datetime
    inbound: int | None = None
    """Connections that others had to it before."""
    mark: str = ""
    """What it showed last: percent replayed, the age of a tip that grows younger, that it stops."""
    marked_at: datetime | None = None
    served_at: datetime | None = None
    """When it was first seen to serve again."""
    replaced: bool = False
    """Whether its instance was a new one, on which it takes longer until it serves."""
    youngest_tip: float | None = None
    """Smallest age in seconds that its tip was seen to have."""
    seen_at: datetime | None = None
    """When somebody last looked while it was awaited: time in which nobody did is no fault of its."""
    overlooked: bool = False
    """Whether there was such time, so that how long it took is not known."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A digest that has failed: it is not tried again unless an operator asks for it."""

    digest: str
    version: str
    relay: str
    """On which it failed."""
    because: str
    at: datetime
    staging: bool = False
    """It failed before anything ran: that may be the host's fault, so another wish in between lets it be tried again."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One wish's way through the fleet."""

    target: str
    """Digest of what all relays are to be."""
    version: str
    """Release of the wish, for people."""
    started_at: datetime
    state: RolloutState
    because: str = ""
    """Why it is in this state; empty while it runs."""
    since: datetime | None = None
    """When it came into this state."""
    wish: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Region → wanted digest."""
    good: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Region → last digest that the whole fleet had proven before; what a failed relay goes back to."""
    waves: tuple[tuple[str, ...], ...] = ()
    """Relays to be updated, canaries first; empty if there was nothing to be careful about (a new fleet)."""
    canaries: int = 0
    """1 if the first wave is the canaries', else 0."""
    failed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Relay → why it failed on this wish."""
    vouched: frozenset[str] = frozenset()
    """Relays whose bake an operator accepted although it was inconclusive."""
    heard: int = 0
    """Number of the last order that was taken up."""
    doubtful: frozenset[str] = frozenset()
    """Relays for whose bakes it was paused: who resumes vouches for them."""
    by: str = ""
    """Operator whose order brought it into this state; empty if it came into it by itself."""


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """All of it: the present rollout, and what outlives it."""

    current: Rollout | None = None
    settling: Mapping[str, Settling] = field(default_factory=lambda: MappingProxyType({}))
    """By relay."""
    restarts: Mapping[str, Restart] = field(default_factory=lambda: MappingProxyType({}))
    """By relay: the last restart that was asked for."""
    draining: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    """Relay → since when it is out of the names so that it may be taken."""
    failures: Mapping[str, Failure] = field(default_factory=lambda: MappingProxyType({}))
    """By digest."""
    durations: tuple[float, ...] = ()
    """Seconds from a restart to serving, newest last: what estimates and comparisons are made from."""
    connected: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Relay that drains → connections that others had to it when it began to: once drained, it has few."""


NO_ROLLOUT = RolloutRecord()


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that relays of one region were to be for one digest, so that it can be made again whatever the fleet file says by then."""

    digest: str
    version: str
    image: str
    """Image that instances were to be launched from; empty where hosts are named."""
    instance_type: str
    document: str
    """Files but for topologies, and the release: read by `rendering.bundle`."""


@dataclass(frozen=True, slots=True)
class RolloutEvent:
    """Something that became of a rollout: started, paused, failed, complete …"""

    at: datetime
    target: str
    version: str
    what: str
    """`started`, `superseded`, `wave done`, `failed`, `paused`, `resumed`, `halted`, `rolling back`, `rolled back`, `complete`, `retried`."""
    text: str
    user: str = ""
    """Operator who asked for it; empty for the controller itself."""
