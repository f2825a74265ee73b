"""The store on SQLAlchemy: SQLite for one host, PostgreSQL for several; the same statements on both.

Every `save_` is one transaction, durable when it returns. Times are kept in UTC. The file of an SQLite store is
readable by its owner alone: it holds one-time host keys until their hosts are confirmed. Whatever the database says
instead of an answer becomes StoreRefused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, insert, inspect, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from orchestrator.adapters.store_engine import CHECK_THE_URL, connect, read_one_moment
from orchestrator.adapters.store_evidence import parse_evidence, render_evidence
from orchestrator.adapters.store_lease import delete_lease, find_lease, require_lease, take_lease
from orchestrator.adapters.store_revisions import StoredRevisions
from orchestrator.adapters.store_rollout_rows import (
    append_events,
    append_order,
    read_bundles,
    read_events,
    read_newest_order,
    read_orders,
    read_rollout,
    replace_bundles,
    replace_rollout,
)
from orchestrator.adapters.store_rows import in_utc, row_values
from orchestrator.adapters.store_schema import (
    ABOUT,
    ATTEMPTS,
    CONFIRMATIONS,
    EVIDENCE,
    IDENTITIES,
    INTENTS,
    MISSED,
    PINS,
    check_about,
    complete,
    make_or_check,
)
from orchestrator.errors import StoreRefused
from orchestrator.fleet.chain import parse_point
from orchestrator.fleet.record import NO_EVIDENCE, Attempt, Evidence, FleetRecord, Identity, LaunchIntent, Lease, Pin
from orchestrator.fleet.rollout import Bundle, Order, RolloutEvent, RolloutRecord, Verb

OPENING_TRIES = 2
"""Two controllers may make the tables of one new PostgreSQL store at the same moment; the one that came late looks again."""

SQLITE_FILE = "sqlite:///"


def open_store(url: str, fleet: str) -> Store:
    """Open, or make, the store of a fleet. Raises StoreRefused if it is another fleet's, newer, or unreadable."""
    engine = connect(url)
    for chance in range(1, OPENING_TRIES + 1):
        try:
            make_or_check(engine, fleet)
        except SQLAlchemyError as error:
            if chance < OPENING_TRIES and isinstance(error, DBAPIError):
                continue
            engine.dispose()
            raise _unusable(engine, error) from error
        except StoreRefused:
            engine.dispose()
            raise
        break
    return Store(engine, fleet)


def read_record(url: str, fleet: str) -> FleetRecord | None:
    """Read the record of a store if there is one; makes none. Raises StoreRefused."""
    if url.startswith(SQLITE_FILE) and not Path(url.removeprefix(SQLITE_FILE)).is_file():
        return None
    engine = connect(url)
    try:
        with engine.begin() as connection:
            if not inspect(connection).has_table(ABOUT.name):
                return None
            check_about(connection, fleet)
            complete(connection)
        return Store(engine, fleet).load()
    except SQLAlchemyError as error:
        raise _unusable(engine, error) from error
    finally:
        engine.dispose()


