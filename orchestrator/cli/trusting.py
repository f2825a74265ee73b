"""Commands about trust: who stands how to the chain, and the operator's word where machines cannot tell."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from orchestrator.cli.applying import ask
from orchestrator.cli.looking import as_json, data_console, look, warn_if_not_ours
from orchestrator.cli.tables import Column, fit_table
from orchestrator.cli.trust_text import quarantine_lines, quarantines_json, side_lines, sides_json
from orchestrator.cli.wiring import wire_controller
from orchestrator.errors import FleetError, PlanRefused
from orchestrator.execution.cycle import Round
from orchestrator.fleet.chain import parse_point
from orchestrator.fleet.record import Pin
from orchestrator.planning.pinning import list_newly_quarantined, why_pin_refused


@click.group(
    "trust",
    short_help="Show who is on which chain; rule where the chain is split.",
    epilog="Example: genesis-fleet trust show",
)
def trust_group() -> None:
    """Show how relays and partners stand to the chain, and say which chain is right where they part."""


@trust_group.command("show", epilog="Example: genesis-fleet trust show --json | jq .quarantines")
@as_json
@click.pass_obj
def show_command(fleet: Path, as_json: bool) -> int:
    """Show each relay's and partner's standing, the agreed tip, the pin, quarantines, and where the chain is split a point
    of each side that the others lack: what `trust pin` takes. With --json, also all points that are asked about.

    Exit code: 0, also if relays are quarantined; 1 error.
    """
    console = Console(stderr=True)
    found = look(wire_controller(fleet), console)
    warn_if_not_ours(found, console)
    if as_json:
        click.echo(json.dumps(trust_json(found)))
        return 0
    show_trust(found)
    return 0


def trust_json(found: Round) -> dict[str, Any]:
    """Return what `trust show --json` prints."""
    plan, evidence, pin = found.plan, found.plan.evidence, found.look.record.pin
    return {
        "relays": {
            v.name: {"release": v.release, "chain": v.chain, "phase": v.phase.value, "published": v.published}
            for v in plan.relays
        },
        "partners": dict(plan.partners),
        "agreed_tip": str(plan.agreed_tip) if plan.agreed_tip is not None else None,
        "pin": None
        if pin is None
        else {"point": str(pin.point), "user": pin.user, "reason": pin.reason, "at": pin.at.isoformat()},
        "quarantines": quarantines_json(plan),
        "sides": sides_json(plan),
        "points": [{"point": str(p.point), "block": p.block, "shown_by": sorted(p.shown_by)} for p in evidence.points],
        "warnings": list(plan.warnings),
    }


def show_trust(found: Round) -> None:
    """Print it for people."""
    plan, pin, output = found.plan, found.look.record.pin, data_console()
    names = [*(view.name for view in plan.relays), *plan.partners]
    columns = [
        Column("name", names),
        Column("release", [*(v.release or "–" for v in plan.relays), *("partner" for _ in plan.partners)], goes=1),
        Column("published", [*("yes" if v.published else "no" for v in plan.relays), *("–" for _ in plan.partners)]),
        Column("chain", [*(v.chain or "–" for v in plan.relays), *plan.partners.values()]),
    ]
    output.print(fit_table(columns, output.width, one_line=False))
    tip = plan.agreed_tip
    lines = [f"agreed tip: {tip if tip is not None else 'none'}"]
    if pin is not None:
        lines.append(f"pinned by {pin.user} at {pin.at:%Y-%m-%d %H:%M} UTC: {pin.point} ({pin.reason})")
    for line in (*lines, *quarantine_lines(plan), *side_lines(plan)):
        output.print(line, markup=False, highlight=False, soft_wrap=True)
    for warning in plan.warnings:
        output.print(f"! {warning}", markup=False, highlight=False, style="yellow", soft_wrap=True)


@trust_group.command(
    "pin",
    short_help="Say that the chain with this point is the right one.",
    epilog="Example: genesis-fleet trust pin 173124000.0e…4f --reason 'release notes of 10.5.3'",
)
@click.argument("point", metavar="SLOT.HASH")
@click.option("--reason", required=True, help="Why: it is kept beside the pin.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--confirm", multiple=True, metavar="NAME", help="Allow to quarantine more at once than may be out: quarantine:N."
)
@click.pass_obj
def pin_command(fleet: Path, point: str, reason: str, yes: bool, confirm: tuple[str, ...]) -> int:
    """Say that the chain with this point is the right one: relays past it without it are quarantined in the next look.

    It needs no lease: the controller at work honours it before its next effect. First it is shown whom that would put in
    quarantine; more relays than rollout.max_unavailable need --confirm, which --yes does not replace. `trust unpin` takes it back.

    Exit code: 0 pinned, 1 error, 5 refused without --confirm.
    """
    try:
        pinned = parse_point(point)
    except ValueError as error:
        raise FleetError(
            str(error), next_step="see the points of both sides with `genesis-fleet trust show`"
        ) from error
    console = Console(stderr=True)
    controller = wire_controller(fleet)
    pin = Pin(pinned, getpass.getuser(), reason, controller.hands.clock.now())
    found = look(controller, console, pin=pin)
    warn_if_not_ours(found, console)
    victims = sorted(found.plan.evidence.quarantines)
    click.echo(f"with {pinned.short} pinned, in quarantine: {', '.join(victims) or 'nobody'}", err=True)
    for warning in found.plan.warnings:
        click.echo(f"! {warning}", err=True)
    require_confirmed(found, controller.spec.most_out(), confirm)
    if not yes:
        ask("Pin it?")
    controller.store.save_pin(pin)
    click.echo(f"pinned {pinned}; `genesis-fleet apply` acts on it, or the controller at work does", err=True)
    return 0


def require_confirmed(found: Round, limit: int, confirmed: tuple[str, ...]) -> None:
    """Raise PlanRefused if a pin, seen as if it held already, takes too many relays out without a word that says so."""
    newly = list_newly_quarantined(found.plan, found.look.record.evidence.quarantines)
    refused = why_pin_refused(newly, limit, confirmed)
    if refused is not None:
        raise PlanRefused(
            refused,
            next_step="see with `genesis-fleet trust show` which side the point is on, or give that confirmation",
        )


@trust_group.command("unpin", epilog="Example: genesis-fleet trust unpin")
@click.pass_obj
def unpin_command(fleet: Path) -> int:
    """Take the operator's word back: relays and partners decide again by quorum."""
    controller = wire_controller(fleet)
    pin = controller.store.load().pin
    controller.store.save_pin(None)
    click.echo(f"no longer pinned: {pin.point}" if pin is not None else "nothing was pinned", err=True)
    return 0
