"""The controller that runs by itself: rounds without end, for the revision that `apply` last submitted.

Nothing that can go wrong outside ends it: what a cloud, a host or the store refuses is told, and tried again after a rest.
It ends when it is asked to, between two effects, and when the fleet turns out to belong to another store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from orchestrator.errors import FleetError, LeaseHeld, NotOurStore, PlanRefused
from orchestrator.execution.cycle import Ending, Round, acquire, newest_heard, require_ours, rest_after, run_round
from orchestrator.execution.execute import Event, Executor, Hands
from orchestrator.execution.observe import Eyes, observe_fleet
from orchestrator.execution.ports import ClockPort, StorePort
from orchestrator.execution.ports_revisions import RevisionsPort
from orchestrator.fleet.observation import InFlight
from orchestrator.fleet.record import Lease
from orchestrator.fleet.revision import Revision
from orchestrator.planning.look import Wanted

ASK = timedelta(seconds=1)
"""How often a loop that rests asks the store whether somebody wants something."""

REFUSED = "refused"

KeepLease = Callable[[Lease, timedelta], AbstractContextManager[None]]
"""Keep a lease of some length until the block ends, then give it back."""


@dataclass(frozen=True, slots=True)
class Crew:
    """What one revision is carried out with."""

    wanted: Wanted
    eyes: Eyes
    hands: Hands
    authorized_key: str


class Journal(Protocol):
    """Where a loop tells what it decides and what comes of it."""

    def show_event(self, event: Event) -> None:
        """Tell of one relay: something started, ended, failed. Called from the effects' threads, too."""

    def show_round(self, found: Round, in_flight: Mapping[str, InFlight], ending: str) -> None:
        """Tell what a round found; `ending` as in `Told`."""

    def show_revision(self, revision: Revision, lease: Lease) -> None:
        """Tell that another revision is followed from now on."""

    def show_trouble(self, what: str, trouble: FleetError) -> None:
        """Tell what stands in the way: of `wire`, `lease` or `round`."""

    def show_rest(self, why: str) -> None:
        """Tell that there is nothing to follow yet, or nothing any more."""


