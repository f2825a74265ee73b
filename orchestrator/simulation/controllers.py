"""One simulated controller: the real cycle behind ports that die, freeze and leave orphans as a schedule says.

A controller is a process: what it had begun in the background is its own. When it dies, its calls to the cloud die with it,
and a playbook either dies or goes on by itself, with nobody to write down what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.execution.cycle import Ending, Round, acquire, look_and_plan, run_until_settled, save_points
from orchestrator.execution.execute import Event, Executor, Hands
from orchestrator.execution.observe import Eyes, observe_fleet
from orchestrator.execution.ports import HostTarget, ProbeTarget, WirePort
from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import HostView, InFlight, Instance, Sighting
from orchestrator.fleet.record import Lease
from orchestrator.planning.look import Wanted
from orchestrator.simulation.cloud import SimulatedCloud
from orchestrator.simulation.glance import Glance
from orchestrator.simulation.machines import SimulatedDeath, SimulatedHost
from orchestrator.simulation.oracle import Oracle
from orchestrator.simulation.ports import SimulatedHosts, SimulatedKeys, SimulatedNames, SimulatedWire
from orchestrator.simulation.rehearsal import AUTHORIZED_KEY
from orchestrator.simulation.store import MemoryStore
from orchestrator.simulation.time import VirtualBackground
from orchestrator.simulation.world import World
from orchestrator.spec.model import FleetSpec


class WatchedWire:
    """The wire; tells the oracle what each look was told."""

    def __init__(self, wire: WirePort, note_look: Callable[[Mapping[str, Sighting]], None]) -> None:
        self._wire = wire
        self._note_look = note_look

    def observe_wire(self, targets: Sequence[ProbeTarget], points: Sequence[ChainPoint] = ()) -> Mapping[str, Sighting]:
        """Probe. A second round of one look is about those of the first, and says nothing new."""
        seen = self._wire.observe_wire(targets, points)
        if len(seen) == len(targets):
            self._note_look(seen)
        return seen


class WatchedHosts(SimulatedHosts):
    """The hosts; tells the oracle which of them told of themselves."""

    def __init__(self, world: World, note_hosts: Callable[[Mapping[str, HostView]], None]) -> None:
        super().__init__(world)
        self._note_hosts = note_hosts

    def observe_hosts(self, targets: Sequence[HostTarget]) -> Mapping[str, HostView]:
        """Inspect."""
        seen = super().observe_hosts(targets)
        self._note_hosts(seen)
        return seen


class MortalStore:
    """The common store as one controller holds it: it may die before or after a write, and writes nothing afterwards."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.dead = False
        self.writes_left: int | None = None
        """Until it dies."""
        self.dies_after: bool = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        found = getattr(self._store, name)
        if self.dead:
            return _answer_nothing if name in UNASKED or name.startswith(WRITING) else found
        if self.writes_left is None or not name.startswith(WRITING):
            return found
        self.writes_left -= 1
        if self.writes_left > 0:
            return found
        if not self.dies_after:
            raise SimulatedDeath

        def write_and_die(*arguments: object, **named: object) -> None:
            found(*arguments, **named)
            raise SimulatedDeath

        return write_and_die


WRITING = ("save_", "delete_", "add_")

UNASKED = ("check_lease", "release_lease", "newest_order")
"""What a playbook that is under way asks nobody about."""


def _answer_nothing(*_arguments: object, **_named: object) -> int:
    """Do nothing: who would do it is dead. As a number, no order is newer than that."""
    return 0


class MortalCloud(SimulatedCloud):
    """The cloud as one controller reaches it: who is dead tags nothing."""

    def __init__(self, world: World, spec: FleetSpec, store: MortalStore) -> None:
        super().__init__(world, spec, store.load().store_id)
        self._store = store

    def save_host_key(self, instance: Instance, public_key: str) -> None:
        """Tag, while there is somebody who does."""
        if not self._store.dead:
            super().save_host_key(instance, public_key)


@dataclass(slots=True)
class Work:
    """Something begun in the background."""

    name: str
    begun: datetime
    by: Glance | None
    """The last look before it."""
    killed: bool = False
    ended: bool = False

    @property
    def on_hosts(self) -> bool:
        """Whether it is a playbook: its name is an intent, and no relay's."""
        return " " not in self.name


