"""Stories about the chain: looks at regular times, and only what changes is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from orchestrator.execution.cycle import Round, save_evidence, save_rollout
from orchestrator.fleet.record import Pin
from orchestrator.planning.plan import Deploy, Phase
from orchestrator.simulation.chain import SLOTS_A_BLOCK, Branch
from orchestrator.simulation.rehearsal import Rehearsal
from orchestrator.simulation.time import BEGINNING
from tests.scenarios.builders import MEDIUM, fleet_spec, serving_fleet
from tests.scenarios.judge import host_of

EU1, US1 = "demo-eu-central-1-01", "demo-us-east-1-01"
LOOK_SECONDS = 30


@dataclass(slots=True)
class Vigil:
    """Looks again and again, and writes down what is new since the last look."""

    made: Rehearsal
    lines: list[str] = field(default_factory=list)
    told: frozenset[str] = frozenset()

    def line(self, text: str) -> None:
        seconds = (self.made.world.clock.now() - BEGINNING).total_seconds()
        self.lines.append(f"{seconds:6.0f} s  {text}")

    def look(self, times: int) -> None:
        for _ in range(times):
            self.made.world.clock.wait(LOOK_SECONDS, until=lambda: False)
            found = self.made.look()
            save_rollout(self.made.store, found)
            save_evidence(self.made.store, found)
            telling = frozenset(_tell(found))
            for text in sorted(telling - self.told):
                self.line(text)
            self.told = telling

    def slot(self) -> int:
        return int(self.made.world.clock.now().timestamp()) // SLOTS_A_BLOCK * SLOTS_A_BLOCK

    def fork(self, *names: str) -> None:
        self.line(f"{' and '.join(names)} leave{'s' if len(names) == 1 else ''} the chain")
        for name in names:
            self.made.world.chain.branches[name] = Branch("another", self.slot() + SLOTS_A_BLOCK)

    def pin(self, name: str) -> None:
        tip, _ = self.made.world.chain.tip_of(name, int(self.made.world.clock.now().timestamp()))
        self.line(f"anna pins the chain of {name}")
        self.made.store.save_pin(Pin(tip, "anna", "the other operators agree", self.made.world.clock.now()))


def _tell(found: Round) -> list[str]:
    """What a look says beside that all is well, without the figures that grow with every block."""
    views = found.plan.relays
    states = [f"{v.name} {v.phase.value}: {_shorten(v.reason)}" for v in views if v.phase is not Phase.SERVING]
    deploys = sorted(a.relay for a in found.plan.actions if isinstance(a, Deploy))
    return [
        *states,
        *(f"! {_shorten(warning)}" for warning in found.plan.warnings),
        f"{sum(1 for view in views if view.published)} of {len(views)} published",
        f"to deploy: {', '.join(deploys) or 'nobody'}",
    ]


FIGURES = (
    (r" \(depth [^)]*\), now at \S+ against \d+ others", ""),
    (r"; proven in \d+ more looks", " (suspected)"),
    (r" at \d+\.[0-9a-f]{8}, block \d+", ""),
    (r"at \S+ without the pinned point \S+", "without the pinned point"),
    (r"; agrees again for .*", "; agrees again"),
    (r"is \d+ s old", "is old"),
)


def _shorten(text: str) -> str:
    """Leave out tips, depths and ages: they are new in each look."""
    for figure, word in FIGURES:
        text = re.sub(figure, word, text)
    return text


def vigil() -> Vigil:
    made = serving_fleet(fleet_spec(MEDIUM))
    story = Vigil(made)
    story.look(8)
    return story


def one_relay_forks_and_comes_back() -> Vigil:
    story = vigil()
    story.fork(EU1)
    story.look(10)
    story.line(f"{EU1} finds back")
    del story.made.world.chain.branches[EU1]
    story.look(13)
    return story


def the_chain_splits_along_releases() -> Vigil:
    story = vigil()
    newer = story.made.wanted.spec.releases["10.6.0"]["x86_64"].sha256
    for relay in (EU1, US1):
        host_of(story.made.world, relay).release = newer
    story.line(f"{EU1} and {US1} run 10.6.0 already")
    story.fork(EU1, US1)
    story.look(10)
    story.pin("alpha")
    story.look(2)
    return story


def the_chain_splits_with_a_partner() -> Vigil:
    story = vigil()
    story.fork(EU1, "alpha")
    story.look(10)
    story.pin("beta")
    story.look(2)
    return story


def the_chain_stands_still() -> Vigil:
    story = vigil()
    names = [view.name for view in story.made.look().plan.relays]
    story.line("nobody makes a block any more")
    story.made.world.chain.stalled_at = dict.fromkeys([*names, "alpha", "beta"], story.slot())
    story.look(12)
    story.line("blocks are made again")
    story.made.world.chain.stalled_at = {}
    story.look(2)
    return story


CHAIN_STORIES = (
    one_relay_forks_and_comes_back,
    the_chain_splits_along_releases,
    the_chain_splits_with_a_partner,
    the_chain_stands_still,
)
