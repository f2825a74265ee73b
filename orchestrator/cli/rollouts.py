"""The commands of `rollout`: how far it is, what became of those before, and an operator's word to it.

An order is a line in the store: it needs no lease, no host and no lab, and works while another controller hangs.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import click
from rich.console import Console, RenderableType
from rich.live import Live

from orchestrator.adapters.clock import WallClock
from orchestrator.adapters.store import Store
from orchestrator.cli.applying import ask
from orchestrator.cli.looking import (
    WATCH_SECONDS,
    as_json,
    complete_relays,
    data_console,
    look,
    look_quietly,
    warn_if_not_ours,
)
from orchestrator.cli.rollout_orders import PROMISES, require_sensible, tell_after, tell_when, why_needless
from orchestrator.cli.rollout_past import history_json, history_table, merge_history
from orchestrator.cli.rollout_text import NO_ROLLOUT_KNOWN, order_json, pending_orders, rollout_json, tell_unseen
from orchestrator.cli.rollout_tree import rollout_tree
from orchestrator.cli.wiring import open_store_alone, wire_controller
from orchestrator.execution.cycle import Round
from orchestrator.fleet.relay import wanted_relays
from orchestrator.fleet.rollout import RolloutState, Verb
from orchestrator.planning.rollout_view import RolloutView

UNDONE = 2
"""A watch that ends with a rollout that was rolled back."""


@click.group(
    "rollout",
    short_help="Follow a rollout; pause, resume, halt, undo it.",
    epilog="Example: genesis-fleet rollout status --watch",
)
def rollout_group() -> None:
    """Show how far a rollout is and what became of those before, and say how it is to go on.

    `pause`, `resume`, `halt`, `rollback` and `retry` are kept in the store with who and why. Whoever is at work honours them before
    the next thing that takes a relay out, and if nobody is, the next `apply` does.
    """


@rollout_group.command(
    "status", short_help="Show waves and relays as one tree.", epilog="Example: genesis-fleet rollout status --watch"
)
@click.option("--watch", is_flag=True, help="Look again until it is complete or rolled back, or until interrupted.")
@as_json
@click.pass_obj
def status_command(fleet: Path, watch: bool, as_json: bool) -> int:
    """Show the rollout as one tree: its state, time left and how many are out; each wave; each relay, how far it is and why.

    It looks as `status` does, and needs no lease: another controller may be at work meanwhile.

    Exit code: 0; with --watch 0 if it is complete in the end, 2 if it was rolled back; 1 error.
    """
    console = Console(stderr=True)
    controller = wire_controller(fleet)
    found = look(controller, console)
    warn_if_not_ours(found, console)
    with page(as_json=as_json, watch=watch) as shown:
        while True:
            shown.show(found)
            if not watch or is_over(found):
                return UNDONE if watch and state_of(found) == RolloutState.ROLLED_BACK else 0
            controller.hands.clock.wait(WATCH_SECONDS, until=lambda: False)
            found = look_quietly(controller)


def state_of(found: Round) -> str | None:
    """Return the state of the rollout that a look saw, else of the one on record; None if there never was one."""
    if found.plan.rollout is not None:
        return found.plan.rollout.state
    current = found.look.record.rollout.current
    return current.state if current is not None else None


def is_over(found: Round) -> bool:
    """Tell whether nothing is left to watch: it is complete or rolled back, or there is none."""
    return state_of(found) in (None, RolloutState.COMPLETE, RolloutState.ROLLED_BACK)


def status_json(found: Round) -> dict[str, Any]:
    """Return what `rollout status --json` prints."""
    return {
        "rollout": rollout_json(found.plan.rollout),
        "state": state_of(found),
        "pending": [order_json(order) for order in pending_orders(found.look.record)],
    }


def draw(found: Round, most_rows: int | None = None) -> RenderableType:
    """Return the tree, or why there is none."""
    view: RolloutView | None = found.plan.rollout
    if view is None:
        return tell_unseen(found.look.record.rollout)
    return rollout_tree(view, pending_orders(found.look.record), most_rows=most_rows)


class _Page(Protocol):
    def show(self, found: Round) -> None:
        """Show one look."""


class _Lines:
    """Prints a look below the last one; without a word where nothing has changed."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._last: object = None

    def show(self, found: Round) -> None:
        if self._as_json:
            click.echo(json.dumps(status_json(found)))
            return
        output = data_console()
        with output.capture() as drawn:
            output.print(draw(found), markup=False, highlight=False)
        if drawn.get() != self._last:
            click.echo(drawn.get(), nl=False)
        self._last = drawn.get()


