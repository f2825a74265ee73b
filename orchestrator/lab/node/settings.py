"""What the lab asks of a node beyond the real command line, read from the environment and from files in the database folder.

The real node knows none of this, so that a unit rendered for it needs no change: the lab puts the variables into the
machine's environment. A file overrides a variable at the moment it matters, so that a test may change its mind meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

STOP_FILE = "lab-stop-seconds"

# A full validation after an unclean stop takes several times as long as a replay: domain facts say 3 minutes to an hour.
UNCLEAN_FACTOR = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """How long things take here, and whether this node makes blocks: `forge` is its number among the issuers."""

    replay: timedelta = timedelta()
    replay_unclean: timedelta = timedelta()
    stop: timedelta = timedelta()
    forge: int | None = None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the GENESIS_LAB_* variables; raise ValueError naming the one that is wrong."""
    replay = _seconds(environment, "GENESIS_LAB_REPLAY_SECONDS", timedelta())
    return Settings(
        replay=replay,
        replay_unclean=_seconds(environment, "GENESIS_LAB_REPLAY_UNCLEAN_SECONDS", replay * UNCLEAN_FACTOR),
        stop=_seconds(environment, "GENESIS_LAB_STOP_SECONDS", timedelta()),
        forge=parse_forge(environment.get("GENESIS_LAB_FORGE", "")),
    )


def parse_forge(text: str) -> int | None:
    """Read the number of an issuer; nothing means a node that makes no blocks."""
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError(f"GENESIS_LAB_FORGE={text}: expected the number of an issuer of the genesis, counted from 0")
    return int(text)


def read_stop_time(settings: Settings, database: Path) -> timedelta:
    """Return how long this clean stop is to take; a file that cannot be read changes nothing."""
    try:
        return timedelta(seconds=float((database / STOP_FILE).read_text()))
    except (OSError, ValueError):
        return settings.stop


def _seconds(environment: Mapping[str, str], name: str, default: timedelta) -> timedelta:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if seconds < 0:
        raise ValueError(f"{name}={text}: expected a number of seconds")
    return timedelta(seconds=seconds)
