"""A rehearsal of one apply: the fleet of a fleet file in a simulated world, with the faults of a scenario, told as a story."""

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


@dataclass(frozen=True, slots=True)
class Drill:
    """What came of it."""

    ending: str
    """`converged`, `held`, or `unfinished` when patience ran out."""
    story: tuple[tuple[float, str], ...]
    """(seconds since the beginning, what happened)."""
    seconds: float
    wanted: int
    fewest: int
    """Fewest wanted relays that served at any look; counted from when all of them did for the first time."""
    findings: tuple[str, ...]
    first: Round
    last: Round


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
        self._story: list[tuple[float, str]] = []
        self._began = self._clock.now()

    def run(self, scenario: Scenario, before: Wanted | None, confirmed: frozenset[str]) -> Drill:
        if before is not None:
            self._controller(before).apply()
            self._story.clear()
        self._oracle = Oracle(self._world, rules_of(self._wanted.spec, confirmed))
        self._world.witness = self._oracle.witness
        self._began = self._clock.now()
        for fault in scenario.faults:
            self._prepare(fault)
        self._clock.pass_by(0)  # what is wrong from the beginning
        self._clock.between_looks = self._lose_patience
        self._store.save_confirmations(confirmed)
        controller = self._controller(self._wanted)
        first = controller.look()
        try:
            ending, last = controller.apply()
            ended = ending.value
        except Interrupted:
            ended, last = "unfinished", controller.look()
        return Drill(
            ending=ended,
            story=tuple(self._story),
            seconds=self._seconds(),
            wanted=len(wanted_relays(self._wanted.spec)),
            fewest=self._oracle.fewest or 0,
            findings=tuple(self._find(ended, last)),
            first=first,
            last=last,
        )

    def _controller(self, wanted: Wanted) -> Controller:
        store = MortalStore(self._store)
        return Controller("rehearsal", wanted, self._world, self._oracle, store, self._duration, self._hear)

    def _find(self, ended: str, last: Round) -> list[str]:
        found = list(self._oracle.breaches)
        if ended == "unfinished":
            found.append(f"the apply had not ended after {PATIENCE.total_seconds() / 3600:.0f} hours")
        found += [f"{hold.relay}: {hold.wanted} waits: {hold.because}" for hold in last.plan.holds]
        return [*found, *last.plan.warnings]

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

    def _lose_patience(self) -> None:
        if self._seconds() > PATIENCE.total_seconds():
            raise Interrupted

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
        self._note(f"{event.relay}: {event.intent} {event.outcome}: {event.text}")

    def _note(self, text: str) -> None:
        self._story.append((self._seconds(), text))
