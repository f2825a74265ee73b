"""When something that failed may be tried again. Pure: attempts and time in, a hold or nothing out."""

from __future__ import annotations

from orchestrator.planning.look import Look
from orchestrator.planning.plan import Hold

GIVE_UP_AFTER = 4
"""Failures in a row after which only an operator's new `apply` tries again: a wrong checksum does not mend itself."""

LARGEST_BACKOFF = 16
"""The pause doubles up to this many times the first one, so a host that is back is not left waiting for hours."""


def why_not_retry(look: Look, relay: str, intent: str) -> Hold | None:
    """Return the hold that keeps this intent from being tried on this relay now, or None if it may be."""
    attempt = look.record.attempts.get((relay, intent))
    if attempt is None:
        return None
    times = "once" if attempt.failures == 1 else f"{attempt.failures} times in a row"
    if attempt.failures >= GIVE_UP_AFTER:
        return Hold(relay, intent, f"{intent} failed {times}, last: {attempt.error}; `apply` again to retry")
    pause = look.spec.rollout.retry_after * min(2 ** (attempt.failures - 1), LARGEST_BACKOFF)
    due = attempt.last_at + pause
    if look.now >= due:
        return None
    left = (due - look.now).total_seconds()
    return Hold(relay, intent, f"{intent} failed {times}: {attempt.error}; next try in {left:.0f} s", passes=True)
