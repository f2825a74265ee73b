"""Lets a schedule happen to a simulated world, with the real cycle in the middle and an oracle beside it.

Everything follows from the schedule and its seed. Between two looks of a controller the next steps happen; when a
controller ends, for whatever reason, another one begins a little later. At the end all is mended, an operator applies the last
fleet file again and again with every confirmation that is asked for, and the fleet must become whole, and stay so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.execution.cycle import Ending
from orchestrator.fleet.names import Routing
from orchestrator.fleet.record import Pin
from orchestrator.fleet.rollout import RolloutState, Verb
from orchestrator.planning.draining import find_asked
from orchestrator.rendering.values import Templates
from orchestrator.simulation.between_looks import Frozen, Interrupted
from orchestrator.simulation.controllers import Controller, MortalStore
from orchestrator.simulation.fleets import GOOD_RELEASES, make_wanted
from orchestrator.simulation.happening import let_happen
from orchestrator.simulation.leftovers import find_leftovers
from orchestrator.simulation.schedule import Act, Crash, Edit, Freeze, Pass, Say, Schedule, Step
from orchestrator.simulation.stage import Stage, bad_releases

MOST_APPLIES = 60
"""At the end, with all mended: more than any fleet needs that ever becomes whole."""

MOST_ROUNDS = 3000
"""Rounds of one apply at the end."""

LAST_LOOK_EVERY = 30
"""Seconds between looks at the end: bakes and replays are waited for, with nothing to be seen meanwhile."""

IDLE_FACTOR = 5
"""Time that passes while no controller is at work passes this many times as fast."""


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


class _Play(Stage):
    def __init__(self, schedule: Schedule, templates: Templates, *, tell: bool) -> None:
        super().__init__(schedule.seed, schedule.file, templates, tell=tell)
        self._schedule = schedule
        self._steps: Iterator[Step] = iter(schedule.steps)
        self._rounds = 0
        self._patience = MOST_ROUNDS
        self._over = False

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
                    self._pass_alone(seconds * IDLE_FACTOR)
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

    def _pass_alone(self, seconds: float) -> None:
        """Let time pass without a controller: what one that stood still has begun may end now, and nobody is there to die of it."""
        world = self._world
        left, world.crash_at = world.crash_at - world.effects if world.crash_at is not None else None, None
        self._clock.pass_by(seconds)
        world.crash_at = world.effects + left if left is not None else None

    def _arm(self, crash: Crash) -> None:
        controller = self._controller
        if controller is None or self._crash is not None:
            return
        self._crash = crash
        if crash.at == "effect":
            self._world.crash_at = self._world.effects + crash.count
            self._world.crash_after = crash.after
        else:
            controller.store.writes_left = crash.count
            controller.store.dies_after = crash.after

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
            case Say(verb, relay):
                self._say(verb, relay)
            case _:
                let_happen(step, self._world)

    def _say(self, verb: Verb, relay: str = "") -> None:
        """Let an operator ask for something: the oracle hears it as well."""
        self._store.add_order(verb, "operator", "a drill", self._clock.now(), relay)
        self._oracle.note_order(verb)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Mend everything, apply until all is well, and see that it stays so."""
        world = self._world
        world.faults, world.crash_at, self._crash = bad_releases(), None, None
        world.chain.branches.clear()
        world.chain.stalled_at.clear()
        world.made_by_release.clear()
        self._store.save_pin(None)
        for relay in find_asked(self._store.load().orders):
            self._say(Verb.UNDRAIN, relay)
        if self._file.release not in GOOD_RELEASES:
            self._file = replace(self._file, release="10.6.1")
        self._file = replace(self._file, look_every=LAST_LOOK_EVERY)  # nobody is in a hurry any more
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
            self._have_patience()
            self._clock.pass_by(300)
        self._oracle.breaches.append(f"never became whole: {'; '.join(self._find_faults()) or 'holds remain'}")

    def _have_patience(self) -> None:
        """Let the operator resume what is not under way any more, and try what failed: by now it is a good release that is wished for."""
        record = self._store.load().rollout
        rollout = record.current
        if rollout is None or rollout.state is RolloutState.COMPLETE:
            return
        failures = [record.failures[digest] for digest in rollout.wish.values() if digest in record.failures]
        if rollout.state is not RolloutState.RUNNING:
            self._note(lambda: f"the rollout is {rollout.state.value}: {rollout.because}; the operator resumes")
            self._say(Verb.RESUME)
        elif failures:
            self._note(
                lambda: f"{failures[0].version} has failed on {failures[0].relay} before; the operator says retry"
            )
            self._say(Verb.RETRY, failures[0].relay)

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
            store = MortalStore(self._store)
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
        kept = [f"{token} keeps a one-time key in the store" for token in locked]
        named = {key[2] for key, record in self._world.zone.items() if record.routing is Routing.MULTIVALUE}
        unlike = sorted(named ^ wanted.keys()) if self._file.names else []
        return [
            *find_leftovers(self._world, wanted),
            *(f"{relay} does not serve" for relay in lacking),
            *kept,
            *(f"{relay} is {'still' if relay in named else 'not'} in the names" for relay in unlike),
        ]
