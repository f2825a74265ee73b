"""What a look finds of a rollout is kept, also by an apply that has nothing else to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.execution.cycle import Round, has_rollout_news
from orchestrator.fleet.rollout import RolloutState
from tests.rollout_looks import NOW
from tests.scenarios.builders import fleet_spec, serving_fleet


@pytest.fixture(scope="module")
def calm() -> Round:
    """A fleet that serves, with all of its rollout on record."""
    found = serving_fleet(fleet_spec({"eu": 3})).look()
    return keep(found)


def keep(found: Round) -> Round:
    view = found.plan.rollout
    assert view is not None
    record = replace(found.look.record, rollout=view.record, bundles=view.bundles)
    look = replace(found.look, record=record)
    return replace(found, look=look, plan=replace(found.plan, rollout=replace(view, events=())))


def test_what_is_on_record_is_no_news(calm: Round) -> None:
    assert not has_rollout_news(calm)


def test_a_rollout_that_has_come_to_its_end_is_news(calm: Round) -> None:
    view = calm.plan.rollout
    assert view is not None
    assert view.record.current is not None
    ended = replace(view.record, current=replace(view.record.current, state=RolloutState.ROLLED_BACK, since=NOW))
    assert has_rollout_news(replace(calm, plan=replace(calm.plan, rollout=replace(view, record=ended))))


def test_a_plan_without_a_rollout_has_no_news(calm: Round) -> None:
    assert not has_rollout_news(replace(calm, plan=replace(calm.plan, rollout=None)))
