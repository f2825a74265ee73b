"""Connections to the store's database: how its URL is read, and what SQLite is told at each connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from orchestrator.errors import StoreRefused

CHECK_THE_URL = "check controller.store in the fleet file, and that its database answers"


def connect(url: str) -> Engine:
    """Return an engine; makes an SQLite file that is not there, for its owner alone. Raises StoreRefused."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            path = Path(parsed.database)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            path.chmod(0o600)
        engine = create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreRefused(f"controller.store is not an SQLAlchemy URL: {error}", next_step=CHECK_THE_URL) from error
    except ModuleNotFoundError as error:
        raise StoreRefused(
            f"the store needs the Python package {error.name}, which is not installed",
            next_step="install genesis-fleet with its extra for PostgreSQL: genesis-fleet[postgres]",
        ) from error
    except OSError as error:
        raise StoreRefused(f"the store's file cannot be made: {error}", next_step=CHECK_THE_URL) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def read_one_moment(connection: Connection) -> None:
    """Have all statements of a transaction that has just begun see the same moment: a rollout and its bundles belong together.

    PostgreSQL would show each of them what was committed before that very statement; SQLite lets nobody write meanwhile.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection type
    """Durable at every commit, readers beside a writer, and patience with another process's transaction."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=10000")
    # A one-time host key that was forgotten must not be left in the file's free pages.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: two controllers can then never both read a free lease and take it."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
