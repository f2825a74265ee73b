"""`lab consumers`: nodes that bootstrap from the fleet by its names, many at a time, and what they saw."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.consumers_text import consumers_json, summary_lines, usage_columns
from orchestrator.cli.consumers_view import ConsumersView
from orchestrator.cli.lab_completion import complete_labs, complete_regions
from orchestrator.cli.looking import data_console
from orchestrator.cli.tables import fit_table
from orchestrator.cli.times import DurationText
from orchestrator.errors import FleetError, LabUnavailable
from orchestrator.lab import running
from orchestrator.lab.consumers.consumer import Journey
from orchestrator.lab.consumers.download import Course
from orchestrator.lab.consumers.outcome import Failed, Outcome
from orchestrator.lab.consumers.profile import MOST_CONSUMERS, Step, read_profile
from orchestrator.lab.consumers.trail import header_reader
from orchestrator.lab.consumers.visitors import Visitors
from orchestrator.lab.node.clock import make_clock
from orchestrator.lab.node.config import ConfigRefused, read_config
from orchestrator.lab.node.version import Version
from orchestrator.lab.places import NAMES_PORT, relays_name
from orchestrator.spec.load import LoadedFleet, load_fleet

NEWEST = Version(11, 0, 1)
"""The release whose way of reading a configuration is used; the genesis is the same for all."""

FASTEST, ALL_TOGETHER = 50.0, 2000.0
"""Blocks a second, of one consumer and of all: a block costs this machine about 0.2 ms, half of it in the relays that also run here."""


@click.command(
    "consumers",
    short_help="Bootstrap from the fleet as new nodes do, many at a time.",
    epilog="Example: genesis-fleet --fleet inventory/lab/fleet.yaml lab consumers 20 --for 2m",
)
@click.argument("count", metavar="[N]", type=click.IntRange(1, MOST_CONSUMERS), required=False)
@click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Let their number follow a CSV file with the columns minute,consumers.",
)
@click.option("--for", "duration", type=DurationText(), help="Keep N of them there for so long; else until Ctrl-C.")
@click.option("--once", is_flag=True, help="Let each of the N come once.")
@click.option(
    "--pace",
    type=click.FloatRange(2),
    show_default=f"{FASTEST:g}, and {ALL_TOGETHER:g} for all together",
    help="Blocks a second that each takes.",
)
@click.option("--region", shell_complete=complete_regions, help="Ask for this region's relays only.")
@click.option("--lab", "name", shell_complete=complete_labs, help="Name of the lab; else the fleet file's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def consumers_command(
    fleet: Path,
    count: int | None,
    profile: Path | None,
    duration: timedelta | None,
    once: bool,
    pace: float | None,
    region: str | None,
    name: str | None,
    as_json: bool,
) -> int:
    """Run N consumers at a time, or as many as a profile says: each asks the fleet's names, takes the whole chain from genesis, and goes away.

    Headers are checked by hash and blocks against their headers. A consumer has failed if nothing more came for 10 seconds, or if
    more than 3 addresses in a row were unusable. Exit code: 0 none failed, 1 some did.
    """
    if once and duration is not None:
        raise click.UsageError("--once and --for say two things about the end: give one")
    if (count is None) is (profile is None):
        raise click.UsageError("say how many: N, or --profile")
    if profile is not None and (once or duration is not None):
        raise click.UsageError("a profile says when it is over: leave --once and --for out")
    steps = read_profile(profile) if profile is not None else ()
    most = count or max(step.consumers for step in steps)
    loaded = load_fleet(fleet)
    lab = name or loaded.spec.lab
    if lab is None:
        raise FleetError(f"{fleet} is no lab's fleet file", next_step="name its lab with --lab")
    plan = running.find_lab(lab)
    names = observe_names(plan)
    console = Console(stderr=True)
    journey = plan_journey(
        plan, loaded, relays_name(loaded.spec.fleet, region), pace or min(FASTEST, ALL_TOGETHER / max(most, 1))
    )
    outcomes = asyncio.run(run_consumers(most, journey, ConsumersView(console), duration, once=once, steps=steps))
    names = {**names, **observe_names(plan)}
    if as_json:
        click.echo(json.dumps(consumers_json(outcomes, names)))
    else:
        output = data_console()
        output.print(fit_table(usage_columns(outcomes, names), output.width))
        for line in summary_lines(outcomes):
            output.print(line, markup=False, highlight=False, soft_wrap=True)
    return 1 if any(isinstance(outcome, Failed) for outcome in outcomes) else 0


async def run_consumers(
    count: int,
    journey: Journey,
    view: ConsumersView,
    duration: timedelta | None,
    *,
    once: bool,
    steps: Sequence[Step] = (),
) -> tuple[Outcome, ...]:
    """Run them until all came once, the time or the profile is over, or Ctrl-C; show them meanwhile, and return what they saw."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if duration is not None:
        loop.call_later(duration.total_seconds(), stop.set)
    visitors = Visitors(count, journey, view.show_outcome)
    beside = [asyncio.create_task(view.watch(visitors))]
    if steps:
        await visitors.want(0)
        beside.append(asyncio.create_task(_follow_profile(visitors, steps, stop)))
    try:
        await visitors.run(stop, once=once)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
    return tuple(visitors.outcomes)


async def _follow_profile(visitors: Visitors, steps: Sequence[Step], stop: asyncio.Event) -> None:
    """Let so many be there as the profile says, each at its time; its last row is the end."""
    began = asyncio.get_running_loop().time()
    for step in steps:
        await asyncio.sleep(began + step.after.total_seconds() - asyncio.get_running_loop().time())
        await visitors.want(step.consumers)
    stop.set()


def plan_journey(plan: running.LabPlan, fleet: LoadedFleet, name: str, pace: float) -> Journey:
    """Return what consumers of this lab are given. Raises LabUnavailable if its network folder cannot be read."""
    from orchestrator.lab.consumers.lookup import names_at  # dnslib is not in a plain install

    try:
        genesis = read_config(plan.network_folder / "config.json", NEWEST).genesis
    except (ConfigRefused, OSError) as error:
        raise LabUnavailable(f"the lab's network folder cannot be read: {error}") from error
    course = Course(header_reader(genesis.leaders), make_clock(genesis), fleet.spec.health.max_tip_age, pace)
    return Journey(
        ask=names_at(str(plan.lab.network.gateway_v4), NAMES_PORT, name),
        port=fleet.spec.ports.relay,
        network_magic=genesis.network_magic,
        security_parameter=genesis.security_parameter,
        course=course,
    )


def observe_names(plan: running.LabPlan) -> Mapping[str, str]:
    """Return whose each address is at this moment."""
    instances = running.ask_control(plan, "GET", "instances")["instances"]
    return {address: instance["name"] for instance in instances for address in instance["addresses"]}
