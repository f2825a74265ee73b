"""`apply` beside a controller that runs by itself: what that one tells in the store, shown until it has carried it out."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import click
from rich.console import Console

from orchestrator.adapters.store import Store
from orchestrator.errors import FleetError
from orchestrator.execution.cycle import Ending
from orchestrator.execution.loop import REFUSED
from orchestrator.execution.ports import ClockPort
from orchestrator.fleet.revision import Revision, Told

ASK = timedelta(seconds=0.5)

EXIT_CODES = {Ending.CONVERGED.value: 0, Ending.HELD.value: 2, REFUSED: 5}


def find_runner(store: Store, clock: ClockPort) -> str | None:
    """Return the holder of the lease if it is a controller that runs by itself, and so follows what is submitted."""
    lease, told = store.find_lease(clock.now()), store.revisions.told()
    return lease.holder if lease is not None and told is not None and told.holder == lease.holder else None


def follow_runner(
    store: Store, clock: ClockPort, revision: Revision, runner: str, console: Console, *, as_json: bool
) -> int:
    """Show what becomes of a submitted revision until that ends. Raises FleetError if its controller goes away."""
    console.print(f"revision {revision.number} is with {runner}", markup=False, highlight=False, soft_wrap=True)
    told = _watch(store, clock, revision, runner, console)
    document = json.loads(told.document)
    if as_json:
        click.echo(json.dumps({**document["status"], "ending": told.ending}))
    for line in () if as_json else (*document["refusals"], *document["holds"]):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{told.ending}: {document['summary']}", markup=False, highlight=False, soft_wrap=True)
    return EXIT_CODES[told.ending]


def _watch(store: Store, clock: ClockPort, revision: Revision, runner: str, console: Console) -> Told:
    """Print events and summaries as they come; return what was told when the revision was carried out, held or refused."""
    printed, summary = _newest_event(store.revisions.told()), ""
    while True:
        told = store.revisions.told()
        if told is not None and told.holder == runner:
            document = json.loads(told.document)
            for number, line in document["events"]:
                if number > printed:
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
                    printed = number
            if _is_about(told, revision):
                if document["summary"] != summary:
                    summary = document["summary"]
                    console.print(f"= {summary}", markup=False, highlight=False, soft_wrap=True)
                if told.ending:
                    return told
        lease = store.find_lease(clock.now())
        if lease is None or lease.holder != runner:
            raise FleetError(
                f"{runner} ended before revision {revision.number} was carried out",
                next_step="the next `genesis-fleet run` or `apply` goes on with it",
            )
        clock.wait(ASK.total_seconds(), until=lambda: False)


def _newest_event(told: Told | None) -> int:
    events: list[Any] = json.loads(told.document)["events"] if told is not None else []
    return max((number for number, _ in events), default=0)


def _is_about(told: Told, revision: Revision) -> bool:
    return (told.revision, told.afresh) >= (revision.number, revision.afresh)
