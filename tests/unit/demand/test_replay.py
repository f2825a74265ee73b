"""What a policy is shown, when relays serve, what they cost, and how it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from orchestrator.simulation.demand.replay import Seen, play_trace
from orchestrator.simulation.demand.scoring import score_course


@dataclass
class Scripted:
    """Wants one count after the other, the last for good."""

    counts: Sequence[int]
    seen: list[Seen] = field(default_factory=list)

    def want(self, seen: Seen) -> int:
        self.seen.append(seen)
        return self.counts[min(len(self.seen), len(self.counts)) - 1]


def test_a_relay_serves_a_lead_time_after_its_launch_and_costs_from_the_launch_on() -> None:
    course = play_trace([0.5] * 8, Scripted([1, 3]), lead_minutes=4)
    assert course.serving == [1, 1, 1, 1, 1, 3, 3, 3]
    assert course.there == [1, 3, 3, 3, 3, 3, 3, 3]
    assert course.actions == [0, 2, 0, 0, 0, 0, 0, 0]


def test_it_begins_with_what_the_first_minute_needs() -> None:
    assert play_trace([2.0] * 2, Scripted([3]), lead_minutes=5).serving == [3, 3]


def test_who_is_on_the_way_is_given_up_first_and_a_fleet_keeps_one() -> None:
    course = play_trace([1.3] * 6, Scripted([2, 5, 3, 0]), lead_minutes=3)
    assert course.there == [2, 5, 3, 1, 1, 1]
    assert course.actions == [0, 3, 2, 2, 0, 0]


def test_demand_beyond_the_limits_of_who_serves_is_not_seen() -> None:
    policy = Scripted([1])
    play_trace([0.6, 3.0], policy, lead_minutes=1)
    assert [(seen.demand, seen.full) for seen in policy.seen] == [(0.6, False), (1.0, True)]


def test_the_score_counts_minutes_and_depth_and_price() -> None:
    demand = [0.7, 0.7, 1.4, 2.1, 0.7, 0.7]  # 1, 1, 2, 3, 1, 1 relays needed
    course = play_trace(demand, Scripted([1, 2, 2, 2, 1]), lead_minutes=2)
    assert course.serving == [1, 1, 1, 2, 1, 1]
    score = score_course(demand, course, warm_up=0)
    assert score.under_time_percent == pytest.approx(100 * 2 / 6)
    assert score.under_depth_percent == pytest.approx(100 * (1 / 2 + 1 / 3) / 6)
    assert score.over_percent == 0
    assert score.node_hours == pytest.approx((1 + 2 + 2 + 2 + 1 + 1) / 60)
    assert (score.actions, score.worst_shortfall) == (2, 1)


def test_too_many_are_counted_in_parts_of_the_need() -> None:
    course = play_trace([0.7] * 4, Scripted([3]), lead_minutes=1)
    assert score_course([0.7] * 4, course, warm_up=2).over_percent == pytest.approx(200)


def test_a_trace_that_ends_in_its_warm_up_has_no_score() -> None:
    with pytest.raises(ValueError, match="ends before its warm-up"):
        score_course([1.0], play_trace([1.0], Scripted([1]), lead_minutes=1))
