"""Where a schedule happens: the world, the store, the oracle, and the controllers that come and go in front of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from random import Random

from orchestrator.errors import FleetError, PlanRefused
from orchestrator.execution.cycle import Ending, Round
from orchestrator.execution.execute import Event
from orchestrator.planning.findings import Level
from orchestrator.rendering.values import Templates
from orchestrator.simulation.between_looks import Frozen, Interrupted, StoryClock
from orchestrator.simulation.controllers import Controller, MortalStore
from orchestrator.simulation.faults import Durations, Faults, ReleaseFault
from orchestrator.simulation.fleets import BAD_RELEASES, FLEET, MISLABELLED, UNVERIFIABLE, FleetFile, make_wanted
from orchestrator.simulation.machines import SimulatedDeath
from orchestrator.simulation.oracle import Oracle
from orchestrator.simulation.rules import Rules, rules_of_file
from orchestrator.simulation.schedule import Crash
from orchestrator.simulation.store import MemoryStore
from orchestrator.simulation.time import BEGINNING
from orchestrator.simulation.world import World

MOST_WAITS = 3000
"""Ten seconds each: longer than any work takes that was begun."""


LOOKS_FIRST = 4
"""One in so many applies is an operator's, who wants to see the plan; it costs a look."""


class Stage:
    """A fleet file, a world, and one controller after another; `tell` keeps the story."""

    def __init__(self, seed: int, file: FleetFile, templates: Templates, *, tell: bool) -> None:
        self._templates = templates
        self._tell = tell
        self._random = Random(f"{seed}: durations")  # noqa: S311 - chance that repeats is what is wanted
        self._file = file
        self._clock = StoryClock()
        self._world = World(self._clock, self._draw_durations(), bad_releases())
        self._store = MemoryStore(FLEET, publish=self._publish)
        self._confirmed: frozenset[str] = frozenset()
        self._asked: frozenset[str] = frozenset()
        self._oracle = Oracle(self._world, self._rules())
        self._world.witness = self._oracle.witness
        self._controllers = 0
        self._controller: Controller | None = None
        self._crash: Crash | None = None
        self._story: list[str] = []

    # --- controllers -------------------------------------------------------------------------------------------------

    def _apply(self) -> Ending | None:
        """Let one controller apply the fleet file, until it settles or something ends it."""
        self._controllers += 1
        self._store.save_confirmations(self._confirmed)
        self._oracle.note_rules(self._rules())
        store = MortalStore(self._store)
        wanted = make_wanted(self._file, self._templates)
        holder = f"controller {self._controllers}"
        self._store.names_kept = self._file.names
        controller = Controller(holder, wanted, self._world, self._oracle, store, self._duration, self._hear)
        controller.looks_first = self._controllers % LOOKS_FIRST == 0
        self._controller = controller
        self._note(lambda: f"{holder} applies")
        try:
            ending, last = controller.apply()
        except SimulatedDeath:
            self._bury(controller)
        except Frozen as frozen:
            self._freeze(controller, frozen.seconds)
        except Interrupted:
            self._note(lambda: f"{holder} is interrupted")
            self._let_end(controller)
        except FleetError as error:
            self._stopped(controller, error)
        except Exception as error:  # noqa: BLE001 - a defect of the controller is a finding
            self._oracle.breaches.append(f"{holder} broke down: {type(error).__name__}: {error}")
        else:
            self._note(lambda: f"{holder} ends: {ending.value}; {'; '.join(_tell_hold(h) for h in last.plan.holds)}")
            controller.leave()
            return ending
        finally:
            self._controller = None
            self._asked |= _list_asked(controller.last)
        return None

    def _bury(self, controller: Controller) -> None:
        crash = self._crash
        orphans = crash is not None and crash.orphans
        self._note(lambda: f"{controller.holder} dies{', its playbooks go on' if orphans else ''}")
        controller.die(orphans=orphans)
        self._world.crash_at, self._crash = None, None
        self._clock.pass_by(controller.wanted.spec.controller.lease.total_seconds() + 1)

    def _freeze(self, controller: Controller, seconds: int) -> None:
        """Let it stand still; the next one waits for the lease, and the frozen one wakes up beside it."""
        self._note(lambda: f"{controller.holder} freezes for {seconds} s")
        self._world.crash_at, self._crash, controller.store.writes_left = None, None, None
        self._clock.delay(timedelta(seconds=seconds))
        self._clock.pass_by(controller.wanted.spec.controller.lease.total_seconds() + 1)

    def _let_end(self, controller: Controller) -> None:
        """Wait for what was started, keeping the lease."""
        try:
            for _ in range(MOST_WAITS):
                if not controller.background.busy():
                    break
                controller.renew()
                self._clock.pass_by(10)
        except SimulatedDeath:
            self._bury(controller)
            return
        controller.leave()

    def _stopped(self, controller: Controller, error: FleetError) -> None:
        self._note(lambda: f"{controller.holder} stops: {error.message}")
        if isinstance(error, PlanRefused):
            self._asked |= frozenset(re.findall(r"--confirm ([^\s`;,]+)", error.message))
            if "defect" in error.message:
                self._oracle.breaches.append(f"a plan was refused as defective: {error.message}")
        self._let_end(controller)

    # --- what everything follows from --------------------------------------------------------------------------------

    def _rules(self) -> Rules:
        wanted = make_wanted(self._file, self._templates)
        return rules_of_file(wanted, self._confirmed, frozenset((UNVERIFIABLE | MISLABELLED).values()))

    def _publish(self, names: frozenset[str]) -> None:
        self._oracle.note_published(names)
        self._world.publish(names)

    def _draw_durations(self) -> Durations:
        draw = self._random.choice
        return Durations(
            boot=timedelta(seconds=draw((20, 40, 90))),
            stop=timedelta(seconds=draw((5, 20, 60))),
            replay=timedelta(seconds=draw((20, 60, 240))),
            unclean_replay=timedelta(seconds=draw((60, 180, 600))),
            long_replay=timedelta(seconds=draw((600, 2400))),
            well=timedelta(seconds=draw((20, 120))),
            regain=timedelta(seconds=draw((5, 30, 60))),
            unseen=timedelta(seconds=draw((0, 0, 10, 40))),
        )

    def _duration(self, name: str) -> timedelta:
        durations = self._world.durations
        usual = {"launch": durations.launch, "furnish": durations.furnish, "stage": durations.stage}
        base = usual.get(name.split(maxsplit=1)[0], durations.run)
        return base * self._random.choice((0.5, 1.0, 1.0, 2.0)) * self._world.faults.slow_work

    def _hear(self, event: Event) -> None:
        self._note(lambda: f"{event.relay}: {event.intent} {event.outcome}: {event.text}")

    def _note(self, text: Callable[[], str]) -> None:
        """Write down a line of the story, if anybody is to read it."""
        if self._tell:
            seconds = (self._clock.now() - BEGINNING).total_seconds()
            self._story.append(f"{seconds:8.0f} s  {text()}")


def _list_asked(last: Round | None) -> frozenset[str]:
    """Name the confirmations that a rollout waits for before it begins."""
    view = last.plan.rollout if last is not None else None
    return (
        frozenset(f.name for f in view.findings if f.level is Level.REFUSES and f.name)
        if view is not None
        else frozenset()
    )


def bad_releases() -> Faults:
    """Return a world's faults when all is well: bad releases are bad, whoever does not run them."""
    return Faults(
        bad_releases=dict(zip(BAD_RELEASES.values(), ReleaseFault, strict=True)),
        unverifiable=set(UNVERIFIABLE.values()),
        mislabelled=set(MISLABELLED.values()),
    )


def _tell_hold(hold: object) -> str:
    return f"{getattr(hold, 'relay', '')} {getattr(hold, 'wanted', '')}: {getattr(hold, 'because', '')}"
