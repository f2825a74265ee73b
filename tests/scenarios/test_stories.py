"""Whole courses of events as logs that read like a story. `pytest --update-golden` rewrites them; review them as a diff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from orchestrator.errors import FleetError
from orchestrator.execution.cycle import Round
from orchestrator.fleet.observation import InFlight
from orchestrator.simulation.machines import SimulatedDeath
from orchestrator.simulation.rehearsal import Rehearsal
from orchestrator.simulation.time import BEGINNING
from tests.scenarios.builders import SMALL, fleet_spec, rehearsal, resubmit, serving_fleet
from tests.scenarios.chain_stories import CHAIN_STORIES, Vigil
from tests.scenarios.judge import host_of, serving

EU1, EU2, US1, US2 = (f"demo-{region}-0{n}" for region in sorted(SMALL) for n in (1, 2))


@dataclass(slots=True)
class Story:
    """Writes down what happens, what waits and why, and how many serve; each once, when it changes."""

    made: Rehearsal
    lines: list[str] = field(default_factory=list)
    told: int = 0
    waiting: frozenset[str] = frozenset()
    served: int | None = None
    draining: frozenset[str] = frozenset()

    def apply(self, holder: str) -> None:
        self.made.report = self.note
        self.line(f"{holder} applies")
        try:
            ending, _ = self.made.run(holder)
        except SimulatedDeath:
            self.line(f"{holder} dies")
        except FleetError as error:
            self.line(f"{holder} stops: {error.message}")
        else:
            self.line(f"{holder} ends: {ending.value}")
        self.tell_events()

    def wait(self, **duration: float) -> None:
        self.made.world.clock.wait(timedelta(**duration).total_seconds(), until=lambda: False)

    def line(self, text: str) -> None:
        self.tell_events()
        self.lines.append(f"{self.seconds():6.0f} s  {text}")

    def seconds(self) -> float:
        return (self.made.world.clock.now() - BEGINNING).total_seconds()

    def note(self, found: Round, _in_flight: Mapping[str, InFlight]) -> None:
        self.tell_events()
        waiting = frozenset(f"{h.relay} {h.wanted} waits: {h.because}" for h in found.plan.holds if not h.passes)
        self.lines += [f"{self.seconds():6.0f} s  {text}" for text in sorted(waiting - self.waiting)]
        self.waiting = waiting
        self.tell_rollout(found)
        if (count := len(serving(self.made.world))) != self.served:
            self.served = count
            self.lines.append(f"{self.seconds():6.0f} s  == {count} serve")

    def tell_rollout(self, found: Round) -> None:
        if (rollout := found.plan.rollout) is None:
            return
        for event in rollout.events:
            self.lines.append(f"{self.seconds():6.0f} s  -- {event.version} {event.what}: {event.text}".rstrip(": "))
            if event.what == "started":
                waves = (f"{wave.title}: {', '.join(wave.relays)} ({wave.why})" for wave in rollout.waves)
                self.lines += [f"{self.seconds():6.0f} s     {text}" for text in waves]
        draining = frozenset(f"{h.relay} drains: {h.because}" for h in found.plan.holds if h.wanted == "drain")
        self.lines += [
            f"{self.seconds():6.0f} s  {text}" for text in sorted(draining) if text.split()[0] not in self.draining
        ]
        self.draining = frozenset(text.split()[0] for text in draining)

    def tell_events(self) -> None:
        for seconds, event in self.made.events[self.told :]:
            self.lines.append(f"{seconds:6.0f} s  {event.relay} {event.intent} {event.outcome}: {event.text}")
        self.told = len(self.made.events)


def first_apply() -> Story:
    story = Story(rehearsal(fleet_spec(SMALL)))
    story.apply("anna")
    story.apply("anna again")
    return story


def rolling_release() -> Story:
    story = Story(resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0")))
    story.apply("anna")
    return story


def instance_stops() -> Story:
    story = Story(serving_fleet(fleet_spec(SMALL)))
    story.line(f"{EU1} stops")
    story.made.world.stop_instance(EU1)
    story.apply("anna")
    return story


def deleted_by_hand() -> Story:
    story = Story(serving_fleet(fleet_spec(SMALL)))
    story.line(f"{EU1} is deleted behind our back")
    story.made.world.terminate(host_of(story.made.world, EU1).instance.instance_id)
    story.apply("anna")
    return story


def isolated_during_a_rollout() -> Story:
    story = Story(resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0")))
    story.line(f"{US1} is isolated")
    story.made.world.faults.unreachable = {US1}
    story.apply("anna")
    story.line(f"{US1} is back")
    story.made.world.faults.unreachable = set()
    story.apply("anna again")
    return story


def no_capacity() -> Story:
    story = Story(rehearsal(fleet_spec(SMALL)))
    eu, us = (fleet_spec(SMALL).regions[region].subnets for region in sorted(SMALL))
    story.line(f"no capacity in {eu[0]}, {us[0]}, {us[1]}")
    story.made.world.faults.no_capacity = {eu[0], *us}
    story.apply("anna")
    return story


def half_retired() -> Story:
    story = Story(resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec({"eu-central-1": 1, "us-east-1": 1})))
    story.made.world.faults.slow_to_stop = {US2}
    story.apply("anna")
    story.line("anna confirms retire:2")
    story.made.store.save_confirmations(frozenset({"retire:2"}))
    story.apply("anna again")
    return story


def killed_while_launching() -> Story:
    story = Story(rehearsal(fleet_spec(SMALL)))
    story.made.world.durations = replace(story.made.world.durations, unseen=timedelta(seconds=30))
    story.made.world.crash_at = 3
    story.apply("anna")
    story.made.world.clock.drop()
    story.apply("bert at once")
    story.wait(seconds=61)
    story.apply("bert a minute later")
    return story


def bad_checksum() -> Story:
    story = Story(resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0")))
    story.made.world.faults.stage_fails = {EU2}
    story.apply("anna")
    return story


STORIES: tuple[Callable[[], Story], ...] = (
    first_apply,
    rolling_release,
    instance_stops,
    deleted_by_hand,
    isolated_during_a_rollout,
    no_capacity,
    half_retired,
    killed_while_launching,
    bad_checksum,
)


@pytest.mark.parametrize("story", [*STORIES, *CHAIN_STORIES], ids=lambda story: story.__name__)
def test_the_story_goes_as_told(story: Callable[[], Story | Vigil], golden: Callable[[str, str], None]) -> None:
    golden(f"{story.__name__}.txt", "\n".join(story().lines) + "\n")
