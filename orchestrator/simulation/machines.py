"""The machines of a simulated world: instances, their disks and addresses, who reaches whom, and how a controller dies.

What their nodes do is in `world.py`. Mutable, and only the world touches it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.fleet.observation import CloudView, FileState, Instance, InstanceState
from orchestrator.simulation.faults import Durations, Faults
from orchestrator.simulation.time import VirtualClock

Witness = Callable[["Effect", "SimulatedHost"], None]
"""Is told of each effect just before it happens, so it can still see what there was."""


class Effect(StrEnum):
    """What is done to a host or for it by a controller's hand, and worth a witness."""

    LAUNCH = "launch"
    WORK = "work"
    """A playbook's module begins, and its fencing token was accepted."""
    DEPLOY = "deploy"
    """Another release or other files lie on the disk, and the node is about to be told to start with them."""
    STOP = "stop"
    """The node is told to stop, perhaps to start again."""
    START = "start"
    """The node starts with what lies on the disk."""
    TERMINATE = "terminate"


def nobody(_effect: Effect, _host: SimulatedHost) -> None:
    """Witness nothing."""


class SimulatedDeath(BaseException):
    """The controller dies here: nothing it would have done after this happens."""


@dataclass(slots=True)
class SimulatedHost:
    """One machine as it really is."""

    instance: Instance
    boots_at: datetime
    one_time_key: str
    own_key: str = ""
    one_time_wiped: bool = False
    prepared: str = ""
    token: int = 0
    staged: frozenset[str] = frozenset()
    release: str = ""
    settings: str = ""
    """What the node is configured with that a fleet file may ask for: its soft limit of connections."""
    files: dict[str, FileState] = field(default_factory=dict)
    node_started: datetime | None = None
    node_stops_at: datetime | None = None
    wanted_running: bool = False
    replays_for: timedelta = timedelta()
    """How long the running node replays before it listens."""
    restarts: int = 0
    """How often systemd started the node anew by itself, since somebody started it."""
    running_restart: str = ""
    running_reload: str = ""
    named: frozenset[str] = frozenset()
    """Addresses of ours in the topology that its node loaded."""
    reloaded_at: datetime | None = None
    """When the running node was last told to reload."""
    written_restart: str = ""
    written_reload: str = ""
    gone_at: datetime | None = None
    running_release: str = ""
    """Checksum of the release that its node started with."""
    running_settings: str = ""
    working: str = ""
    """Work of a controller that is gone, still going on."""
    inbound: float = 0.0
    """Connections that others had to it …"""
    inbound_at: datetime | None = None
    """… at this time."""


@dataclass(slots=True)
class Machines:
    """All of them, and what they hang on."""

    clock: VirtualClock
    durations: Durations = field(default_factory=Durations)
    faults: Faults = field(default_factory=Faults)
    hosts: dict[str, SimulatedHost] = field(default_factory=dict)
    """By instance id."""
    volumes: dict[str, tuple[str, str, str, str | None]] = field(default_factory=dict)
    """Volume id → region, zone, relay, attached to."""
    addresses: dict[str, tuple[str, str, str | None]] = field(default_factory=dict)
    """Address → region, relay, attached to."""
    unclean: set[str] = field(default_factory=set)
    """Relays whose chain has not been closed by the node that last wrote it, or that still does."""
    launches: int = 0
    numbers: int = 0
    """Disks and addresses made so far: none gets the name of an earlier one."""
    effects: int = 0
    crash_at: int | None = None
    """Effect number at which the controller dies, before the effect."""
    crash_after: bool = False
    """Whether it dies after that effect instead, before it learns what came of it."""
    witness: Witness = nobody
    lists: list[tuple[datetime, CloudView]] = field(default_factory=list)
    """What the cloud listed lately, oldest first."""

    def effect(self) -> None:
        """Count an effect, and let the controller die before it if that was asked for."""
        self.effects += 1
        if self.effects == self.crash_at and not self.crash_after:
            raise SimulatedDeath

    def effect_done(self) -> None:
        """Let the controller die after the last effect if that was asked for."""
        if self.effects == self.crash_at and self.crash_after:
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
        instance, faults = host.instance, self.faults
        if instance.state is not InstanceState.RUNNING or self.clock.now() < host.boots_at:
            return False
        if instance.region in faults.cut_regions:
            return False
        for silent in (faults.never_boots, faults.unreachable):
            if silent and (instance.relay in silent or instance.instance_id in silent):
                return False
        return True

    def peers_of(self, host: SimulatedHost) -> frozenset[str]:
        """Return the addresses that a node is connected with: relays alive that it names or that name it, and partners."""
        mine, region, cut = host.instance.address, host.instance.region, self.faults.cut_regions
        ours = {other.instance.address: other for other in self.hosts.values() if other.instance.address is not None}
        relays = {
            address
            for address, other in ours.items()
            if other.node_started is not None
            and (address in host.named or mine in other.named)
            and other.instance.state is InstanceState.RUNNING
            and (other.instance.region == region or not (cut and (region in cut or other.instance.region in cut)))
        }
        partners = host.named - ours.keys() if region not in cut else frozenset()
        return frozenset(relays | partners)
