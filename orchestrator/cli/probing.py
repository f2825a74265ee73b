"""`probe`: the controller's own prober by hand, for anybody's relay."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from orchestrator.cli.looking import data_console
from orchestrator.cli.tables import Column, fit_table
from orchestrator.errors import FleetError
from orchestrator.ouroboros.client import ProbeTimeouts, run_probes
from orchestrator.ouroboros.targets import BadTarget, Target, parse_target
from orchestrator.ouroboros.verdicts import ProbeResult, SlotClock, Verdict
from orchestrator.spec.load import load_fleet
from orchestrator.spec.rules import KNOWN_MAGICS
from orchestrator.spec.slots import SLOT_ZERO_UNIX

SLOT_LENGTH_SECONDS = 1.0
"""Of every known network."""


@click.command(
    "probe",
    short_help="Ask relays for handshake, keep-alive and tip.",
    epilog="Example: genesis-fleet probe --network preview preview-node.play.dev.cardano.org:3001",
)
@click.argument("targets", nargs=-1, required=True, metavar="HOST:PORT…")
@click.option("--network", type=click.Choice(sorted(KNOWN_MAGICS)), help="A known network; else the fleet file's.")
@click.option("--magic", type=click.IntRange(0, 2**32 - 1), help="The magic of another network.")
@click.option("--count", type=click.IntRange(1, 100), default=1, show_default=True, help="Keep-alive pings a target.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 120), default=10.0, show_default=True, help="Seconds for each step."
)
@click.option(
    "--max-tip-age", type=click.FloatRange(1), default=300.0, show_default=True, help="Seconds; older is stale."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def probe_command(
    fleet: Path,
    targets: tuple[str, ...],
    network: str | None,
    magic: int | None,
    count: int,
    timeout: float,
    max_tip_age: float,
    as_json: bool,
) -> int:
    """Ask relays for handshake, keep-alive and tip, many at once.

    Exit code: 0 if every target is ok, 2 if one is stale, 1 otherwise.
    """
    try:
        parsed = [parse_target(text) for text in targets]
    except BadTarget as error:
        raise click.BadParameter(str(error)) from error
    number, clock = _network(fleet, network, magic)
    patience = timedelta(seconds=timeout)
    results = run_probes(
        parsed,
        number,
        timeouts=ProbeTimeouts(connect=patience, handshake=patience, answer=patience),
        slot_clock=clock,
        max_tip_age=timedelta(seconds=max_tip_age) if clock else None,
        pings=count,
    )
    if as_json:
        for result in results:
            click.echo(json.dumps(probe_json(result)))
    else:
        output = data_console()
        output.print(_table(results, output.width))
    return exit_code(results)


def exit_code(results: tuple[ProbeResult, ...]) -> int:
    """Return 0 if all are ok, 2 if the worst is a stale tip, else 1."""
    verdicts = {result.verdict for result in results}
    if verdicts <= {Verdict.OK}:
        return 0
    return 2 if verdicts <= {Verdict.OK, Verdict.STALE_TIP} else 1


def probe_json(result: ProbeResult) -> dict[str, Any]:
    """Return one probe for `--json`; times in seconds."""
    tip = result.tip
    return {
        "target": str(Target(result.address, result.port)),
        "verdict": result.verdict.value,
        "detail": result.detail,
        "rtt": _mean_rtt(result),
        "connect_rtt": result.connect_rtt_seconds,
        "handshake_rtt": result.handshake_rtt_seconds,
        "keepalive_rtts": list(result.keepalive_rtts_seconds),
        "version": result.negotiated_version,
        "magic": result.magic,
        "tip_slot": tip.slot if tip else None,
        "tip_block": tip.block if tip else None,
        "tip_hash": tip.hash.hex() if tip and tip.hash else None,
        "tip_age": result.tip_age_seconds,
        "round_trips": result.round_trips,
    }


def _network(fleet: Path, network: str | None, magic: int | None) -> tuple[int, SlotClock | None]:
    """Return the magic and, where it is known, when slots happen."""
    if network is not None and magic is not None:
        raise click.UsageError("give either --network or --magic")
    if magic is not None:
        network = next((name for name, known in KNOWN_MAGICS.items() if known == magic), None)
        if network is None:
            return magic, None
    if network is not None:
        return KNOWN_MAGICS[network], SlotClock(SLOT_ZERO_UNIX[network], SLOT_LENGTH_SECONDS)
    try:
        loaded = load_fleet(fleet)
    except FleetError as error:
        raise click.UsageError(
            f"give --network or --magic, or a fleet file: {error.message.splitlines()[0]}"
        ) from error
    return loaded.spec.network.magic, SlotClock(loaded.slot_zero_unix, loaded.slot_length_seconds)


def _table(results: tuple[ProbeResult, ...], width: int) -> Table:
    tips = [result.tip for result in results]
    return fit_table(
        [
            Column("target", [str(Target(result.address, result.port)) for result in results]),
            Column("verdict", [result.verdict.value for result in results]),
            Column("rtt", [_text(_mean_rtt(result), "{:.1f} ms", 1000) for result in results], goes=1),
            Column("version", [_text(result.negotiated_version) for result in results], goes=6),
            Column("magic", [_text(result.magic) for result in results], goes=5),
            Column("slot", [_text(tip.slot if tip else None) for tip in tips], goes=3),
            Column("block", [_text(tip.block if tip else None) for tip in tips], goes=4),
            Column("hash", [tip.hash.hex()[:12] if tip and tip.hash else "–" for tip in tips], goes=7),
            Column("tip age", [_text(result.tip_age_seconds, "{:.0f} s") for result in results], goes=2),
            Column("detail", [Text(result.detail) for result in results]),
        ],
        width,
    )


def _mean_rtt(result: ProbeResult) -> float | None:
    rtts = result.keepalive_rtts_seconds
    return sum(rtts) / len(rtts) if rtts else None


def _text(value: float | None, form: str = "{}", factor: int = 1) -> str:
    return "–" if value is None else form.format(value * factor)
