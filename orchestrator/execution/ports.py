"""The ports: what execution asks of the world, as Protocols. Adapters and the simulation implement them alike.

Rules for every implementation: foreign errors become `CloudRefused`, `CloudUnavailable` or values; every effect is safe to
repeat; nothing here decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import CloudView, ElasticAddress, HostView, Instance, Sighting, Volume
from orchestrator.fleet.record import Attempt, Evidence, FleetRecord, Identity, LaunchIntent, Lease, Pin
from orchestrator.fleet.rollout import Bundle, Order, RolloutEvent, RolloutRecord, Verb

# --- cloud -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launched:
    """The instance exists (newly made, or found by its token)."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class LaunchRefused:
    """The cloud will not launch this request; `capacity` says that another zone may."""

    reason: str
    capacity: bool


LaunchResult = Launched | LaunchRefused


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What a launch needs beside the spec: names, tags, keys."""

    relay: str
    region: str
    generation: int
    attempt: int
    token: str
    subnet: str
    user_data: str
    image: str = ""
    """Empty: the region's, as the fleet file says."""
    instance_type: str = ""


class CloudPort(Protocol):
    """Instances, disks and addresses of one fleet. All calls raise CloudRefused or CloudUnavailable."""

    def observe_cloud(self) -> CloudView:
        """List everything that carries this fleet's tag, in all its regions; a silent region is named, not raised.

        Terminated instances are listed as long as the cloud lists them. Raises CloudRefused if no region answers and one
        refuses.
        """

    def render_launch(self, identity: ServerIdentity) -> str:
        """Return the complete launch request as canonical JSON. Launches nothing.

        The request names a security group, so this finds or makes the group and mends its rules: idempotent, and
        without a trace in any instance. The request is then recorded before `start_launch`.
        """

    def start_launch(self, region: str, request_json: str) -> LaunchResult:
        """Make the instance of a recorded request: find it by its token first, then launch."""

    def run_furnish(self, instance: Instance) -> str:
        """Give a running instance its address and chain disk, as far as they lack. Return what was done, in words."""

    def save_host_key(self, instance: Instance, public_key: str) -> None:
        """Tag the instance with its permanent public host key; CloudUnavailable if it is not listed, or not yet."""

    def start_retire(self, instance: Instance) -> None:
        """Terminate one instance; refuses (CloudRefused) what does not carry this fleet's tag and this store's id."""

    def start_release(self, thing: Volume | ElasticAddress) -> None:
        """Delete a free disk or give a free address back; refuses what is attached or not this store's."""

    def guard_changes(self, check: Callable[[], None]) -> None:
        """Call `check` before each single change from now on; what it raises leaves that change unmade."""

    def save_access(self, region: str, *, revoke: bool) -> None:
        """Let in whom the fleet file names, in the region's security groups; makes none. `revoke` closes SSH to others."""

    def save_ownership(self, instances: Sequence[Instance], store_id: str) -> None:
        """Tag instances, their disks and addresses with another store's id (adopt)."""