class Store:
    """One fleet's record. Safe to use from several threads."""

    def __init__(self, engine: Engine, fleet: str) -> None:
        self._engine = engine
        self._fleet = fleet
        self.revisions = StoredRevisions(fleet, self._transaction, self._turn)

    def close(self) -> None:
        """Close all connections; SQLite then writes its log into the file and removes it."""
        self._engine.dispose()

    def load(self) -> FleetRecord:
        """Return the whole record."""
        with self._transaction() as connection:
            read_one_moment(connection)
            about = connection.execute(select(ABOUT).where(ABOUT.c.fleet == self._fleet)).one()
            intents = connection.execute(
                select(INTENTS).order_by(INTENTS.c.relay, INTENTS.c.generation, INTENTS.c.attempt)
            )
            identities = connection.execute(select(IDENTITIES))
            attempts = connection.execute(select(ATTEMPTS))
            missed = connection.execute(select(MISSED))
            names = connection.execute(select(CONFIRMATIONS.c.name))
            pin = connection.execute(select(PINS)).one_or_none()
            return FleetRecord(
                store_id=about.store_id,
                fleet=about.fleet,
                magic=about.magic,
                token=about.token,
                intents=tuple(LaunchIntent(**row_values(row)) for row in intents),
                identities={row.instance_id: Identity(**row_values(row)) for row in identities},
                attempts={(row.relay, row.intent): Attempt(**row_values(row)) for row in attempts},
                missed_since={row.instance_id: in_utc(row.since) for row in missed},
                confirmed_retirements=frozenset(names.scalars()),
                evidence=_read_evidence(connection),
                pin=Pin(parse_point(pin.point), pin.user, pin.reason, in_utc(pin.at)) if pin is not None else None,
                rollout=read_rollout(connection),
                orders=read_orders(connection),
                bundles=read_bundles(connection),
            )

    def save_magic(self, magic: int) -> None:
        """Remember the network this fleet serves."""
        with self._transaction() as connection:
            connection.execute(update(ABOUT).where(ABOUT.c.fleet == self._fleet).values(magic=magic))

    def save_intent(self, intent: LaunchIntent) -> None:
        """Insert or replace a launch intent. One without its request leaves no trace of an earlier one."""
        self._replace(INTENTS, ("token",), asdict(intent))
        if not intent.request_json:
            self._empty_log()

    def save_identity(self, identity: Identity) -> None:
        """Insert or replace the pinned key of an instance."""
        self._replace(IDENTITIES, ("instance_id",), asdict(identity))

    def save_attempt(self, attempt: Attempt) -> None:
        """Insert or replace a failed attempt."""
        self._replace(ATTEMPTS, ("relay", "intent"), asdict(attempt))

    def delete_attempts(self, relay: str, intent: str) -> None:
        """Forget failures after a success."""
        with self._transaction() as connection:
            connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.relay == relay, ATTEMPTS.c.intent == intent))

    def delete_all_attempts(self) -> None:
        """Forget every failure: an operator asked for a new try."""
        with self._transaction() as connection:
            connection.execute(delete(ATTEMPTS))

    def save_missed(self, missed_since: Mapping[str, datetime]) -> None:
        """Replace the times at which instances were first missed."""
        rows = [{"instance_id": key, "since": since} for key, since in sorted(missed_since.items())]
        self._replace_all(MISSED, rows)

    def save_confirmations(self, names: frozenset[str]) -> None:
        """Replace the confirmations given for the submitted revision."""
        self._replace_all(CONFIRMATIONS, [{"name": name} for name in sorted(names)])

    def save_evidence(self, evidence: Evidence, before: Evidence) -> bool:
        """Replace what looks have seen of the chain, if it still is what this look started from."""
        with self._turn() as connection:
            if _read_evidence(connection) != before:
                return False
            connection.execute(delete(EVIDENCE))
            connection.execute(insert(EVIDENCE).values(fleet=self._fleet, document=render_evidence(evidence)))
            return True

    def save_pin(self, pin: Pin | None) -> None:
        """Replace the operator's word about the chain; None takes it back."""
        rows = [asdict(pin) | {"fleet": self._fleet, "point": str(pin.point)}] if pin is not None else []
        self._replace_all(PINS, rows)

    def save_rollout(
        self,
        rollout: RolloutRecord,
        before: RolloutRecord,
        bundles: Mapping[str, Bundle],
        events: Sequence[RolloutEvent],
    ) -> bool:
        """Replace what is kept of the rollout, and add to its history, if it still is what this look started from."""
        with self._turn() as connection:
            if read_rollout(connection) != before:
                return False
            replace_rollout(connection, self._fleet, rollout)
            replace_bundles(connection, bundles)
            append_events(connection, events)
            return True

    def load_events(self, limit: int | None = None) -> tuple[RolloutEvent, ...]:
        """Return the history of rollouts, oldest first; of more than `limit` the newest."""
        with self._transaction() as connection:
            return read_events(connection, limit)

    def add_order(self, verb: Verb, user: str, reason: str, at: datetime, relay: str = "") -> Order:
        """Append an operator's request; a retry forgets what failed on its relay."""
        with self._turn() as connection:
            return append_order(connection, verb, user, reason, at, relay)

    def newest_order(self) -> int:
        """Return the number of the newest order, 0 without any."""
        with self._transaction() as connection:
            return read_newest_order(connection)

    def delete_instance(self, instance_id: str) -> None:
        """Forget everything about an instance that is gone; its launch intent stays, without its request.

        The intent keeps the generation number, so that a name's generations never repeat.
        """
        with self._transaction() as connection:
            connection.execute(delete(IDENTITIES).where(IDENTITIES.c.instance_id == instance_id))
            connection.execute(delete(MISSED).where(MISSED.c.instance_id == instance_id))
            connection.execute(update(INTENTS).where(INTENTS.c.instance_id == instance_id).values(request_json=""))
        self._empty_log()

    def acquire_lease(self, holder: str, now: datetime, until: datetime, least_token: int) -> Lease:
        """Take or renew the lease in one transaction. Raises LeaseHeld."""
        with self._turn() as connection:
            return take_lease(connection, self._fleet, holder, now, until, least_token)

    def check_lease(self, lease: Lease, now: datetime) -> None:
        """Raise LeaseHeld unless this very lease is still held."""
        with self._transaction() as connection:
            require_lease(connection, self._fleet, lease, now)

    def find_lease(self, now: datetime) -> Lease | None:
        """Return whose turn it is, for people; None if nobody is at work."""
        with self._transaction() as connection:
            return find_lease(connection, self._fleet, now)

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back; harmless if it is someone else's by now."""
        with self._transaction() as connection:
            delete_lease(connection, self._fleet, lease)

    def _empty_log(self) -> None:
        """Write SQLite's log into the file and cut it to nothing: it still holds the pages as they were before."""
        if self._engine.dialect.name != "sqlite":
            return
        connection = self._engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        finally:
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _unusable(self._engine, error) from error

    @contextmanager
    def _turn(self) -> Iterator[Connection]:
        """Wait for all others who replace something; what is read afterwards stays true until the end.

        The row of `about` is always there, so it is what they queue at. It is locked before anything is read: a lease read
        earlier might be one that somebody takes while this transaction waits, and two who both found no row would both insert one.
        """
        with self._transaction() as connection:
            connection.execute(select(ABOUT.c.fleet).where(ABOUT.c.fleet == self._fleet).with_for_update())
            yield connection

    def _replace(self, table: Table, keys: Sequence[str], values: Mapping[str, Any]) -> None:
        with self._turn() as connection:
            connection.execute(delete(table).where(*(table.c[key] == values[key] for key in keys)))
            connection.execute(insert(table).values(**values))

    def _replace_all(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        with self._turn() as connection:
            connection.execute(delete(table))
            for row in rows:
                connection.execute(insert(table).values(**row))


def _read_evidence(connection: Connection) -> Evidence:
    document = connection.execute(select(EVIDENCE.c.document)).scalar_one_or_none()
    return parse_evidence(document) if document is not None else NO_EVIDENCE


def _unusable(engine: Engine, error: SQLAlchemyError) -> StoreRefused:
    url = engine.url.render_as_string(hide_password=True)
    return StoreRefused(f"the store {url} cannot be used: {error.__cause__ or error}", next_step=CHECK_THE_URL)
