"""Tells an apply as a story: what became of the rollout, of each of its relays, how many serve, and what waits when nothing moves.

It is handed every event and every look, and writes down what is new since the last. How many serve it is told by whoever sees the
world; all else it takes from plans. Names of relays that do the same at the same moment are gathered, and drawn by the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

from orchestrator.execution.cycle import Round
from orchestrator.execution.execute import Event
from orchestrator.fleet.observation import HostFacts, InFlight, UnitState
from orchestrator.fleet.rollout import RolloutEvent, RolloutRecord, RolloutState
from orchestrator.planning.draining import DRAIN
from orchestrator.planning.plan import Action, Deploy, Hold, Phase, Stop
from orchestrator.planning.rollout_report import BAKE, UPDATE
from orchestrator.planning.rollout_view import Progress, RolloutView
from orchestrator.rendering.values import ChangeClass

MOVING = (Progress.DRAINS, Progress.RESTARTS, Progress.BAKES, Progress.GOES_BACK)
"""While a relay does one of these, that others wait needs no telling."""

FOLDERS = re.compile(r"(?<!\S)/\S*/")
"""Of the files that differ the names tell enough."""

DIFFERING = re.compile(r"^[^;]* differs?; ")
"""How the reason of a hold begins that waits to restart a node."""

UNIT_WORDS = {
    UnitState.DEACTIVATING: "its node stops",
    UnitState.INACTIVE: "its node has stopped",
    UnitState.FAILED: "its node is down: systemd has given up starting it",
}

RESTING = (None, UnitState.ABSENT, UnitState.INACTIVE, UnitState.FAILED)

LONG_REPLAY = timedelta(minutes=5)
"""A replay that takes longer is told by its quarters."""

BACKWARD = (RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK)
"""Then that somebody has settled on what is taken back is no news."""

FIGURES = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Told:
    """One line of a story."""

    seconds: float
    """Since the beginning."""
    relays: tuple[str, ...]
    """About whom; empty for the fleet or the world."""
    text: str
    names_last: bool = False
    """Whether the text is read before the names."""


Line = tuple[tuple[str, ...], str]
"""About whom, and what."""


@dataclass(slots=True)
class Chronicle:
    """What was told so far, and what it takes to see what is new."""

    told: list[Told] = field(default_factory=list)
    _pending: list[tuple[float, Event]] = field(default_factory=list)
    _view: RolloutView | None = None
    _units: Mapping[str, UnitState] = field(default_factory=dict)
    _waiting: frozenset[tuple[str, str, str]] = frozenset()
    _out: tuple[str, ...] | None = None
    _restarting: set[str] = field(default_factory=set)
    _replayed: dict[str, int] = field(default_factory=dict)
    """Quarters that were told."""

    def note(self, seconds: float, text: str, *relays: str) -> None:
        """Write down what somebody else did: an operator, a fault, a controller that dies."""
        self._tell_events(())
        self.told.append(Told(seconds, relays, text))

    def hear(self, seconds: float, event: Event) -> None:
        """Keep an event; it is told with the look that led to it, or after which it came."""
        self._pending.append((seconds, event))

    def see(self, seconds: float, found: Round, in_flight: Mapping[str, InFlight], serving: frozenset[str]) -> None:
        """Write down what is new in a look. `serving` are the wanted relays that truly serve by now."""
        begun = [each for each in self._pending if each[1].outcome == "started"]
        self._pending = [each for each in self._pending if each not in begun]
        self._tell_events(())  # what ended before this look
        view, units = found.plan.rollout, _list_units(found)
        self._tell(seconds, _tell_units(self._units, units))
        before = self._view if view is not None and _is_same(self._view, view) else None
        if view is not None:
            self._tell(seconds, _tell_relays(before, view, found))
            self._tell(seconds, self._tell_replays(view, found))
            self._tell_rollout(seconds, before, view)
            self._tell(seconds, _tell_draining(before, view, found))
        self._pending = begun
        self._tell_events(found.plan.actions)
        self._tell_capacity(seconds, found, serving)
        self._tell_waits(seconds, found, in_flight)
        self._view, self._units = view or self._view, {**self._units, **units}

    def _tell(self, seconds: float, lines: Iterable[Line]) -> None:
        self.told += [Told(seconds, relays, text) for relays, text in _gather(lines)]

    def _tell_events(self, actions: Sequence[Action]) -> None:
        by_relay = {action.relay: action for action in actions}
        for at, group in groupby(self._pending, key=lambda each: each[0]):
            self._tell(at, [line for _, event in group for line in self._describe(event, by_relay.get(event.relay))])
        self._pending = []

    def _describe(self, event: Event, action: Action | None) -> Iterator[Line]:
        text = _shorten(event.text)
        if event.outcome == "started" and isinstance(action, Deploy) and action.change is ChangeClass.RESTART:
            self._restarting.add(event.relay)
            word = "start" if self._units.get(event.relay) in RESTING else "restart"
            yield (event.relay,), f"is told to {word} with {action.rendered.release.version}: {text}"
        elif event.outcome == "started" and isinstance(action, Stop):
            self._restarting.add(event.relay)
            yield (event.relay,), f"its node is told to stop: {text}"
        elif event.outcome != "done" or event.relay not in self._restarting:
            yield (event.relay,), f"{event.intent} {event.outcome}{'' if text == event.outcome else f': {text}'}"
        if event.outcome != "started":
            self._restarting.discard(event.relay)  # what becomes of its node is told by the looks

    def _tell_rollout(self, seconds: float, before: RolloutView | None, view: RolloutView) -> None:
        self._tell(seconds, (line for event in view.events for line in _tell_event(event)))
        if any(event.what == "started" for event in view.events):
            self.told += [Told(seconds, w.relays, f"  {w.title}, {w.why}", names_last=True) for w in view.waves]
        if view.open_wave is None or not view.waves or view.state != RolloutState.RUNNING:
            return
        if before is None or before.open_wave != view.open_wave or not before.waves:
            wave = view.waves[view.open_wave]
            self.told.append(Told(seconds, wave.relays, f"{wave.title} opens", names_last=True))

    def _tell_replays(self, view: RolloutView, found: Round) -> Iterator[Line]:
        hosts, instances = found.look.seen.hosts, {each.name: each.instance for each in found.plan.relays}
        for relay, told in sorted(view.record.restarts.items()):
            instance, age = instances.get(relay), found.look.now - told.at
            facts = hosts.get(instance.instance_id) if instance is not None else None
            metrics = facts.metrics if isinstance(facts, HostFacts) else None
            if told.served_at is not None or metrics is None or metrics.replay_percent is None:
                self._replayed.pop(relay, None)
                continue
            quarter = int(metrics.replay_percent // 25)
            if age > LONG_REPLAY and quarter > self._replayed.get(relay, 0):
                yield (relay,), f"replays its chain: {25 * quarter} % after {age.total_seconds() / 60:.0f} min"
            self._replayed[relay] = quarter

    def _tell_capacity(self, seconds: float, found: Round, serving: frozenset[str]) -> None:
        wanted = sorted(view.name for view in found.plan.relays if not view.retiring)
        out = tuple(name for name in wanted if name not in serving)
        if out == self._out or (self._out is None and len(out) == len(wanted)):
            return  # a fleet that is not there yet
        self._out = out
        text = f"= {len(wanted) - len(out)} of {len(wanted)} serve{'; out' if out else ''}"
        self.told.append(Told(seconds, out, text, names_last=True))

    def _tell_waits(self, seconds: float, found: Round, in_flight: Mapping[str, InFlight]) -> None:
        view = found.plan.rollout
        moves = bool(in_flight) or bool(found.plan.actions) or _moves(view)
        apart = {view.name for view in found.plan.relays if view.phase is Phase.QUARANTINED}
        holds = [h for h in found.plan.holds if _is_worth_telling(h, view) and h.relay not in in_flight]
        waits = [hold for hold in holds if not (moves and hold.passes) or hold.relay in apart]
        fresh = [hold for hold in waits if _kind(hold) not in self._waiting]
        kinds = frozenset(_kind(hold) for hold in waits)
        self._waiting = self._waiting | kinds if moves else kinds
        self._tell(seconds, [((hold.relay,), f"{hold.wanted} waits: {_shorten(hold.because)}") for hold in fresh])


def _tell_event(event: RolloutEvent) -> Iterator[Line]:
    match event.what:
        case "started":
            yield (), f"the rollout of {event.version} begins: {event.text}"
        case "failed":
            relay, _, why = event.text.partition(": ")
            yield (relay,), f"has failed on {event.version}: {why}"
        case "wave done":
            yield (), f"{event.text.partition(': ')[0]} is done"
        case "complete":
            yield (), f"the rollout of {event.version} is complete"
        case "superseded":
            yield (), f"another wish takes its place: {event.text}"
        case what:
            yield (), f"the rollout of {event.version}: {what}{f': {event.text}' if event.text else ''}"


def _tell_units(before: Mapping[str, UnitState], units: Mapping[str, UnitState]) -> Iterator[Line]:
    for relay, unit in sorted(units.items()):
        if unit in UNIT_WORDS and before.get(relay, unit) is not unit:
            yield (relay,), UNIT_WORDS[unit]


def _tell_relays(before: RolloutView | None, view: RolloutView, found: Round) -> Iterator[Line]:
    """Yield what became of single relays: back in service, proven."""
    was, now = (before.record if before is not None else found.look.record.rollout), view.record
    for relay, told in sorted(now.restarts.items()):
        earlier = was.restarts.get(relay)
        again = earlier is None or earlier.at != told.at or earlier.served_at is None
        if told.served_at is not None and told.served_at == found.look.now and again:
            seconds = (told.served_at - told.at).total_seconds()
            word = "serves" if told.replaced else "serves again"
            yield (relay,), f"{word}, {seconds:.0f} s after it was told to"
    for relay, settling in sorted(now.settling.items() if view.state not in BACKWARD else ()):
        known = was.settling.get(relay)
        if settling.settled and not (known is not None and known.settled):
            served = (found.look.now - settling.since).total_seconds()
            compared = f", no worse than the others in {settling.compared} looks" if settling.compared else ""
            yield (relay,), f"settles: it has served for {served:.0f} s{compared}"


def _tell_draining(before: RolloutView | None, view: RolloutView, found: Round) -> Iterator[Line]:
    """Yield who leaves the names so that it may be stopped, and who comes back into them without having been."""
    was = before.record if before is not None else found.look.record.rollout
    drains = {hold.relay: hold.because for hold in found.plan.holds if hold.wanted == DRAIN}
    told = {action.relay for action in found.plan.actions}
    for relay in sorted({*view.record.draining, *was.draining}):
        if relay not in was.draining and relay in drains:
            yield (relay,), f"drains: {DIFFERING.sub('', _shorten(drains[relay]))}"
        elif relay not in view.record.draining and relay not in told and not _was_restarted(relay, view, was):
            yield (relay,), "drains no more, and is not stopped"


def _was_restarted(relay: str, view: RolloutView, was: RolloutRecord) -> bool:
    """Whether a relay was told to restart since it began to drain."""
    restart = view.record.restarts.get(relay)
    return restart is not None and restart.at >= was.draining[relay]


def _moves(view: RolloutView | None) -> bool:
    """Whether some relay of a rollout is on its way, there or back."""
    if view is None:
        return False
    told = any(restart.served_at is None for restart in view.record.restarts.values())
    return told or any(each.progress in MOVING for each in view.relays.values())


def _is_worth_telling(hold: Hold, view: RolloutView | None) -> bool:
    """Whether a wait is more than a relay's place in the order, and is not told of the rollout as a whole."""
    if hold.wanted in (DRAIN, BAKE):
        return False
    if hold.wanted != UPDATE or view is None:
        return True
    turn = view.open_wave is not None and view.waves and hold.relay in view.waves[view.open_wave].relays
    return bool(turn) and view.state == RolloutState.RUNNING


def _kind(hold: Hold) -> tuple[str, str, str]:
    """Return what a hold says but for its figures: a wait whose numbers move is told once."""
    return hold.relay, hold.wanted, FIGURES.sub("#", hold.because)


def _gather(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield each text once, with all whom it is about, in the order in which it came first."""
    about: dict[str, list[str]] = {}
    for relays, text in lines:
        names = about.setdefault(text, [])
        names += [relay for relay in relays if relay not in names]
    for text, names in about.items():
        yield tuple(names), text


def _list_units(found: Round) -> Mapping[str, UnitState]:
    """Return the unit state of every relay whose host told it."""
    hosts = found.look.seen.hosts
    return {
        view.name: facts.unit
        for view in found.plan.relays
        if view.instance is not None and isinstance(facts := hosts.get(view.instance.instance_id), HostFacts)
    }


def _is_same(before: RolloutView | None, view: RolloutView) -> bool:
    """Whether two looks saw the rollout of one wish."""
    targets = [each.record.current.target for each in (before, view) if each is not None and each.record.current]
    return len(targets) == 2 and targets[0] == targets[1]


def _shorten(text: str) -> str:
    return FOLDERS.sub("", text)
