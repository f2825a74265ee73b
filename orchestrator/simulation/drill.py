"""A rehearsal of one apply: the fleet of a fleet file in a simulated world, with the faults of a scenario, told as a story.

What is told is `chronicle.py`'s business; what is wrong is the word of an oracle that sees the world alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random

from orchestrator.execution.cycle import Round
from orchestrator.execution.execute import Event
from orchestrator.fleet.observation import Verdict
from orchestrator.fleet.relay import wanted_relays
from orchestrator.planning.look import Wanted
from orchestrator.simulation.between_looks import Interrupted, StoryClock
from orchestrator.simulation.chronicle import Chronicle, Told
from orchestrator.simulation.controllers import Controller, MortalStore
from orchestrator.simulation.faults import Durations
from orchestrator.simulation.happening import let_happen
from orchestrator.simulation.oracle import Oracle
from orchestrator.simulation.rules import rules_of
from orchestrator.simulation.scenario import FAULTS, RELEASES, Scenario, TimedFault
from orchestrator.simulation.schedule import Break, Hand, Mend
from orchestrator.simulation.store import MemoryStore
from orchestrator.simulation.world import World

PATIENCE = timedelta(hours=24)
"""For so long an apply is watched that does not end."""

UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Worst:
    """The look in which fewest of the wanted relays served, the first of several; from when all of them did for the first time."""

    seconds: float
    serving: int
    out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drill:
    """What came of it."""

    ending: str
    """`converged`, `held`, or `unfinished` when patience ran out."""
    story: tuple[Told, ...]
    seconds: float
    wanted: int
    worst: Worst | None
    """None if the fleet was never whole."""
    breaches: tuple[str, ...]
    """What the oracle found wrong, and what never ended; what waits, and what warns, is in the last look."""
    first: Round
    last: Round

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left to be looked at."""
        plan = self.last.plan
        return not (self.breaches or plan.holds or plan.warnings)


def run_drill(
    wanted: Wanted,
    scenario: Scenario | None = None,
    seed: int | None = None,
    before: Wanted | None = None,
    confirmed: frozenset[str] = frozenset(),
) -> Drill:
    """Play an apply from an empty world, or, with `before`, from the fleet that serves as that one says.

    Raises FleetError for what an apply would stop with. A seed varies how long things take.
    """
    return _Drill(wanted, Random(seed) if seed is not None else None).run(scenario or Scenario(), before, confirmed)  # noqa: S311


