"""The lease's row: who has it, until when, with which token. Each function works within the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.engine import Row

from orchestrator.adapters.store_rows import in_utc
from orchestrator.adapters.store_schema import ABOUT, LEASE
from orchestrator.errors import LeaseHeld
from orchestrator.fleet.record import Lease


def take_lease(
    connection: Connection, fleet: str, holder: str, now: datetime, until: datetime, least_token: int
) -> Lease:
    """Take or renew the lease; wants the caller's turn. Raises LeaseHeld."""
    stored = connection.execute(select(ABOUT.c.token).where(ABOUT.c.fleet == fleet)).scalar_one()
    row = _row(connection, fleet)
    held = row is not None and in_utc(row.until) > now
    if row is not None and held and row.holder != holder:
        raise _held(row)
    token = row.token if row is not None and held else max(stored, least_token) + 1
    connection.execute(delete(LEASE).where(LEASE.c.fleet == fleet))
    connection.execute(insert(LEASE).values(fleet=fleet, holder=holder, token=token, until=until))
    connection.execute(update(ABOUT).where(ABOUT.c.fleet == fleet).values(token=token))
    return Lease(holder, token, until)


def require_lease(connection: Connection, fleet: str, lease: Lease, now: datetime) -> None:
    """Raise LeaseHeld unless this very lease is still held."""
    row = _row(connection, fleet)
    if row is not None and row.holder == lease.holder and row.token == lease.token and in_utc(row.until) > now:
        return
    if row is None or in_utc(row.until) <= now:
        raise LeaseHeld(
            f"the lease of {lease.holder} has run out", next_step="run the command again; it takes up what is there"
        )
    raise _held(row)


def find_lease(connection: Connection, fleet: str, now: datetime) -> Lease | None:
    """Return the lease that is held now, by whomever; None if nobody holds one."""
    row = _row(connection, fleet)
    return Lease(row.holder, row.token, in_utc(row.until)) if row is not None and in_utc(row.until) > now else None


def delete_lease(connection: Connection, fleet: str, lease: Lease) -> None:
    """Give the lease back; harmless if it is someone else's by now."""
    mine = (LEASE.c.fleet == fleet, LEASE.c.holder == lease.holder, LEASE.c.token == lease.token)
    connection.execute(delete(LEASE).where(*mine))


def _row(connection: Connection, fleet: str) -> Row[Any] | None:
    return connection.execute(select(LEASE).where(LEASE.c.fleet == fleet)).one_or_none()


def _held(row: Row[Any]) -> LeaseHeld:
    until = in_utc(row.until)
    return LeaseHeld(
        f"{row.holder} holds the lease until {until:%H:%M:%S} UTC (fencing token {row.token})",
        next_step="wait until it has ended, or end that controller; a dead one's lease runs out by itself",
    )
