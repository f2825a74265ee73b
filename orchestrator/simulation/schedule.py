"""Random schedules from a seed: what happens to a fleet, to its operators and to its controllers, step by step.

A schedule is data, made without looking at any world, so it can be told, replayed and shortened. `play.py` lets it happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from orchestrator.fleet.observation import Verdict
from orchestrator.fleet.rollout import Verb
from orchestrator.simulation.fleets import PARTNERS, FleetFile, edit_fleet, random_fleet, relays_of, subnets_of


@dataclass(frozen=True, slots=True)
class Pass:
    """Let time pass: one round of the controller at work, or some minutes while none is."""

    seconds: int

    def __str__(self) -> str:
        return f"{self.seconds} s pass"


@dataclass(frozen=True, slots=True)
class Break:
    """Something goes wrong, until it is mended."""

    fault: str
    name: str
    told: Verdict | None = None
    """What a lying probe says."""

    def __str__(self) -> str:
        return f"fault on: {self.fault} {self.name}{f' ({self.told.value})' if self.told is not None else ''}"


@dataclass(frozen=True, slots=True)
class Mend:
    """It is well again."""

    fault: str
    name: str

    def __str__(self) -> str:
        return f"fault off: {self.fault} {self.name}"


@dataclass(frozen=True, slots=True)
class Edit:
    """The operator edits the fleet file, and applies it."""

    file: FleetFile

    def __str__(self) -> str:
        return f"the operator edits the fleet file: {self.file}"


@dataclass(frozen=True, slots=True)
class Crash:
    """The controller at work dies before or after a coming effect or store write."""

    at: str
    """`effect` or `write`."""
    count: int
    """Which of those to come."""
    orphans: bool
    """Whether the playbooks it has begun go on without it; its calls to the cloud end with it."""
    after: bool = False

    def __str__(self) -> str:
        orphans = ", its playbooks go on" if self.orphans else ""
        return f"the controller will die {'after' if self.after else 'before'} {self.at} {self.count} from now{orphans}"


@dataclass(frozen=True, slots=True)
class Say:
    """What an operator asks of the rollout, or of a relay."""

    verb: Verb
    relay: str = ""

    def __str__(self) -> str:
        return f"the operator says {self.verb.value}{f' {self.relay}' if self.relay else ''}"


@dataclass(frozen=True, slots=True)
class Freeze:
    """The controller stands still, another takes over when the lease has run out, and then the first goes on."""

    seconds: int

    def __str__(self) -> str:
        return f"the controller freezes for {self.seconds} s, and another takes over"


@dataclass(frozen=True, slots=True)
class Hand:
    """Somebody deletes or stops a relay's instance behind our back, or its node is killed."""

    act: str
    """`delete`, `stop` or `kill`."""
    relay: str

    def __str__(self) -> str:
        return f"somebody does {self.act} {'the node' if self.act == 'kill' else 'the instance'} of {self.relay}"


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator does beside the fleet file: confirm, pin, unpin, apply anew."""

    what: str

    def __str__(self) -> str:
        return f"the operator does {self.what}"


Step = Pass | Break | Mend | Edit | Crash | Freeze | Hand | Act | Say


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole course of events."""

    seed: int
    file: FleetFile
    born: bool
    """Whether the fleet serves already when it begins."""
    steps: tuple[Step, ...]


ON_RELAYS = (
    "unreachable", "unreadable", "never_boots", "stage_fails", "error_after_launch", "slow_to_stop", "slow_to_answer", "saturated",
    "hanging", "deaf_to_reload", "other_network", "wrong_key", "lost_during deploy", "lost_during stage",
    "lost_during prepare", "fork", "stall",
)  # fmt: skip
"""Faults of one relay each, by the name of the set in `Faults`, or of the chain."""

LIES = (Verdict.OK, Verdict.OK, Verdict.NOT_ASKED, Verdict.REFUSED, Verdict.CONNECT_TIMEOUT, Verdict.HANDSHAKE_TIMEOUT)

VERBS = (
    Verb.PAUSE, Verb.HALT, Verb.ROLLBACK, Verb.RETRY, Verb.RESUME, Verb.RESUME, Verb.RESUME, Verb.DRAIN, Verb.UNDRAIN,
    Verb.UNDRAIN,
)  # fmt: skip

OF_A_RELAY = (Verb.RETRY, Verb.DRAIN, Verb.UNDRAIN)

ON_PARTNERS = ("hanging", "fork", "stall")

ON_REGIONS = ("silent_regions", "cut_regions", "launches_refused", "no_capacity")

ON_ALL = ("old_lists", "slow_work", "ansible_never_runs", "zone_silent", "zone_refuses")


def make_schedule(seed: int, steps: int) -> Schedule:
    """Return the schedule of a seed, the same for ever."""
    random = Random(seed)  # noqa: S311 - chance that repeats is what is wanted
    file = random_fleet(random)
    born = random.random() < 0.75
    calm = random.choice((1, 1, 2, 4))
    made: list[Step] = []
    mends: list[tuple[int, Mend]] = []
    current = file
    while len(made) < steps:
        due = [mend for at, mend in mends if at <= len(made)]
        if due:
            mends = [(at, mend) for at, mend in mends if at > len(made)]
            made.extend(due)
            continue
        step = _draw(random, current, calm)
        made.append(step)
        if isinstance(step, Edit):
            current = step.file
        if isinstance(step, Break):
            mends.append((len(made) + random.choice((3, 8, 20, 60)), Mend(step.fault, step.name)))
    return Schedule(seed, file, born, tuple(made[:steps]))


def _draw(random: Random, file: FleetFile, calm: int) -> Step:
    kinds = ("pass", "break", "edit", "crash", "freeze", "hand", "act", "say")
    (kind,) = random.choices(kinds, weights=(40 * calm, 10, 4, 3, 1, 2, 2, 3))
    match kind:
        case "break":
            return _draw_fault(random, file)
        case "edit":
            return Edit(edit_fleet(file, random))
        case "crash":
            count, orphans, after = random.choice((1, 1, 2, 3, 5, 8)), random.random() < 0.5, random.random() < 0.5
            return Crash(random.choice(("effect", "write")), count, orphans, after)
        case "freeze":
            return Freeze(random.choice((30, 90, 300)))
        case "hand":
            return Hand(random.choice(("delete", "stop", "kill")), random.choice(relays_of(file)))
        case "act":
            return Act(random.choice(("confirm", "confirm", "pin", "unpin", "apply anew")))
        case "say":
            verb = random.choice(VERBS)
            return Say(verb, random.choice(relays_of(file)) if verb in OF_A_RELAY else "")
        case _:
            return Pass(random.choice((20, 60, 60, 300, 900)))


def _draw_fault(random: Random, file: FleetFile) -> Break:
    region, _ = random.choice(file.counts)
    relay = random.choice(relays_of(file))
    where = random.choices(("relay", "probe", "partner", "region", "all"), weights=(8, 4, 2, 2, 1))[0]
    match where:
        case "probe":
            return Break("told_by_probe", relay, random.choice(LIES))
        case "partner":
            return Break(random.choice(ON_PARTNERS), random.choice(PARTNERS[: file.partners]))
        case "region":
            fault = random.choice(ON_REGIONS)
            return Break(fault, random.choice(subnets_of(region)) if fault == "no_capacity" else region)
        case "all":
            return Break(random.choice(ON_ALL), "everywhere")
        case _:
            return Break(random.choice(ON_RELAYS), relay)
