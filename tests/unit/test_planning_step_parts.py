"""What a relay is furnished with, how it is prepared, and when it is deployed, one condition at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import InstanceState, UnitState, Verdict
from orchestrator.planning.assess import assess_relay
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Deploy, Furnish, Health, Hold, Kind, Prepare
from orchestrator.planning.steps import Goal, plan_step
from orchestrator.rendering.values import ChangeClass
from tests.relay_steps import (
    EVERYTHING,
    WITHOUT_CONFIG,
    bare,
    budget_of,
    facts_of,
    rendered,
    slot_of,
    step,
)
from tests.scenarios.looks import (
    EU1,
    EU2,
    instance_of,
    serving_look,
    with_another,
    with_attempt,
    with_facts,
    with_instance,
    with_sighting,
)

# --- furnishing ----------------------------------------------------------------------------------------------------------


def lacking(*what: str) -> Look:
    """The relay's instance without its address, its disk, or both."""
    look = serving_look()
    cloud, own = look.seen.cloud, instance_of(look, EU1).instance_id
    addresses = tuple(a for a in cloud.addresses if a.attached_to != own or "address" not in what)
    volumes = tuple(v for v in cloud.volumes if v.attached_to != own or "disk" not in what)
    return replace(look, seen=replace(look.seen, cloud=replace(cloud, addresses=addresses, volumes=volumes)))


@pytest.mark.parametrize(("what", "words"), [("address", "its elastic address"), ("disk", "its chain disk")])
def test_a_running_instance_is_given_what_it_lacks(what: str, words: str) -> None:
    look = lacking(what)
    _, furnish = step(look)
    assert isinstance(furnish, Furnish)
    assert furnish.reason == f"{furnish.instance.instance_id} lacks {words}"


def test_nothing_is_given_to_one_that_does_not_run() -> None:
    look = with_instance(lacking("disk"), EU1, state=InstanceState.PENDING)
    assert not isinstance(step(look)[1], Furnish)


def test_where_addresses_come_with_the_instance_none_is_given() -> None:
    look = lacking("address")
    regions = {name: region.model_copy(update={"addresses": "instance"}) for name, region in look.spec.regions.items()}
    spec = look.spec.model_copy(update={"regions": regions})
    assert not isinstance(step(replace(look, wanted=replace(look.wanted, spec=spec)))[1], Furnish)


def test_a_furnishing_that_failed_is_tried_again_only_after_its_pause() -> None:
    _, hold = step(with_attempt(lacking("disk"), EU1, "furnish", 1))
    assert isinstance(hold, Hold)
    assert "furnish failed once" in hold.because


@pytest.mark.parametrize(
    ("state", "waits"),
    [(InstanceState.STOPPED, True), (InstanceState.RUNNING, False)],
    ids=["a dead one has them", "a living one has them"],
)
def test_what_belongs_to_an_instance_that_is_being_retired_is_waited_for(state: InstanceState, waits: bool) -> None:
    look = with_instance(serving_look(), EU1, state=state)
    look = with_another(look, EU1, generation=2, state=InstanceState.RUNNING)
    _, found = step(look)
    assert isinstance(found, Hold if waits else Furnish)
    if isinstance(found, Hold):
        old = next(i for i in look.seen.cloud.instances if i.relay == EU1 and i.generation == 1)
        owned = "its elastic address and its chain disk"
        assert found.because == f"{owned} still belongs to {old.instance_id}, which is being retired"
        assert found.passes


def test_where_hosts_are_named_nothing_is_given_to_them() -> None:
    look = lacking("disk")
    slot, budget = slot_of(look), budget_of(look)
    spec = look.spec.model_copy(update={"cloud": look.spec.cloud.model_copy(update={"kind": "static"})})
    named = replace(look, wanted=replace(look.wanted, spec=spec))
    goal = Goal(rendered(), None, Kind(), frozenset())
    view = assess_relay(slot, look)
    assert not isinstance(plan_step(slot, view, goal, facts_of(look).prepared, named, budget, {})[1], Furnish)


@pytest.mark.parametrize("what", ["address", "disk"])
def test_a_dead_instance_that_has_but_one_of_them_is_waited_for_as_well(what: str) -> None:
    look = with_instance(lacking(what), EU1, state=InstanceState.STOPPED)
    look = with_another(look, EU1, generation=2, state=InstanceState.RUNNING)
    assert isinstance(step(look)[1], Hold)