# --- hosts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HostTarget:
    """How to reach one host, and with which values to work on it."""

    relay: str
    instance_id: str
    region: str
    address: str
    user: str
    port: int
    host_keys: tuple[str, ...]
    """Public keys to accept; never empty."""
    variables: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Ansible variables of this host for this intent (`genesis_…`), JSON-able."""


@dataclass(frozen=True, slots=True)
class HostDone:
    """The intent was carried out; `changed` as Ansible counts it, `facts` what the module returned."""

    changed: bool
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HostFailed:
    """The host answered, and the intent failed there."""

    error: str


@dataclass(frozen=True, slots=True)
class HostLost:
    """The host did not answer, or stopped answering; how far it came is unknown until it is inspected."""

    reason: str
    wrong_key: bool = False


HostResult = HostDone | HostFailed | HostLost


class HostsPort(Protocol):
    """Work on hosts by playbooks named by intent. Raises AnsibleNeverRan when no host was reached for our own fault."""

    def observe_hosts(self, targets: Sequence[HostTarget]) -> Mapping[str, HostView]:
        """Inspect hosts, read only. Keyed by instance id; every target has an answer."""

    def run_intent(
        self,
        intent: str,
        targets: Sequence[HostTarget],
        on_result: Callable[[HostTarget, HostResult], None],
    ) -> None:
        """Run `playbooks/<intent>.yml` on the targets; calls `on_result` once a target, as each one ends."""


# --- wire ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """A relay or partner to probe."""

    name: str
    address: str
    port: int


class WirePort(Protocol):
    """The node-to-node protocol, as a client."""

    def observe_wire(self, targets: Sequence[ProbeTarget], points: Sequence[ChainPoint] = ()) -> Mapping[str, Sighting]:
        """Probe all targets side by side, one connection each; keyed by name, every target has an answer.

        Each target is asked for each of the points whether it is on its chain.
        """


# --- store -----------------------------------------------------------------------------------------------------------


class StorePort(Protocol):
    """The record. Every `save_` is one transaction and durable when it returns. Raises StoreRefused."""

    def load(self) -> FleetRecord:
        """Return the whole record; makes the store with a fresh id when there is none."""

    def save_magic(self, magic: int) -> None:
        """Remember the network this fleet serves."""

    def save_intent(self, intent: LaunchIntent) -> None:
        """Insert or replace a launch intent (key: its token)."""

    def save_identity(self, identity: Identity) -> None:
        """Insert or replace the pinned key of an instance."""

    def save_attempt(self, attempt: Attempt) -> None:
        """Insert or replace a failed attempt (key: relay, intent)."""

    def delete_attempts(self, relay: str, intent: str) -> None:
        """Forget failures after a success."""

    def delete_all_attempts(self) -> None:
        """Forget every failure: an operator asked for a new try."""

    def save_missed(self, missed_since: Mapping[str, datetime]) -> None:
        """Replace the times at which instances were first missed."""

    def save_confirmations(self, names: frozenset[str]) -> None:
        """Replace the confirmations given for the submitted revision."""

    def save_evidence(self, evidence: Evidence, before: Evidence) -> bool:
        """Replace what looks have seen of the chain; False, and nothing done, if it is no longer what this look started from.

        Needs no lease: of two looks at once the next one knows better than both.
        """

    def save_pin(self, pin: Pin | None) -> None:
        """Replace the operator's word about the chain; None takes it back. Needs no lease."""

    def save_rollout(
        self,
        rollout: RolloutRecord,
        before: RolloutRecord,
        bundles: Mapping[str, Bundle],
        events: Sequence[RolloutEvent],
    ) -> bool:
        """Replace what is kept of the rollout, and all bundles, and add the events, in one transaction.

        Returns False, and changes nothing, if the record is no longer what this look started from: nothing may then be
        done that rests on it.
        """

    def load_events(self, limit: int | None = None) -> tuple[RolloutEvent, ...]:
        """Return the history of rollouts, oldest first; of more than `limit` the newest."""

    def add_order(self, verb: Verb, user: str, reason: str, at: datetime, relay: str = "") -> Order:
        """Append an operator's request, numbered in the order they come. Needs no lease.

        A `retry` forgets the relay's failed attempts in the same transaction, `resume` all of them.
        """

    def newest_order(self) -> int:
        """Return the number of the newest order, 0 without any: read before every effect."""

    def delete_instance(self, instance_id: str) -> None:
        """Forget everything about an instance that is gone."""

    def acquire_lease(self, holder: str, now: datetime, until: datetime, least_token: int) -> Lease:
        """Take or renew the lease; a new holder gets token max(stored, least_token) + 1. Raises LeaseHeld."""

    def check_lease(self, lease: Lease, now: datetime) -> None:
        """Raise LeaseHeld unless this very lease is still held."""

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back; harmless if it is held by someone else by now."""


# --- keys ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An SSH host key."""

    private: str
    """OpenSSH private key, text."""
    public: str
    """`ssh-ed25519 AAAA…`, without a comment."""


class KeysPort(Protocol):
    """Makes keys; the only source of randomness."""

    def make_host_key(self, purpose: str) -> KeyPair:
        """Return a fresh ed25519 key pair."""


# --- clock and background --------------------------------------------------------------------------------------------


class ClockPort(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Return the current time, with time zone."""

    def wait(self, seconds: float, until: Callable[[], bool]) -> None:
        """Return after `seconds`, or earlier when `until()` holds."""


class BackgroundPort(Protocol):
    """Runs effects beside the cycle: threads in production, steps in the simulation."""

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Start `work`; exceptions are kept and raised by `raise_failures`."""

    def busy(self) -> bool:
        """Return whether any work is still running."""

    def raise_failures(self) -> None:
        """Raise the first exception that some work ended with; the others are its notes."""

    def finish(self) -> AbstractContextManager[None]:
        """Context manager that waits for all work on leaving."""
