"""Commands that change things: apply, and adopt for a fleet whose store was lost."""

from __future__ import annotations

import getpass
import json
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from orchestrator.adapters.lease import keep_lease
from orchestrator.cli.following import find_runner, follow_runner
from orchestrator.cli.live import LiveView
from orchestrator.cli.looking import as_json, look, show_status, warn_if_not_ours
from orchestrator.cli.present import hold_lines, plan_text, status_json, summary_line
from orchestrator.cli.rehearsing import rehearse_apply
from orchestrator.cli.wiring import Controller, wire_controller
from orchestrator.errors import FleetError
from orchestrator.execution.adopt import adopt_fleet
from orchestrator.execution.cycle import (
    Ending,
    Round,
    acquire,
    has_rollout_news,
    look_and_plan,
    require_ours,
    require_safe,
    run_until_settled,
    why_not_ours,
)
from orchestrator.execution.execute import Executor
from orchestrator.execution.ports import CloudPort
from orchestrator.fleet.revision import Draft, Revision

HOLDS_REMAIN = 2


@click.command("apply", short_help="Show the plan, ask, and carry it out.", epilog="Example: genesis-fleet apply --yes")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--confirm", multiple=True, metavar="NAME", help="Allow what a plan may not do unasked; may be repeated.")
@click.option("--simulate", is_flag=True, help="Play it in a simulated world; touches nothing.")
@as_json
@click.pass_obj
def apply_command(fleet: Path, yes: bool, confirm: tuple[str, ...], simulate: bool, as_json: bool) -> int:
    """Show the plan, ask, and carry it out until the fleet has converged or only holds remain.

    Where `genesis-fleet run` is at work, it is handed over to that one, and followed until the same.

    Exit code: 0 converged, 2 holds remain, 1 error, 3 another controller is at work, 5 the plan was refused.
    """
    console = Console(stderr=True)
    if simulate:
        return rehearse_apply(fleet, console, as_json=as_json)
    stop = threading.Event()
    controller = wire_controller(fleet, stop.is_set)
    found = look(controller, console, frozenset(confirm), afresh=True)
    require_ours(found.look.seen, found.look.record)
    # With --json only the end is data; what is being asked about must be seen all the same.
    click.echo(plan_text(found), err=as_json)
    require_safe(found)
    waits = any(hold.passes for hold in found.plan.holds)
    idle = found.plan.nothing_to_do and not found.look.seen.cloud.other_access and not waits and not confirm
    if idle and not has_rollout_news(found):
        show_status(found, as_json=as_json)
        return HOLDS_REMAIN if found.plan.holds else 0
    if not yes and not idle:
        ask("Apply?")
    store, clock = controller.store, controller.hands.clock
    if (runner := find_runner(store, clock)) is not None:
        return follow_runner(store, clock, submit(controller, frozenset(confirm)), runner, console, as_json=as_json)
    ending, last = carry_out(controller, found, frozenset(confirm), console, stop)
    if as_json:
        click.echo(json.dumps({**status_json(last.plan), "ending": ending.value}))
    else:
        show_status(last, as_json=False)
        for line in hold_lines(last.plan.holds):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{ending.value}: {summary_line(last.plan)}", markup=False, highlight=False, soft_wrap=True)
    return 0 if ending is Ending.CONVERGED else HOLDS_REMAIN