def test_a_dead_instance_that_has_neither_is_not_waited_for() -> None:
    look = with_instance(lacking("address", "disk"), EU1, state=InstanceState.STOPPED)
    look = with_another(look, EU1, generation=2, state=InstanceState.RUNNING)
    assert isinstance(step(look)[1], Furnish)


def test_what_a_living_instance_of_another_kind_has_is_waited_for_by_the_one_that_follows_it() -> None:
    look = with_instance(serving_look(), EU1, instance_type="r6a.xlarge")
    look = with_facts(look, EU1, unit=UnitState.INACTIVE, running_restart_digest="")
    look = with_sighting(look, EU1, Verdict.REFUSED)
    look = with_another(look, EU1, generation=2, instance_type="r6a.large")
    found = step(look)[1]
    assert isinstance(found, Hold)
    assert "which is being retired" in found.because


# --- preparing -----------------------------------------------------------------------------------------------------------


def test_a_host_whose_own_key_is_not_known_is_identified_first() -> None:
    look = bare(prepared=None)
    own = instance_of(look, EU1)
    kept = {key: value for key, value in look.record.identities.items() if value.relay != EU1}
    look = with_instance(replace(look, record=replace(look.record, identities=kept)), EU1, host_key=None)
    prepare = step(look)[1]
    assert isinstance(prepare, Prepare)
    assert (prepare.step, prepare.reason) == ("identify", "its own host key is not on record yet")
    assert prepare.volume_id == look.by.volumes[own.instance_id].volume_id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prepared": ""}, "its baseline was never made"),
        ({"prepared": "another"}, "its baseline differs from the wanted one"),
        ({"one_time_key_wiped": False}, "its one-time host key is still in use"),
    ],
)
def test_then_it_is_given_its_baseline_and_leaves_its_one_time_key(changes: dict[str, object], reason: str) -> None:
    prepare = step(bare(**changes))[1]
    assert isinstance(prepare, Prepare)
    assert (prepare.step, prepare.reason) == ("settle", reason)


# --- deploying -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"running_restart_digest": "another"}, "running node differs"),
        ({"release": "0" * 64, "files": WITHOUT_CONFIG}, "/etc/cardano-node/config.json, release differ"),
    ],
)
def test_why_it_is_deployed_is_told(changes: dict[str, object], reason: str) -> None:
    _, deploy = step(bare(staged=EVERYTHING, **changes))
    assert isinstance(deploy, Deploy)
    assert deploy.reason == reason
    assert deploy.disturbs


def test_a_host_that_never_had_a_unit_is_deployed_for_the_first_time() -> None:
    look = bare(unit=UnitState.ABSENT, unit_enabled=False, files={}, release="", running_restart_digest="")
    _, deploy = step(with_sighting(look, EU1, Verdict.REFUSED))
    assert isinstance(deploy, Deploy)
    assert (deploy.reason, deploy.disturbs) == ("was never deployed", False)


def test_a_reload_disturbs_nobody_and_asks_no_budget() -> None:
    look = bare(running_reload_digest="another")
    _, deploy = step(look, budget=budget_of(look, limit=0))
    assert isinstance(deploy, Deploy)
    assert (deploy.change, deploy.disturbs) == (ChangeClass.RELOAD, False)


@pytest.mark.parametrize("changes", [{}, {"running_restart_digest": "another"}], ids=["nothing to do", "a restart"])
def test_while_firewall_rules_are_on_trial_it_is_left_alone(changes: dict[str, object]) -> None:
    _, hold = step(bare(firewall_pending=True, **changes))
    because = "firewall rules wait for their confirmation or their undoing"
    assert hold == Hold(EU1, "deploy", because, passes=True)


def test_a_node_that_is_stopping_is_waited_for() -> None:
    look = bare(unit=UnitState.DEACTIVATING, release="0" * 64)
    _, hold = step(look, health=Health.UNHEALTHY)
    assert hold == Hold(EU1, "deploy", "release differs; the node is still stopping", passes=True)


