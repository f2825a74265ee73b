"""What a controller that runs by itself tells: a line of JSON a decision and an outcome, and the same in the store.

Lines go to stdout, where the system's journal takes them. What is kept in the store is for an `apply` that follows.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping

from orchestrator.cli.live import hold_kind
from orchestrator.cli.present import hold_lines, status_json, summary_line
from orchestrator.errors import FleetError, PlanRefused, StoreRefused
from orchestrator.execution.cycle import Round
from orchestrator.execution.execute import Event
from orchestrator.execution.loop import REFUSED
from orchestrator.execution.ports import ClockPort
from orchestrator.execution.ports_revisions import RevisionsPort
from orchestrator.fleet.observation import InFlight
from orchestrator.fleet.record import Lease
from orchestrator.fleet.revision import Revision, Told

KEPT_EVENTS = 100
"""Lines that an `apply` which follows may miss between two questions, at most."""

LEVELS = {"failed": "warning", "lost": "warning"}


class StoreJournal:
    """A Journal. Safe to use from the effects' threads."""

    def __init__(self, revisions: RevisionsPort, clock: ClockPort, holder: str, write: Callable[[str], None]) -> None:
        self._revisions = revisions
        self._clock = clock
        self._holder = holder
        self._write = write
        self._lock = threading.Lock()
        self._events: deque[tuple[int, str]] = deque(maxlen=KEPT_EVENTS)
        self._number = 0
        self._revision = (0, 0)
        self._round: Round | None = None
        self._held: frozenset[str] = frozenset()
        self._summary = ""
        self._trouble = ""

    def show_event(self, event: Event) -> None:
        """Tell of one relay: a decision where it started, its outcome where it ended."""
        key = "reason" if event.outcome == "started" else "text"
        with self._lock:
            self._number += 1
            self._events.append((self._number, f"{event.relay}: {event.intent} {event.outcome}: {event.text}"))
        self._tell(
            event.outcome,
            LEVELS.get(event.outcome, "info"),
            relay=event.relay,
            intent=event.intent,
            **{key: event.text},
        )

    def show_round(self, found: Round, in_flight: Mapping[str, InFlight], ending: str) -> None:
        """Tell what is new of a round: who waits now, what became of the rollout, the whole in one line."""
        waits = {hold_kind(hold): hold for hold in found.plan.holds if hold.relay not in in_flight}
        for kind in sorted(waits.keys() - self._held):
            hold = waits[kind]
            self._tell("held", relay=hold.relay, intent=hold.wanted, reason=hold.because)
        for event in found.plan.rollout.events if found.plan.rollout is not None else ():
            self._tell("rollout", version=event.version, what=event.what, reason=event.text, user=event.user)
        summary = summary_line(found.plan)
        if summary != self._summary:
            self._tell("summary", text=summary)
        self._held, self._summary, self._trouble, self._round = frozenset(waits), summary, "", found
        self._keep(ending)

    def show_revision(self, revision: Revision, lease: Lease) -> None:
        """Tell that another revision is followed from now on."""
        self._revision, self._round = (revision.number, revision.afresh), None
        self._tell("revision", user=revision.user, token=lease.token)
        self._keep("")

    def show_trouble(self, what: str, trouble: FleetError) -> None:
        """Tell what stands in the way; once, as long as it is the same."""
        if trouble.message == self._trouble:
            return
        self._trouble = trouble.message
        self._tell("trouble", "error", what=what, text=trouble.message, next_step=trouble.next_step)
        if isinstance(trouble, PlanRefused):
            self._keep(REFUSED, (f"✗ refused: {trouble.message}",))

    def show_rest(self, why: str) -> None:
        """Tell that there is nothing to follow yet, or that the controller ends."""
        self._tell("rest", text=why)

    def _tell(self, event: str, level: str = "info", **more: object) -> None:
        line = {
            "at": self._clock.now().isoformat(),
            "level": level,
            "event": event,
            "revision": self._revision[0],
            **more,
        }
        with self._lock:
            self._write(json.dumps(line, ensure_ascii=False))

    def _keep(self, ending: str, refusals: tuple[str, ...] = ()) -> None:
        """Keep the last round for whoever follows, with what has become of the revision."""
        plan = self._round.plan if self._round is not None else None
        document = {
            "status": status_json(plan) if plan is not None else {},
            "summary": summary_line(plan) if plan is not None else "",
            "holds": hold_lines(plan.holds) if plan is not None else [],
            "refusals": list(refusals),
        }
        with self._lock:
            text = json.dumps({**document, "events": list(self._events)})
        try:
            self._revisions.tell(Told(self._holder, *self._revision, self._clock.now(), ending, text))
        except StoreRefused as trouble:  # nobody can follow meanwhile; the rounds themselves tell what is wrong
            self._tell("trouble", "error", what="store", text=trouble.message)
