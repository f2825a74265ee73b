"""When a pin needs a word of its own: it would quarantine more relays than may be out."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from orchestrator.planning.pinning import list_newly_quarantined, why_pin_refused


def pinned(*names):
    """A plan in which these are in quarantine."""
    return SimpleNamespace(evidence=SimpleNamespace(quarantines=dict.fromkeys(names, datetime(2026, 1, 1, tzinfo=UTC))))


def test_those_who_are_there_already_are_not_new_and_the_others_come_by_name():
    names = [f"r{number:02d}" for number in range(20, 0, -1)]
    assert list_newly_quarantined(pinned(*names), ["r07"]) == tuple(name for name in sorted(names) if name != "r07")


@pytest.mark.parametrize(
    ("newly", "limit", "confirmed", "refused"),
    [
        (0, 0, (), False),
        (1, 0, (), True),
        (1, 1, (), False),
        (2, 1, (), True),
        (2, 1, ("quarantine:1",), True),
        (2, 1, ("quarantine:2",), False),
        (2, 1, ("quarantine:9", "quarantine:1"), False),
        (2, 1, ("retire:9", "quarantine:x", "quarantine:9 "), True),
    ],
)
def test_more_than_the_limit_needs_a_confirmation_of_at_least_as_many(newly, limit, confirmed, refused):
    assert (why_pin_refused([f"r{number}" for number in range(newly)], limit, confirmed) is not None) is refused


def test_a_refusal_says_who_and_what_to_confirm():
    text = why_pin_refused(["r2", "r1"], 1, ())
    assert "2 relays more (r1, r2); more than 1 at once" in text
    assert "`--confirm quarantine:2`" in text
