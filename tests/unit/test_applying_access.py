"""When an apply shuts out whom the fleet file no longer names: last of all, and only once every host has tried it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from orchestrator.cli.applying import close_access
from orchestrator.cli.looking import CHANGES, exit_code
from orchestrator.execution.cycle import Ending, Round
from orchestrator.simulation.cloud import SimulatedCloud
from tests.scenarios.builders import SMALL, fleet_spec, serving_fleet

EU = "eu-central-1"


@dataclass
class Groups(SimulatedCloud):
    """A cloud that only remembers which regions were closed."""

    closed: list[str] = field(default_factory=list)

    def save_access(self, region: str, *, revoke: bool) -> None:
        self.closed += [region] if revoke else []


@pytest.fixture(scope="module")
def serving() -> Round:
    return serving_fleet(fleet_spec(SMALL)).look()


def differing(found: Round, *regions: str) -> Round:
    cloud = replace(found.look.seen.cloud, other_access=frozenset(regions))
    return replace(found, look=replace(found.look, seen=replace(found.look.seen, cloud=cloud)))


def test_a_converged_apply_closes_the_regions_that_differ(serving: Round) -> None:
    cloud = Groups()
    assert close_access(Ending.CONVERGED, differing(serving, EU), cloud, SMALL)
    assert cloud.closed == [EU]


def test_where_nothing_differs_nothing_is_closed(serving: Round) -> None:
    cloud = Groups()
    assert not close_access(Ending.CONVERGED, serving, cloud, SMALL)
    assert cloud.closed == []


def test_an_apply_that_holds_closes_nothing(serving: Round) -> None:
    cloud = Groups()
    assert not close_access(Ending.HELD, differing(serving, EU), cloud, SMALL)
    assert cloud.closed == []


def test_a_plan_with_nothing_but_access_to_mend_is_a_change(serving: Round) -> None:
    assert (exit_code(serving), exit_code(differing(serving, EU))) == (0, CHANGES)
