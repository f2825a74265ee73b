"""The least that an upgrade may take: groups by budget, each drains, restarts and bakes."""

from __future__ import annotations

import pytest

from benchmarks.upgrading import count_groups, least_seconds
from tests.scenarios.builders import fleet_spec

POLICY = {"drain_time": "5s", "bake": "2s", "canary_bake": "10s", "healthy_looks": 2}


@pytest.mark.parametrize(
    ("counts", "policy", "groups"),
    [
        ({"eu": 5, "us": 5, "ap": 5, "sa": 5}, {"max_unavailable": "20%", "max_unavailable_per_region": 1}, 1 + 5),
        ({"eu": 5, "us": 5}, {"max_unavailable": 1, "max_unavailable_per_region": 1}, 1 + 9),
        ({"eu": 5, "us": 5}, {"max_unavailable": 10, "max_unavailable_per_region": 5}, 1 + 1),
        ({"eu": 2, "us": 6}, {"max_unavailable": 4, "max_unavailable_per_region": 2}, 1 + 3),
        ({"eu": 4}, {"max_unavailable": 2, "max_unavailable_per_region": 2, "canaries": 0}, 2),
    ],
)
def test_groups_are_what_fleet_and_regions_let_go_at_once(counts, policy, groups: int) -> None:
    assert count_groups(fleet_spec(counts, rollout=policy)) == groups


def test_each_group_drains_restarts_and_bakes_and_the_canary_bakes_longer() -> None:
    spec = fleet_spec({"eu": 3}, rollout={**POLICY, "max_unavailable": 1, "max_unavailable_per_region": 1})
    looks = spec.controller.look_every.total_seconds()
    assert least_seconds(spec, 20.0) == 3 * (5 + 20) + max(10, looks) + 2 * max(2, looks)
