"""`run`: the controller that runs by itself, until somebody ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from orchestrator.adapters.background import BackgroundThreads
from orchestrator.adapters.clock import WallClock
from orchestrator.adapters.lease import keep_lease
from orchestrator.cli.journal import StoreJournal
from orchestrator.cli.wiring import name_holder, open_store_alone, wire_fleet
from orchestrator.execution.loop import Crew, Loop
from orchestrator.fleet.revision import Revision
from orchestrator.spec.load import load_submitted


@click.command(
    "run", short_help="Be the controller, until ended.", epilog="Example: genesis-fleet run | jq -r '.event, .text'"
)
@click.pass_obj
def run_command(fleet: Path) -> int:
    """Look, plan and act for ever: every so often, and at once when an operator asks for something.

    What is followed is the revision that `apply` submitted last, not the fleet file: that is read once, for where its store
    is. SIGTERM or Ctrl-C ends it between two effects, once what was started has ended; a second one cancels that.
    One line of JSON is written a decision and an outcome.

    Exit code: 0 ended on request, 1 error, 4 the fleet belongs to another store.
    """
    _, store = open_store_alone(fleet)
    ending, cancelling = threading.Event(), threading.Event()
    clock, background, holder = WallClock(), BackgroundThreads(), name_holder()
    journal = StoreJournal(store.revisions, clock, holder, click.echo)

    def wire(revision: Revision) -> Crew:
        loaded = load_submitted(revision.draft.content.encode(), revision.draft.files, fleet)
        controller = wire_fleet(loaded, cancelling.is_set, background)
        return Crew(controller.wanted, controller.eyes, controller.hands, controller.authorized_key)

    with _ending(ending, cancelling):
        Loop(
            store,
            store.revisions,
            clock,
            holder,
            wire,
            lambda lease, length: keep_lease(store, clock, lease, length),
            journal,
            ending.is_set,
        ).run()
    journal.show_rest("ended on request")
    return 0


@contextmanager
def _ending(ending: threading.Event, cancelling: threading.Event) -> Iterator[None]:
    """The first signal asks for the end, the second one also cancels what runs."""

    def note(_number: int, _frame: FrameType | None) -> None:
        (cancelling if ending.is_set() else ending).set()

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