def test_what_is_not_known_to_serve_or_not_is_not_restarted() -> None:
    _, hold = step(bare(running_restart_digest="another"), health=Health.UNKNOWN)
    assert isinstance(hold, Hold)
    assert not hold.passes
    assert "whether it serves is not known, so it is not restarted" in hold.because


def test_what_is_not_known_to_serve_or_not_may_be_told_to_reload() -> None:
    _, deploy = step(bare(running_reload_digest="another"), health=Health.UNKNOWN)
    assert isinstance(deploy, Deploy)


def test_a_restart_waits_for_the_relays_turn_and_a_reload_does_not() -> None:
    restart, reload = bare(running_restart_digest="another"), bare(running_reload_digest="another")
    gates = {EU1: "wave 2 waits"}
    hold = step(restart, budget=budget_of(restart, gates=gates))[1]
    assert hold == Hold(EU1, "restart", "running node differs; wave 2 waits")
    assert isinstance(step(reload, budget=budget_of(reload, gates=gates))[1], Deploy)


def test_a_restart_of_one_that_serves_waits_for_the_budget_and_of_one_that_is_down_does_not() -> None:
    look = bare(running_restart_digest="another")
    full = replace(budget_of(look), limit=0)
    hold = step(look, budget=full)[1]
    assert isinstance(hold, Hold)
    assert hold.wanted == "restart"
    down = with_sighting(bare(unit=UnitState.FAILED, running_restart_digest=""), EU1, Verdict.REFUSED)
    assert isinstance(step(down, budget=full, health=Health.UNHEALTHY)[1], Deploy)


def test_one_that_serves_drains_before_it_is_restarted() -> None:
    look = with_facts(serving_look(), EU1, running_restart_digest="another")
    hold = step(look)[1]
    assert isinstance(hold, Hold)
    assert hold.wanted == "drain"


def test_one_that_answers_and_does_not_serve_is_not_drained() -> None:
    look = with_facts(serving_look(), EU1, running_restart_digest="another")
    look = with_sighting(look, EU1, Verdict.STALE_TIP)
    deploy = step(look, health=Health.UNHEALTHY)[1]
    assert isinstance(deploy, Deploy)


@pytest.mark.parametrize("changes", [{"files": {}}, {"unit": UnitState.ABSENT, "running_restart_digest": ""}])
def test_a_host_that_lacks_but_its_files_or_its_unit_was_deployed_before(changes: dict[str, object]) -> None:
    deploy = step(bare(**changes))[1]
    assert isinstance(deploy, Deploy)
    assert deploy.reason != "was never deployed"


def test_a_deploy_that_failed_is_tried_again_only_after_its_pause() -> None:
    hold = step(with_attempt(bare(unit_enabled=False), EU1, "deploy", 1))[1]
    assert isinstance(hold, Hold)
    assert "deploy failed once" in hold.because


@pytest.mark.parametrize(
    ("verdict", "health", "disturbs"),
    [
        (Verdict.OK, Health.HEALTHY, True),
        (Verdict.REFUSED, Health.HEALTHY, True),
        (Verdict.STALE_TIP, Health.UNHEALTHY, True),
        (Verdict.REFUSED, Health.UNHEALTHY, False),
    ],
)
def test_who_serves_or_answers_is_disturbed_by_a_restart(verdict: Verdict, health: Health, disturbs: bool) -> None:
    unit = UnitState.ACTIVE if disturbs else UnitState.FAILED
    look = with_sighting(bare(unit=unit, running_restart_digest="another"), EU1, verdict)
    deploy = step(look, health=health)[1]
    assert isinstance(deploy, Deploy)
    assert deploy.disturbs is disturbs


@pytest.mark.parametrize(
    ("verdict", "health", "waits"),
    [
        (Verdict.REFUSED, Health.HEALTHY, True),
        (Verdict.OK, Health.UNHEALTHY, True),
        (Verdict.STALE_TIP, Health.UNHEALTHY, False),
    ],
    ids=["it serves", "it is only doubted", "it answers, and is out already"],
)
def test_whom_a_restart_costs_the_budget_and_whom_not(verdict: Verdict, health: Health, waits: bool) -> None:
    look = with_sighting(bare(running_restart_digest="another"), EU1, verdict)
    full = replace(budget_of(look), out=frozenset({EU2}))
    assert isinstance(step(look, health=health, budget=full)[1], Hold if waits else Deploy)
