"""What was seen in one look: the cloud, the hosts, the wire. Frozen values, no judgement.

"Could not be asked" is always a value of its own here, never an empty answer: the planner treats it as UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.names import NO_ANSWERS, Answers, ZoneView

EMPTY: Mapping[str, object] = MappingProxyType({})


# --- the cloud -------------------------------------------------------------------------------------------------------


class InstanceState(StrEnum):
    """Life of an instance as the cloud tells it."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"


class InstanceStatus(StrEnum):
    """The cloud's own checks of a running instance."""

    OK = "ok"
    INITIALIZING = "initializing"
    IMPAIRED = "impaired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance (aws) or one named host (static) of this fleet."""

    instance_id: str
    region: str
    zone: str
    state: InstanceState
    status: InstanceStatus
    fleet: str
    store_id: str
    """Id of the store that launched it; empty where nothing is tagged (static hosts nobody adopted)."""
    relay: str
    generation: int
    address: str | None
    """Public IPv4 (or host name of a static host) for SSH, probes and topologies."""
    address_v6: str | None
    image: str
    instance_type: str
    subnet: str
    launched_at: datetime
    launch_token: str
    host_key: str | None
    """Public SSH host key in the tag (aws) or pinned in the fleet file (static)."""
    magic: int | None = None
    """Network magic tagged at launch."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A chain disk."""

    volume_id: str
    region: str
    zone: str
    relay: str
    store_id: str
    size_gib: int
    attached_to: str | None
    """Instance id, or None while it is free."""


@dataclass(frozen=True, slots=True)
class ElasticAddress:
    """An address that outlives the instance it points to."""

    allocation_id: str
    region: str
    address: str
    relay: str
    store_id: str
    attached_to: str | None


@dataclass(frozen=True, slots=True)
class CloudView:
    """All that the cloud lists under this fleet's tag; regions that did not answer are named with the reason."""

    instances: tuple[Instance, ...] = ()
    volumes: tuple[Volume, ...] = ()
    addresses: tuple[ElasticAddress, ...] = ()
    silent_regions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Region → why it could not be asked."""
    zones: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Region → the fleet file's subnets as (subnet id, zone)."""
    free_addresses: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Region → how many more elastic addresses the quota allows; absent where it cannot be read."""
    warnings: tuple[str, ...] = ()
    """What an operator should know and nothing fails for: a quota that may not be read, a subnet that is missing."""
    other_access: frozenset[str] = frozenset()
    """Regions that let in others than the fleet file says, too many or too few."""


# --- hosts -----------------------------------------------------------------------------------------------------------


class UnitState(StrEnum):
    """ActiveState of the node's unit, as systemd names it."""

    ABSENT = "absent"
    INACTIVE = "inactive"
    ACTIVATING = "activating"
    ACTIVE = "active"
    RELOADING = "reloading"
    DEACTIVATING = "deactivating"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileState:
    """One file as it lies on a host."""

    sha256: str
    owner: str
    group: str
    mode: str
    """Four octal digits, e.g. `0644`."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What `inspect` read on a host; nothing here was remembered by the controller."""

    token: int
    """Highest fencing token this host has seen; 0 for none."""
    working: str
    """Intent of another run that holds the host's lock now, or empty."""
    host_key: str
    """Permanent public host key generated on the host, or empty."""
    one_time_key_wiped: bool
    prepared: str
    """Digest of the baseline that was prepared, or empty."""
    staged: frozenset[str]
    """Releases and network folders that lie verified on the host, by sha256 of the archive or folder."""
    release: str
    """sha256 of the archive behind the release link, or empty."""
    files: Mapping[str, FileState]
    """Every file a deploy manages, by path; absent files are absent."""
    unit: UnitState
    unit_enabled: bool
    running_restart_digest: str
    """Restart-class digest that the running node started with, or empty when it does not run."""
    running_reload_digest: str
    """Reload-class digest that the running node last (re)loaded."""
    clean_marker: bool
    """The chain database was closed cleanly."""
    unclean_start: bool = False
    """The running node found a chain that had not been closed cleanly, and checks it from its beginning."""
    firewall_pending: bool = False
    """New rules wait for the confirmation that keeps them."""
    detail: str = ""
    """One line from the unit's status worth showing, e.g. why it failed."""
    store_id: str = ""
    """Store that the host itself says it belongs to; empty before it was prepared."""
    metrics: NodeMetrics | None = None
    """What the node says of itself; None if it could not be asked."""
    metrics_missing: str = ""
    """Why there are no metrics, or empty."""
    peers: frozenset[str] | None = None
    """Addresses that the node has an established connection with, whoever opened it; None if that is not known."""
    reload_logged: bool | None = None
    """Whether the node's log confirms the last reload since its start; None if there was none, or it is not known."""
    reloaded_seconds_ago: float | None = None
    """Time since the last reload signal, by the host's own clock; None if there was none since the start."""
    restarts: int | None = None
    """How often the node ended by itself since systemd was last told to start it, and is or will be started again by it;
    None if there is no unit."""
    started_seconds_ago: float | None = None
    """Time since the node's present process (of a crashing node: its last) was started; None if it does not run."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The host did not answer SSH."""

    reason: str