class _Screen:
    """Draws a look in the place of the last one."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, found: Round) -> None:
        self._live.update(draw(found, self._live.console.height - 1), refresh=True)


@contextmanager
def page(*, as_json: bool, watch: bool) -> Iterator[_Page]:
    """Return where looks are shown: drawn in one place on a terminal that is watched, else one below the other."""
    console = data_console()
    if as_json or not watch or not console.is_terminal:
        yield _Lines(as_json=as_json)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield _Screen(live)


@rollout_group.command(
    "history", short_help="Show what became of rollouts.", epilog="Example: genesis-fleet rollout history --limit 50"
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Show so many, the newest ones."
)
@as_json
@click.pass_obj
def history_command(fleet: Path, limit: int, as_json: bool) -> int:
    """Show what became of rollouts and what operators asked of them, oldest first. Reads the store alone."""
    _, store = open_store_alone(fleet)
    entries = merge_history(store.load_events(limit), store.load().orders, limit)
    if as_json:
        click.echo(json.dumps(history_json(entries)))
    elif not entries:
        click.echo(NO_ROLLOUT_KNOWN, err=True)
    else:
        output = data_console()
        output.print(history_table(entries, output.width))
    return 0


reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why: it is kept beside the order.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@rollout_group.command(
    "pause",
    short_help="Update nobody further for now.",
    epilog="Example: genesis-fleet rollout pause --reason 'partners upgrade now'",
)
@reason_option
@click.pass_obj
def pause_command(fleet: Path, reason: str) -> int:
    """Update nobody further until `rollout resume`; relays under way finish."""
    return order(fleet, Verb.PAUSE, reason)


@rollout_group.command(
    "resume",
    short_help="Go on after a pause or a halt.",
    epilog="Example: genesis-fleet rollout resume --reason 'the canary is fine'",
)
@reason_option
@click.pass_obj
def resume_command(fleet: Path, reason: str) -> int:
    """Go on after a pause or a halt, or with what was rolled back. What failed is tried again; what could not be measured of
    relays that bake is accepted.
    """
    return order(fleet, Verb.RESUME, reason)


@rollout_group.command(
    "halt",
    short_help="Update nobody further until somebody rules.",
    epilog="Example: genesis-fleet rollout halt --reason 'node crashes at epoch start'",
)
@reason_option
@yes_option
@click.pass_obj
def halt_command(fleet: Path, reason: str, yes: bool) -> int:
    """Stop: relays under way finish, updated ones stay as they are. Only `resume`, `rollback` or another wish goes on."""
    return order(fleet, Verb.HALT, reason, question=None if yes else "Halt the rollout?")


@rollout_group.command(
    "rollback",
    short_help="Take updated relays back.",
    epilog="Example: genesis-fleet rollout rollback --reason 'peers drop us'",
)
@reason_option
@yes_option
@click.pass_obj
def rollback_command(fleet: Path, reason: str, yes: bool) -> int:
    """Take the updated relays back to what the fleet had proven before, within the same budget; also after it was complete."""
    return order(fleet, Verb.ROLLBACK, reason, question=None if yes else "Take the updated relays back?")


@rollout_group.command(
    "retry",
    short_help="Try again on a relay what failed there.",
    epilog="Example: genesis-fleet rollout retry demo-eu-central-1-01 --reason 'disk was full, is not now'",
)
@click.argument("relay", shell_complete=lambda context, _parameter, text: complete_relays(context, text))
@reason_option
@click.pass_obj
def retry_command(fleet: Path, relay: str, reason: str) -> int:
    """Try again on RELAY what failed there; what failed on it so far is forgotten."""
    return order(fleet, Verb.RETRY, reason, relay)


def order(fleet: Path, verb: Verb, reason: str, relay: str = "", question: str | None = None) -> int:
    """Keep an order in the store, and say what follows from it and when."""
    require_reason(reason)
    spec, store = open_store_alone(fleet)
    record = store.load()
    if (needless := why_needless(record, verb)) is not None:
        click.echo(f"{needless}; nothing was asked", err=True)
        return 0
    require_sensible(record, verb, relay, [wanted.name for wanted in wanted_relays(spec)])
    if question is not None:
        ask(question)
    keep_order(store, verb, reason, relay, (PROMISES[verb], tell_after(record, verb)))
    return 0


def require_reason(reason: str) -> None:
    """Raise a usage error for a reason that says nothing."""
    if not reason.strip():
        raise click.BadParameter("say why, in a few words", param_hint="--reason")


def keep_order(store: Store, verb: Verb, reason: str, relay: str, tells: Sequence[str | None]) -> None:
    """Append an order, and tell what follows from it, and when it is taken up."""
    clock = WallClock()
    kept = store.add_order(verb, getpass.getuser(), reason.strip(), clock.now(), relay)
    click.echo(f"order {kept.number}, by {kept.user}: {verb.value}{f' {relay}' if relay else ''}", err=True)
    for line in (*tells, tell_when(store.find_lease(clock.now()))):
        if line is not None:
            click.echo(f"  {line}", err=True)
