"""Lets a schedule happen to a simulated world, with the real cycle in the middle and an oracle beside it.

Everything follows from the schedule and its seed. Between two looks of a controller the next steps happen; when a
controller ends, for whatever reason, another one begins a little later. At the end all is mended, an operator applies the last
fleet file again and again with every confirmation that is asked for, and the fleet must become whole, and stay so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

from orchestrator.errors import FleetError, PlanRefused
from orchestrator.execution.cycle import Ending
from orchestrator.execution.execute import Event
from orchestrator.fleet.record import Pin
from orchestrator.fleet.relay import wanted_relays
from orchestrator.rendering.values import Templates
from orchestrator.simulation.controllers import Controller, MortalStore
from orchestrator.simulation.faults import Durations, Faults, ReleaseFault
from orchestrator.simulation.fleets import (
    BAD_RELEASES,
    FLEET,
    GOOD_RELEASES,
    UNVERIFIABLE,
    make_wanted,
)
from orchestrator.simulation.happening import let_happen
from orchestrator.simulation.oracle import Oracle, Rules, find_leftovers
from orchestrator.simulation.schedule import Act, Crash, Edit, Freeze, Pass, Schedule, Step
from orchestrator.simulation.store import MemoryStore
from orchestrator.simulation.time import BEGINNING, VirtualClock
from orchestrator.simulation.world import SimulatedDeath, World

MOST_APPLIES = 60
"""At the end, with all mended: more than any fleet needs that ever becomes whole."""

MOST_ROUNDS = 3000
"""Rounds of one apply at the end."""

IDLE_FACTOR = 5
"""Time that passes while no controller is at work passes this many times as fast."""


class Interrupted(BaseException):
    """The operator presses Ctrl-C: what was started ends, and nothing more begins."""


class Frozen(BaseException):
    """The controller stands still."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class StoryClock(VirtualClock):
    """A clock to which something happens whenever the controller waits between two looks."""

    between_looks: Callable[[], None] = staticmethod(lambda: None)

    def wait(self, seconds: float, until: Callable[[], bool]) -> None:
        """Wait, as the cycle does between two rounds."""
        self.between_looks()
        super().wait(seconds, until)

    def pass_by(self, seconds: float) -> None:
        """Let time pass while nobody waits."""
        super().wait(seconds, until=lambda: False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a schedule came to."""

    seed: int
    steps: int
    rounds: int
    breaches: tuple[str, ...]
    story: tuple[str, ...]


def play(schedule: Schedule, templates: Templates, *, tell: bool = False) -> Outcome:
    """Let a schedule happen. `tell` also writes down the story."""
    return _Play(schedule, templates, tell=tell).run()


class _Play:
    def __init__(self, schedule: Schedule, templates: Templates, *, tell: bool) -> None:
        self._schedule = schedule
        self._templates = templates
        self._tell = tell
        self._random = Random(f"{schedule.seed}: durations")  # noqa: S311 - chance that repeats is what is wanted
        self._file = schedule.file
        self._clock = StoryClock()
        self._world = World(self._clock, self._draw_durations(), _bad_releases())
        self._store = MemoryStore(FLEET)
        self._confirmed: frozenset[str] = frozenset()
        self._asked: frozenset[str] = frozenset()
        self._oracle = Oracle(self._world, self._rules())
        self._world.witness = self._oracle.witness
        self._steps: Iterator[Step] = iter(schedule.steps)
        self._controllers = 0
        self._controller: Controller | None = None
        self._rounds = 0
        self._crash: Crash | None = None
        self._over = False
        self._story: list[str] = []

    def run(self) -> Outcome:
        """Live through it all."""
        if self._schedule.born:
            self._apply()
        self._clock.between_looks = self._live
        self._note(lambda: f"the fleet file: {self._file}")
        while not self._over and not self._oracle.breaches:
            self._apply()
            self._idle()
        if not self._oracle.breaches:
            self._finish()
        return Outcome(
            self._schedule.seed,
            len(self._schedule.steps),
            self._rounds,
            tuple(self._oracle.breaches),
            tuple(self._story),
        )

    # --- controllers -------------------------------------------------------------------------------------------------

    def _apply(self) -> Ending | None:
        """Let one controller apply the fleet file, until it settles or something ends it."""
        self._controllers += 1
        self._store.save_confirmations(self._confirmed)
        self._oracle.rules = self._rules()
        store = MortalStore(self._store, self._oracle.note_published)
        wanted = make_wanted(self._file, self._templates)
        holder = f"controller {self._controllers}"
        controller = Controller(holder, wanted, self._world, self._oracle, store, self._duration, self._hear)
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
        self._world.crash_at, self._crash, controller.store.die_before_write = None, None, None
        self._clock.delay(timedelta(seconds=seconds))
        self._clock.pass_by(controller.wanted.spec.controller.lease.total_seconds() + 1)

    def _let_end(self, controller: Controller) -> None:
        """Wait for what was started, keeping the lease."""
        try:
            for _ in range(MOST_ROUNDS):
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

    # --- steps -------------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        """Let steps happen until one lets time pass; between two looks of a controller at work."""
        self._rounds += 1
        if self._oracle.breaches:
            raise Interrupted
        for step in self._steps:
            self._note(lambda step=step: f"- {step}")  # type: ignore[misc]
            match step:
                case Pass():
                    return
                case Edit(file):
                    self._file, self._confirmed = file, frozenset()
                    raise Interrupted
                case Act("confirm") | Act("apply anew"):
                    self._act(step)
                    raise Interrupted
                case Freeze(seconds):
                    raise Frozen(seconds)
                case Crash():
                    self._arm(step)
                case _:
                    self._happen(step)
        self._over = True
        raise Interrupted

    def _idle(self) -> None:
        """Let steps happen while no controller is at work, up to the next that lets time pass or brings one back."""
        for step in self._steps:
            self._note(lambda step=step: f"- {step}")  # type: ignore[misc]
            match step:
                case Pass(seconds):
                    self._clock.pass_by(seconds * IDLE_FACTOR)
                    return
                case Edit(file):
                    self._file, self._confirmed = file, frozenset()
                    return
                case Freeze() | Crash():
                    pass
                case Act("confirm") | Act("apply anew"):
                    self._act(step)
                    return
                case _:
                    self._happen(step)
        self._over = True

    def _arm(self, crash: Crash) -> None:
        controller = self._controller
        if controller is None or self._crash is not None:
            return
        self._crash = crash
        if crash.before == "effect":
            self._world.crash_at = self._world.effects + crash.count
        else:
            controller.store.die_before_write = crash.count

    def _act(self, act: Act) -> None:
        if act.what == "confirm":
            self._confirmed |= self._asked

    def _happen(self, step: Step) -> None:
        match step:
            case Act("pin"):
                tip, _ = self._world.chain.tip_of("whoever is right", int(self._clock.now().timestamp()))
                self._store.save_pin(Pin(tip, "operator", "a drill", self._clock.now()))
            case Act("unpin"):
                self._store.save_pin(None)
            case _:
                let_happen(step, self._world)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Mend everything, apply until all is well, and see that it stays so."""
        world = self._world
        world.faults, world.crash_at, self._crash = _bad_releases(), None, None
        world.chain.branches.clear()
        world.chain.stalled_at.clear()
        world.made_by_release.clear()
        self._store.save_pin(None)
        if self._file.release not in GOOD_RELEASES:
            self._file = replace(self._file, release="10.6.1")
        self._note(lambda: f"all is mended; the last fleet file: {self._file}")
        self._clock.pass_by(3600)  # frozen controllers wake up, orphans end
        self._clock.between_looks = self._be_patient
        for applies in range(MOST_APPLIES):
            self._confirmed |= self._asked | {f"dark-region:{region}" for region, _ in self._file.counts}
            self._patience = MOST_ROUNDS
            ending = self._apply()
            if self._oracle.breaches:
                return
            if ending is Ending.CONVERGED and not self._find_faults():
                self._stay()
                return
            if ending is Ending.HELD and applies > 0:  # a split waits for somebody to rule
                self._happen(Act("pin"))
            self._clock.pass_by(300)
        self._oracle.breaches.append(f"never became whole: {'; '.join(self._find_faults()) or 'holds remain'}")

    _patience = MOST_ROUNDS

    def _be_patient(self) -> None:
        self._rounds += 1
        self._patience -= 1
        if self._patience <= 0:
            self._oracle.breaches.append("an apply in a world that is well never ends")
            raise Interrupted
        if self._oracle.breaches:
            raise Interrupted

    def _stay(self) -> None:
        """Look again at once and much later: nothing is to be done, and nothing is done."""
        effects = self._world.effects
        for seconds in (5, 3600, 86400):
            self._clock.pass_by(seconds)
            store = MortalStore(self._store, self._oracle.note_published)
            wanted = make_wanted(self._file, self._templates)
            onlooker = Controller("onlooker", wanted, self._world, self._oracle, store, self._duration, self._hear)
            plan = onlooker.look().plan
            if plan.actions or plan.holds:
                told = "; ".join(f"{step.relay}: {step}" for step in (*plan.actions, *plan.holds))
                self._oracle.breaches.append(f"{seconds} s after it had converged the plan is not empty: {told[:400]}")
                return
        if self._world.effects != effects or self._find_faults():
            self._oracle.breaches.append(f"did not stay whole: {'; '.join(self._find_faults())}")

    def _find_faults(self) -> list[str]:
        wanted = self._rules().wanted
        lacking = sorted(wanted.keys() - self._oracle.who_serves())
        # A launch that was never answered is repeated, key and all, should it ever be needed again.
        locked = [i.token for i in self._store.load().intents if i.request_json and (i.instance_id or i.refused)]
        return [
            *find_leftovers(self._world, wanted),
            *(f"{relay} does not serve" for relay in lacking),
            *(f"{token} keeps a one-time key in the store" for token in locked),
        ]

    # --- what everything follows from --------------------------------------------------------------------------------

    def _rules(self) -> Rules:
        spec = make_wanted(self._file, self._templates).spec
        verified = {artifact.sha256 for builds in spec.releases.values() for artifact in builds.values()}
        return Rules(
            wanted={relay.name: relay.region for relay in wanted_relays(spec)},
            most_out=spec.rollout.max_unavailable,
            most_out_per_region=spec.rollout.max_unavailable_per_region,
            replace_after=spec.rollout.replace_after,
            return_after=spec.trust.return_after,
            max_tip_age=spec.health.max_tip_age,
            verified=frozenset(verified - set(UNVERIFIABLE.values())),
            confirmed=self._confirmed,
        )

    def _draw_durations(self) -> Durations:
        draw = self._random.choice
        return Durations(
            boot=timedelta(seconds=draw((20, 40, 90))),
            stop=timedelta(seconds=draw((5, 20, 60))),
            replay=timedelta(seconds=draw((20, 60, 240))),
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


def _bad_releases() -> Faults:
    return Faults(
        bad_releases=dict(zip(BAD_RELEASES.values(), ReleaseFault, strict=True)),
        unverifiable=set(UNVERIFIABLE.values()),
    )


def _tell_hold(hold: object) -> str:
    return f"{getattr(hold, 'relay', '')} {getattr(hold, 'wanted', '')}: {getattr(hold, 'because', '')}"
