"""A small world in virtual time: instances, hosts and nodes that take their time, and faults that tests switch on.

It plays the part of AWS, of the hosts behind Ansible and of the relays on the wire. What a controller may know of it
goes through `ports.py` here; tests may look at the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import CloudView, FileState, HostFacts, Instance, InstanceState, UnitState
from orchestrator.simulation.chain import Branch, SimulatedChain
from orchestrator.simulation.faults import STALE_AFTER, Durations, Faults, ReleaseFault
from orchestrator.simulation.time import VirtualClock

Witness = Callable[["Effect", "SimulatedHost"], None]
"""Is told of each effect just before it happens, so it can still see what there was."""


class Effect(StrEnum):
    """What is done to a host or for it by a controller's hand, and worth a witness."""

    LAUNCH = "launch"
    WORK = "work"
    """A playbook's module begins, and its fencing token was accepted."""
    STOP = "stop"
    """The node is told to stop, perhaps to start again."""
    START = "start"
    """The node starts with what lies on the disk."""
    TERMINATE = "terminate"


def nobody(_effect: Effect, _host: SimulatedHost) -> None:
    """Witness nothing."""


@dataclass(slots=True)
class SimulatedHost:
    """One machine as it really is; mutable, and only this world touches it."""

    instance: Instance
    boots_at: datetime
    one_time_key: str
    own_key: str = ""
    one_time_wiped: bool = False
    prepared: str = ""
    token: int = 0
    staged: frozenset[str] = frozenset()
    release: str = ""
    files: dict[str, FileState] = field(default_factory=dict)
    node_started: datetime | None = None
    node_stops_at: datetime | None = None
    wanted_running: bool = False
    running_restart: str = ""
    running_reload: str = ""
    named: frozenset[str] = frozenset()
    """Addresses of ours in the topology that its node loaded."""
    reloaded_at: datetime | None = None
    """When the running node was last told to reload."""
    written_restart: str = ""
    written_reload: str = ""
    gone_at: datetime | None = None
    failed: bool = False
    """The node's unit gave up."""
    running_release: str = ""
    """Checksum of the release that its node started with."""
    working: str = ""
    """Work of a controller that is gone, still going on."""