@dataclass(frozen=True, slots=True)
class WrongHostKey:
    """Something answered with a key that is not the host's: never talked to, always named."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The host answered SSH, and could not be inspected: neither known nor silent."""

    reason: str


HostView = HostFacts | Unreachable | WrongHostKey | Unreadable


# --- the wire --------------------------------------------------------------------------------------------------------


class Verdict(StrEnum):
    """What a probe of the node-to-node port came to."""

    OK = "ok"
    STALE_TIP = "stale_tip"
    REFUSED = "refused"
    NO_ROUTE = "no_route"
    CONNECT_TIMEOUT = "connect_timeout"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    WRONG_MAGIC = "wrong_magic"
    NO_COMMON_VERSION = "no_common_version"
    REFUSED_BY_PEER = "refused_by_peer"
    PROTOCOL_ERROR = "protocol_error"
    UNKNOWN_NAME = "unknown_name"
    CLOSED_BEFORE_ANSWER = "closed_before_answer"
    ANSWER_TIMEOUT = "answer_timeout"
    CLOSED_AFTER_HANDSHAKE = "closed_after_handshake"
    NOT_ASKED = "not_asked"
    """This machine could not ask; nothing is known about the peer."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One probe: the verdict and the tip it showed."""

    verdict: Verdict
    detail: str = ""
    tip_slot: int | None = None
    tip_block: int | None = None
    tip_hash: str | None = None
    tip_age_seconds: float | None = None
    round_trip_seconds: float | None = None
    handshake_seconds: float | None = None
    asked: frozenset[ChainPoint] = frozenset()
    """Points that were asked about, each on its own, and answered."""
    has: frozenset[ChainPoint] = frozenset()
    """Those of them that are on this peer's chain."""
    tip: ChainPoint | None = field(init=False, repr=False, compare=False)
    """The tip as a point, None before the first block or without an answer."""

    def __post_init__(self) -> None:
        told = None if self.tip_slot is None or self.tip_hash is None else ChainPoint(self.tip_slot, self.tip_hash)
        object.__setattr__(self, "tip", told)


# --- all of it -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InFlight:
    """Work on a relay that this controller started and that has not ended."""

    intent: str
    since: datetime
    progress: str = ""
    disturbs: bool = False
    """Whether it takes the node out: a restart, a stop."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one look saw. Hosts are keyed by instance id, sightings by relay or partner name."""

    cloud: CloudView
    hosts: Mapping[str, HostView]
    sightings: Mapping[str, Sighting]
    in_flight: Mapping[str, InFlight]
    """By relay name."""
    heights: Mapping[ChainPoint, int] = field(default_factory=lambda: MappingProxyType({}))
    """Block numbers of the points asked about."""
    zone: ZoneView | None = None
    """What the fleet's zone has; None where nobody keeps one for this fleet."""
    answers: Mapping[str, Answers] = field(default_factory=lambda: NO_ANSWERS)
    """What the resolver says of the fleet's and the regions' names."""