class MortalBackground(VirtualBackground):
    """Background work of one controller."""

    def __init__(
        self, world: World, oracle: Oracle, durations: Callable[[str], timedelta], token: Callable[[], int]
    ) -> None:
        super().__init__(world.clock, durations)
        self._world = world
        self._oracle = oracle
        self._token = token
        self.works: list[Work] = []
        self.worked_on: dict[str, list[SimulatedHost]] = {}
        """Hosts on which a playbook goes on without its controller, by its name."""

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run `work` once its time has passed, unless its controller was killed with it by then."""
        begun = Work(name, self._world.clock.now(), self._oracle.latest)
        self.works = [each for each in self.works if not each.ended]
        self.works.append(begun)

        def act() -> None:
            if begun.killed:
                return
            oracle = self._oracle
            before = oracle.decided, oracle.by, oracle.acting
            oracle.decided, oracle.by, oracle.acting = begun.begun, begun.by, self._token()
            try:
                work()
            finally:
                begun.ended = True
                if not any(each.name == name and not (each.ended or each.killed) for each in self.works):
                    for host in self.worked_on.pop(name, ()):
                        host.working = ""
                oracle.decided, oracle.by, oracle.acting = before

        super().start(name, act)


@dataclass(slots=True)
class Controller:
    """One process that applies one fleet file."""

    holder: str
    wanted: Wanted
    world: World
    oracle: Oracle
    store: MortalStore
    durations: Callable[[str], timedelta]
    note: Callable[[Event], None]
    looks_first: bool = True
    """Whether it shows a plan, and keeps what was seen for it, before it takes the lease, as an operator's `apply` does."""
    token: int = 0
    executor: Executor | None = None
    last: Round | None = None
    """Its newest round."""
    background: MortalBackground = field(init=False)
    _lease: Lease | None = None
    _hands: Hands = field(init=False)
    _eyes: Eyes = field(init=False)

    def __post_init__(self) -> None:
        spec, world = self.wanted.spec, self.world
        cloud = MortalCloud(world, spec, self.store)
        hosts = WatchedHosts(world, self.oracle.note_hosts)
        partners = [partner.name for partner in spec.partners]
        wire = SimulatedWire(world, partners, spec.network.magic, spec.health.max_tip_age)
        self.background = MortalBackground(world, self.oracle, self.durations, lambda: self.token)
        store: Any = self.store
        names = SimulatedNames(world, store.publish, kept=spec.publish.provider != "none")
        self._eyes = Eyes(cloud, hosts, WatchedWire(wire, self.oracle.note_look), at_once=False, names=names)
        self._hands = Hands(cloud, hosts, store, world.clock, SimulatedKeys(), self.background, names)

    def apply(self) -> tuple[Ending, Round]:
        """Do what `apply` does, from taking the lease to settling; giving the lease back is `leave`'s."""
        store = self._hands.store
        if self.looks_first:
            first = look_and_plan(self._eyes, store, self.world.clock, self.wanted, afresh=True)
            save_points(store, first)
            seen = first.look.seen
        else:
            seen = observe_fleet(self._eyes, self.wanted.spec, store.load(), {})
        self._lease = acquire(self._hands, self.holder, seen, self.wanted)
        self.token = self._lease.token
        self.oracle.note_lease(self.token)
        self._hands.store.delete_all_attempts()
        self.executor = Executor(self._hands, self.wanted, self._lease, AUTHORIZED_KEY, self.note)
        return run_until_settled(self._eyes, self._hands, self.wanted, self._lease, self.executor, self._report)

    def look(self) -> Round:
        """Do what `plan` does."""
        return look_and_plan(self._eyes, self._hands.store, self.world.clock, self.wanted)

    def renew(self) -> None:
        """Keep the lease: in production a thread of its own does that."""
        spec, now = self.wanted.spec, self.world.clock.now()
        if self._lease is not None:
            self._hands.store.acquire_lease(self.holder, now, now + spec.controller.lease, self.token)

    def leave(self) -> None:
        """Give the lease back."""
        if self._lease is not None:
            self._hands.store.release_lease(self._lease)

    def die(self, *, orphans: bool) -> None:
        """End here. With orphans, playbooks that work on hosts by now go on; all else ends with the process."""
        self.store.dead = True
        for work in self.background.works:
            work.killed = not (orphans and work.on_hosts)
        in_flight = self.executor.in_flight() if self.executor is not None else {}
        going_on = {work.name for work in self.background.works if not (work.killed or work.ended)}
        for host in self.world.hosts.values():
            flying = in_flight.get(host.instance.relay)
            if flying is not None and flying.intent in going_on and self.world.is_up(host):
                host.working = flying.intent
                self.background.worked_on.setdefault(flying.intent, []).append(host)

    def _report(self, found: Round, _in_flight: Mapping[str, InFlight]) -> None:
        self.last = found
        self.renew()
