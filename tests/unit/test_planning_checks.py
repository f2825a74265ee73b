"""What no plan may do unasked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import UnitState, Verdict
from orchestrator.planning.checks import why_unsafe
from orchestrator.planning.plan import Deploy, Health, Stop
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.rendering.values import ChangeClass
from tests.scenarios.builders import BUDGET_ALONE, MEDIUM, fleet_spec, serving_fleet, wanted
from tests.scenarios.looks import (
    EU1,
    EU2,
    disturbed,
    instance_of,
    serving_look,
    with_new_release,
    with_sighting,
    with_unit,
)

NOBODY: frozenset[str] = frozenset()


def findings(look, plan=None, confirmed: frozenset[str] = NOBODY):
    record = replace(look.record, confirmed_retirements=confirmed)
    return why_unsafe(plan or plan_fleet(look), look.spec, look.seen, record)


def half(look):
    return replace(look, wanted=wanted(fleet_spec(dict.fromkeys(MEDIUM, 1))))


@pytest.mark.parametrize(
    ("confirmed", "refused"),
    [({}, True), ({"retire:3"}, True), ({"retire:4"}, False), ({"retire:9"}, False), ({"retire:x"}, True)],
)
def test_a_confirmation_covers_as_many_retirements_as_it_names(confirmed, refused: bool) -> None:
    assert bool(findings(half(serving_look()), confirmed=frozenset(confirmed))) is refused


def test_a_plan_that_takes_two_is_called_a_defect() -> None:
    look = with_new_release(serving_look())
    plan = plan_fleet(look)
    (deploy,) = [a for a in plan.actions if isinstance(a, Deploy) and a.disturbs]
    worse = replace(plan, actions=(deploy, replace(deploy, relay="demo-us-east-1-02")))
    assert any("disturbs 2 relays that answer" in text for text in findings(look, worse))


def test_a_plan_that_takes_one_beside_one_that_is_down_is_called_a_defect() -> None:
    look = with_new_release(serving_look())
    plan = plan_fleet(look)
    views = tuple(replace(v, health=Health.UNKNOWN) if v.name == "demo-us-east-1-02" else v for v in plan.relays)
    assert any("then 2 of 1 that may be out are out" in text for text in findings(look, replace(plan, relays=views)))


def test_stopping_an_earlier_generation_takes_nobody_out() -> None:
    look = serving_look()
    plan = plan_fleet(look)
    older = replace(instance_of(look, EU1), instance_id="i-older", generation=0)
    down = tuple(replace(v, health=Health.UNHEALTHY) if v.name == EU2 else v for v in plan.relays)
    assert findings(look, replace(plan, relays=down, actions=(Stop(EU1, older, "replaced"),))) == ()


def test_relays_that_are_out_elsewhere_do_not_fill_the_budget_of_a_region() -> None:
    rollout = {**BUDGET_ALONE, "max_unavailable": 3, "max_unavailable_per_region": 1}
    look = with_new_release(serving_look())
    look = replace(look, wanted=wanted(fleet_spec(MEDIUM, release="10.6.0", rollout=rollout)))
    for relay in (EU1, EU2):
        look = with_sighting(with_unit(look, relay, UnitState.ACTIVATING), relay, Verdict.REFUSED)
    assert len(disturbed(look)) == 1
    assert findings(look) == ()


def test_touching_one_of_two_that_hang_is_no_defect_while_another_region_upgrades() -> None:
    rollout = {**BUDGET_ALONE, "max_unavailable": 3, "max_unavailable_per_region": 1}
    look = replace(
        with_new_release(serving_look()), wanted=wanted(fleet_spec(MEDIUM, release="10.6.0", rollout=rollout))
    )
    for relay in (EU1, EU2):
        look = with_sighting(look, relay, Verdict.HANDSHAKE_TIMEOUT)
    assert EU1 in disturbed(look)
    assert len(disturbed(look)) == 2
    assert findings(look) == ()


ONLY = "demo-eu-central-1-01"


def upgrading_alone(*down: str):
    """A fleet with a region of one relay, and the plan that restarts this very one."""
    counts = {"eu-central-1": 1, "us-east-1": 3}
    policy = {**BUDGET_ALONE, "max_unavailable": 3, "max_unavailable_per_region": 3}
    look = serving_fleet(fleet_spec(counts, rollout=policy)).look().look
    for relay in down:
        look = with_sighting(look, relay, Verdict.REFUSED)
    plan = plan_fleet(look)
    rendered = next(iter(plan_fleet(new_wish(look, counts, policy)).actions)).rendered
    return look, replace(
        plan, actions=(Deploy(ONLY, instance_of(look, ONLY), rendered, ChangeClass.RESTART, True, ""),)
    )


def new_wish(look, counts, policy):
    return replace(look, wanted=wanted(fleet_spec(counts, release="10.6.0", rollout=policy)))


def test_a_plan_that_takes_the_only_relay_of_a_region_is_allowed_while_all_others_serve() -> None:
    assert findings(*upgrading_alone()) == ()


def test_a_plan_that_takes_the_only_relay_of_a_region_is_refused_while_another_is_out() -> None:
    (refusal,) = findings(*upgrading_alone("demo-us-east-1-02"))
    assert "--confirm dark-region:eu-central-1" in refusal


def test_a_plan_that_takes_the_only_relay_of_a_region_with_another_one_is_refused() -> None:
    look, plan = upgrading_alone()
    second = replace(plan.actions[0], relay="demo-us-east-1-01", instance=instance_of(look, "demo-us-east-1-01"))
    (refusal,) = findings(look, replace(plan, actions=(*plan.actions, second)))
    assert "--confirm dark-region:eu-central-1" in refusal


def test_a_plan_that_works_twice_on_a_relay_is_called_a_defect() -> None:
    look = with_new_release(serving_look())
    plan = plan_fleet(look)
    assert any("2 times at once" in text for text in findings(look, replace(plan, actions=plan.actions * 2)))
