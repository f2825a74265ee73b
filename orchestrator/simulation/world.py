"""A small world in virtual time: machines whose nodes take their time, a chain, and faults that tests switch on.

It plays the part of AWS, of the hosts behind Ansible and of the relays on the wire. What a controller may know of it
goes through `ports.py` here; tests may look at the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.names import NameRecord
from orchestrator.fleet.observation import HostFacts, UnitState
from orchestrator.simulation.chain import Branch, SimulatedChain
from orchestrator.simulation.faults import MOST_STARTS, RESTART_AFTER, ReleaseFault
from orchestrator.simulation.machines import Effect, Machines, SimulatedHost

RUNNING = (UnitState.ACTIVE, UnitState.DEACTIVATING)

USUAL_CONNECTIONS = 10

FAITHFUL_CONNECTIONS = 2
"""Who stays connected with a relay that is out of the names: relays that name it."""

MANY_CONNECTIONS = 100_000
"""More than any limit."""

SLOW_TO_ANSWER = 50.0
"""A slow relay takes this many times as long for a handshake."""


@dataclass(slots=True)
class World(Machines):
    """Everything there is."""

    chain: SimulatedChain = field(default_factory=SimulatedChain)
    made_by_release: set[str] = field(default_factory=set)
    """Relays whose chain is what a bad release made of it."""
    published: frozenset[str] = frozenset()
    """Relays that consumers find."""
    zone: dict[tuple[str, str, str], NameRecord] = field(default_factory=dict)
    """Record sets of the fleet's names, by their keys."""

    # --- what is so --------------------------------------------------------------------------------------------------

    def unit_state(self, host: SimulatedHost) -> UnitState:
        """Return the node's unit state now."""
        self.settle(host)
        if not host.files:
            return UnitState.ABSENT
        if host.node_stops_at is not None:
            return UnitState.DEACTIVATING
        if host.node_started is None:
            return UnitState.INACTIVE
        now = self.clock.now()
        if host.running_release in self.faults.bad_releases and self.exits(host):
            return UnitState.FAILED if self._count_exits(host) >= MOST_STARTS else UnitState.ACTIVATING
        return UnitState.ACTIVE if now >= host.node_started else UnitState.ACTIVATING

    def serves(self, host: SimulatedHost) -> bool:
        """Whether the relay answers; whether its chain is any good is another question."""
        if self.unit_state(host) is not UnitState.ACTIVE or not self.is_up(host) or host.node_started is None:
            return False
        if self.fault_of(host) in (ReleaseFault.NEVER_LISTENS, ReleaseFault.HANGS):
            return False
        return self.clock.now() >= host.node_started + host.replays_for

    def hangs(self, host: SimulatedHost) -> bool:
        """Whether connections are accepted and nobody ever answers, for the release's fault."""
        return self.fault_of(host) is ReleaseFault.HANGS and self.unit_state(host) is UnitState.ACTIVE

    def exits(self, host: SimulatedHost) -> bool:
        """Whether the node ends soon after each start, for the release's fault."""
        return self.fault_of(host) is ReleaseFault.NEVER_STARTS and host.node_started is not None

    def is_of_other_network(self, host: SimulatedHost) -> bool:
        """Whether its handshake names another network, for the release's fault or its own."""
        other = host.instance.relay in self.faults.other_network
        return other or self.fault_of(host) is ReleaseFault.WRONG_MAGIC

    def fault_of(self, host: SimulatedHost) -> ReleaseFault | None:
        """Return what is wrong with the release that its node runs."""
        return self.faults.bad_releases.get(host.running_release)

    def _count_exits(self, host: SimulatedHost) -> int:
        assert host.node_started is not None  # noqa: S101 - asked of a node that was started
        return 1 + int((self.clock.now() - host.node_started) / RESTART_AFTER)

    # --- what nodes do -----------------------------------------------------------------------------------------------

    def settle(self, host: SimulatedHost) -> None:
        """Let a stop that is over be over; a restart goes on with the start."""
        if host.node_stops_at is None or self.clock.now() < host.node_stops_at:
            return
        started = host.node_stops_at
        host.node_stops_at = None
        host.node_started = None
        if self.fault_of(host) is not ReleaseFault.REPLAYS_LONG:
            self.unclean.discard(host.instance.relay)
        if host.wanted_running:
            self.start_node(host, started)

    def start_node(self, host: SimulatedHost, at: datetime) -> None:
        """Start the node with what lies on the disk."""
        self.witness(Effect.START, host)
        host.restarts = 0
        host.running_restart, host.running_reload = host.written_restart, host.written_reload
        host.running_release, host.running_settings = host.release, host.settings
        self._begin(host, at)

    def kill_node(self, host: SimulatedHost) -> None:
        """Let the node's process die; systemd starts it anew a little later, with the same files."""
        if self.unit_state(host) is UnitState.ACTIVE:
            host.restarts += 1
            self._begin(host, self.clock.now() + RESTART_AFTER)

    def _begin(self, host: SimulatedHost, at: datetime) -> None:
        relay = host.instance.relay
        host.node_started, host.reloaded_at = at, None
        host.replays_for = self.durations.unclean_replay if relay in self.unclean else self.durations.replay
        host.inbound, host.inbound_at = 0.0, None
        self._follow_release(host, at)
        if not self.exits(host):
            self.unclean.add(relay)

    def _follow_release(self, host: SimulatedHost, at: datetime) -> None:
        """Let a bad release do to its node what it does; a good one makes up for what a bad one did."""
        relay = host.instance.relay
        if relay in self.made_by_release:
            self.made_by_release.discard(relay)
            self.chain.branches.pop(relay, None)
            self.chain.stalled_at.pop(relay, None)
        fault = self.fault_of(host)
        if fault is ReleaseFault.REPLAYS_LONG:
            host.replays_for = self.durations.long_replay
        well_until = int((at + host.replays_for + self.durations.well).timestamp())
        if fault is ReleaseFault.FORKS:
            self.chain.branches[relay] = Branch(f"branch of {host.release[:8]}", well_until)
            self.made_by_release.add(relay)
        if fault is ReleaseFault.GOES_STALE:
            self.chain.stalled_at[relay] = well_until
            self.made_by_release.add(relay)

    def stop_node(self, host: SimulatedHost, *, then_start: bool) -> None:
        """Ask the node to stop, and perhaps to start again after."""
        self.settle(host)
        host.wanted_running = then_start
        if host.node_started is not None and (self.exits(host) or self.clock.now() < host.node_started):
            host.node_started = None  # it does not run just now
        if host.node_started is None:
            if then_start:
                self.start_node(host, self.clock.now())
        elif host.node_stops_at is None:
            self.witness(Effect.STOP, host)
            slow = host.instance.relay in self.faults.slow_to_stop
            host.node_stops_at = self.clock.now() + (self.durations.slow_stop if slow else self.durations.stop)

    # --- what others have of it --------------------------------------------------------------------------------------

    def publish(self, names: frozenset[str]) -> None:
        """Let consumers find these relays from now on."""
        for host in self.hosts.values():
            if host.instance.relay in names ^ self.published:
                self.count_inbound(host)
        self.published = names

    def count_inbound(self, host: SimulatedHost) -> int:
        """Return how many others are connected: they come back by and by, and leave what is out of the names likewise."""
        now, relay = self.clock.now(), host.instance.relay
        if not self.serves(host) or host.node_started is None:
            host.inbound, host.inbound_at = 0.0, None
            return 0
        if relay in self.faults.saturated:
            return MANY_CONNECTIONS
        since = max(host.inbound_at or host.node_started, host.node_started + host.replays_for)
        step = USUAL_CONNECTIONS * ((now - since) / max(self.durations.regain, timedelta(seconds=1)))
        target = USUAL_CONNECTIONS if relay in self.published else FAITHFUL_CONNECTIONS
        if host.inbound < target:
            host.inbound = min(target, host.inbound + step)
        else:
            host.inbound = max(target, host.inbound - step)
        host.inbound_at = now
        return int(host.inbound)

    # --- what can be read on it --------------------------------------------------------------------------------------

    def facts(self, host: SimulatedHost) -> HostFacts:
        """Return what an inspection reads."""
        unit, now = self.unit_state(host), self.clock.now()
        relay, told = host.instance.relay, host.reloaded_at
        runs = unit in RUNNING
        restarts = self._count_restarts(host)
        return HostFacts(
            token=host.token,
            working=host.working,
            host_key=host.own_key,
            one_time_key_wiped=host.one_time_wiped,
            prepared=host.prepared,
            staged=host.staged,
            release=host.release,
            files=host.files,  # made anew by each deploy, never changed
            unit=unit,
            unit_enabled=bool(host.files),
            running_restart_digest=host.running_restart if runs else "",
            running_reload_digest=host.running_reload if runs else "",
            clean_marker=not runs and relay not in self.unclean,
            detail=f"exit-code, {restarts} restarts" if self.exits(host) else "",
            peers=self.peers_of(host) if unit is UnitState.ACTIVE else None,
            metrics=self._metrics(host) if unit is UnitState.ACTIVE else None,
            metrics_missing="" if unit is UnitState.ACTIVE else "the node does not run",
            reload_logged=relay not in self.faults.deaf_to_reload if told is not None else None,
            reloaded_seconds_ago=(now - told).total_seconds() if told is not None else None,
            restarts=restarts if host.files else None,
            started_seconds_ago=self._age(host),
        )

    def _count_restarts(self, host: SimulatedHost) -> int:
        if self.exits(host):
            return min(self._count_exits(host), MOST_STARTS) - 1
        return host.restarts

    def _age(self, host: SimulatedHost) -> float | None:
        """Return the age of its process; of one that exits at each start, since the last of them."""
        if host.node_started is None:
            return None
        age = (self.clock.now() - host.node_started).total_seconds()
        if self.exits(host):
            return age - RESTART_AFTER.total_seconds() * self._count_restarts(host)
        return max(age, 0.0)

    def _metrics(self, host: SimulatedHost) -> NodeMetrics:
        """Return what the node says of itself: progress while it replays, its tip afterwards."""
        relay, now = host.instance.relay, self.clock.now()
        assert host.node_started is not None  # noqa: S101 - asked of a running node only
        started = int(host.node_started.timestamp())
        if now < host.node_started + host.replays_for:
            share = (now - host.node_started) / host.replays_for
            return NodeMetrics("new", inbound=0, started_at=started, replay_percent=100 * min(share, 1.0))
        tip, block = self.chain.tip_of(relay, int(now.timestamp()))
        inbound = self.count_inbound(host)
        return NodeMetrics("new", tip_slot=tip.slot, tip_block=block, inbound=inbound, started_at=started)
