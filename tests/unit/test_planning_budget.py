"""The disruption budget, the pauses between attempts, the estimate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.observation import UnitState, Unreachable, Verdict
from orchestrator.fleet.record import Attempt
from orchestrator.planning.budget import Budget, count_budget, name_some
from orchestrator.planning.estimate import RESTART, estimate_time
from orchestrator.planning.mesh import relay_addresses
from orchestrator.planning.plan import Health, Hold, Phase, RelayView
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.retries import why_not_retry
from tests.scenarios.builders import MEDIUM, fleet_spec
from tests.scenarios.looks import (
    EU1,
    EU2,
    disturbed,
    instance_of,
    serving_look,
    steps_of,
    with_facts,
    with_host,
    with_new_release,
    with_sighting,
    with_unit,
)

NOBODY: frozenset[str] = frozenset()


def budget(
    *down: str, policy: dict[str, object] | None = None, busy: frozenset[str] = NOBODY, dark: frozenset[str] = NOBODY
):
    """Of relays eu-01 to eu-03 and eu-1-01 to eu-1-02: one region's name begins with the other's."""
    names = {"demo-eu-01": "eu", "demo-eu-02": "eu", "demo-eu-03": "eu", "demo-eu-1-01": "eu-1", "demo-eu-1-02": "eu-1"}
    views = [
        RelayView(name, region, Phase.SERVING, Health.UNKNOWN if name in down else Health.HEALTHY, "")
        for name, region in names.items()
    ]
    spec = fleet_spec({"eu": 3, "eu-1": 2}, rollout=policy or {})
    return count_budget(views, spec, busy, dark)


def test_one_of_a_serving_fleet_may_be_taken() -> None:
    assert budget().why_not_disturb("demo-eu-01", "eu") is None


def test_an_unknown_relay_uses_the_budget_up() -> None:
    assert budget("demo-eu-1-01").why_not_disturb("demo-eu-01", "eu") == (
        "1 of 1 relays that may be out are out (demo-eu-1-01)"
    )


def test_a_relay_that_is_being_worked_on_is_out() -> None:
    assert budget(busy=frozenset({"demo-eu-02"})).why_not_disturb("demo-eu-01", "eu") is not None


def test_who_was_taken_is_out_for_the_next() -> None:
    taken = budget(policy={"max_unavailable": 2}).take("demo-eu-01", "eu")
    assert taken.why_not_disturb("demo-eu-02", "eu") == "1 of 1 relays that may be out in eu are out"
    assert taken.why_not_disturb("demo-eu-1-01", "eu-1") is None


def test_a_region_is_not_taken_for_one_whose_name_it_begins_with() -> None:
    out_in_longer = budget("demo-eu-1-01", policy={"max_unavailable": 2})
    assert out_in_longer.why_not_disturb("demo-eu-01", "eu") is None


def test_the_last_serving_relay_of_a_region_is_never_taken_unasked() -> None:
    policy: dict[str, object] = {"max_unavailable": 5, "max_unavailable_per_region": 5}
    assert "dark-region:eu-1" in (budget("demo-eu-1-01", policy=policy).why_not_disturb("demo-eu-1-02", "eu-1") or "")
    confirmed = budget("demo-eu-1-01", policy=policy, dark=frozenset({"eu-1"}))
    assert confirmed.why_not_disturb("demo-eu-1-02", "eu-1") is None


@pytest.mark.parametrize(
    ("down", "may"),
    [((), True), (("demo-eu-02",), False)],
    ids=["all others serve", "another is out"],
)
def test_the_only_relay_of_a_region_is_taken_while_all_others_serve(down: tuple[str, ...], may: bool) -> None:
    views = [
        RelayView(name, region, Phase.SERVING, Health.UNKNOWN if name in down else Health.HEALTHY, "")
        for name, region in {"demo-eu-01": "eu", "demo-eu-02": "eu", "demo-us-01": "us"}.items()
    ]
    spec = fleet_spec({"eu": 2, "us": 1}, rollout={"max_unavailable": 3, "max_unavailable_per_region": 2})
    found = count_budget(views, spec, NOBODY, NOBODY).why_not_disturb("demo-us-01", "us")
    assert found == (None if may else "it is the only relay of us, and others are out (demo-eu-02)")


def test_the_only_relay_that_serves_at_all_is_taken_only_if_that_is_confirmed() -> None:
    view = RelayView("demo-us-01", "us", Phase.SERVING, Health.HEALTHY, "")
    alone = count_budget([view], fleet_spec({"us": 1}), NOBODY, NOBODY)
    assert "--confirm dark-region:us" in (alone.why_not_disturb("demo-us-01", "us") or "")
    confirmed = count_budget([view], fleet_spec({"us": 1}), NOBODY, frozenset({"us"}))
    assert confirmed.why_not_disturb("demo-us-01", "us") is None


def test_who_was_taken_serves_its_region_no_more() -> None:
    policy: dict[str, object] = {"max_unavailable": 5, "max_unavailable_per_region": 5}
    taken = budget(policy=policy).take("demo-eu-1-01", "eu-1")
    assert "last serving relay of eu-1" in (taken.why_not_disturb("demo-eu-1-02", "eu-1") or "")


def test_who_leaves_for_good_is_not_out_and_does_not_serve_its_region() -> None:
    leaving = RelayView("demo-eu-1-02", "eu-1", Phase.RETIRING, Health.UNHEALTHY, "", retiring=True)
    stays = RelayView("demo-eu-1-01", "eu-1", Phase.SERVING, Health.HEALTHY, "")
    found = count_budget([stays, leaving], fleet_spec({"eu-1": 2}), NOBODY, NOBODY)
    assert (found.out, found.serving) == (NOBODY, {("eu-1", "demo-eu-1-01")})


def test_a_region_of_which_the_fleet_file_says_nothing_has_no_only_relay() -> None:
    view = RelayView("demo-us-01", "us", Phase.SERVING, Health.HEALTHY, "")
    assert count_budget([view], fleet_spec({"eu": 1}), NOBODY, NOBODY).only == NOBODY


@pytest.mark.parametrize(("count", "text"), [(2, "a, b"), (3, "a, b, c"), (4, "a, b, c and 1 more")])
def test_three_are_named_and_of_others_only_how_many(count: int, text: str) -> None:
    assert name_some("abcd"[:count]) == text


# --- out, here and everywhere ------------------------------------------------------------------------------------------


FULL = "as many of eu as may be out (1) are out"


def made(*out: str, limit: int = 3, **changes: object) -> Budget:
    """Three may be out, one of each region; every one of them is taken, and one relay of each region serves."""
    gone, serving = frozenset(out), frozenset({("eu", "demo-eu-09"), ("us", "demo-us-09")})
    plain = Budget(limit, {"eu": 1, "us": 1}, out=gone, serving=serving, dark_regions=NOBODY, taken=gone)
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (made(), None),
        (made("demo-us-01"), None),
        (made("demo-eu-02"), FULL),
        (made("demo-eu-02", limits={"eu": 2}), None),
        (made("demo-eu-02", limits={}), FULL),
        (made("demo-us-01", limit=1), "1 of 1 relays that may be out are out (demo-us-01)"),
        (made(halted="the chain is split"), "the chain is split"),
        (made("demo-eu-01", "demo-eu-02", halted="the chain is split"), None),
    ],
    ids=[
        "nobody is out",
        "one elsewhere is",
        "one here is",
        "one of two here is",
        "one of a region that is no more",
        "the fleet's limit",
        "halted",
        "it is out anyway",
    ],
)
def test_who_leaves_for_good_goes_out_as_anybody_else(held: Budget, reason: str | None) -> None:
    assert held.why_not_retire("demo-eu-01", "eu", region_stays=True) == reason


@pytest.mark.parametrize(("stays", "reason"), [(True, "no relay that eu keeps serves yet"), (False, None)])
def test_where_a_region_stays_its_relays_leave_once_another_serves_and_else_at_once(stays: bool, reason) -> None:
    elsewhere = made(serving=frozenset({("us", "demo-us-09")}))
    assert elsewhere.why_not_retire("demo-eu-01", "eu", region_stays=stays) == reason


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (made("demo-us-01"), None),
        (made("demo-eu-02"), "it still answers, and 1 of 1 such relays are being restarted (demo-eu-02)"),
        (made("demo-eu-02", limits={}), "it still answers, and 1 of 1 such relays are being restarted (demo-eu-02)"),
        (made("demo-us-01", limit=1), "it still answers, and 1 of 1 such relays are being restarted (demo-us-01)"),
        (made("demo-eu-02", taken=NOBODY), None),
    ],
    ids=["one elsewhere", "one here", "one of a region that is no more", "the fleet's limit", "out, but not taken"],
)
def test_relays_that_answer_without_serving_are_not_restarted_all_at_once(held: Budget, reason: str | None) -> None:
    assert held.why_not_touch("demo-eu-01", "eu") == reason


def test_of_a_region_that_is_no_more_one_relay_may_be_out() -> None:
    assert made("demo-eu-02", limits={}).why_not_disturb("demo-eu-01", "eu") == (
        "1 of 1 relays that may be out in eu are out"
    )


# --- a rollout's word ------------------------------------------------------------------------------------------------


MINE, OTHER = "demo-eu-01", "demo-eu-1-01"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"gates": {MINE: "its turn comes later"}}, "its turn comes later"),
        ({"gates": {OTHER: "its turn comes later"}}, None),
        ({"halted": "the chain is split"}, "the chain is split"),
        ({"halted": "the chain is split", "exempt": frozenset({MINE})}, None),
        ({"halted": "the chain is split", "exempt": frozenset({OTHER})}, "the chain is split"),
        ({"halted": "split", "exempt": frozenset({MINE}), "gates": {MINE: "no way back"}}, "no way back"),
        ({"unstaged": frozenset({OTHER})}, f"1 relay has not staged what is wanted ({OTHER})"),
        ({"unstaged": frozenset({OTHER}), "exempt": frozenset({OTHER})}, None),
        (
            {"unstaged": frozenset({MINE}), "exempt": frozenset({MINE})},
            f"1 relay has not staged what is wanted ({MINE})",
        ),
        ({"unstaged": frozenset({OTHER}), "exempt": frozenset({MINE})}, None),
        (
            {"unstaged": frozenset({MINE, OTHER}), "exempt": frozenset({OTHER})},
            f"1 relay has not staged what is wanted ({MINE})",
        ),
        (
            {"unstaged": frozenset({OTHER, "demo-eu-02"})},
            f"2 relays have not staged what is wanted (demo-eu-02, {OTHER})",
        ),
    ],
    ids=[
        "nothing",
        "its gate",
        "another's gate",
        "halt",
        "exempt",
        "another is exempt",
        "gate of an exempt one",
        "another is not staged",
        "who is not staged goes back",
        "it goes back and is not staged",
        "it goes back and another is not staged",
        "another goes back, and neither is staged",
        "two others are not staged",
    ],
)
def test_what_a_rollout_lets_be_taken(changes: dict[str, object], reason: str | None) -> None:
    held = replace(budget(), **changes)
    assert held.why_not_disturb(MINE, "eu") == reason
    assert held.why_not_touch(MINE, "eu") == reason


def test_who_drains_already_does_not_use_up_the_budget_against_itself() -> None:
    draining = budget(busy=frozenset({MINE}))
    assert draining.why_not_disturb(MINE, "eu") is None
    assert draining.why_not_disturb("demo-eu-02", "eu") is not None


def test_two_that_drain_when_one_may_be_out_both_wait() -> None:
    both = budget(busy=frozenset({MINE, OTHER}))
    assert both.why_not_disturb(MINE, "eu") == f"1 of 1 relays that may be out are out ({OTHER})"
    assert both.why_not_disturb(OTHER, "eu-1") == f"1 of 1 relays that may be out are out ({MINE})"


# --- restarts --------------------------------------------------------------------------------------------------------


def test_a_restart_takes_one_serving_relay() -> None:
    assert len(disturbed(with_new_release(serving_look()))) == 1


def test_a_relay_that_is_down_anyway_restarts_first_and_free() -> None:
    look = with_sighting(with_unit(with_new_release(serving_look()), EU2, UnitState.FAILED), EU2, Verdict.REFUSED)
    assert disturbed(look) == []
    assert [word for word, _ in steps_of(plan_fleet(look), EU2)] == ["deploy"]


def test_a_relay_on_which_a_dead_controller_s_playbook_still_works_counts_as_out() -> None:
    look = with_facts(with_new_release(serving_look()), EU2, working="deploy")
    assert disturbed(look) == []
    assert "1 of 1 relays that may be out are out (demo-eu-central-1-02)" in str(plan_fleet(look).holds)
    assert disturbed(with_facts(look, EU2, working="stage")) != []


def test_a_relay_that_could_not_be_probed_is_not_restarted() -> None:
    look = with_sighting(with_new_release(serving_look()), EU1, Verdict.NOT_ASKED)
    ((word, because),) = steps_of(plan_fleet(look), EU1)
    assert word == "hold deploy"
    assert "whether it serves is not known, so it is not restarted" in because


def test_waiting_for_a_relay_that_nothing_brings_back_does_not_pass() -> None:
    look = with_host(with_new_release(serving_look()), EU2, Unreachable("no answer"))
    missed = {instance_of(look, EU2).instance_id: look.now - timedelta(minutes=2)}
    look = replace(look, record=replace(look.record, missed_since=missed))
    assert not [hold for hold in plan_fleet(look).holds if hold.passes]


def test_waiting_for_a_relay_that_replays_passes() -> None:
    look = with_sighting(with_new_release(serving_look()), EU2, Verdict.REFUSED)
    look = with_facts(look, EU2, release="b" * 64)
    holds = [hold for hold in plan_fleet(look).holds if hold.wanted == "restart"]
    assert holds
    assert all(hold.passes for hold in holds)


# --- attempts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("failures", "pause"), [(1, 60), (2, 120), (3, 240)])
def test_the_pause_doubles_with_each_failure(failures: int, pause: int) -> None:
    look = serving_look()
    attempt = Attempt(EU1, "stage", failures, look.now, "404")
    look = replace(look, record=replace(look.record, attempts={(EU1, "stage"): attempt}))
    before, due = (replace(look, now=look.now + timedelta(seconds=s)) for s in (pause - 1, pause))
    hold = why_not_retry(before, EU1, "stage")
    assert hold is not None
    assert hold.passes
    assert why_not_retry(due, EU1, "stage") is None
    assert why_not_retry(before, EU1, "deploy") is None
    assert why_not_retry(before, EU2, "stage") is None


# --- estimate --------------------------------------------------------------------------------------------------------


def test_nothing_takes_no_time() -> None:
    assert estimate_time((), (), fleet_spec(MEDIUM)) == timedelta()


@pytest.mark.parametrize(("most", "waves"), [(1, 4), (2, 2), (3, 2)])
def test_restarts_take_as_many_waves_as_the_budget_allows(most: int, waves: int) -> None:
    holds = tuple(Hold(f"r{n}", "restart", "") for n in range(4))
    spec = fleet_spec(MEDIUM, rollout={"max_unavailable": most})
    assert estimate_time((), holds, spec) == waves * RESTART


# --- addresses -------------------------------------------------------------------------------------------------------


def test_of_two_elastic_addresses_the_one_in_use_is_named() -> None:
    look = serving_look()
    used = next(a for a in look.seen.cloud.addresses if a.relay == EU1)
    free = replace(used, allocation_id="eipalloc-zzz", address="203.0.99.9", attached_to=None)
    seen = replace(look.seen, cloud=replace(look.seen.cloud, addresses=(*look.seen.cloud.addresses, free)))
    assert relay_addresses(look.spec, seen)[EU1] == used.address


def test_while_the_only_relay_of_a_region_is_taken_nobody_else_is() -> None:
    spec = fleet_spec({"eu": 3, "us": 1}, rollout={"max_unavailable": 2})
    views = [
        RelayView(name, region, Phase.SERVING, Health.HEALTHY, "")
        for name, region in (("demo-eu-01", "eu"), ("demo-eu-02", "eu"), ("demo-eu-03", "eu"), ("demo-us-01", "us"))
    ]
    taken = count_budget(views, spec, NOBODY, NOBODY).take("demo-us-01", "us")
    assert taken.why_not_disturb("demo-eu-01", "eu") == (
        "demo-us-01 is taken, the only relay of its region: all others have to serve meanwhile"
    )
