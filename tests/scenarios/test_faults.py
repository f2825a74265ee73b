"""What goes wrong while a fleet comes up or serves, one fault a test, and what the world looks like afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.errors import AnsibleNeverRan, LeaseHeld, NotOurStore, PlanRefused
from orchestrator.execution.cycle import Ending
from orchestrator.planning.plan import Deploy, Health, Phase
from orchestrator.planning.retries import GIVE_UP_AFTER
from orchestrator.simulation.machines import SimulatedDeath
from orchestrator.simulation.store import MemoryStore
from orchestrator.simulation.time import BEGINNING
from tests.scenarios.builders import (
    BUDGET_ALONE,
    MEDIUM,
    REGIONS,
    SMALL,
    fleet_spec,
    rehearsal,
    resubmit,
    serving_fleet,
)
from tests.scenarios.judge import Watch, faults_of, host_of, living, serving

EU1, EU2, US1, US2 = (f"demo-{region}-0{n}" for region in sorted(SMALL) for n in (1, 2))


def subnets(region: str, spec=None) -> tuple[str, ...]:
    return (spec or fleet_spec(SMALL)).regions[region].subnets


def pass_time(made, **duration: float) -> None:
    made.world.clock.wait(timedelta(**duration).total_seconds(), until=lambda: False)


def failures(made, outcome: str = "failed") -> list[tuple[str, str]]:
    return [(event.relay, event.intent) for _, event in made.events if event.outcome == outcome]


def view_of(found, relay: str):
    return next(view for view in found.plan.relays if view.name == relay)


def hold_of(found, relay: str) -> str:
    return "; ".join(hold.because for hold in found.plan.holds if hold.relay == relay)


# --- all is well -----------------------------------------------------------------------------------------------------


def test_twenty_relays_serve_after_one_apply() -> None:
    assert faults_of(serving_fleet()) == []


def test_a_converged_fleet_gives_an_empty_plan_and_no_effect() -> None:
    made = serving_fleet()
    effects = made.world.effects
    ending, last = made.run("second")
    assert (ending, last.plan.actions, last.plan.holds) == (Ending.CONVERGED, (), ())
    assert (made.world.effects, made.events) == (effects, [])


def test_relays_are_spread_over_the_zones_of_their_region() -> None:
    made = serving_fleet(fleet_spec({"eu-central-1": 4}))
    zones = [host.instance.zone for host in living(made.world)]
    assert sorted(zones) == ["eu-central-1a", "eu-central-1a", "eu-central-1b", "eu-central-1b"]


# --- launching -------------------------------------------------------------------------------------------------------


def test_an_error_after_the_launch_makes_no_second_instance() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.error_after_launch = {EU1, US2}
    assert made.run()[0] is Ending.CONVERGED
    assert (made.world.launches, faults_of(made)) == (4, [])


@pytest.mark.parametrize("seconds", [10, 60, 85])
def test_an_instance_that_is_listed_late_is_waited_for(seconds: int) -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.durations = replace(made.world.durations, unseen=timedelta(seconds=seconds))
    assert made.run()[0] is Ending.CONVERGED
    assert (made.world.launches, faults_of(made)) == (4, [])


def test_a_replacement_that_is_listed_late_is_waited_for_too() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    made.world.stop_instance(EU1)
    made.world.durations = replace(made.world.durations, unseen=timedelta(seconds=60))
    assert made.run()[0] is Ending.CONVERGED
    assert (made.world.launches, faults_of(made)) == (5, [])


def test_an_error_after_a_launch_that_is_listed_late_makes_no_second_instance() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.durations = replace(made.world.durations, unseen=timedelta(seconds=80))
    made.world.faults.error_after_launch = {EU1}
    assert made.run()[0] is Ending.CONVERGED
    assert (made.world.launches, faults_of(made)) == (4, [])


def test_a_launch_repeated_long_after_a_crash_is_waited_for_from_then_on() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.durations = replace(made.world.durations, unseen=timedelta(seconds=60))
    made.world.crash_at = 1
    with pytest.raises(SimulatedDeath):
        made.run()
    made.world.clock.drop()
    pass_time(made, hours=1)
    assert made.run("second")[0] is Ending.CONVERGED
    assert (made.world.launches, faults_of(made)) == (4, [])


def test_a_zone_without_capacity_is_passed_over() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.no_capacity = {subnets("eu-central-1")[0]}
    assert made.run()[0] is Ending.CONVERGED
    assert faults_of(made) == []
    assert {host_of(made.world, name).instance.zone for name in (EU1, EU2)} == {"eu-central-1b"}


def test_a_region_without_capacity_holds_and_the_other_one_serves() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.no_capacity = set(subnets("eu-central-1"))
    ending, last = made.run()
    assert ending is Ending.HELD
    assert serving(made.world) == {US1, US2}
    assert "every zone of eu-central-1 refused" in hold_of(last, EU1)
    assert "InsufficientInstanceCapacity" in hold_of(last, EU1)


def test_capacity_that_is_back_is_used_by_a_later_apply() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.no_capacity = set(subnets("eu-central-1"))
    made.run()
    made.world.faults.no_capacity = set()
    pass_time(made, minutes=11)
    assert made.run("second")[0] is Ending.CONVERGED
    assert faults_of(made) == []


def test_an_instance_that_never_boots_is_replaced_after_the_deadline() -> None:
    made = rehearsal(fleet_spec(MEDIUM))
    made.world.faults.never_boots = {"i-00000003"}
    assert made.run()[0] is Ending.CONVERGED
    assert faults_of(made) == []
    assert made.world.launches == 9
    assert made.world.clock.now() - BEGINNING > made.wanted.spec.rollout.boot_deadline


def test_a_fleet_that_boots_nowhere_ends_in_holds_rather_than_in_more_instances() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.never_boots = {f"i-{number:08x}" for number in range(1, 100)}
    ending, last = made.run()
    assert (ending, made.world.launches) == (Ending.HELD, 4)
    assert "since its launch" in hold_of(last, EU1)


# --- hosts -----------------------------------------------------------------------------------------------------------


def test_an_isolated_relay_is_unknown_and_left_alone() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    before = host_of(made.world, EU1).instance
    made.world.faults.unreachable = {EU1}
    ending, last = made.run("second")
    assert ending is Ending.HELD
    assert view_of(last, EU1).health is Health.UNKNOWN
    assert made.events == []
    assert host_of(made.world, EU1).instance == before


def test_an_isolated_relay_is_planned_again_when_it_is_back() -> None:
    made = resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0"))
    made.world.faults.unreachable = {EU1}
    assert made.run("second")[0] is Ending.HELD
    made.world.faults.unreachable = set()
    assert made.run("third")[0] is Ending.CONVERGED
    assert faults_of(made) == []
    assert {host.release for host in living(made.world)} == {"b" * 64}


def test_a_relay_that_is_missed_for_a_moment_ends_no_apply() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    made.world.faults.unreachable = {EU1}
    made.world.clock.at(timedelta(seconds=20), made.world.faults.unreachable.clear)
    assert made.run("second")[0] is Ending.CONVERGED


def test_a_relay_unreachable_for_long_while_others_answer_is_replaced() -> None:
    made = serving_fleet(fleet_spec(MEDIUM))
    name = "demo-eu-central-1-02"
    address = host_of(made.world, name).instance.address
    made.world.faults.unreachable = {host_of(made.world, name).instance.instance_id}
    assert made.run("second")[0] is Ending.HELD
    pass_time(made, minutes=31)
    assert made.run("third")[0] is Ending.CONVERGED
    assert faults_of(made) == []
    assert host_of(made.world, name).instance.address == address


def test_a_mostly_unreachable_fleet_is_held_for_good() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    made.world.faults.unreachable = {EU1, US1}
    made.run("second")
    pass_time(made, hours=5)
    ending, last = made.run("third")
    assert (ending, made.events, made.world.launches) == (Ending.HELD, [], 4)
    assert "cut off" in last.plan.warnings[0]


def test_a_host_with_the_wrong_key_is_named_and_untouched() -> None:
    made = resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0"))
    made.world.faults.wrong_key = {EU1}
    made.world.clock.wait(1, until=lambda: False)
    before = host_of(made.world, EU1).release
    ending, last = made.run("second")
    assert ending is Ending.HELD
    assert "refused to talk to" in view_of(last, EU1).reason
    assert host_of(made.world, EU1).release == before
    assert not [event for _, event in made.events if event.relay == EU1]


def test_a_host_whose_record_and_tag_disagree_is_refused_by_both_names() -> None:
    made = resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0"))
    host = host_of(made.world, EU1)
    host.instance = replace(host.instance, host_key="ssh-ed25519 forged")
    ending, last = made.run("second")
    assert ending is Ending.HELD
    assert "ssh-ed25519 forged" in hold_of(last, EU1)
    assert host.own_key in hold_of(last, EU1)
    assert host.release == "a" * 64


def test_a_host_lost_in_the_middle_of_a_run_is_tried_again() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.lost_during = {("prepare", EU1), ("stage", US1), ("deploy", US2)}
    assert made.run()[0] is Ending.CONVERGED
    assert faults_of(made) == []
    assert set(failures(made, "lost")) == {(EU1, "prepare"), (US1, "stage"), (US2, "deploy")}


def test_a_stage_that_keeps_failing_ends_in_a_hold_while_the_others_converge() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.stage_fails = {EU1}
    ending, last = made.run()
    assert ending is Ending.HELD
    assert serving(made.world) == {EU2, US1, US2}
    assert failures(made) == [(EU1, "stage")] * GIVE_UP_AFTER
    assert "checksum mismatch; `apply` again to retry" in hold_of(last, EU1)


def test_an_operators_new_apply_tries_again_what_was_given_up() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.stage_fails = {EU1}
    made.run()
    made.world.faults.stage_fails = set()
    made.store.delete_all_attempts()
    assert made.run("second")[0] is Ending.CONVERGED
    assert faults_of(made) == []


def test_an_ansible_that_never_ran_is_said_and_blames_no_host() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.ansible_never_runs = True
    with pytest.raises(AnsibleNeverRan, match="before it named a host"):
        made.run()
    assert not made.store.load().attempts
    made.world.faults.ansible_never_runs = False
    pass_time(made, minutes=2)
    assert made.run("second")[0] is Ending.CONVERGED
    assert faults_of(made) == []


def test_files_edited_by_hand_are_put_right() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    host = host_of(made.world, EU1)
    path = "/etc/cardano-node/topology.json"
    host.files[path] = replace(host.files[path], sha256="0" * 64)
    ending, _ = made.run("second")
    assert ending is Ending.CONVERGED
    assert host.files[path].sha256 != "0" * 64
    assert [event.intent for _, event in made.events if event.outcome == "done"] == ["deploy"]


# --- instances that go away ------------------------------------------------------------------------------------------


def test_an_instance_deleted_behind_our_back_comes_back_with_its_address_and_the_next_generation() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    before = host_of(made.world, EU1).instance
    made.world.terminate(before.instance_id)
    assert made.run("second")[0] is Ending.CONVERGED
    after = host_of(made.world, EU1).instance
    assert faults_of(made) == []
    assert (after.generation, after.address) == (before.generation + 1, before.address)


def test_an_instance_deleted_before_its_launch_was_answered_is_replaced() -> None:
    made = rehearsal(fleet_spec(SMALL))
    made.world.faults.error_after_launch = {EU1}
    made.world.clock.at(
        timedelta(seconds=3), lambda: made.world.terminate(host_of(made.world, EU1).instance.instance_id)
    )
    assert made.run()[0] is Ending.CONVERGED
    assert faults_of(made) == []
    assert host_of(made.world, EU1).instance.generation == 2


def test_a_stopped_instance_is_replaced_and_its_disk_used_again() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    disks = {key: relay for key, (_, _, relay, _) in made.world.volumes.items()}
    before = host_of(made.world, EU1).instance
    made.world.stop_instance(EU1)
    assert made.run("second")[0] is Ending.CONVERGED
    after = host_of(made.world, EU1).instance
    assert faults_of(made) == []
    assert {key: relay for key, (_, _, relay, _) in made.world.volumes.items()} == disks
    assert (after.zone, after.address) == (before.zone, before.address)


def test_a_replacement_in_another_zone_leaves_no_disk_behind() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    before = host_of(made.world, EU1).instance
    made.world.stop_instance(EU1)
    made.world.faults.no_capacity = {before.subnet}
    assert made.run("second")[0] is Ending.CONVERGED
    assert faults_of(made) == []
    assert host_of(made.world, EU1).instance.zone != before.zone


def test_a_dead_relay_is_retired_only_after_its_replacement_was_launched() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    made.world.stop_instance(EU1)
    made.run("second")
    done = [event.intent for _, event in made.events if event.relay == EU1 and event.outcome == "done"]
    assert done.index("launch") < done.index("retire")


def test_what_a_deleted_instance_left_in_the_record_is_forgotten() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    gone = host_of(made.world, EU1).instance.instance_id
    made.world.terminate(gone)
    made.run("second")
    assert gone not in made.store.load().identities


# --- regions ---------------------------------------------------------------------------------------------------------


def test_a_silent_region_is_held_and_the_others_go_on() -> None:
    made = resubmit(
        serving_fleet(), fleet_spec(health={"max_tip_age": timedelta(minutes=6)}, topology={"neighbours": 3})
    )
    made.world.faults.silent_regions = {REGIONS[1]}
    ending, last = made.run("second")
    assert ending is Ending.HELD
    touched = {event.relay for _, event in made.events}
    assert len(touched) == 15
    assert not {relay for relay in touched if REGIONS[1] in relay}
    assert all(REGIONS[1] in hold.relay for hold in last.plan.holds)


def test_nothing_of_a_silent_region_is_launched_again_or_given_back() -> None:
    made = serving_fleet()
    things = (dict(made.world.volumes), dict(made.world.addresses), made.world.launches)
    made.world.faults.silent_regions = {REGIONS[1]}
    made.run("second")
    assert (dict(made.world.volumes), dict(made.world.addresses), made.world.launches) == things


# --- who may act -----------------------------------------------------------------------------------------------------


def test_a_second_controller_is_told_who_holds_the_lease() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    now = made.world.clock.now()
    made.store.acquire_lease("anna on host-1", now, now + timedelta(minutes=1), 0)
    with pytest.raises(LeaseHeld, match="anna on host-1 holds the lease"):
        made.run("bert on host-2")
    assert made.events == []


def test_a_controller_with_another_store_changes_nothing() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    made.world.terminate(host_of(made.world, EU1).instance.instance_id)
    made.store = MemoryStore("demo", "another")
    effects = made.world.effects
    with pytest.raises(NotOurStore, match="belong to store simulated, this one is another"):
        made.run("second")
    assert (made.world.effects, made.events) == (effects, [])


def test_a_new_store_takes_a_token_above_what_the_hosts_have_seen() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    for host in living(made.world):
        host.token = 41
    made.store._record = replace(made.store.load(), token=0)
    made.run("second")
    assert made.store.load().token == 42


# --- leaving ---------------------------------------------------------------------------------------------------------


def test_a_fleet_file_that_retires_half_is_refused_by_the_confirmations_name() -> None:
    made = resubmit(serving_fleet(), fleet_spec(dict.fromkeys(REGIONS[:2], 5)))
    effects = made.world.effects
    with pytest.raises(PlanRefused, match="`--confirm retire:10`") as refused:
        made.run("second")
    assert f"`--confirm empty-region:{REGIONS[2]}`" in str(refused.value)
    assert made.world.effects == effects


@pytest.mark.parametrize("stops", [timedelta(seconds=20), timedelta(minutes=3)])
def test_a_confirmed_retirement_is_carried_out_to_its_end_and_leaves_nothing(stops: timedelta) -> None:
    made = resubmit(serving_fleet(), fleet_spec(dict.fromkeys(REGIONS, 2)))
    made.world.durations = replace(made.world.durations, slow_stop=stops)
    made.world.faults.slow_to_stop = {f"demo-{REGIONS[0]}-03", f"demo-{REGIONS[1]}-05"}
    made.store.save_confirmations(frozenset({"retire:12"}))
    assert made.run("second")[0] is Ending.CONVERGED
    assert faults_of(made) == []


def test_a_confirmation_of_fewer_retirements_is_not_enough() -> None:
    made = resubmit(serving_fleet(), fleet_spec(dict.fromkeys(REGIONS, 2)))
    made.store.save_confirmations(frozenset({"retire:11"}))
    with pytest.raises(PlanRefused, match="retire:12"):
        made.run("second")


def test_a_surplus_node_is_stopped_before_its_instance_goes() -> None:
    made = resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec({"eu-central-1": 2, "us-east-1": 1}))
    assert made.run("second")[0] is Ending.CONVERGED
    done = [event.intent for _, event in made.events if event.relay == US2 and event.outcome == "done"]
    assert done == ["stop", "retire", "release", "release"]


def test_a_surplus_relay_that_cannot_be_asked_stays() -> None:
    made = resubmit(serving_fleet(), fleet_spec({**dict.fromkeys(REGIONS, 5), REGIONS[3]: 4}))
    name = f"demo-{REGIONS[3]}-05"
    made.world.faults.unreachable = {name}
    ending, last = made.run("second")
    assert ending is Ending.HELD
    assert "could not be asked" in hold_of(last, name)
    assert host_of(made.world, name)


def test_another_magic_is_refused() -> None:
    network = {"name": "testing", "magic": 43, "folder": "network"}
    made = resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, network=network))
    with pytest.raises(PlanRefused, match="magic:43"):
        made.run("second")


# --- rolling ---------------------------------------------------------------------------------------------------------


def test_a_new_release_rolls_one_relay_at_a_time_and_leaves_no_region_dark() -> None:
    made = resubmit(serving_fleet(fleet_spec(MEDIUM)), fleet_spec(MEDIUM, release="10.6.0"))
    watch = Watch(made.world, made.wanted.spec).over(made)
    assert made.run("second")[0] is Ending.CONVERGED
    assert (watch.most_out, watch.dark) == (1, set())
    assert len(watch.ever_out) == 8
    assert {host.release for host in living(made.world)} == {"b" * 64}


@pytest.mark.parametrize(("total", "per_region"), [(3, 1), (3, 2), (4, 4)])
def test_a_larger_budget_is_used_and_never_exceeded(total: int, per_region: int) -> None:
    rollout = {"max_unavailable": total, "max_unavailable_per_region": per_region}
    made = resubmit(serving_fleet(fleet_spec(MEDIUM)), fleet_spec(MEDIUM, release="10.6.0", rollout=rollout))
    watch = Watch(made.world, made.wanted.spec).over(made)
    assert made.run("second")[0] is Ending.CONVERGED
    assert (watch.most_out, watch.dark) == (total, set())


def test_everything_is_staged_before_anything_is_disturbed_on_a_relay() -> None:
    made = resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0"))
    made.world.faults.stage_fails = {EU1}
    ending, _ = made.run("second")
    assert ending is Ending.HELD
    assert host_of(made.world, EU1).release == "a" * 64
    assert EU1 in serving(made.world)


def test_a_restart_waits_while_a_relay_is_down_already() -> None:
    made = resubmit(serving_fleet(fleet_spec(MEDIUM)), fleet_spec(MEDIUM, release="10.6.0", rollout=BUDGET_ALONE))
    made.world.faults.unreachable = {f"demo-{REGIONS[2]}-02"}
    watch = Watch(made.world, made.wanted.spec).over(made)
    ending, last = made.run("second")
    assert ending is Ending.HELD
    assert watch.most_out == 1
    assert not [event for _, event in made.events if event.intent == "deploy"]
    assert f"1 of 1 relays that may be out are out (demo-{REGIONS[2]}-02)" in hold_of(last, f"demo-{REGIONS[0]}-01")


def test_a_dead_relay_is_replaced_before_the_rollout_goes_on() -> None:
    made = resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0"))
    made.world.stop_instance(EU1)
    watch = Watch(made.world, made.wanted.spec).over(made)
    assert made.run("second")[0] is Ending.CONVERGED
    assert (watch.most_out, faults_of(made)) == (1, [])


def test_the_only_relay_of_a_region_restarts_while_all_others_serve() -> None:
    counts = {"eu-central-1": 1, "us-east-1": 2}
    made = resubmit(serving_fleet(fleet_spec(counts)), fleet_spec(counts, release="10.6.0"))
    watch = Watch(made.world, made.wanted.spec).over(made)
    assert made.run("second")[0] is Ending.CONVERGED
    assert (watch.most_out, faults_of(made)) == (1, [])


def test_the_only_relay_of_a_region_stays_while_another_is_out_unless_that_is_confirmed() -> None:
    counts = {"eu-central-1": 1, "us-east-1": 3}
    wider = {**BUDGET_ALONE, "max_unavailable": 2}
    made = resubmit(serving_fleet(fleet_spec(counts)), fleet_spec(counts, release="10.6.0", rollout=wider))
    made.world.faults.unreachable = {US1}
    ending, last = made.run("second")
    assert ending is Ending.HELD
    assert f"it is the only relay of eu-central-1, and others are out ({US1})" in hold_of(last, EU1)
    assert host_of(made.world, EU1).release == "a" * 64
    made.store.save_confirmations(frozenset({"dark-region:eu-central-1"}))
    made.run("third")
    assert host_of(made.world, EU1).release == "b" * 64


def test_a_change_of_topology_alone_takes_nobody_out() -> None:
    made = resubmit(serving_fleet(fleet_spec(MEDIUM)), fleet_spec(MEDIUM, topology={"neighbours": 3}))
    watch = Watch(made.world, made.wanted.spec).over(made)
    assert made.run("second")[0] is Ending.CONVERGED
    assert watch.most_out == 0
    assert len([event for _, event in made.events if event.intent == "deploy" and event.outcome == "done"]) == 8


def test_a_node_that_takes_ten_minutes_to_stop_keeps_nobody_else_waiting() -> None:
    made = resubmit(serving_fleet(fleet_spec(MEDIUM)), fleet_spec({**MEDIUM, REGIONS[0]: 1, REGIONS[3]: 3}))
    leaving, joining = f"demo-{REGIONS[0]}-02", f"demo-{REGIONS[3]}-03"
    made.world.faults.slow_to_stop = {leaving}
    assert made.run("second")[0] is Ending.CONVERGED
    ended = {(event.relay, event.intent): seconds for seconds, event in made.events if event.outcome == "done"}
    assert ended[joining, "deploy"] + 400 < ended[leaving, "retire"]
    assert faults_of(made) == []


def test_a_relay_being_staged_still_counts_as_serving() -> None:
    made = resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0"))
    seen = []
    made.report = lambda found, in_flight: seen.append((found, in_flight))
    made.run("second")
    staging = [found for found, in_flight in seen if {work.intent for work in in_flight.values()} == {"stage"}]
    assert staging
    assert {view.phase for found in staging for view in found.plan.relays} == {Phase.SERVING}


def test_no_plan_of_a_rollout_disturbs_more_than_one() -> None:
    made = resubmit(serving_fleet(fleet_spec(MEDIUM)), fleet_spec(MEDIUM, release="10.6.0"))
    most = []
    made.report = lambda found, _: most.append(sum(isinstance(a, Deploy) and a.disturbs for a in found.plan.actions))
    made.run("second")
    assert max(most) == 1
