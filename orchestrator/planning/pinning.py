"""What a pin would do, and whether that needs a word of its own. Pure; whom it quarantines is judged in `trust`."""

from __future__ import annotations

import re
from collections.abc import Collection

from orchestrator.planning.plan import Plan

CONFIRMATION = re.compile(r"quarantine:([0-9]{1,6})")


def list_newly_quarantined(pinned: Plan, now: Collection[str]) -> tuple[str, ...]:
    """Return whom a pin would put in quarantine, beside those who are there `now`; `pinned` is the plan as if it held already."""
    return tuple(sorted(pinned.evidence.quarantines.keys() - set(now)))


def why_pin_refused(newly: Collection[str], limit: int, confirmed: Collection[str]) -> str | None:
    """Return why a pin is refused unasked: it would take more relays out at once than an operator ever allowed (`limit`).

    Who allowed ten allowed the seven that are left of them, as with plans.
    """
    allowed = (int(found[1]) for each in confirmed if (found := CONFIRMATION.fullmatch(each)) is not None)
    if len(newly) <= max(limit, *allowed, 0):
        return None
    return (
        f"the pin would quarantine {len(newly)} relays more ({', '.join(sorted(newly))}); more than {limit} at once,"
        f" which is rollout.max_unavailable, needs `--confirm quarantine:{len(newly)}`"
    )
