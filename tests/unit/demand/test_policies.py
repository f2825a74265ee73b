"""The rivals do what their documents say; the oracle is never short; ours learns, reacts, and does not flap."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, cos, pi
from random import Random

import pytest

from orchestrator.simulation.demand.policies import (
    POLICIES,
    HorizontalPodAutoscaler,
    Oracle,
    Ours,
    PolicyName,
    TargetTracking,
    make_policy,
)
from orchestrator.simulation.demand.replay import Seen, play_trace
from orchestrator.simulation.demand.scoring import score_course

DAY = 1440


def seen(demand: float, serving: int, booting: int = 0, minute: int = 0) -> Seen:
    return Seen(minute, demand, serving, booting)


def daily(days: int, low: float = 2.0, high: float = 10.0, noise: float = 0.0) -> list[float]:
    chance = Random(7)
    return [
        low + (high - low) * (1 - cos(2 * pi * minute / DAY)) / 2 + chance.uniform(-noise, noise)
        for minute in range(days * DAY)
    ]


# --- HPA -------------------------------------------------------------------------------------------------------------


def test_hpa_wants_the_ratio_of_now_to_the_target_rounded_up() -> None:
    assert HorizontalPodAutoscaler(0.7).want(seen(3.6, 4)) == ceil(4 * (0.9 / 0.7))


@pytest.mark.parametrize("demand", [2.53, 2.8, 3.07])
def test_hpa_does_nothing_within_a_tenth_of_its_target(demand: float) -> None:
    assert HorizontalPodAutoscaler(0.7).want(seen(demand, 4)) == 4


def test_hpa_counts_who_is_not_ready_with_nothing_before_it_launches_more() -> None:
    assert HorizontalPodAutoscaler(0.7).want(seen(3.6, 4, booting=2)) == 6
    assert HorizontalPodAutoscaler(0.5).want(seen(4.0, 4, booting=2)) == 8


def test_hpa_goes_down_to_the_highest_wish_of_five_minutes() -> None:
    policy = HorizontalPodAutoscaler(0.7)
    assert policy.want(seen(7.0, 10)) == 10
    assert [policy.want(seen(1.4, 10)) for _ in range(5)] == [10, 10, 10, 10, 2]


def test_hpa_at_most_doubles_or_adds_four_in_each_of_its_steps() -> None:
    assert HorizontalPodAutoscaler(0.01).want(seen(1.0, 1)) == 40  # 1 + 4, 10, 20, 40


# --- target tracking -------------------------------------------------------------------------------------------------


def test_target_tracking_goes_up_on_the_third_minute_above_its_target() -> None:
    policy = TargetTracking(0.7)
    assert [policy.want(seen(3.6, 4)) for _ in range(3)] == [4, 4, ceil(4 * 0.9 / 0.7)]


def test_target_tracking_goes_down_on_the_fifteenth_minute_below_nine_tenths_of_it() -> None:
    policy = TargetTracking(0.7)
    assert [policy.want(seen(2.0, 10)) for _ in range(15)] == [10] * 14 + [3]
    assert [TargetTracking(0.7).want(seen(6.5, 10)) for _ in range(20)] == [10] * 20


def test_target_tracking_never_goes_down_while_relays_warm_up() -> None:
    policy = TargetTracking(0.7)
    assert {policy.want(seen(2.0, 10, booting=1)) for _ in range(30)} == {11}


# --- the oracle ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [1, 20, 60])
def test_the_oracle_is_never_short_once_its_first_launches_could_serve(lead: int) -> None:
    demand = daily(9, noise=1.0)
    course = play_trace(demand, Oracle(demand, 0.7, lead), lead)
    assert score_course(demand, course).under_time_percent == 0


def test_the_oracle_bridges_a_pause_that_is_shorter_than_booting_and_no_longer_one() -> None:
    demand = [1.3] * 30 + [0.3] * 10 + [1.3] * 30 + [0.3] * 50 + [1.3] * 30
    course = play_trace(demand, Oracle(demand, 0.7, 20), 20)
    assert course.actions[30:70] == [0] * 40
    assert sum(course.actions[70:]) == 2


# --- ours ------------------------------------------------------------------------------------------------------------


def test_ours_has_relays_ready_for_a_rise_that_comes_every_day() -> None:
    demand = daily(10)
    ours = score_course(demand, play_trace(demand, Ours(0.7, 60), 60))
    rival = score_course(demand, play_trace(demand, TargetTracking(0.7), 60))
    assert ours.under_time_percent < 1 < 10 < rival.under_time_percent
    assert ours.node_hours < 1.5 * rival.node_hours


def test_ours_answers_a_flash_crowd_in_its_first_minute() -> None:
    policy = Ours(0.7, 20)
    for minute in range(2 * DAY):
        policy.want(seen(2.0, 4, minute=minute))
    assert policy.want(seen(4.0, 4, minute=2 * DAY)) > 4


@pytest.mark.parametrize("demand", [1.0, 2.0, 2.45, 6.3])
def test_ours_does_not_flap_on_a_constant_demand(demand: float) -> None:
    course = play_trace([demand] * 9 * DAY, Ours(0.7, 20), 20)
    assert sum(course.actions[7 * DAY :]) == 0
    assert course.serving[-1] >= ceil(demand / 0.7 - 0.1)


def test_ours_lets_go_of_one_relay_at_a_time() -> None:
    demand = [7.0] * 8 * DAY + [0.5] * DAY
    course = play_trace(demand, Ours(0.7, 20), 20)
    drops = [a - b for a, b in pairwise(course.there)]
    assert max(drops[7 * DAY :]) == 1
    assert course.there[-1] <= 2


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_does_the_same_on_the_same_trace(name: PolicyName) -> None:
    demand = daily(8, noise=1.5)
    one, two = (play_trace(demand, make_policy(name, demand, 0.6, 20), 20) for _ in range(2))
    assert (one.there, one.actions) == (two.there, two.actions)
