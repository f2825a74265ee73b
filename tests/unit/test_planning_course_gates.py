"""Why relays may not be taken yet, why nobody may, and who is not published yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.observation import InFlight, Sighting, Verdict
from orchestrator.fleet.rollout import RolloutRecord, RolloutState
from orchestrator.planning.course import (
    Situation,
    is_moving,
    list_allowed,
    list_gates,
    list_partners_awaited,
    list_withheld,
    pick_aim,
    why_partners_awaited,
    why_stopped,
)
from orchestrator.planning.plan import Health
from orchestrator.planning.preflight import UNHEALTHY, Finding, Level
from tests.rollout_looks import (
    EU1,
    EU2,
    EU3,
    EVERYBODY,
    FLEET,
    NEW,
    NOW,
    OLD,
    US1,
    US2,
    US3,
    fleet,
    footing,
    make_bundle,
    make_look,
    settled,
    silent,
    situation,
    told,
    wished,
)
from tests.scenarios.builders import fleet_spec, wanted

RUNNING, PAUSED, HALTED = RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED
ROLLING_BACK, ROLLED_BACK, COMPLETE = RolloutState.ROLLING_BACK, RolloutState.ROLLED_BACK, RolloutState.COMPLETE


def gates(now: Situation) -> dict[str, str]:
    may = list_allowed(now, make_look())
    return dict(list_gates(now, {name: pick_aim(f, now, may) for name, f in now.footings.items()}, may))


# --- why not yet -----------------------------------------------------------------------------------------------------


def test_who_waits_is_told_for_whom() -> None:
    assert gates(situation())[US3] == f"its turn comes after the canary ({EU3})"
    now = situation(open_wave=1, record=RolloutRecord(settling=settled(EU3, US1)))
    assert gates(now)[US3] == f"its turn comes after wave 1 ({EU1})"


def test_without_canaries_the_first_wave_is_waited_for() -> None:
    assert gates(situation(canaries=0))[US3] == f"its turn comes after wave 1 ({EU3})"


def test_nobody_is_held_whose_turn_it_is_or_who_is_there() -> None:
    assert gates(situation(fleet(footing(EU3, NEW)), open_wave=1)).keys() == {EU2, US2, US3}


def test_a_stopped_rollout_holds_all_who_are_not_there() -> None:
    now = situation(fleet(footing(EU3, NEW)), PAUSED, open_wave=1, stopped="the rollout is paused")
    assert gates(now) == dict.fromkeys(set(EVERYBODY) - {EU3}, "the rollout is paused")


def test_who_goes_back_is_not_held_by_the_halt() -> None:
    now = situation(fleet(footing(EU3, NEW)), HALTED, stopped="halted", failed={EU3: "exit 1"})
    assert EU3 not in gates(now)


def test_who_was_told_and_is_out_for_it_is_not_held_by_the_halt() -> None:
    away = footing(EU1, OLD, health=Health.UNHEALTHY)
    now = situation(fleet(away), HALTED, stopped="halted", record=RolloutRecord(restarts=told(EU1)))
    assert gates(now).keys() == set(EVERYBODY) - {EU1}


@pytest.mark.parametrize(("runs", "held"), [(NEW, True), (OLD, False)])
def test_a_database_that_the_older_release_cannot_open_keeps_who_has_run_the_newer_one(runs: str, held: bool) -> None:
    failed = {EU3: "exit 1"}
    now = situation(fleet(footing(EU3, runs)), ROLLING_BACK, stopped="taken back", failed=failed, version="10.4.1")
    now = replace(now, bundles={NEW: make_bundle(NEW, "10.4.1"), OLD: make_bundle(OLD, "10.3.1")})
    assert ("10.3.1 needs them deleted" in gates(now).get(EU3, "")) is held


@pytest.mark.parametrize(("kept", "held"), [("10.4.1", True), ("10.3.2", False), (None, False)])
def test_what_a_relay_has_run_is_known_by_what_is_kept_of_it(kept: str | None, held: bool) -> None:
    now = situation(fleet(footing(EU3, "third")), ROLLING_BACK, stopped="taken back", version="10.6.0")
    third = {"third": make_bundle("third", kept)} if kept is not None else {}
    now = replace(now, bundles={OLD: make_bundle(OLD, "10.3.1"), **third})
    assert gates(now).get(EU3, "").startswith("10.4.1 keeps ledger snapshots as folders") is held


def test_who_has_served_with_the_wish_is_not_held_by_the_halt_though_nobody_told_it_to() -> None:
    assert EU3 not in gates(situation(fleet(footing(EU3, NEW)), PAUSED, stopped="the rollout is paused"))


def test_who_was_told_and_serves_on_as_before_is_held_by_the_halt() -> None:
    now = situation(state=HALTED, stopped="halted", record=RolloutRecord(restarts=told(EU1)))
    assert gates(now)[EU1] == "halted"


def test_a_halt_holds_where_there_are_no_waves_too() -> None:
    now = situation(state=HALTED, stopped="halted", waves=(), open_wave=None, record=RolloutRecord())
    assert gates(now) == dict.fromkeys(EVERYBODY, "halted")


def test_who_is_to_get_what_was_proven_waits_for_its_turn_where_that_is_the_wish() -> None:
    lost = footing(US3, "forgotten", health=Health.UNHEALTHY)
    now = situation(fleet(lost), good={"eu": NEW, "us": NEW})
    assert gates(now)[US3] == f"its turn comes after the canary ({EU3})"


def test_who_would_go_beside_too_many_others_is_told_so() -> None:
    wave = ((EU1, EU2),)
    now = replace(situation(waves=wave, canaries=0, record=RolloutRecord()), waves=wave)
    assert gates(now)[EU2] == "as many of eu as may go together are on their way"


def test_who_failed_with_nothing_to_go_back_to_is_told_so() -> None:
    now = situation(fleet(footing(EU1, OLD)), open_wave=1, failed={EU1: "deploying it failed"}, good={}, bundles=(NEW,))
    assert gates(now)[EU1] == "it failed on 10.6.0, and nothing is known that it could go back to"


# --- why nobody ------------------------------------------------------------------------------------------------------


def stopped(state: RolloutState = RUNNING, findings=(), *, because: str = "exit 1", good=None, **look) -> str | None:
    changes = {"because": because} | ({"good": good} if good is not None else {})
    return why_stopped(wished(state, **changes), findings, make_look(**look))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (RUNNING, None),
        (COMPLETE, None),
        (PAUSED, "the rollout of 10.6.0 is paused: exit 1"),
        (HALTED, "the rollout of 10.6.0 is halted: exit 1; `rollout resume`"),
        (ROLLING_BACK, "10.6.0 was taken back: exit 1; wish for another release"),
        (ROLLED_BACK, "10.6.0 was taken back: exit 1; wish for another release"),
    ],
)
def test_each_state_says_why_nobody_further_is_updated(state: RolloutState, text: str | None) -> None:
    found = stopped(state)
    assert found is None if text is None else (found or "").startswith(text)


WITHOUT_ALPHA = "partners are out: alpha; `--confirm partner-out:alpha` goes on without"

REFUSAL = Finding(Level.REFUSES, "no-way-back:10.6.0", "it cannot go back")


def test_what_the_pre_flight_refuses_stops_it_until_that_is_confirmed() -> None:
    assert stopped(findings=[REFUSAL]) == "it cannot go back"
    assert stopped(findings=[REFUSAL], confirmed=["no-way-back:10.6.0"]) is None
    assert stopped(findings=[replace(REFUSAL, name="")], confirmed=["no-way-back:10.6.0"]) == "it cannot go back"
    assert stopped(findings=[replace(REFUSAL, level=Level.WARNS)]) is None


def test_a_finding_without_a_name_cannot_be_confirmed() -> None:
    assert stopped(findings=[replace(REFUSAL, name="")], confirmed=[""]) == "it cannot go back"


@pytest.mark.parametrize(
    ("verdict", "waits"),
    [
        (Verdict.OK, False),
        (Verdict.STALE_TIP, False),
        (Verdict.NOT_ASKED, False),
        (Verdict.REFUSED, True),
        (Verdict.CONNECT_TIMEOUT, True),
    ],
)
def test_it_waits_while_a_partner_is_visibly_out(verdict: Verdict, waits: bool) -> None:
    look = make_look(sightings={"alpha": Sighting(verdict), "beta": Sighting(Verdict.OK)})
    assert why_partners_awaited(wished(RUNNING), look) == (WITHOUT_ALPHA if waits else None)


def test_an_operator_can_let_it_go_on_without_a_partner() -> None:
    sightings = {"alpha": Sighting(Verdict.REFUSED), "beta": Sighting(Verdict.REFUSED)}
    look = make_look(sightings=sightings, confirmed=["partner-out:beta"])
    assert why_partners_awaited(wished(RUNNING), look) == WITHOUT_ALPHA


@pytest.mark.parametrize(
    ("state", "changes"),
    [(PAUSED, {}), (COMPLETE, {}), (RUNNING, {"waves": ()}), (RUNNING, {"good": {"eu": NEW, "us": NEW}})],
)
def test_only_who_takes_new_risks_waits_for_partners(state: RolloutState, changes) -> None:
    look = make_look(sightings={"alpha": Sighting(Verdict.REFUSED)})
    assert why_partners_awaited(wished(state, **changes), look) is None


def test_partners_are_waited_for_if_they_are_seen_to_be_out_and_come_by_name() -> None:
    partners = tuple({"name": name, "address": "192.0.2.1"} for name in ("gamma", "beta", "alpha"))
    look = make_look(sightings=dict.fromkeys(("gamma", "alpha"), Sighting(Verdict.REFUSED)))
    look = replace(look, wanted=wanted(fleet_spec(FLEET, partners=partners)))
    assert list_partners_awaited(look) == ["alpha", "gamma"]


SICK = Finding(Level.REFUSES, UNHEALTHY, "too few serve")


def test_a_sick_fleet_may_go_back_to_what_was_proven_and_to_nothing_else() -> None:
    good = {"eu": NEW, "us": NEW}
    assert stopped(findings=[SICK], good=good) is None
    assert stopped(findings=[SICK]) == "too few serve"
    assert stopped(findings=[SICK, REFUSAL], good=good) == "it cannot go back"


def test_the_way_back_to_what_was_proven_is_refused_like_any_other() -> None:
    good = {"eu": NEW, "us": NEW}
    assert stopped(findings=[REFUSAL], good=good) == "it cannot go back"


# --- whether time alone helps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "moves"),
    [
        (situation(), False),
        (situation(record=RolloutRecord(restarts=told(EU3))), True),
        (situation(fleet(silent(EU3)), record=RolloutRecord(restarts=told(EU3))), False),
        (situation(record=RolloutRecord(settling={EU3: replace(settled(EU3)[EU3], settled=False)})), True),
        (situation(state=PAUSED, stopped="paused", record=RolloutRecord(restarts=told(EU3))), False),
        (situation(stopped="partners are out", passes=True), True),
        (situation(stopped="it cannot go back"), False),
        (situation(open_wave=None), False),
    ],
    ids=["nobody is told", "is told", "cannot be asked", "bakes", "paused", "partners", "refused", "all settled"],
)
def test_the_next_wave_opens_by_itself_only_if_somebody_is_on_its_way(now: Situation, moves: bool) -> None:
    assert is_moving(now) is moves


# --- not published yet -----------------------------------------------------------------------------------------------


def withheld(mine=None, *, looks: int | None = None, was_told: bool = True, is_settled: bool = False) -> bool:
    found = {EU1: replace(settled(EU1)[EU1], looks=looks, settled=is_settled)} if looks is not None else {}
    record = RolloutRecord(settling=found, restarts=told(EU1) if was_told else {})
    return EU1 in list_withheld(situation(fleet(mine or footing(EU1, NEW)), record=record), make_look())


@pytest.mark.parametrize(("looks", "expected"), [(None, True), (0, True), (2, True), (3, False)])
def test_an_updated_relay_is_published_after_enough_looks(looks: int | None, expected: bool) -> None:
    assert withheld(looks=looks) is expected


def test_who_was_not_updated_is_not_withheld() -> None:
    assert not withheld(was_told=False)
    assert not withheld(footing(EU1, OLD))


def test_a_settled_relay_that_falls_out_is_no_newcomer_when_it_serves_again() -> None:
    assert not withheld(looks=1, is_settled=True)


@pytest.mark.parametrize(("published", "expected"), [((), True), ((EU1,), False)])
def test_nobody_comes_into_the_names_while_it_is_restarted(published, expected: bool) -> None:
    look = make_look(in_flight=[EU1], published=published)
    assert (EU1 in list_withheld(situation(fleet(footing(EU1, ""))), look)) is expected


def test_work_that_takes_nobody_out_keeps_nobody_out_of_the_names() -> None:
    look = make_look()
    look = replace(look, seen=replace(look.seen, in_flight={EU1: InFlight("stage", NOW, disturbs=False)}))
    assert list_withheld(situation(), look) == frozenset()
