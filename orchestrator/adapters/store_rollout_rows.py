"""The rows of rollouts: the document, the bundles beside it, operators' orders, and what became of it all.

Each function works within the caller's transaction; those that replace or number something want the caller's turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.engine import Row

from orchestrator.adapters.store_rollout import parse_rollout, render_rollout
from orchestrator.adapters.store_rows import row_values
from orchestrator.adapters.store_schema import ATTEMPTS, BUNDLES, EVENTS, ORDERS, ROLLOUTS
from orchestrator.errors import StoreRefused
from orchestrator.fleet.rollout import NO_ROLLOUT, Bundle, Order, RolloutEvent, RolloutRecord, Verb


def read_rollout(connection: Connection) -> RolloutRecord:
    """Return what is kept of the rollout. Raises StoreRefused if it cannot be read."""
    document = connection.execute(select(ROLLOUTS.c.document)).scalar_one_or_none()
    return parse_rollout(document) if document is not None else NO_ROLLOUT


def replace_rollout(connection: Connection, fleet: str, rollout: RolloutRecord) -> None:
    """Replace what is kept of the rollout."""
    connection.execute(delete(ROLLOUTS))
    connection.execute(insert(ROLLOUTS).values(fleet=fleet, document=render_rollout(rollout)))


def read_bundles(connection: Connection) -> dict[str, Bundle]:
    """Return all bundles, by digest."""
    return {row.digest: Bundle(**row_values(row)) for row in connection.execute(select(BUNDLES))}


def replace_bundles(connection: Connection, bundles: Mapping[str, Bundle]) -> None:
    """Make these the only bundles; those that are there already are not written again: they are large."""
    stored = read_bundles(connection)
    unwanted = [digest for digest, bundle in stored.items() if bundles.get(digest) != bundle]
    if unwanted:
        connection.execute(delete(BUNDLES).where(BUNDLES.c.digest.in_(unwanted)))
    for digest, bundle in sorted(bundles.items()):
        if stored.get(digest) != bundle:
            connection.execute(insert(BUNDLES).values(**asdict(bundle)))


def read_orders(connection: Connection) -> tuple[Order, ...]:
    """Return all orders, oldest first. Raises StoreRefused for one that is not known."""
    return tuple(_order(row) for row in connection.execute(select(ORDERS).order_by(ORDERS.c.number)))


def read_newest_order(connection: Connection) -> int:
    """Return the number of the newest order, 0 without any."""
    return connection.execute(select(func.max(ORDERS.c.number))).scalar_one() or 0


def append_order(connection: Connection, verb: Verb, user: str, reason: str, at: datetime, relay: str) -> Order:
    """Add an order under the next number; a retry forgets what failed on its relay, `resume` all that failed."""
    order = Order(read_newest_order(connection) + 1, verb, user, reason, at, relay)
    connection.execute(insert(ORDERS).values(**asdict(order) | {"verb": verb.value}))
    if verb is Verb.RETRY:
        connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.relay == relay))
    if verb is Verb.RESUME:
        connection.execute(delete(ATTEMPTS))
    return order


def append_events(connection: Connection, events: Iterable[RolloutEvent]) -> None:
    """Add to the history, in the order given."""
    for event in events:
        connection.execute(insert(EVENTS).values(**asdict(event)))


def read_events(connection: Connection, limit: int | None) -> tuple[RolloutEvent, ...]:
    """Return the history, oldest first; of more than `limit` the newest."""
    columns = [column for column in EVENTS.c if column is not EVENTS.c.number]
    newest = connection.execute(select(*columns).order_by(EVENTS.c.number.desc()).limit(limit)).all()
    return tuple(RolloutEvent(**row_values(row)) for row in reversed(newest))


def _order(row: Row[Any]) -> Order:
    try:
        return Order(**row_values(row) | {"verb": Verb(row.verb)})
    except ValueError as error:
        raise StoreRefused(
            f"order {row.number} in the store asks for something that is not known: {row.verb}",
            next_step="use the newer genesis-fleet that wrote it",
        ) from error
