"""What comes out of the store's rows: times with their zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Row


def row_values(row: Row[Any]) -> dict[str, Any]:
    """Return a row by column."""
    return {key: in_utc(value) if isinstance(value, datetime) else value for key, value in row._asdict().items()}


def in_utc(value: datetime) -> datetime:
    """SQLite gives times back without their zone; all are written in UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
