"""A fleet that serves, an operator who changes it, and whatever befalls both, told as `simulate` tells it. An oracle watches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from orchestrator.cli.simulating import story_lines
from orchestrator.errors import FleetError
from orchestrator.execution.cycle import Ending, Round
from orchestrator.execution.execute import Event
from orchestrator.fleet.relay import wanted_relays
from orchestrator.fleet.rollout import RolloutState, Verb
from orchestrator.planning.rollout_view import Progress
from orchestrator.simulation.between_looks import Interrupted, StoryClock
from orchestrator.simulation.chronicle import Chronicle
from orchestrator.simulation.controllers import Controller, MortalStore
from orchestrator.simulation.machines import SimulatedDeath
from orchestrator.simulation.oracle import Oracle
from orchestrator.simulation.rules import rules_of
from orchestrator.simulation.store import MemoryStore
from orchestrator.simulation.world import World
from orchestrator.spec.model import FleetSpec
from tests.scenarios.builders import wanted
from tests.scenarios.judge import living

When = Callable[[Round], bool]
"""What a look has to show for something to happen after it."""

MOST_LOOKS = 3000

PATIENCE = timedelta(seconds=10)
"""Between two looks at work that is waited for after Ctrl-C."""


class Tale:
    """From a fleet that serves on; times count from then."""

    def __init__(self, spec: FleetSpec) -> None:
        self.clock = StoryClock()
        self.world = World(self.clock)
        self.store = MemoryStore(spec.fleet, publish=self._publish)
        self.oracle = Oracle(self.world, rules_of(spec, frozenset()))
        self.world.witness = self.oracle.witness
        self.chronicle = Chronicle()
        self.spec = spec
        self.fewest = len(wanted_relays(spec))
        """Fewest wanted relays that served in any look …"""
        self.most_unpublished = 0
        """… and most of them that consumers could not find."""
        self._began = self.clock.now()
        self._agenda: list[tuple[When, Callable[[], None]]] = []
        self._controller: Controller | None = None
        self._looks = 0
        self._unverifiable: frozenset[str] = frozenset()
        assert self.apply("carl", spec) is Ending.CONVERGED
        self.clock.pass_by(600)  # everybody who wants to is connected by now
        self.chronicle, self._began = Chronicle(), self.clock.now()
        self._looks, self.fewest, self.most_unpublished = 0, len(wanted_relays(spec)), 0

    # --- what people do ----------------------------------------------------------------------------------------------

    def apply(self, who: str, spec: FleetSpec | None = None, *, dies_with_its_playbooks: bool = True) -> Ending | None:
        """Let somebody apply a fleet file, the last one if none is given, until it ends one way or another."""
        self.spec = spec or self.spec
        self.oracle.note_rules(rules_of(self.spec, self.store.load().confirmed_retirements, self._unverifiable))
        controller = Controller(
            who, wanted(self.spec), self.world, self.oracle, MortalStore(self.store), self._duration, self._hear
        )
        self._controller = controller
        self.clock.between_looks = self._between_looks
        self.say(f"{who} applies {self.spec.release}")
        try:
            ending, _ = controller.apply()
        except SimulatedDeath:
            self.say(f"{who}'s controller dies")
            controller.die(orphans=not dies_with_its_playbooks)
            self.world.crash_at = None
        except Interrupted:
            self.say(f"{who} presses Ctrl-C")
            self._let_end(controller)
        except FleetError as error:
            self.say(f"{who}'s apply stops: {error.message}")
            self._let_end(controller)
        else:
            self._see()
            controller.leave()
            self.say(f"{who}'s apply ends: {ending.value}")
            return ending
        return None

    def look(self, spec: FleetSpec) -> Round:
        """Do what `plan` does."""
        store = MortalStore(self.store)
        return Controller("carl", wanted(spec), self.world, self.oracle, store, self._duration, self._hear).look()

    def last(self) -> Round:
        """Return the newest look of an apply."""
        assert self._controller is not None
        assert self._controller.last is not None
        return self._controller.last

    def order(self, who: str, verb: Verb, reason: str, relay: str = "") -> None:
        """Let an operator say how the rollout is to go on."""
        self.say(f"{who} says: rollout {' '.join(filter(None, (verb.value, relay)))} --reason '{reason}'")
        self.store.add_order(verb, who, reason, self.clock.now(), relay)
        self.oracle.note_order(verb)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        raise Interrupted

    def crash(self, effects: int = 1) -> None:
        """Let the controller at work die before one of its next effects."""
        self.world.crash_at = self.world.effects + effects

    def publish_wrong_checksum(self, sha256: str) -> None:
        """Let the archive of a release be another than the fleet file says."""
        self.world.faults.unverifiable.add(sha256)
        self._unverifiable |= {sha256}

    # --- what befalls them -------------------------------------------------------------------------------------------

    def upon(self, when: When, what: str, *acts: Callable[[], object]) -> None:
        """Let something happen after the first look that shows this; things happen in the order in which they were asked for."""

        def happen() -> None:
            if what:
                self.say(what)
            for act in acts:
                act()

        self._agenda.append((when, happen))

    def later(self, what: str, act: Callable[[], object], **duration: float) -> None:
        """Let something happen so long from now, whatever looks show."""

        def happen() -> None:
            if what:
                self.say(what)
            act()

        self.clock.at(timedelta(**duration), happen)

    def wait(self, **duration: float) -> None:
        """Let time pass while nobody looks."""
        self.clock.pass_by(timedelta(**duration).total_seconds())

    def say(self, text: str) -> None:
        """Write down what is done or happens."""
        self.chronicle.note(self._seconds(), text)

    # --- what came of it ---------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """Return the story."""
        return story_lines(self.chronicle.told, len(wanted_relays(self.spec)))

    def running(self) -> dict[str, set[str]]:
        """Return release → relays that run it."""
        versions = self.spec.list_versions()
        found: dict[str, set[str]] = {}
        for host in living(self.world):
            found.setdefault(versions.get(host.running_release, "?"), set()).add(host.instance.relay)
        return found

    def stopped(self) -> set[str]:
        """Name the relays whose node was ever told to stop or to start since the beginning."""
        words = ("is told to restart", "is told to start", "its node is told to stop")
        return {relay for told in self.chronicle.told for relay in told.relays if told.text.startswith(words)}

    def state(self) -> RolloutState | None:
        """Return where the rollout is by the record."""
        current = self.store.load().rollout.current
        return current.state if current is not None else None

    # --- in between --------------------------------------------------------------------------------------------------

    def _between_looks(self) -> None:
        self._looks += 1
        assert self._looks < MOST_LOOKS, "this apply never ends"
        self._see()
        found = self._controller.last if self._controller is not None else None
        if found is not None and self._agenda and self._agenda[0][0](found):
            _, happen = self._agenda.pop(0)
            happen()

    def _see(self) -> None:
        controller = self._controller
        if controller is None or controller.last is None or controller.executor is None:
            return
        serving = self.oracle.who_serves() & {relay.name for relay in wanted_relays(self.spec)}
        self.fewest = min(self.fewest, len(serving))
        names = {relay.name for relay in wanted_relays(self.spec)}
        self.most_unpublished = max(self.most_unpublished, len(names - self.world.published))
        self.chronicle.see(self._seconds(), controller.last, controller.executor.in_flight(), serving)

    def _let_end(self, controller: Controller) -> None:
        while controller.background.busy():
            controller.renew()
            self.clock.pass_by(PATIENCE.total_seconds())
        controller.leave()

    def _publish(self, names: frozenset[str]) -> None:
        self.oracle.note_published(names)
        self.world.publish(names)

    def _duration(self, name: str) -> timedelta:
        durations = self.world.durations
        usual = {"launch": durations.launch, "furnish": durations.furnish, "stage": durations.stage}
        return usual.get(name.split(maxsplit=1)[0], durations.run)

    def _hear(self, event: Event) -> None:
        self.chronicle.hear(self._seconds(), event)

    def _seconds(self) -> float:
        return (self.clock.now() - self._began).total_seconds()


def is_at(relay: str, progress: Progress) -> When:
    """Whether a relay of the rollout is so far."""
    return lambda found: (
        found.plan.rollout is not None
        and (now := found.plan.rollout.relays.get(relay)) is not None
        and now.progress is progress
    )


def has_opened(wave: int) -> When:
    """Whether this wave is open, canaries being the first."""
    return lambda found: found.plan.rollout is not None and found.plan.rollout.open_wave == wave


def is_in(state: RolloutState) -> When:
    """Whether the rollout is in this state."""
    return lambda found: found.plan.rollout is not None and found.plan.rollout.state == state


def always(_found: Round) -> bool:
    """After any look."""
    return True