class Loop:
    """One controller. `wire` makes the crew of a revision; `ends` says that it is time to end."""

    def __init__(
        self,
        store: StorePort,
        revisions: RevisionsPort,
        clock: ClockPort,
        holder: str,
        wire: Callable[[Revision], Crew],
        keep_lease: KeepLease,
        journal: Journal,
        ends: Callable[[], bool],
    ) -> None:
        self._store = store
        self._revisions = revisions
        self._clock = clock
        self._holder = holder
        self._wire = wire
        self._keep_lease = keep_lease
        self._journal = journal
        self._ends = ends

    def run(self) -> None:
        """Run until it is time to end. Raises NotOurStore, and whatever is a defect of ours."""
        while not self._ends():
            revision = self._next_revision()
            if revision is None:
                self._journal.show_rest("nothing was submitted yet; `genesis-fleet apply` does")
                self._wait_for_revision((0, 0))
                continue
            try:
                crew = self._wire(revision)
            except FleetError as trouble:
                self._journal.show_trouble("wire", trouble)
                self._wait_for_revision((revision.number, revision.afresh))
                continue
            self._follow(revision, crew)

    def _next_revision(self) -> Revision | None:
        try:
            return self._revisions.newest()
        except FleetError as trouble:
            self._journal.show_trouble("store", trouble)
            return None

    def _follow(self, revision: Revision, crew: Crew) -> None:
        """Take the lease and run rounds until it is lost or it is time to end."""
        controller = crew.wanted.spec.controller
        try:
            record = self._store.load()
            seen = observe_fleet(crew.eyes, crew.wanted.spec, record, {})
            require_ours(seen, record)
            lease = acquire(crew.hands, self._holder, seen, crew.wanted)
            with self._keep_lease(lease, controller.lease), crew.hands.background.finish():
                self._run_rounds(revision, crew, lease)
        except NotOurStore:
            raise
        except LeaseHeld as trouble:
            self._journal.show_trouble("lease", trouble)
            self._clock.wait(controller.look_every.total_seconds(), until=self._ends)
        except FleetError as trouble:
            self._journal.show_trouble("round", trouble)
            self._clock.wait(controller.look_at_rest.total_seconds(), until=self._ends)

    def _run_rounds(self, revision: Revision, crew: Crew, lease: Lease) -> None:
        executor = Executor(crew.hands, crew.wanted, lease, crew.authorized_key, self._journal.show_event)
        self._begin(revision, crew, lease)
        while not self._ends():
            if self._revisions.newest_try() != (revision.number, revision.afresh):
                revision, crew = self._take_up(revision, crew, executor)
                self._begin(revision, crew, lease)
            began, ended = self._clock.now(), executor.ended()
            ending, heard = self._run_round(crew, lease, executor)
            controller = crew.wanted.spec.controller
            took = self._clock.now() - began
            pause = rest_after(took, controller.look_every if ending is None else controller.look_at_rest)
            self._rest(pause, revision, heard, lambda ended=ended: executor.ended() != ended)  # type: ignore[misc]

    def _take_up(self, revision: Revision, crew: Crew, executor: Executor) -> tuple[Revision, Crew]:
        """Return what is to be followed now. What cannot be wired is told, and the one before stays in force."""
        newest = self._revisions.newest()
        if newest is None or newest.number == revision.number:
            return newest or revision, crew
        try:
            crew = self._wire(newest)
        except FleetError as trouble:
            self._journal.show_trouble("wire", trouble)
        else:
            executor.take_up(crew.hands, crew.wanted)
        return newest, crew

    def _begin(self, revision: Revision, crew: Crew, lease: Lease) -> None:
        """Do what an operator's apply does first: what had failed gets another try, who is let in anew is let in."""
        self._journal.show_revision(revision, lease)
        self._store.delete_all_attempts()
        for region in crew.wanted.spec.regions:
            self._save_access(crew, region, revoke=False)

    def _run_round(self, crew: Crew, lease: Lease, executor: Executor) -> tuple[Ending | str | None, int]:
        """Run one round; return its ending, and the newest order that it heard."""
        try:
            found, ending = run_round(crew.eyes, crew.hands, crew.wanted, lease, executor)
        except (LeaseHeld, NotOurStore):
            raise
        except FleetError as trouble:
            self._journal.show_trouble("round", trouble)
            return (REFUSED if isinstance(trouble, PlanRefused) else None), self._store.newest_order()
        if ending is Ending.CONVERGED:
            for region in crew.wanted.spec.regions:
                if region in found.look.seen.cloud.other_access:
                    self._save_access(crew, region, revoke=True)
        self._journal.show_round(found, executor.in_flight(), ending.value if ending is not None else "")
        return ending, newest_heard(found)

    def _save_access(self, crew: Crew, region: str, *, revoke: bool) -> None:
        """Let in, or shut out; a region that cannot be asked stops no other."""
        try:
            crew.hands.cloud.save_access(region, revoke=revoke)
        except LeaseHeld:
            raise
        except FleetError as trouble:
            self._journal.show_trouble(region, trouble)

    def _rest(self, pause: timedelta, revision: Revision, heard: int, something_ended: Callable[[], bool]) -> None:
        """Wait, but for as long as nothing happens: no effect ends, no operator asks for anything."""
        until = self._clock.now() + pause
        while (left := until - self._clock.now()) > timedelta(0):
            self._clock.wait(min(left, ASK).total_seconds(), until=lambda: self._ends() or something_ended())
            if self._ends() or something_ended() or self._is_asked(revision, heard):
                return

    def _is_asked(self, revision: Revision, heard: int) -> bool:
        newest = self._revisions.newest_try()
        return newest != (revision.number, revision.afresh) or self._store.newest_order() > heard

    def _wait_for_revision(self, but: tuple[int, int]) -> None:
        """Wait until another one than this is the newest, or it is time to end."""
        while not self._ends() and self._newest_try(but) == but:
            self._clock.wait(ASK.total_seconds(), until=self._ends)

    def _newest_try(self, otherwise: tuple[int, int]) -> tuple[int, int]:
        try:
            return self._revisions.newest_try()
        except FleetError:
            return otherwise
