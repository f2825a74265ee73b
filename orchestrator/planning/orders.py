"""What operators ask of a rollout: `pause`, `resume`, `halt`, `rollback`, `retry`, each taken up once, in order. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.fleet.rollout import Order, Restart, Rollout, RolloutState, Verb
from orchestrator.planning.footing import Footing
from orchestrator.planning.look import Look
from orchestrator.planning.wished import STOPPED, Wished, is_trusted

TAKEN_UP = {
    Verb.PAUSE: (RolloutState.RUNNING,),
    Verb.RESUME: (RolloutState.PAUSED, *STOPPED),
    Verb.HALT: (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.ROLLING_BACK, RolloutState.HALTED),
    Verb.ROLLBACK: (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED, RolloutState.COMPLETE),
}
"""Verb → states in which it is taken up; in all others it comes to nothing. Whether a `retry` does depends on the relay."""


def hear_orders(wished: Wished, footings: Mapping[str, Footing], look: Look) -> Wished:
    """Return the rollout after all orders that came since the last look."""
    for order in look.record.orders:
        if order.number > wished.rollout.heard:
            wished = _obey(wished, order, footings, look)
            wished = replace(wished, rollout=replace(wished.rollout, heard=order.number))
    return wished


def _obey(wished: Wished, order: Order, footings: Mapping[str, Footing], look: Look) -> Wished:
    rollout, state = wished.rollout, wished.rollout.state
    said = f"{order.user}: {order.reason}"
    match order.verb:
        case verb if verb in TAKEN_UP and state not in TAKEN_UP[verb]:
            return wished
        case Verb.PAUSE:
            return wished.turn(RolloutState.PAUSED, f"by {said}", "paused", look, user=order.user)
        case Verb.HALT if state is RolloutState.HALTED and rollout.by:
            return wished
        case Verb.HALT:
            return wished.turn(RolloutState.HALTED, f"by {said}", "halted", look, user=order.user)
        case Verb.RESUME if state is RolloutState.PAUSED:
            vouched = rollout.vouched | rollout.doubtful
            wished = replace(wished, rollout=replace(rollout, vouched=vouched, doubtful=frozenset()))
            return _go_on(wished, "resumed", order, look)
        case Verb.RESUME:
            return _go_on(_forgive(wished, frozenset(rollout.failed), footings, look), "resumed", order, look)
        case Verb.RETRY if state is not RolloutState.COMPLETE:
            lifts = state is RolloutState.HALTED and not rollout.by and _was_to_blame(order.relay, wished)
            forgiven = _forgive(wished, frozenset({order.relay}), footings, look)
            if lifts and not forgiven.rollout.failed:
                return _go_on(forgiven, "retried", order, look)
            return forgiven.tell("retried", f"{order.relay}, by {said}", look, user=order.user)
        case Verb.ROLLBACK if rollout.good and not is_trusted(rollout):
            return wished.turn(RolloutState.ROLLING_BACK, f"by {said}", "rolling back", look, user=order.user)
        case _:
            return wished


def _was_to_blame(relay: str, wished: Wished) -> bool:
    """Whether a relay's failure is what halted the rollout, so that trying it again lifts the halt."""
    rollout, wish = wished.rollout, set(wished.rollout.wish.values())
    staged = {f.relay for digest, f in wished.record.failures.items() if digest in wish and f.staging}
    return relay in rollout.failed or relay in staged


def _go_on(wished: Wished, what: str, order: Order, look: Look) -> Wished:
    wished = wished.turn(RolloutState.RUNNING, f"by {order.user}: {order.reason}", what, look, user=order.user)
    return replace(wished, rollout=replace(wished.rollout, because=""))


def _forgive(wished: Wished, relays: frozenset[str], footings: Mapping[str, Footing], look: Look) -> Wished:
    """Let these relays, and what failed on them, be tried again; who still runs it has failed again if it gets no better."""
    rollout, record = wished.rollout, wished.record
    failed = {name: because for name, because in rollout.failed.items() if name not in relays}
    wish = set(rollout.wish.values())
    kept = {digest: failure for digest, failure in record.failures.items() if digest not in wish}
    restarts = {name: told for name, told in record.restarts.items() if name not in relays}
    for name in relays & footings.keys():
        footing, told = footings[name], record.restarts.get(name)
        # Who cannot be asked may still run what it was told to be.
        unseen = not footing.runs and told is not None and told.digest == footing.wish
        if unseen or (footing.arrived and not footing.healthy):
            restarts[name] = Restart(footing.wish, look.now)
    settling = {name: found for name, found in record.settling.items() if name not in relays}
    return replace(
        wished,
        rollout=replace(rollout, failed=failed),
        record=replace(record, failures=record.failures if failed else kept, restarts=restarts, settling=settling),
    )


def find_unheard_stop(before: Rollout | None, look: Look) -> Order | None:
    """Return the newest order to stop that nobody has taken up yet, unless one to go on came after it."""
    stop = None
    for order in look.record.orders:
        if before is None or order.number <= before.heard:
            continue
        if order.verb in (Verb.PAUSE, Verb.HALT):
            stop = order
        elif order.verb is Verb.RESUME:  # a retry lifts what came by itself, never an operator's word
            stop = None
    return stop