class _Drill:
    def __init__(self, wanted: Wanted, random: Random | None) -> None:
        self._wanted = wanted
        self._random = random
        self._clock = StoryClock()
        self._world = World(self._clock, self._draw_durations())
        self._store = MemoryStore(wanted.spec.fleet, publish=self._publish)
        self._oracle = Oracle(self._world, rules_of(wanted.spec, frozenset()))
        self._world.witness = self._oracle.witness
        self._chronicle = Chronicle()
        self._worst: Worst | None = None
        self._began = self._clock.now()

    def run(self, scenario: Scenario, before: Wanted | None, confirmed: frozenset[str]) -> Drill:
        if before is not None:
            controller = self._controller(before)
            controller.apply()
            controller.leave()
        self._chronicle, self._worst, self._began = Chronicle(), None, self._clock.now()
        self._oracle.note_rules(rules_of(self._wanted.spec, confirmed, self._find_unverifiable(scenario)))
        for fault in scenario.faults:
            self._prepare(fault)
        self._clock.pass_by(0)  # what is wrong from the beginning
        self._store.save_confirmations(confirmed)
        controller = self._controller(self._wanted)
        first = controller.look()
        self._clock.between_looks = partial(self._watch, controller)
        try:
            ending, last = controller.apply()
            ended = ending.value
            self._see(controller)
        except Interrupted:
            ended, last = UNFINISHED, controller.look()
        return Drill(
            ending=ended,
            story=tuple(self._chronicle.told),
            seconds=self._seconds(),
            wanted=len(wanted_relays(self._wanted.spec)),
            worst=self._worst,
            breaches=tuple(self._list_breaches(ended)),
            first=first,
            last=last,
        )

    def _controller(self, wanted: Wanted) -> Controller:
        store = MortalStore(self._store)
        self._store.names_kept = wanted.spec.publish.provider != "none"
        return Controller("rehearsal", wanted, self._world, self._oracle, store, self._duration, self._hear)

    def _list_breaches(self, ended: str) -> list[str]:
        if ended == UNFINISHED:
            hours = PATIENCE.total_seconds() / 3600
            return [*self._oracle.breaches, f"the apply had not ended after {hours:.0f} hours"]
        return list(self._oracle.breaches)

    def _find_unverifiable(self, scenario: Scenario) -> frozenset[str]:
        wrong = ("unverifiable", "mislabelled")
        return frozenset(s for f in scenario.faults if f.fault in wrong for s in self._checksums(f.of))

    def _watch(self, controller: Controller) -> None:
        """Between two looks: tell the one that was, and lose patience in the end."""
        self._see(controller)
        if self._seconds() > PATIENCE.total_seconds():
            raise Interrupted

    def _see(self, controller: Controller) -> None:
        if controller.last is None or controller.executor is None:
            return
        wanted = {relay.name for relay in wanted_relays(self._wanted.spec)}
        serving = self._oracle.who_serves() & wanted
        self._chronicle.see(self._seconds(), controller.last, controller.executor.in_flight(), serving)
        whole = self._worst is not None or serving == wanted
        if whole and (self._worst is None or len(serving) < self._worst.serving):
            self._worst = Worst(self._seconds(), len(serving), tuple(sorted(wanted - serving)))

    def _publish(self, names: frozenset[str]) -> None:
        self._oracle.note_published(names)
        self._world.publish(names)

    # --- faults ------------------------------------------------------------------------------------------------------

    def _prepare(self, fault: TimedFault) -> None:
        self._clock.at(fault.begins, partial(self._begin, fault))
        if fault.lasts is not None:
            self._clock.at(fault.begins + fault.lasts, partial(self._end, fault))

    def _begin(self, fault: TimedFault) -> None:
        self._note(f"fault: {fault.fault} {fault.of}{f' ({fault.says})' if fault.says else ''}")
        _, name = FAULTS[fault.fault]
        faults = self._world.faults
        match name:
            case "stop" | "delete" | "kill":
                let_happen(Hand(name, fault.of), self._world)
            case "bad_releases":
                faults.bad_releases |= dict.fromkeys(self._checksums(fault.of), RELEASES[fault.fault])
            case "unverifiable":
                faults.unverifiable |= self._checksums(fault.of)
            case "mislabelled":
                faults.mislabelled |= self._checksums(fault.of)
            case _:
                let_happen(Break(name, fault.of, Verdict(fault.says) if fault.says else None), self._world)

    def _end(self, fault: TimedFault) -> None:
        self._note(f"over: {fault.fault} {fault.of}")
        _, name = FAULTS[fault.fault]
        faults = self._world.faults
        match name:
            case "stop" | "delete" | "kill":
                pass  # nobody gives back what was taken away
            case "bad_releases":
                for checksum in self._checksums(fault.of):
                    faults.bad_releases.pop(checksum, None)
            case "unverifiable":
                faults.unverifiable -= self._checksums(fault.of)
            case "mislabelled":
                faults.mislabelled -= self._checksums(fault.of)
            case _:
                let_happen(Mend(name, fault.of), self._world)

    def _checksums(self, version: str) -> set[str]:
        return {artifact.sha256 for artifact in self._wanted.spec.releases[version].values()}

    # --- time --------------------------------------------------------------------------------------------------------

    def _draw_durations(self) -> Durations:
        if self._random is None:
            return Durations()
        usual, draw = Durations(), self._random.uniform
        return Durations(
            boot=usual.boot * draw(0.5, 2), stop=usual.stop * draw(0.3, 3), replay=usual.replay * draw(0.5, 5)
        )

    def _duration(self, name: str) -> timedelta:
        durations = self._world.durations
        usual = {"launch": durations.launch, "furnish": durations.furnish, "stage": durations.stage}
        base = usual.get(name.split(maxsplit=1)[0], durations.run)
        return base * (self._random.uniform(0.5, 2) if self._random is not None else 1)

    def _seconds(self) -> float:
        return (self._clock.now() - self._began).total_seconds()

    def _hear(self, event: Event) -> None:
        self._chronicle.hear(self._seconds(), event)

    def _note(self, text: str) -> None:
        self._chronicle.note(self._seconds(), text)
