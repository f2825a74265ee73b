"""Puts the real cycle in front of a simulated world: an apply in virtual time, start to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from orchestrator.execution.cycle import Ending, Round, acquire, look_and_plan, run_until_settled
from orchestrator.execution.execute import Event, Executor, Hands
from orchestrator.execution.observe import Eyes
from orchestrator.fleet.observation import InFlight
from orchestrator.planning.look import Wanted
from orchestrator.simulation.cloud import SimulatedCloud
from orchestrator.simulation.ports import SimulatedHosts, SimulatedKeys, SimulatedNames, SimulatedWire
from orchestrator.simulation.store import MemoryStore
from orchestrator.simulation.time import BEGINNING, VirtualBackground, VirtualClock
from orchestrator.simulation.world import World

AUTHORIZED_KEY = "ssh-ed25519 simulated-controller"


def nothing(_found: Round, _in_flight: Mapping[str, InFlight]) -> None:
    """Report nowhere."""


@dataclass(slots=True)
class Rehearsal:
    """A simulated world and a controller in front of it."""

    wanted: Wanted
    world: World
    store: MemoryStore
    events: list[tuple[float, Event]] = field(default_factory=list)
    """What happened, with seconds since the beginning."""
    report: Callable[[Round, Mapping[str, InFlight]], None] = nothing

    def run(self, holder: str = "rehearsal") -> tuple[Ending, Round]:
        """Apply once, from taking the lease to giving it back."""
        eyes, hands = self.ports()
        first = look_and_plan(eyes, self.store, self.world.clock, self.wanted)
        lease = acquire(hands, holder, first.look.seen, self.wanted)
        executor = Executor(hands, self.wanted, lease, AUTHORIZED_KEY, self._note)
        try:
            ending = run_until_settled(eyes, hands, self.wanted, lease, executor, self._watch(hands, holder))
        except Exception:  # not a death: who dies gives nothing back
            self.store.release_lease(lease)
            raise
        self.store.release_lease(lease)
        return ending

    def look(self) -> Round:
        """Look and plan without acting."""
        eyes, _ = self.ports()
        return look_and_plan(eyes, self.store, self.world.clock, self.wanted)

    def ports(self) -> tuple[Eyes, Hands]:
        """Return what a controller of this fleet sees and acts with."""
        spec, clock = self.wanted.spec, self.world.clock
        cloud = SimulatedCloud(self.world, spec, self.store.load().store_id)
        hosts = SimulatedHosts(self.world)
        partners = [partner.name for partner in spec.partners]
        wire = SimulatedWire(self.world, partners, spec.network.magic, spec.health.max_tip_age)
        background = VirtualBackground(clock, self._duration)
        self.store.names_kept = spec.publish.provider != "none"
        names = SimulatedNames(self.world, self.store.publish, kept=self.store.names_kept)
        return Eyes(cloud, hosts, wire, at_once=False, names=names), Hands(
            cloud, hosts, self.store, clock, SimulatedKeys(), background, names
        )

    def _duration(self, name: str) -> timedelta:
        durations = self.world.durations
        match name.split(maxsplit=1)[0]:
            case "launch":
                return durations.launch
            case "furnish":
                return durations.furnish
            case "stage":
                return durations.stage
            case _:
                return durations.run

    def _note(self, event: Event) -> None:
        self.events.append(((self.world.clock.now() - BEGINNING).total_seconds(), event))

    def _watch(self, hands: Hands, holder: str) -> Callable[[Round, Mapping[str, InFlight]], None]:
        """Report each round, and keep the lease: in production a thread of its own does that."""

        def watch(found: Round, in_flight: Mapping[str, InFlight]) -> None:
            acquire(hands, holder, found.look.seen, self.wanted)
            self.report(found, in_flight)

        return watch


def make_rehearsal(wanted: Wanted) -> Rehearsal:
    """Return an empty world for this fleet."""
    world = World(VirtualClock())
    return Rehearsal(wanted, world, MemoryStore(wanted.spec.fleet, publish=world.publish))
