"""When something that failed may be tried again: the pause doubles, up to a limit, and then only an operator goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.planning import retries
from orchestrator.planning.retries import GIVE_UP_AFTER, why_not_retry
from tests.scenarios.looks import EU1, serving_look, with_attempt

PAUSE = serving_look().spec.rollout.retry_after


def hold(failures, after, intent="stage"):
    """What holds a relay this long after its last failure."""
    look = with_attempt(serving_look(), EU1, "stage", failures)
    return why_not_retry(replace(look, now=look.now + after), EU1, intent)


def test_what_never_failed_may_be_tried():
    assert why_not_retry(serving_look(), EU1, "stage") is None
    assert hold(1, timedelta(), "deploy") is None


@pytest.mark.parametrize(("failures", "pauses"), [(1, 1), (2, 2), (3, 4)])
def test_the_pause_doubles_with_each_failure_and_ends_on_time(failures, pauses):
    assert hold(failures, pauses * PAUSE - timedelta(seconds=1)).passes
    assert hold(failures, pauses * PAUSE) is None


@pytest.mark.parametrize(
    ("failures", "text"),
    [
        (1, "stage failed once: 404 Not Found; next try in 50 s"),
        (2, "stage failed 2 times in a row: 404 Not Found; next try in 110 s"),
        (GIVE_UP_AFTER, "stage failed 4 times in a row, last: 404 Not Found; `apply` again to retry"),
    ],
)
def test_a_hold_says_how_often_it_failed_and_when_it_goes_on(failures, text):
    assert hold(failures, timedelta(seconds=10)).because == text


def test_after_so_many_failures_time_alone_changes_nothing():
    assert not hold(GIVE_UP_AFTER, timedelta(days=9)).passes


def test_no_pause_is_longer_than_sixteen_of_the_first(monkeypatch):
    monkeypatch.setattr(retries, "GIVE_UP_AFTER", 99)
    assert hold(20, 16 * PAUSE) is None
    assert hold(20, 16 * PAUSE - timedelta(seconds=1)) is not None
