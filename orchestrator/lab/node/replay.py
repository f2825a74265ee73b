"""Opening the chain at start-up: load it, and take as long over it as the lab or the release wants, telling how far it has come.

The new dialect has a metric for that, the legacy one only the log; the log lines are those of the real node in either. Where there
is no chain there is nothing to replay. What a node does meanwhile, and the port that is still closed, are up to `node`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from .chain import Chain
from .database import Database
from .flaws import Flaw, ReplaysAlways
from .log import Log
from .lottery import LeaderRules, why_not_leader
from .settings import Settings

STEP_SECONDS = 0.1
SECONDS_BETWEEN_LINES = 1.0


def is_clean(database: Database, flaw: Flaw | None) -> bool:
    """Tell whether the database counts as closed cleanly: by its marker, unless the release looks past it."""
    return database.stopped_cleanly and not isinstance(flaw, ReplaysAlways)


def pick_duration(settings: Settings, flaw: Flaw | None, *, clean: bool, empty: bool) -> timedelta:
    """Return how long a start-up over this database is to take."""
    if empty:
        return timedelta()
    if isinstance(flaw, ReplaysAlways):
        return timedelta(seconds=flaw.seconds)
    return settings.replay if clean else settings.replay_unclean


def load_chain(chain: Chain, database: Database, rules: LeaderRules) -> None:
    """Read the chain from disk, as far as it is whole and believable."""
    for header in database.load_headers(lambda each: why_not_leader(rules, each.issuer, each.slot, each.draw) is None):
        chain.extend(header)


async def spend_time(duration: timedelta, last_slot: int, log: Log, note_percent: Callable[[float], None]) -> None:
    """Let that time pass as a replay does: `note_percent` hears how far it is, and the log, once a second, up to which slot."""
    loop = asyncio.get_running_loop()
    began, seconds, told = loop.time(), duration.total_seconds(), 0.0
    note_percent(0.0)
    while (passed := loop.time() - began) < seconds:
        percent = 100.0 * passed / seconds
        note_percent(percent)
        if passed >= told + SECONDS_BETWEEN_LINES:
            told = passed
            slot = round(last_slot * percent / 100)
            log.write(
                "ChainDB.ReplayBlock.LedgerReplay",
                "Info",
                f"Replayed block: slot {slot} out of {last_slot}. Progress: {percent:.2f}%",
                slot=slot,
                tip=last_slot,
            )
        await asyncio.sleep(min(STEP_SECONDS, seconds - passed))
    note_percent(100.0)
