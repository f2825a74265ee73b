"""Each rule of the oracle about rollouts can be broken by a wrong controller, and is kept by a right one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.observation import Verdict
from orchestrator.fleet.rollout import Verb
from orchestrator.simulation.faults import ReleaseFault
from tests.scenarios.judge import host_of
from tests.simulation.watching import (
    EU1,
    EU2,
    NEW,
    NEWER,
    OLD,
    US1,
    US2,
    give,
    give_all,
    look,
    pass_time,
    stop,
    watched,
)

# --- canaries --------------------------------------------------------------------------------------------------------


def test_a_canary_and_then_the_others_one_after_another_is_no_breach() -> None:
    made, oracle = watched()
    give_all(made, oracle, (EU1, EU2, US1, US2), NEW)
    assert oracle.breaches == []


def test_a_second_relay_before_the_canary_has_baked_is_a_breach() -> None:
    made, oracle = watched()
    give(made, EU1, NEW)
    pass_time(made, oracle, 120)  # it stops for 20 s, replays for 60 s, and has served for 40 of 60 s
    give(made, US1, NEW)
    assert len(oracle.breaches) == 1
    assert "1 of 1 that may have it (demo-eu-central-1-01) have not served out their 60 s" in oracle.breaches[0]


def test_a_bake_with_a_break_in_it_begins_anew() -> None:
    made, oracle = watched()
    give(made, EU1, NEW)
    pass_time(made, oracle, 100)
    made.world.faults.hanging = {EU1}
    pass_time(made, oracle, 10)
    made.world.faults.hanging = set()
    pass_time(made, oracle, 50)
    give(made, US1, NEW)
    assert len(oracle.breaches) == 1


def test_two_canaries_may_bake_side_by_side_and_a_third_may_not() -> None:
    made, oracle = watched(canaries=2, most_out=4)
    give(made, EU1, NEW)
    give(made, US1, NEW)
    assert oracle.breaches == []
    give(made, US2, NEW)
    assert any("2 of 2 that may have it" in breach for breach in oracle.breaches)


def test_other_settings_are_another_make_and_need_a_canary_as_well() -> None:
    made, oracle = watched()
    give(made, EU1, OLD, "500")
    give(made, US1, OLD, "500")
    assert any("10.5.1 with soft limit 500 though 1 of 1" in breach for breach in oracle.breaches)


def test_a_relay_that_is_down_anyway_may_not_have_it_before_the_canary_has_baked_either() -> None:
    made, oracle = watched()
    give(made, EU1, NEW)
    stop(made, US1)
    pass_time(made, oracle, 30)
    oracle.breaches.clear()
    give(made, US1, NEW)
    assert len(oracle.breaches) == 1


def test_what_the_first_relays_are_made_with_needs_no_proof() -> None:
    _, oracle = watched()
    assert {relay for relay, made_with in oracle.waves.given.items() if made_with.release == OLD} == {
        EU1,
        EU2,
        US1,
        US2,
    }
    assert oracle.breaches == []


def test_going_back_to_what_the_fleet_had_proven_needs_no_canary() -> None:
    made, oracle = watched(most_out=4)
    give(made, EU1, NEW)
    pass_time(made, oracle, 10)
    give(made, EU1, OLD)
    give(made, US1, OLD)
    assert oracle.breaches == []


# --- waves -----------------------------------------------------------------------------------------------------------


def test_two_relays_of_a_region_at_once_are_more_than_a_wave() -> None:
    made, oracle = watched(most_out=4)
    give_all(made, oracle, (US2,), NEW)
    give(made, EU1, NEW)
    give(made, US1, NEW)
    assert oracle.breaches == []
    oracle.waves.judge_deploy(give(made, EU2, NEW), oracle.latest, made.world.clock.now(), serves=True)
    assert any(
        f"{EU2} is taken for 10.6.0 with soft limit 768 though {EU1} of its region" in b for b in oracle.breaches
    )


def test_without_canaries_a_wave_s_worth_may_be_taken_and_no_more() -> None:
    made, oracle = watched(canaries=0, most_out=4)
    give(made, EU1, NEW)
    give(made, US1, NEW)
    assert oracle.breaches == []
    give(made, US2, NEW)
    assert any("2 of 2 that may have it" in breach for breach in oracle.breaches)


def test_by_region_no_relay_of_another_region_goes_while_one_has_not_baked() -> None:
    made, oracle = watched(most_out=4, by_region=True)
    give_all(made, oracle, (EU2,), NEW)
    give(made, EU1, NEW)
    give(made, US1, NEW)
    assert oracle.breaches == [
        f"{US1} is taken for 10.6.0 with soft limit 768 though {EU1} of another region have not baked"
    ]


def test_what_the_whole_fleet_has_served_with_goes_by_no_waves() -> None:
    made, oracle = watched(most_out=4, most_out_in={"eu-central-1": 4, "us-east-1": 4})
    give_all(made, oracle, (EU1, EU2, US1, US2), NEW)
    give(made, EU1, OLD)
    give(made, US1, OLD)
    give(made, US2, OLD)
    assert oracle.breaches == [f"{US2} is taken out, the last that serves in us-east-1"]


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [ReleaseFault.NEVER_STARTS, ReleaseFault.NEVER_LISTENS, ReleaseFault.HANGS, ReleaseFault.WRONG_MAGIC],
)
def test_a_relay_given_what_has_visibly_failed_is_a_breach_until_an_operator_resumes(fault: ReleaseFault) -> None:
    made, oracle = watched(canary_bake=timedelta(), progress_deadline=timedelta(minutes=2))
    made.world.faults.bad_releases[NEW] = fault
    give(made, EU1, NEW)
    pass_time(made, oracle, 420)
    oracle.decided = made.world.clock.now()
    give(made, US1, NEW)
    assert f"{US1} is given 10.6.0 with soft limit 768, which has failed on {EU1}" in oracle.breaches
    oracle.breaches.clear()
    oracle.note_order(Verb.RESUME)
    give(made, US2, NEW)
    assert not any("has failed" in breach for breach in oracle.breaches)


def test_a_failure_that_few_looks_could_see_is_nobody_s_fault() -> None:
    made, oracle = watched(canaries=2, most_out=4)
    made.world.faults.bad_releases[NEW] = ReleaseFault.WRONG_MAGIC
    give(made, EU1, NEW)
    pass_time(made, oracle, 100)
    give(made, US1, NEW)
    assert oracle.breaches == []


def test_a_way_back_to_what_has_failed_is_a_breach() -> None:
    made, oracle = watched(progress_deadline=timedelta(minutes=2))
    made.world.faults.bad_releases[NEW] = ReleaseFault.NEVER_LISTENS
    give(made, EU1, NEW)
    pass_time(made, oracle, 420)
    give(made, EU1, NEWER)
    pass_time(made, oracle, 180)
    oracle.breaches.clear()
    give(made, EU1, NEW)
    assert any("which has failed" in breach for breach in oracle.breaches)


# --- orders, partners, draining --------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.HALT])
def test_a_relay_taken_after_an_operator_stopped_that_is_a_breach(verb: Verb) -> None:
    made, oracle = watched()
    oracle.note_order(verb)
    pass_time(made, oracle, 10)
    give(made, EU1, NEW)
    assert oracle.breaches == [f"{EU1} is taken for 10.6.0 with soft limit 768 though an operator has stopped that"]


def test_what_was_decided_before_the_order_is_no_breach() -> None:
    made, oracle = watched()
    oracle.decided = made.world.clock.now()
    pass_time(made, oracle, 10)
    oracle.note_order(Verb.PAUSE)
    give(made, EU1, NEW)
    assert oracle.breaches == []


@pytest.mark.parametrize("verb", [Verb.RESUME, Verb.RETRY])
def test_an_operator_lets_it_go_on(verb: Verb) -> None:
    made, oracle = watched()
    oracle.note_order(Verb.PAUSE)
    oracle.note_order(verb)
    pass_time(made, oracle, 10)
    give(made, EU1, NEW)
    assert oracle.breaches == []


def test_another_wish_lets_it_go_on() -> None:
    made, oracle = watched()
    oracle.note_order(Verb.PAUSE)
    wish = {replace_release(each) for each in oracle.rules.wish}
    oracle.note_rules(replace(oracle.rules, wish=frozenset(wish)))
    pass_time(made, oracle, 10)
    give(made, EU1, NEWER)
    assert oracle.breaches == []


def replace_release(made):
    return made._replace(release=NEWER)


def test_a_relay_taken_for_something_new_while_a_partner_is_out_is_a_breach() -> None:
    made, oracle = watched()
    pass_time(made, oracle, 10)
    look(made, oracle, beta=Verdict.CONNECT_TIMEOUT)
    give(made, EU1, NEW)
    assert oracle.breaches == [f"{EU1} is taken for 10.6.0 with soft limit 768 though partners do not answer (beta)"]


def test_a_partner_that_could_not_be_asked_is_no_reason_to_wait() -> None:
    made, oracle = watched()
    pass_time(made, oracle, 10)
    look(made, oracle, beta=Verdict.NOT_ASKED)
    give(made, EU1, NEW)
    assert oracle.breaches == []


def test_a_published_relay_that_is_stopped_is_a_breach_unless_it_has_drained() -> None:
    made, oracle = watched(drain_time=timedelta(seconds=30))
    oracle.note_published(frozenset({EU1, EU2, US1, US2}))
    stop(made, EU1)
    assert oracle.breaches == [f"{EU1} is stopped while consumers find it"]


@pytest.mark.parametrize(("waited", "breaches"), [(20, 1), (30, 0)])
def test_a_relay_is_drained_for_as_long_as_the_fleet_file_says(waited: int, breaches: int) -> None:
    made, oracle = watched(drain_time=timedelta(seconds=30))
    oracle.note_published(frozenset({EU1, EU2, US1, US2}))
    oracle.note_published(frozenset({EU2, US1, US2}))
    pass_time(made, oracle, waited)
    stop(made, EU1)
    assert len(oracle.breaches) == breaches


def test_a_relay_that_does_not_serve_needs_no_draining() -> None:
    made, oracle = watched(drain_time=timedelta(seconds=30))
    oracle.note_published(frozenset({EU1, EU2, US1, US2}))
    made.world.faults.hanging = {EU1}
    pass_time(made, oracle, 10)
    stop(made, EU1)
    assert oracle.breaches == []


def test_a_single_relay_of_a_region_may_be_taken_only_while_all_others_serve() -> None:
    wanted = {EU1: "eu-central-1", US1: "us-east-1", US2: "us-east-1"}
    for out, breaches in ((None, 0), (US2, 1)):
        made, oracle = watched(wanted=wanted, most_out=3)
        made.world.terminate(host_of(made.world, EU2).instance.instance_id)
        if out is not None:
            made.world.stop_instance(out)
        look(made, oracle)
        stop(made, EU1)
        assert len(oracle.breaches) == breaches
        assert host_of(made.world, EU1).node_stops_at is not None
