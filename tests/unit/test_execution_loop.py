"""The controller that runs by itself: what it follows, when it looks, what it tells, and what does not end it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from orchestrator.errors import CloudUnavailable, FleetError, NotOurStore, SpecInvalid
from orchestrator.execution.cycle import Round
from orchestrator.execution.execute import Event
from orchestrator.execution.loop import ASK, Crew, Loop
from orchestrator.fleet.observation import InFlight
from orchestrator.fleet.record import Lease
from orchestrator.fleet.revision import Draft, Revision
from orchestrator.fleet.rollout import Verb
from orchestrator.planning.look import Wanted
from orchestrator.simulation.rehearsal import AUTHORIZED_KEY, Rehearsal
from orchestrator.simulation.time import BEGINNING
from tests.scenarios.builders import SMALL, fleet_spec, rehearsal, serving_fleet, wanted

HOLDER = "loop"
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

LARGER = {**SMALL, "us-east-1": 3}
FLEETS: Mapping[str, Wanted] = {
    "first": wanted(fleet_spec(SMALL)),
    "larger": wanted(fleet_spec(LARGER)),
    "dark": wanted(fleet_spec({**SMALL, "us-east-1": 0})),
}


@dataclass
class Kept:
    """A Journal that keeps what it is told, and the lease meanwhile: in production a thread of its own does that."""

    rehearsed: Rehearsal
    events: list[Event] = field(default_factory=list)
    rounds: list[tuple[datetime, str]] = field(default_factory=list)
    """When each round ended, and how."""
    revisions: list[tuple[int, int]] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    rests: list[str] = field(default_factory=list)

    def show_event(self, event: Event) -> None:
        self.events.append(event)

    def show_round(self, found: Round, in_flight: Mapping[str, InFlight], ending: str) -> None:
        self.rounds.append((self._renew(), ending))

    def _renew(self) -> datetime:
        now = self.rehearsed.world.clock.now()
        self.rehearsed.store.acquire_lease(HOLDER, now, now + MINUTE, 0)
        return now

    def show_revision(self, revision: Revision, lease: Lease) -> None:
        self.revisions.append((revision.number, revision.afresh))

    def show_trouble(self, what: str, trouble: FleetError) -> None:
        self.troubles.append((what, trouble.message))
        if what == "round":
            self._renew()

    def show_rest(self, why: str) -> None:
        self.rests.append(why)

    def started(self, intent: str) -> list[str]:
        return [event.relay for event in self.events if (event.intent, event.outcome) == (intent, "started")]


class Running:
    """A loop in front of a simulated world, until a virtual time."""

    def __init__(self, rehearsed: Rehearsal | None = None) -> None:
        self.rehearsed = rehearsed or rehearsal(fleet_spec(SMALL))
        self.clock, self.store = self.rehearsed.world.clock, self.rehearsed.store
        self.journal = Kept(self.rehearsed)
        self.unreadable: set[str] = set()
        self._eyes, self.hands = self.rehearsed.ports()
        self._until = BEGINNING

    def wire(self, revision: Revision) -> Crew:
        if revision.draft.content in self.unreadable:
            raise SpecInvalid(("line 1: found nothing",))
        self.rehearsed.wanted = FLEETS[revision.draft.content]
        eyes, hands = self.rehearsed.ports()
        hands = replace(hands, background=self.hands.background)
        return Crew(self.rehearsed.wanted, eyes, hands, AUTHORIZED_KEY)

    def submit(self, content: str = "first") -> Revision:
        return self.store.revisions.submit(Draft(content, {}), "ops", self.clock.now())

    def then(self, after: timedelta, what: Callable[[], object]) -> None:
        """Let something happen from outside, so long from now."""
        self.clock.at(after, lambda: what() and None)

    def run(self, length: timedelta = timedelta(hours=1)) -> Kept:
        until = self.clock.now() + length

        @contextmanager
        def keep(lease: Lease, _length: timedelta) -> Iterator[None]:
            try:
                yield
            finally:
                self.store.release_lease(lease)

        Loop(
            self.store,
            self.store.revisions,
            self.clock,
            HOLDER,
            self.wire,
            keep,
            self.journal,
            lambda: self.clock.now() >= until,
        ).run()
        return self.journal

    def serving(self) -> int:
        return sum(1 for view in self.rehearsed.look().plan.relays if view.phase.value == "serving")


def at_rest() -> Running:
    """A loop whose fleet serves, and was submitted."""
    running = Running(serving_fleet(fleet_spec(SMALL)))
    running.submit()
    return running


# --- what it follows -------------------------------------------------------------------------------------------------


def test_without_anything_submitted_it_waits_and_touches_nothing() -> None:
    journal = Running().run(MINUTE)
    assert journal.rests == ["nothing was submitted yet; `genesis-fleet apply` does"]
    assert (journal.rounds, journal.events) == ([], [])


def test_what_is_submitted_while_it_waits_is_begun_within_a_second() -> None:
    running = Running()
    running.then(10 * SECOND, running.submit)
    journal = running.run(20 * SECOND)
    assert journal.rounds[0][0] <= BEGINNING + 10 * SECOND + 2 * ASK


def test_it_carries_out_what_was_submitted_and_then_looks_at_its_leisure() -> None:
    running = Running()
    running.submit()
    journal = running.run()
    assert running.serving() == 4
    assert journal.revisions == [(1, 1)]
    ended = [at for at, ending in journal.rounds if ending == "converged"]
    rest = FLEETS["first"].spec.controller.look_at_rest
    assert {later - earlier for earlier, later in pairwise(ended)} == {rest}


def test_another_revision_is_taken_up_within_a_second() -> None:
    running = at_rest()
    running.then(40 * SECOND, lambda: running.submit("larger"))
    journal = running.run(43 * SECOND)
    assert journal.revisions == [(1, 1), (2, 1)]
    assert journal.started("launch") == ["demo-us-east-1-03"]


def test_the_same_revision_submitted_again_gives_what_failed_another_try() -> None:
    running = at_rest()
    running.then(40 * SECOND, running.submit)
    assert running.run(MINUTE).revisions == [(1, 1), (1, 2)]


def test_a_revision_that_cannot_be_read_leaves_the_one_before_in_force() -> None:
    running = at_rest()
    running.unreadable.add("larger")
    running.then(40 * SECOND, lambda: running.submit("larger"))
    journal = running.run(3 * MINUTE)
    assert journal.troubles == [("wire", "line 1: found nothing")]
    assert journal.started("launch") == []
    assert journal.rounds[-1][0] > BEGINNING + MINUTE


def test_an_order_of_an_operator_is_heard_within_a_second() -> None:
    running = at_rest()
    asked = running.clock.now() + 10 * SECOND
    running.then(10 * SECOND, lambda: running.store.add_order(Verb.PAUSE, "ops", "lunch", running.clock.now()))
    journal = running.run(20 * SECOND)
    assert any(asked <= at <= asked + 2 * ASK for at, _ in journal.rounds)


# --- what does not end it ----------------------------------------------------------------------------------------------


def test_a_plan_that_is_refused_is_told_and_nothing_is_done_until_another_comes() -> None:
    running = at_rest()
    running.submit("dark")
    running.then(5 * MINUTE, lambda: running.submit("larger"))
    journal = running.run(6 * MINUTE)
    assert {what for what, _ in journal.troubles} == {"round"}
    assert "--confirm" in journal.troubles[0][1]
    assert journal.started("stop") == []
    assert journal.started("launch") == ["demo-us-east-1-03"]


def test_while_another_controller_has_the_lease_it_waits_and_goes_on_after() -> None:
    running = Running()
    running.submit()
    now = running.clock.now()
    running.store.acquire_lease("somebody", now, now + MINUTE, 0)
    journal = running.run(2 * MINUTE)
    assert {what for what, _ in journal.troubles} == {"lease"}
    assert journal.rounds[0][0] >= now + MINUTE


def test_a_lease_that_was_lost_is_asked_for_again() -> None:
    running = at_rest()

    def take_over() -> None:
        now = running.clock.now()
        running.store.release_lease(Lease(HOLDER, running.store.load().token, now))
        running.store.acquire_lease("somebody", now, now + MINUTE, 99)

    running.then(40 * SECOND, take_over)
    began = running.clock.now()
    journal = running.run(5 * MINUTE)
    assert "somebody holds the lease" in str(journal.troubles)
    assert journal.rounds[-1][0] > began + 3 * MINUTE


def test_a_cloud_that_does_not_answer_is_told_and_asked_again() -> None:
    running = at_rest()
    broken = running.hands.cloud.observe_cloud
    silent_until = running.clock.now() + 2 * MINUTE

    def wire(revision: Revision) -> Crew:
        crew = Running.wire(running, revision)

        def observe_cloud() -> object:
            if running.clock.now() < silent_until:
                raise CloudUnavailable("eu-central-1 does not answer")
            return broken()

        crew.eyes.cloud.observe_cloud = observe_cloud  # type: ignore[method-assign, assignment]
        return crew

    running.wire = wire  # type: ignore[method-assign]
    journal = running.run(5 * MINUTE)
    assert journal.troubles[0] == ("round", "eu-central-1 does not answer")
    assert journal.rounds[-1][1] == "converged"


def test_a_region_whose_access_cannot_be_saved_stops_no_other() -> None:
    running = Running()
    running.submit()

    def wire(revision: Revision) -> Crew:
        crew = Running.wire(running, revision)

        def save_access(region: str, *, revoke: bool) -> None:
            if region == "eu-central-1":
                raise CloudUnavailable(f"{region} does not answer")

        crew.hands.cloud.save_access = save_access  # type: ignore[method-assign]
        return crew

    running.wire = wire  # type: ignore[method-assign]
    journal = running.run()
    assert journal.troubles == [("eu-central-1", "eu-central-1 does not answer")]
    assert running.serving() == 4


# --- how it ends -------------------------------------------------------------------------------------------------------


def test_asked_to_end_it_starts_nothing_more_and_gives_the_lease_back() -> None:
    running = Running()
    running.submit()
    ended_at = running.clock.now() + 10 * SECOND
    journal = running.run(10 * SECOND)
    begun = [event.relay for event in journal.events if event.outcome == "started"]
    assert sorted(begun) == sorted(event.relay for event in journal.events if event.outcome == "done")
    assert running.clock.now() - ended_at < 10 * SECOND
    assert running.store.acquire_lease("next", running.clock.now(), running.clock.now() + MINUTE, 0).holder == "next"


def test_a_fleet_of_another_store_ends_it() -> None:
    running = at_rest()
    world = running.rehearsed.world
    for host in world.hosts.values():
        host.instance = replace(host.instance, store_id="another")
    with pytest.raises(NotOurStore):
        running.run(MINUTE)
