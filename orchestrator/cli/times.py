"""How long, as people say it."""

from __future__ import annotations

from datetime import timedelta


def describe_time(duration: timedelta) -> str:
    """Return `90 s`, `42 min` or `3.5 h`."""
    seconds = round(duration.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"
