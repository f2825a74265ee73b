"""What an operator's order will do, when, and why one would be senseless. Pure; what follows from it is decided in planning."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli.naming import abbreviate_names
from orchestrator.cli.rollout_text import NO_ROLLOUT_KNOWN, pending_orders
from orchestrator.errors import FleetError
from orchestrator.fleet.record import FleetRecord, Lease
from orchestrator.fleet.rollout import Rollout, RolloutState, Verb
from orchestrator.planning.orders import TAKEN_UP
from orchestrator.planning.wished import is_trusted

PROMISES = {
    Verb.PAUSE: "nobody further is updated until `genesis-fleet rollout resume`, whatever is wished for meanwhile; relays under way finish",
    Verb.RESUME: "the rollout goes on: what failed is tried again, and what could not be measured of relays that bake is accepted",
    Verb.HALT: "nobody further is updated until `resume`, `rollback` or another wish; relays under way finish",
    Verb.ROLLBACK: "updated relays go back to what the fleet had proven before, within the same budget",
    Verb.RETRY: "what failed on it is forgotten; if that alone halted the rollout, it goes on",
}

REACHED = {
    Verb.PAUSE: (RolloutState.PAUSED,),
    Verb.RESUME: (RolloutState.RUNNING,),
    Verb.HALT: (RolloutState.HALTED,),
    Verb.ROLLBACK: (RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK),
}
"""Verb → states in which there is nothing left to ask."""

SEE = "see `genesis-fleet rollout status`"


def why_needless(record: FleetRecord, verb: Verb) -> str | None:
    """Return why an order need not be given, because it is so already; None if it is not, or if that is not sure."""
    current = record.rollout.current
    if current is None or pending_orders(record) or current.state not in REACHED.get(verb, ()):
        return None
    if verb is Verb.HALT and not current.by:
        return None  # what halted by itself may be lifted by what mends it; an operator's word is not
    return f"the rollout to {current.version} is {current.state} already{_because(current)}"


def require_sensible(record: FleetRecord, verb: Verb, relay: str, relays: Sequence[str]) -> None:
    """Raise FleetError for an order that could not come to anything.

    Orders that nobody has taken up yet may change everything, so while there are any, none is refused for the state it finds.
    """
    if relay and relay not in relays:
        known = ", ".join(abbreviate_names(relays))
        raise FleetError(f"{relay} is no relay of this fleet", next_step=f"there are: {known}")
    current = record.rollout.current
    if verb is Verb.RETRY and any(name == relay for name, _ in record.attempts):
        return
    if current is None:
        raise FleetError(
            f"{NO_ROLLOUT_KNOWN}: there is nothing to {verb.value}",
            next_step="`genesis-fleet upgrade VERSION` and `genesis-fleet apply` begin one",
        )
    if pending_orders(record):
        return
    if verb is Verb.RETRY:
        _require_failed(current, relay)
    elif current.state not in TAKEN_UP[verb]:
        raise FleetError(
            f"the rollout to {current.version} is {current.state}{_because(current)}: `{verb.value}` would come to nothing",
            next_step=SEE,
        )
    elif verb is Verb.ROLLBACK and (not current.good or is_trusted(current)):
        raise FleetError(
            f"nothing is known that the fleet had proven before {current.version}: there is nothing to go back to",
            next_step="to run an older release is a wish like any other: `genesis-fleet upgrade VERSION`",
        )


def _require_failed(current: Rollout, relay: str) -> None:
    if relay not in current.failed and current.state in (RolloutState.RUNNING, RolloutState.COMPLETE):
        raise FleetError(f"nothing is known to have failed on {relay}: there is nothing to retry", next_step=SEE)


def _because(current: Rollout) -> str:
    return f" ({current.because})" if current.because else ""


def tell_after(record: FleetRecord, verb: Verb) -> str | None:
    """Return what is left for the operator to do beside the order."""
    current = record.rollout.current
    if verb is not Verb.ROLLBACK or current is None:
        return None
    return (
        f"the fleet file goes on asking for {current.version}, which is not tried again by itself; "
        "`genesis-fleet upgrade VERSION` asks for another"
    )


def tell_when(lease: Lease | None) -> str:
    """Return when an order is taken up, and by whom."""
    if lease is None:
        return "nobody is at work: the next `genesis-fleet apply` honours it before anything else"
    return (
        f"honoured before the next effect of whoever holds the lease: {lease.holder}, until {lease.until:%H:%M:%S} UTC"
    )
