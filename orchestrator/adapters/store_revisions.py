"""Submitted revisions in the store, and what a running controller tells of them. Only the newest few revisions are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.engine import Row

from orchestrator.adapters.store_rows import in_utc, row_values
from orchestrator.adapters.store_schema import REVISIONS, TOLD
from orchestrator.fleet.revision import Draft, Revision, Told

KEPT = 10
"""Revisions that stay: what was wanted lately is worth a look when something went wrong; each holds the network's files."""

Transaction = Callable[[], AbstractContextManager[Connection]]


class StoredRevisions:
    """A RevisionsPort on the store's own transactions: `turn` waits for all others who replace something."""

    def __init__(self, fleet: str, transaction: Transaction, turn: Transaction) -> None:
        self._fleet = fleet
        self._transaction = transaction
        self._turn = turn

    def submit(self, draft: Draft, user: str, at: datetime) -> Revision:
        """Keep a draft as the newest revision; the same draft again is one try more."""
        with self._turn() as connection:
            newest = _newest(connection)
            if newest is not None and newest.draft == draft:
                found = Revision(newest.number, user, at, draft, newest.afresh + 1)
                changed = {"user": user, "at": at, "afresh": found.afresh}
                connection.execute(update(REVISIONS).where(REVISIONS.c.number == found.number).values(**changed))
                return found
            found = Revision(1 + (newest.number if newest is not None else 0), user, at, draft)
            connection.execute(
                insert(REVISIONS).values(
                    number=found.number,
                    user=user,
                    at=at,
                    afresh=found.afresh,
                    content=draft.content,
                    files=json.dumps(dict(draft.files), sort_keys=True),
                )
            )
            connection.execute(delete(REVISIONS).where(REVISIONS.c.number <= found.number - KEPT))
            return found

    def newest(self) -> Revision | None:
        """Return the revision that is to be followed."""
        with self._transaction() as connection:
            return _newest(connection)

    def newest_try(self) -> tuple[int, int]:
        """Return number and tries of the newest revision, without its text."""
        query = select(REVISIONS.c.number, REVISIONS.c.afresh).order_by(REVISIONS.c.number.desc()).limit(1)
        with self._transaction() as connection:
            row = connection.execute(query).first()
        return (row.number, row.afresh) if row is not None else (0, 0)

    def tell(self, told: Told) -> None:
        """Replace what a running controller has told."""
        with self._turn() as connection:
            connection.execute(delete(TOLD))
            connection.execute(insert(TOLD).values(fleet=self._fleet, **asdict(told)))

    def told(self) -> Told | None:
        """Return what a running controller has told last."""
        with self._transaction() as connection:
            row = connection.execute(select(TOLD)).one_or_none()
        if row is None:
            return None
        values = row_values(row)
        del values["fleet"]
        return Told(**values)


def _newest(connection: Connection) -> Revision | None:
    row = connection.execute(select(REVISIONS).order_by(REVISIONS.c.number.desc()).limit(1)).first()
    return _read(row) if row is not None else None


def _read(row: Row[tuple[object, ...]]) -> Revision:
    draft = Draft(row.content, json.loads(row.files))
    return Revision(row.number, row.user, in_utc(row.at), draft, row.afresh)
