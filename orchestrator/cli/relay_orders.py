"""`drain` and `undrain`: an operator's word about one relay, kept in the store and honoured by whoever is at work."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.looking import complete_relays
from orchestrator.cli.naming import abbreviate_names
from orchestrator.cli.rollouts import keep_order, reason_option, require_reason
from orchestrator.cli.wiring import open_store_alone
from orchestrator.errors import FleetError
from orchestrator.fleet.relay import wanted_relays
from orchestrator.fleet.rollout import Verb
from orchestrator.planning.draining import find_asked

relay_argument = click.argument(
    "relay", shell_complete=lambda context, _parameter, text: complete_relays(context, text)
)


@click.command(
    "drain",
    short_help="Take a relay out of the names, and let others let go of it.",
    epilog="Example: genesis-fleet drain demo-eu-central-1-01 --reason 'its host moves tonight'",
)
@relay_argument
@reason_option
@click.pass_obj
def drain_command(fleet: Path, relay: str, reason: str) -> int:
    """Take RELAY out of the names until `undrain`. Its node runs on; who is connected with it stays as long as it likes.

    It counts as out: it waits until the budget allows it, and others wait for it. What needs its node to stop meanwhile is done to it.
    """
    return _order(fleet, Verb.DRAIN, relay, reason)


@click.command(
    "undrain",
    short_help="Let a drained relay back into the names.",
    epilog="Example: genesis-fleet undrain demo-eu-central-1-01 --reason 'its host has moved'",
)
@relay_argument
@reason_option
@click.pass_obj
def undrain_command(fleet: Path, relay: str, reason: str) -> int:
    """Let RELAY back into the names, as soon as it serves and is trusted."""
    return _order(fleet, Verb.UNDRAIN, relay, reason)


TELLS = {
    Verb.DRAIN: "it leaves the names once the budget allows it, and stays out until `genesis-fleet undrain`",
    Verb.UNDRAIN: "it comes back into the names as soon as it serves and is trusted",
}


def _order(fleet: Path, verb: Verb, relay: str, reason: str) -> int:
    """Keep the order, unless it is so already. Raises FleetError for a relay that is none of this fleet."""
    require_reason(reason)
    spec, store = open_store_alone(fleet)
    names = [wanted.name for wanted in wanted_relays(spec)]
    if relay not in names:
        known = ", ".join(abbreviate_names(names))
        raise FleetError(f"{relay} is no relay of this fleet", next_step=f"there are: {known}")
    standing = find_asked(store.load().orders).get(relay)
    if (standing is not None) is (verb is Verb.DRAIN):
        why = f", by {standing.user}: {standing.reason}" if standing is not None else ""
        click.echo(
            f"{relay} is {'drained' if standing is not None else 'not drained'} already{why}; nothing was asked",
            err=True,
        )
        return 0
    keep_order(store, verb, reason, relay, (TELLS[verb],))
    return 0
