"""What an operator's order will do, when, and why one would be senseless. Pure; what follows from it is decided in planning."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli.naming import abbreviate_names
from orchestrator.cli.rollout_text import NO_ROLLOUT_KNOWN
from orchestrator.errors import FleetError
from orchestrator.fleet.record import FleetRecord, Lease
from orchestrator.fleet.rollout import Rollout, RolloutState, Verb

PROMISES = {
    Verb.PAUSE: "nobody further is updated until `genesis-fleet rollout resume`; relays under way finish",
    Verb.RESUME: "the rollout goes on where it stands; what could not be measured of relays that bake is accepted",
    Verb.HALT: "relays under way finish, and nobody further is updated until `resume`, `rollback` or another wish",
    Verb.ROLLBACK: "updated relays go back to what the fleet ran before, within the same budget",
    Verb.RETRY: "what failed on it is forgotten, and tried again within the budget",
}

BACK = "to run an older release is a wish like any other: `genesis-fleet upgrade VERSION`"


def require_sensible(record: FleetRecord, verb: Verb, relay: str, relays: Sequence[str]) -> None:
    """Raise FleetError for an order that could not come to anything."""
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
    if (why := _why_too_late(current, verb, relay)) is not None:
        raise FleetError(why, next_step=BACK if verb is Verb.ROLLBACK else "see `genesis-fleet rollout history`")


def _why_too_late(current: Rollout, verb: Verb, relay: str) -> str | None:
    over = f"the rollout to {current.version} is {current.state}"
    match verb:
        case Verb.RETRY:
            failed = relay in current.failed
            return None if failed else f"nothing is known to have failed on {relay}: there is nothing to retry"
        case Verb.RESUME:
            return f"{over}: there is nothing to resume" if current.state is RolloutState.COMPLETE else None
        case Verb.PAUSE | Verb.HALT | Verb.ROLLBACK:
            ended = current.state in (RolloutState.COMPLETE, RolloutState.ROLLED_BACK)
            return f"{over}: there is nothing to {verb.value.replace('rollback', 'take back')}" if ended else None


def tell_when(lease: Lease | None) -> str:
    """Return when an order is taken up, and by whom."""
    if lease is None:
        return "nobody is at work: the next `genesis-fleet apply` honours it before anything else"
    return (
        f"honoured before the next effect of whoever holds the lease: {lease.holder}, until {lease.until:%H:%M:%S} UTC"
    )