def carry_out(
    controller: Controller, found: Round, confirmed: frozenset[str], console: Console, stop: threading.Event
) -> tuple[Ending, Round]:
    """Take the lease and run rounds. Ctrl-C lets what was started end; a second one cancels it."""
    hands, store = controller.hands, controller.store
    lease = acquire(hands, controller.holder, found.look.seen, controller.wanted)
    with (
        keep_lease(store, hands.clock, lease, controller.spec.controller.lease),
        _finishing(console, stop),
        controller.background.finish(),
        LiveView(console) as view,
    ):
        submit(controller, confirmed)
        store.delete_all_attempts()
        executor = Executor(hands, controller.wanted, lease, controller.authorized_key, view.show_event)
        # Who is let in anew is let in first; who no longer is, is shut out last: see close_access.
        for region in controller.spec.regions:
            hands.cloud.save_access(region, revoke=False)
        ending, last = run_until_settled(controller.eyes, hands, controller.wanted, lease, executor, view.show_round)
        if close_access(ending, last, hands.cloud, controller.spec.regions):
            last = look_and_plan(controller.eyes, store, hands.clock, controller.wanted)
        return ending, last


def submit(controller: Controller, confirmed: frozenset[str]) -> Revision:
    """Make what was shown the fleet's revision, with what was confirmed for it: whoever runs by itself follows it."""
    fleet, store = controller.fleet, controller.store
    store.save_confirmations(confirmed)
    draft = Draft(fleet.content.decode(), fleet.list_network_files())
    return store.revisions.submit(draft, getpass.getuser(), controller.hands.clock.now())


def close_access(ending: Ending, last: Round, cloud: CloudPort, regions: Iterable[str]) -> bool:
    """Shut out whom the fleet file does not name, in the cloud as well; return whether there was anybody.

    Nothing undoes that for a controller that shuts itself out. So it waits until every host works behind its own firewall
    with these networks, which was kept only because a new connection came through.
    """
    differing = [region for region in regions if region in last.look.seen.cloud.other_access]
    if ending is not Ending.CONVERGED:
        return False
    for region in differing:
        cloud.save_access(region, revoke=True)
    return bool(differing)


@contextmanager
def _finishing(console: Console, stop: threading.Event) -> Iterator[None]:
    """The first Ctrl-C stops starting things; the second also cancels what runs (hosts finish or roll back by themselves)."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if not pressed:
            pressed.append(True)
            console.print("finishing what was started; Ctrl-C again to cancel it", markup=False, style="yellow")
            raise KeyboardInterrupt
        stop.set()

    pressed: list[bool] = []
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def ask(question: str) -> None:
    """Ask on stderr. Raises FleetError unless somebody says yes."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise FleetError(
            "nothing was changed: nobody said yes", next_step="say y, or give --yes where nobody can answer"
        )


@click.command(
    "adopt", short_help="Take over a fleet that another store launched.", epilog="Example: genesis-fleet adopt --yes"
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def adopt_command(fleet: Path, yes: bool) -> int:
    """Make this store the owner of a fleet that another store launched, for instance after that one was lost.

    The host keys come from the instances' tags, or from the fleet file where hosts are named there. Each host is told
    its new store; nothing else on it is changed until the next apply.

    Exit code: 0 adopted, or ours already; 2 some hosts could not be told; 1 error.
    """
    console = Console(stderr=True)
    controller = wire_controller(fleet)
    found = look(controller, console)
    quarrel = why_not_ours(found.look.seen, found.look.record)
    if quarrel is None:
        click.echo("this store owns every instance of the fleet already", err=True)
        return 0
    warn_if_not_ours(found, console)
    if not yes:
        ask(f"{quarrel}.\nTake them over? The other controller will then only read.")
    hands = controller.hands
    lease = acquire(hands, controller.holder, found.look.seen, controller.wanted)
    try:
        adopted = adopt_fleet(hands, found.look.seen, found.look.record, controller.spec, lease)
    finally:
        controller.store.release_lease(lease)
    for relay, why in sorted(adopted.untold.items()):
        click.echo(f"! {relay} was not told that its store is another now: {why}", err=True)
    click.echo(f"{adopted.instances} instances adopted; `genesis-fleet plan` shows what is left to do", err=True)
    if adopted.untold:
        click.echo("  → run `genesis-fleet adopt` again once those hosts answer", err=True)
    return HOLDS_REMAIN if adopted.untold else 0