@dataclass(slots=True)
class World:
    """Everything there is."""

    clock: VirtualClock
    durations: Durations = field(default_factory=Durations)
    faults: Faults = field(default_factory=Faults)
    hosts: dict[str, SimulatedHost] = field(default_factory=dict)
    """By instance id."""
    volumes: dict[str, tuple[str, str, str, str | None]] = field(default_factory=dict)
    """Volume id → region, zone, relay, attached to."""
    addresses: dict[str, tuple[str, str, str | None]] = field(default_factory=dict)
    """Address → region, relay, attached to."""
    launches: int = 0
    numbers: int = 0
    """Disks and addresses made so far: none gets the name of an earlier one."""
    chain: SimulatedChain = field(default_factory=SimulatedChain)
    effects: int = 0
    crash_at: int | None = None
    """Effect number at which the controller dies, before the effect."""
    witness: Witness = nobody
    lists: list[tuple[datetime, CloudView]] = field(default_factory=list)
    """What the cloud listed lately, oldest first."""
    made_by_release: set[str] = field(default_factory=set)
    """Relays whose chain is what a bad release made of it."""

    def effect(self) -> None:
        """Count an effect, and let the controller die before it if that was asked for."""
        self.effects += 1
        if self.crash_at is not None and self.effects == self.crash_at:
            raise SimulatedDeath

    def next_number(self) -> int:
        """Return a number that nothing here was named with yet."""
        self.numbers += 1
        return self.numbers

    def terminate(self, instance_id: str) -> None:
        """End an instance; its disk and its address are free from then on."""
        host = self.hosts[instance_id]
        host.instance = replace(host.instance, state=InstanceState.TERMINATED, address=None)
        host.gone_at = self.clock.now()
        for key, (region, zone, relay, attached) in self.volumes.items():
            if attached == instance_id:
                self.volumes[key] = (region, zone, relay, None)
        for address, (region, relay, attached) in self.addresses.items():
            if attached == instance_id:
                self.addresses[address] = (region, relay, None)

    def stop_instance(self, relay: str) -> None:
        """Let the machines of a relay die as the cloud sees it; their disks and addresses stay with them."""
        for host in self.hosts.values():
            if host.instance.relay == relay and host.instance.state is InstanceState.RUNNING:
                host.instance = replace(host.instance, state=InstanceState.STOPPED)

    def is_up(self, host: SimulatedHost) -> bool:
        """Whether the host answers SSH."""
        names = {host.instance.relay, host.instance.instance_id}
        alive = host.instance.state is InstanceState.RUNNING and not names & self.faults.never_boots
        cut = host.instance.region in self.faults.cut_regions
        return alive and not cut and self.clock.now() >= host.boots_at and not names & self.faults.unreachable

    def peers_of(self, host: SimulatedHost) -> frozenset[str]:
        """Return the addresses that a node is connected with: relays alive that it names or that name it, and partners."""
        mine = host.instance.address
        ours = {other.instance.address: other for other in self.hosts.values() if other.instance.address is not None}
        relays = {
            address
            for address, other in ours.items()
            if other.node_started is not None
            and (address in host.named or mine in other.named)
            and other.instance.state is InstanceState.RUNNING
            and (other.instance.region == host.instance.region or not self._is_cut(host, other))
        }
        partners = host.named - ours.keys() if not self._is_cut(host) else frozenset()
        return frozenset(relays | partners)

    def _is_cut(self, *hosts: SimulatedHost) -> bool:
        return any(host.instance.region in self.faults.cut_regions for host in hosts)

    def unit_state(self, host: SimulatedHost) -> UnitState:
        """Return the node's unit state now."""
        self.settle(host)
        if not host.files:
            return UnitState.ABSENT
        if host.failed:
            return UnitState.FAILED
        if host.node_stops_at is not None:
            return UnitState.DEACTIVATING
        return UnitState.ACTIVE if host.node_started is not None else UnitState.INACTIVE

    def serves(self, host: SimulatedHost) -> bool:
        """Whether the relay answers with a fresh tip."""
        if self.unit_state(host) is not UnitState.ACTIVE or not self.is_up(host) or host.node_started is None:
            return False
        if self._fault_of(host) in (ReleaseFault.NEVER_LISTENS, ReleaseFault.HANGS):
            return False
        return self.clock.now() >= host.node_started + self.durations.replay

    def hangs(self, host: SimulatedHost) -> bool:
        """Whether connections are accepted and nobody ever answers, for the release's fault."""
        return self._fault_of(host) is ReleaseFault.HANGS and self.unit_state(host) is UnitState.ACTIVE

    def _fault_of(self, host: SimulatedHost) -> ReleaseFault | None:
        return self.faults.bad_releases.get(host.running_release)

    def settle(self, host: SimulatedHost) -> None:
        """Let a stop that is over be over; a restart goes on with the start."""
        if host.node_stops_at is None or self.clock.now() < host.node_stops_at:
            return
        started = host.node_stops_at
        host.node_stops_at = None
        host.node_started = None
        if host.wanted_running:
            self.start_node(host, started)

    def start_node(self, host: SimulatedHost, at: datetime) -> None:
        """Start the node with what lies on the disk."""
        self.witness(Effect.START, host)
        host.node_started = at
        host.reloaded_at = None
        host.running_restart, host.running_reload = host.written_restart, host.written_reload
        host.running_release = host.release
        self._follow_release(host, at)

    def _follow_release(self, host: SimulatedHost, at: datetime) -> None:
        """Let a bad release do to its node what it does; a good one makes up for what a bad one did."""
        relay, slot = host.instance.relay, int(at.timestamp())
        if relay in self.made_by_release:
            self.made_by_release.discard(relay)
            self.chain.branches.pop(relay, None)
            self.chain.stalled_at.pop(relay, None)
        match self._fault_of(host):
            case ReleaseFault.NEVER_STARTS:
                host.node_started, host.failed = None, True
            case ReleaseFault.FORKS:
                self.chain.branches[relay] = Branch(f"branch of {host.release[:8]}", slot)
                self.made_by_release.add(relay)
            case ReleaseFault.GOES_STALE:
                self.chain.stalled_at[relay] = slot + int(STALE_AFTER.total_seconds())
                self.made_by_release.add(relay)
            case ReleaseFault.NEVER_LISTENS | ReleaseFault.HANGS | None:
                pass

    def stop_node(self, host: SimulatedHost, *, then_start: bool) -> None:
        """Ask the node to stop, and perhaps to start again after."""
        host.wanted_running, host.failed = then_start, False
        if host.node_started is None and host.node_stops_at is None:
            if then_start:
                self.start_node(host, self.clock.now())
        elif host.node_stops_at is None:
            self.witness(Effect.STOP, host)
            slow = host.instance.relay in self.faults.slow_to_stop
            host.node_stops_at = self.clock.now() + (self.durations.slow_stop if slow else self.durations.stop)

    def facts(self, host: SimulatedHost) -> HostFacts:
        """Return what an inspection reads."""
        unit = self.unit_state(host)
        relay, told = host.instance.relay, host.reloaded_at
        runs = unit in (UnitState.ACTIVE, UnitState.DEACTIVATING)
        return HostFacts(
            token=host.token,
            working=host.working,
            host_key=host.own_key,
            one_time_key_wiped=host.one_time_wiped,
            prepared=host.prepared,
            staged=host.staged,
            release=host.release,
            files=dict(host.files),
            unit=unit,
            unit_enabled=bool(host.files),
            running_restart_digest=host.running_restart if runs else "",
            running_reload_digest=host.running_reload if runs else "",
            clean_marker=host.node_started is None,
            peers=self.peers_of(host) if unit is UnitState.ACTIVE else None,
            metrics=self._metrics(host) if unit is UnitState.ACTIVE else None,
            metrics_missing="" if unit is UnitState.ACTIVE else "the node does not run",
            reload_logged=relay not in self.faults.deaf_to_reload if told is not None else None,
            reloaded_seconds_ago=(self.clock.now() - told).total_seconds() if told is not None else None,
        )

    def _metrics(self, host: SimulatedHost) -> NodeMetrics:
        """Return what the node says of itself: progress while it replays, its tip afterwards."""
        relay, now = host.instance.relay, self.clock.now()
        assert host.node_started is not None  # noqa: S101 - asked of a running node only
        started = int(host.node_started.timestamp())
        if not self.serves(host):
            share = (now - host.node_started) / self.durations.replay
            return NodeMetrics("new", inbound=0, started_at=started, replay_percent=100 * min(share, 1.0))
        tip, block = self.chain.tip_of(relay, int(now.timestamp()))
        inbound = MANY_CONNECTIONS if relay in self.faults.saturated else FEW_CONNECTIONS
        return NodeMetrics("new", tip_slot=tip.slot, tip_block=block, inbound=inbound, started_at=started)


FEW_CONNECTIONS = 10

MANY_CONNECTIONS = 100_000
"""More than any limit."""


class SimulatedDeath(BaseException):
    """The controller dies here: nothing it would have done after this happens."""
