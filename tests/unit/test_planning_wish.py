"""From wishes to the rollout that is under way: what supersedes, what was proven, what a failure does."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from orchestrator.fleet.observation import UnitState
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import Failure, RolloutRecord, RolloutState, Verb
from orchestrator.planning.footing import lend_bundles
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.wish import fail_wish
from orchestrator.planning.wished import Wished, is_trusted, list_wanted_waves
from tests.rollout_looks import (
    EU1,
    EU2,
    EU3,
    EVERYBODY,
    FLEET,
    MINUTE,
    NEW,
    NOW,
    OLD,
    TARGET,
    US1,
    US2,
    US3,
    WAVES,
    before,
    fleet,
    footing,
    make_bundle,
    make_facts,
    make_look,
    make_rollout,
    order,
    settled,
    silent,
    take_up,
    told,
    told_of,
    under_way,
    wished,
)

RUNNING, PAUSED, HALTED = RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED
ROLLING_BACK, ROLLED_BACK, COMPLETE = RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK, RolloutState.COMPLETE

BAD = Failure(NEW, "10.6.0", EU1, "exit 1", NOW)


# --- a new wish ------------------------------------------------------------------------------------------------------


def test_a_fleet_that_has_nothing_yet_needs_no_care() -> None:
    unborn = {n: replace(f, runs="", facts=None, view=replace(f.view, phase=Phase.ABSENT)) for n, f in fleet().items()}
    found = take_up(footings=unborn)
    assert (found.rollout.waves, found.rollout.state, found.events) == ((), RUNNING, ())


def test_a_fleet_that_is_as_wished_needs_no_waves() -> None:
    found = take_up(before(COMPLETE), fleet(others=NEW)).rollout
    assert (found.waves, found.canaries) == ((), 0)


def test_a_wish_is_known_by_all_of_its_digests_in_whatever_order_they_come() -> None:
    regions = ("ap", "ca", "eu", "sa", "uk", "us")
    digests = dict(zip(regions, ("f", "b", "d", "a", "c", "e"), strict=True))
    there = {name: footing(name, wish=digests[r]) for r in regions for name in (f"demo-{r}-01",)}
    found = take_up(footings=there, counts=dict.fromkeys(regions, 1)).rollout
    assert found.target == hashlib.sha256(b"a\nb\nc\nd\ne\nf").hexdigest()[:16]


def test_another_wish_goes_through_all_that_are_not_so_yet() -> None:
    found = take_up(replace(before(COMPLETE), settling=settled(EU1)), fleet(footing(EU1, NEW)))
    assert sorted(name for wave in found.rollout.waves for name in wave) == sorted(fleet().keys() - {EU1})
    assert (found.rollout.state, found.rollout.canaries, found.rollout.version) == (RUNNING, 1, "10.6.0")
    assert told_of(found) == ["started"]


def test_who_could_not_be_asked_may_run_something_else_and_has_a_turn() -> None:
    found = take_up(replace(before(COMPLETE), settling=settled(*EVERYBODY)), fleet(silent(US2), others=NEW))
    assert found.rollout.waves == ((US2,),)


def test_who_runs_what_its_region_had_proven_is_nobodys_canary() -> None:
    there = fleet(*(replace(footing(name, OLD), wish=OLD) for name in (EU1, EU2, EU3)))
    found = take_up(before(COMPLETE), there).rollout
    assert found.waves == ((US3,), (US1,), (US2,))


@pytest.mark.parametrize(
    ("canaries", "ahead", "first"),
    [(1, (EU1,), {EU1}), (1, (EU1, EU2), {EU1, EU2}), (2, (EU1,), {EU1, "another"}), (0, (EU1,), {EU1})],
)
def test_who_runs_the_wish_already_and_has_not_shown_that_it_works_is_its_canary(canaries, ahead, first) -> None:
    there = fleet(*(footing(name, NEW) for name in ahead))
    record = replace(before(COMPLETE), settling=settled(EU1, digest="another-digest"))
    found = take_up(record, there, policy={"canaries": canaries}).rollout
    assert found.canaries == min(canaries, 1)
    assert {name if name in ahead else "another" for name in found.waves[0]} == first
    assert {name for wave in found.waves for name in wave} == set(EVERYBODY)


def test_those_ahead_come_by_name() -> None:
    ahead = dict(reversed(fleet(footing(EU1, NEW), footing(EU2, NEW)).items()))
    assert take_up(before(COMPLETE), ahead, policy={"canaries": 0}).rollout.waves[0] == (EU1, EU2)
    beside = take_up(before(COMPLETE), fleet(footing(US1, NEW)), policy={"canaries": 2}).rollout.waves[0]
    assert beside == tuple(sorted(beside))
    assert len(beside) == 2


@pytest.mark.parametrize(
    ("mine", "first"),
    [
        (footing(US1, OLD, health=Health.UNHEALTHY), US1),
        (footing(US1, "", health=Health.UNHEALTHY, facts=make_facts(unit=UnitState.ABSENT)), US1),
        (footing(US1, OLD), EU1),
    ],
    ids=["out for it", "bare, and out for it", "it was put off"],
)
def test_who_is_out_for_the_wish_since_an_earlier_time_goes_before_who_is_down_anyway(mine, first: str) -> None:
    record = RolloutRecord(restarts=told(US1) | told(EU1, digest=OLD))
    waves = take_up(record, fleet(mine, footing(EU1, OLD, health=Health.UNHEALTHY))).rollout.waves
    assert waves[0] == (first,)
    assert sorted(name for wave in waves for name in wave) == sorted(EVERYBODY)


def test_who_has_nothing_to_run_goes_along_with_those_that_are_updated() -> None:
    bare = footing(EU3, "", health=Health.UNHEALTHY, facts=make_facts(unit=UnitState.ABSENT))
    found = take_up(footings=fleet(bare)).rollout.waves
    assert sorted(name for wave in found for name in wave) == sorted(EVERYBODY)
    alone = take_up(footings=fleet(bare, others=NEW), record=RolloutRecord(settling=settled(*EVERYBODY)))
    assert alone.rollout.waves == ()


def test_the_same_wish_goes_on_as_it_is() -> None:
    record = under_way(failed={EU1: "exit 1"})
    found = take_up(record)
    assert (found.rollout, found.events) == (record.current, ())


def test_relays_that_are_added_do_not_change_the_wish() -> None:
    more = fleet() | {"demo-ap-01": footing("demo-ap-01", "")}
    record = under_way()
    found = take_up(record, more, counts={"ap": 1, "eu": 3, "us": 3})
    assert found.rollout.wish == {"ap": NEW, "eu": NEW, "us": NEW}
    assert replace(found.rollout, wish=record.current.wish, good=record.current.good) == record.current


def test_a_region_that_is_added_starts_on_what_the_others_had_proven() -> None:
    more = fleet() | {"demo-ap-01": footing("demo-ap-01", "")}
    counts = {"ap": 1, "eu": 3, "us": 3}
    found = take_up(under_way(), more, counts=counts)
    look = make_look(RolloutRecord(), bundles=(make_bundle(OLD),), counts=counts)
    lent = lend_bundles(under_way().current.good, look.record.bundles, look.spec)
    assert lent["ap"].version == look.record.bundles[OLD].version
    assert found.rollout.good["ap"] == lent["ap"].digest


def test_a_wish_that_is_to_be_paused_twice_is_paused_once_by_whoever_said_so_last() -> None:
    paused = before(PAUSED, heard=1, by="anna", because="by anna: lunch")
    found = take_up(paused, orders=[order(1, Verb.PAUSE), order(2, Verb.PAUSE)])
    assert told_of(found) == ["superseded", "started", "paused"]
    assert (found.rollout.by, found.rollout.because) == ("ops", "by ops: because")


def test_orders_from_before_the_first_wish_are_none_of_its() -> None:
    orders = [order(number, Verb.PAUSE) for number in (5, 6, 7)]
    assert (take_up(orders=orders).rollout.state, take_up(orders=orders).rollout.heard) == (RUNNING, 7)
    assert take_up(orders=orders[:1]).rollout.heard == 5
    assert take_up().rollout.heard == 0


@pytest.mark.parametrize(("policy", "canaries"), [({}, 1), ({"canaries": 0}, 0), ({"canaries": 2}, 1)])
def test_the_first_wave_is_the_canaries_if_there_are_any(policy, canaries: int) -> None:
    assert take_up(before(COMPLETE), policy=policy).rollout.canaries == canaries


# --- one wish after another ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [RUNNING, PAUSED, HALTED, ROLLING_BACK, ROLLED_BACK])
def test_another_wish_supersedes_an_unfinished_one_and_runs(state: RolloutState) -> None:
    found = take_up(before(state))
    assert found.rollout.state is RUNNING
    assert found.rollout.target == TARGET
    assert told_of(found) == ["superseded", "started"]
    assert found.events[0].text == f"10.5.1 had come to: {state.value}"


def test_a_finished_one_is_not_superseded() -> None:
    assert told_of(take_up(before(COMPLETE))) == ["started"]


def test_one_that_nobody_had_to_be_updated_for_is_not_superseded_either() -> None:
    assert told_of(take_up(before(RUNNING, waves=()))) == ["started"]


def test_a_fleet_that_moves_to_other_regions_has_the_same_wish_if_it_wants_the_same() -> None:
    moved = take_up(under_way(wish={"ap": NEW}, failed={EU1: "exit 1"}))
    assert (moved.rollout.failed, moved.events) == ({EU1: "exit 1"}, ())
    other = take_up(before(RUNNING, wish={"ap": OLD}))
    assert (other.rollout.target, told_of(other)) == (TARGET, ["superseded", "started"])


def test_what_failed_on_an_earlier_wish_is_no_failure_of_the_next() -> None:
    found = take_up(before(HALTED, failed={EU1: "exit 1"}, vouched=frozenset({US1}), because="exit 1"))
    assert (found.rollout.failed, found.rollout.vouched, found.rollout.because) == ({}, frozenset(), "")


def test_relays_on_a_release_that_failed_go_first() -> None:
    record = replace(before(HALTED), failures={"bad": replace(BAD, digest="bad")})
    found = take_up(record, fleet(footing(US1, "bad"), footing(EU1, "bad")))
    assert found.rollout.waves[0] in ((EU1,), (US1,))
    assert {EU1, US1} <= {name for wave in found.rollout.waves[:2] for name in wave}


def test_relays_that_are_down_go_first_where_nothing_has_failed() -> None:
    found = take_up(before(COMPLETE), fleet(footing(US1, health=Health.UNHEALTHY)))
    assert found.rollout.waves[0] == (US1,)


@pytest.mark.parametrize("state", [RUNNING, HALTED, ROLLED_BACK])
def test_a_wish_that_has_failed_before_is_halted_before_it_begins(state: RolloutState) -> None:
    found = take_up(replace(before(state), failures={NEW: BAD}))
    assert found.rollout.state is HALTED
    assert found.rollout.because == f"it failed before, on {EU1}: exit 1"
    assert told_of(found)[-2:] == ["started", "halted"]


def test_a_wish_that_could_only_not_be_staged_is_tried_again_after_another_one() -> None:
    found = take_up(replace(before(HALTED), failures={NEW: replace(BAD, staging=True)}))
    assert found.rollout.state is RUNNING


@pytest.mark.parametrize(
    ("failures", "attempts", "failed", "goes_on"),
    [
        ({NEW: replace(BAD, staging=True)}, (), {}, True),
        ({NEW: replace(BAD, staging=True)}, (Attempt(EU1, "stage", 4, NOW, "404"),), {}, False),
        ({NEW: replace(BAD, staging=True)}, (), {EU1: "exit 1"}, False),
        ({NEW: BAD}, (), {EU1: "exit 1"}, False),
        ({}, (), {}, False),
    ],
    ids=["apply again", "still failing", "another has failed", "failed on a relay", "halted by an operator"],
)
def test_what_could_not_be_staged_goes_on_once_an_apply_has_forgotten_that(failures, attempts, failed, goes_on) -> None:
    record = under_way(HALTED, failed=failed, record=RolloutRecord(failures=failures))
    found = take_up(record, attempts=attempts)
    assert found.rollout.state is (RUNNING if goes_on else HALTED)
    assert found.record.failures == ({} if goes_on else failures)


@pytest.mark.parametrize("state", [RUNNING, PAUSED, ROLLING_BACK, ROLLED_BACK])
def test_what_is_not_halted_does_not_go_on_because_a_staging_was_forgotten(state: RolloutState) -> None:
    failures = {NEW: replace(BAD, staging=True)}
    found = take_up(under_way(state, record=RolloutRecord(failures=failures)))
    assert (found.rollout.state, found.record.failures, found.events) == (state, failures, ())


def test_what_goes_on_after_a_staging_was_forgotten_is_the_wish_of_now() -> None:
    more = fleet() | {"demo-ap-01": footing("demo-ap-01", "")}
    record = under_way(HALTED, record=RolloutRecord(failures={NEW: replace(BAD, staging=True)}))
    found = take_up(record, more, counts={"ap": 1, **FLEET}).rollout
    assert (found.state, found.wish) == (RUNNING, {"ap": NEW, "eu": NEW, "us": NEW})


# --- what was proven -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "good"),
    [
        (before(COMPLETE), OLD),
        (before(COMPLETE, good=dict.fromkeys(("eu", "us"), "older")), OLD),
        (before(RUNNING, good=dict.fromkeys(("eu", "us"), "older")), "older"),
        (before(HALTED, good=dict.fromkeys(("eu", "us"), "older")), "older"),
        (before(RUNNING), OLD),
        (before(RUNNING, wish={"eu": "never seen", "us": "never seen"}), None),
    ],
    ids=[
        "completed",
        "completed after another",
        "unfinished",
        "halted",
        "serves though never completed",
        "never served",
    ],
)
def test_what_a_fleet_goes_back_to_is_what_it_had_proven_last(record: RolloutRecord, good: str | None) -> None:
    found = take_up(record, bundles=(OLD, NEW, "older", "never seen"))
    assert found.rollout.good == ({"eu": good, "us": good} if good else {})


def test_nothing_is_known_to_go_back_to_before_the_first_wish() -> None:
    assert take_up().rollout.good == {}


def test_what_was_proven_is_worth_nothing_if_it_was_not_kept() -> None:
    assert take_up(before(COMPLETE), bundles=(NEW,)).rollout.good == {}


def test_going_back_to_what_was_proven_needs_no_canary() -> None:
    record = before(HALTED, wish={"eu": "bad", "us": "bad"}, good={"eu": NEW, "us": NEW})
    found = take_up(record, fleet(others="bad"))
    assert is_trusted(found.rollout)
    assert found.rollout.canaries == 0
    assert len(found.rollout.waves[0]) == 2


def test_what_was_proven_is_not_halted_for_having_failed_once() -> None:
    record = before(HALTED, wish={"eu": "bad", "us": "bad"}, good={"eu": NEW, "us": NEW})
    assert take_up(replace(record, failures={NEW: BAD}), fleet(others="bad")).rollout.state is RUNNING


@pytest.mark.parametrize(("good", "trusted"), [({"eu": NEW, "us": NEW}, True), ({"eu": NEW}, False), ({}, False)])
def test_a_wish_is_trusted_if_it_was_proven_in_every_region(good, trusted: bool) -> None:
    assert is_trusted(make_rollout(good=good)) is trusted


@pytest.mark.parametrize("regions", [("eu",), ("eu", "us", "ap")])
def test_regions_that_come_and_go_are_no_other_wish(regions: tuple[str, ...]) -> None:
    others = {"demo-ap-01": footing("demo-ap-01", "", wish="of ap", facts=None, phase=Phase.ABSENT)}
    some = {name: relay for name, relay in {**fleet(), **others}.items() if relay.region in regions}
    found = take_up(under_way(failed={EU1: "exit 1"}), some, counts=dict.fromkeys(regions, 3))
    assert found.rollout.failed == {EU1: "exit 1"}
    assert found.rollout.wish.keys() == set(regions)
    assert found.rollout.target == take_up(footings=some, counts=dict.fromkeys(regions, 3)).rollout.target
    assert found.events == ()


def test_another_relay_is_the_canary_if_the_one_that_was_is_gone_before_it_had_proven_anything() -> None:
    without = {name: relay for name, relay in fleet().items() if name != EU3}
    assert take_up(under_way(), without).rollout.waves[:2] == ((EU1,), (US1,))
    ahead = {**without, US2: footing(US2, NEW)}
    assert take_up(under_way(), ahead).rollout.waves == WAVES


SICK = footing(US2, health=Health.UNHEALTHY)


def test_a_relay_that_is_down_becomes_the_canary_while_nothing_was_done_to_the_one_that_was() -> None:
    found = take_up(under_way(), fleet(SICK)).rollout.waves
    assert found == ((US2,), (EU3,), (EU1, US1), (EU2,), (US3,))


@pytest.mark.parametrize(
    ("footings", "restarts"),
    [
        (fleet(SICK, footing(EU3, NEW)), {}),
        (fleet(SICK), told(EU3)),
        (fleet(SICK), told(US2, digest=OLD)),
        (fleet(footing(US2, "", health=Health.UNHEALTHY)), {}),
        (fleet(silent(US2)), {}),
        (fleet(SICK, footing(EU3, health=Health.UNHEALTHY)), {}),
    ],
    ids=[
        "it is updated",
        "it was told",
        "the other was just restarted",
        "the other is new",
        "the other is silent",
        "it is down itself",
    ],
)
def test_the_canary_stays_who_it_was(footings, restarts) -> None:
    assert take_up(under_way(record=RolloutRecord(restarts=restarts)), footings).rollout.waves == WAVES


def test_a_canary_that_cannot_be_asked_gives_its_place_to_one_that_serves() -> None:
    found = take_up(under_way(), fleet(silent(EU3))).rollout.waves
    assert found == ((EU1,), (EU3,), (US1,), (EU2, US2), (US3,))


def test_who_takes_the_place_of_a_canary_is_of_another_region_than_the_canary_that_stays() -> None:
    record = under_way(waves=((EU3, US1), (EU1, US2), (EU2, US3)))
    found = take_up(record, fleet(silent(US1))).rollout.waves
    assert found[0] == (EU3, US2)


def test_relays_with_nothing_to_run_and_nothing_proven_have_waves_of_their_own_and_may_be_the_canary() -> None:
    facts = make_facts(unit=UnitState.ABSENT)
    bare = [footing(f"demo-ap-0{n}", "", health=Health.UNHEALTHY, facts=facts) for n in (1, 2)]
    more = fleet() | {each.name: each for each in bare}
    counts = {**FLEET, "ap": 2}
    found = take_up(under_way(good={}), more, counts=counts).rollout
    assert found.waves == (*WAVES, ("demo-ap-01",), ("demo-ap-02",))
    assert take_up(under_way(), more, counts=counts).rollout.waves == WAVES  # they start on what the others had proven
    again = take_up(RolloutRecord(found), more, counts=counts).rollout
    assert again.waves[0] == ("demo-ap-01",)
    assert sorted(name for wave in again.waves for name in wave) == sorted(more)


def test_who_came_meanwhile_and_cannot_be_asked_waits_for_no_wave() -> None:
    more = {**fleet(), "demo-eu-04": silent("demo-eu-04")}
    assert take_up(under_way(good={}), more, counts={"eu": 4, "us": 3}).rollout.waves == WAVES


def test_once_it_is_complete_who_comes_has_no_wave() -> None:
    more = {**fleet(others=NEW), "demo-eu-04": footing("demo-eu-04")}
    assert take_up(under_way(COMPLETE), more, counts={"eu": 4, "us": 3}).rollout.waves == WAVES


def test_of_two_canaries_the_one_that_was_begun_stays() -> None:
    record = under_way(waves=((EU3, EU1), (US1, US2)))
    found = take_up(record, fleet(SICK, footing(EU3, NEW))).rollout.waves
    assert found[:3] == ((EU3, US2), (EU1,), (US1,))


def test_what_one_of_many_seems_to_serve_with_is_not_proven() -> None:
    down = [footing(name, OLD, health=Health.UNHEALTHY) for name in (EU1, EU2, US1)]
    assert take_up(before(RUNNING), fleet(*down)).rollout.good == {}
    assert take_up(before(RUNNING), fleet(*down[:2])).rollout.good == {"eu": OLD, "us": OLD}


def test_relays_that_came_meanwhile_have_waves_of_their_own_after_the_others() -> None:
    more = {**fleet(), "demo-eu-04": footing("demo-eu-04"), "demo-eu-05": footing("demo-eu-05", NEW)}
    found = take_up(under_way(), more, counts={"eu": 5, "us": 3})
    assert found.rollout.waves == (*WAVES, ("demo-eu-04",))
    again = take_up(RolloutRecord(found.rollout), more, counts={"eu": 5, "us": 3})
    assert again.rollout.waves == found.rollout.waves


@pytest.mark.parametrize(("good", "canaries"), [({"eu": OLD, "us": OLD}, 1), ({"eu": NEW, "us": NEW}, 0)])
def test_what_was_started_since_on_something_else_goes_in_waves_though_nothing_ran_at_first(good, canaries) -> None:
    found = take_up(under_way(waves=(), canaries=0, good=good)).rollout
    assert found.canaries == canaries
    assert {name for wave in found.waves for name in wave} == fleet().keys()
    assert len(found.waves[0]) == (1 if canaries else 2)


def test_while_nobody_comes_there_is_nobody_to_choose_a_canary_of() -> None:
    record = under_way(waves=(), canaries=0)
    assert take_up(record, fleet(others=NEW)).rollout == record.current


def test_of_those_that_were_started_since_as_many_are_canaries_as_are_wanted_in_one_wave() -> None:
    found = take_up(under_way(waves=(), canaries=0), policy={"canaries": 2}).rollout
    assert (found.canaries, len(found.waves[0])) == (1, 2)


def test_with_those_that_were_started_since_go_those_that_have_nothing_to_run() -> None:
    bare = footing(EU3, "", health=Health.UNHEALTHY, facts=make_facts(unit=UnitState.ABSENT))
    found = take_up(under_way(waves=(), canaries=0, good={}), fleet(bare)).rollout
    assert sorted(name for wave in found.waves for name in wave) == sorted(EVERYBODY)
    only = take_up(under_way(waves=(), canaries=0, good={}), fleet(bare, others=NEW)).rollout
    assert only.waves == ()


def test_relays_that_nobody_wants_any_more_are_out_of_the_waves() -> None:
    left = {name: relay for name, relay in fleet().items() if name not in (EU3, US1)}
    assert list_wanted_waves(make_rollout(), left) == ((), (EU1,), *WAVES[2:])


# --- failing ---------------------------------------------------------------------------------------------------------


def fail(state: RolloutState = RUNNING, *, updated: bool = True, policy=None, **changes) -> Wished:
    look = make_look(policy=policy, after=MINUTE)
    return fail_wish(wished(state, **changes), {EU3: "exit 1"}, fleet(), look, updated=updated)


@pytest.mark.parametrize(
    ("state", "on_failure", "updated", "after"),
    [
        (RUNNING, "halt", True, HALTED),
        (PAUSED, "halt", True, HALTED),
        (RUNNING, "rollback", True, ROLLING_BACK),
        (RUNNING, "rollback", False, HALTED),
        (HALTED, "rollback", True, HALTED),
        (ROLLING_BACK, "halt", True, ROLLING_BACK),
        (ROLLED_BACK, "halt", True, ROLLED_BACK),
    ],
)
def test_what_a_failure_does_in_each_state(state, on_failure: str, updated: bool, after) -> None:
    found = fail(state, updated=updated, policy={"on_failure": on_failure})
    assert found.rollout.state is after
    assert found.rollout.failed == ({EU3: "exit 1"} if updated else {})
    assert found.record.failures[NEW] == Failure(NEW, "10.6.0", EU3, "exit 1", NOW + MINUTE, staging=not updated)
    assert found.events[0].what == "failed"


def test_what_fails_with_nothing_to_go_back_to_is_halted() -> None:
    assert fail(policy={"on_failure": "rollback"}, good={}).rollout.state is HALTED


def test_the_cause_of_a_halt_names_the_relay() -> None:
    found = fail()
    assert found.rollout.because == f"{EU3}: exit 1"
    assert [(event.what, event.text) for event in found.events] == [
        ("failed", f"{EU3}: exit 1"),
        ("halted", f"{EU3}: exit 1"),
    ]


def test_every_relay_that_failed_is_told_in_order() -> None:
    found = fail_wish(wished(), {US1: "b", EU1: "a"}, fleet(), make_look(), updated=True)
    assert [event.text for event in found.events if event.what == "failed"] == [f"{EU1}: a", f"{US1}: b"]
    assert found.rollout.because == f"{EU1}: a"
