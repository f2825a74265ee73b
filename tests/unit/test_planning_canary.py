"""Who is the canary while nothing was done to it: another one, if it is gone or silent, or if another relay is down anyway."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from orchestrator.fleet.observation import UnitState
from orchestrator.fleet.rollout import RolloutRecord, RolloutState
from orchestrator.planning.canary import keep_canary
from orchestrator.planning.footing import Footing
from orchestrator.planning.plan import Health, Phase
from tests.rollout_looks import (
    EU1,
    EU2,
    EU3,
    NEW,
    OLD,
    US1,
    US2,
    US3,
    WAVES,
    fleet,
    footing,
    make_facts,
    make_look,
    make_rollout,
    silent,
    told,
)

Waves = tuple[tuple[str, ...], ...]

TWO = ((EU3, US3), (EU1, US1), (EU2, US2))
"""The same with two canaries."""


def down(name: str, runs: str = OLD) -> Footing:
    """A relay whose node does not run, and will not by itself."""
    facts = make_facts(unit=UnitState.FAILED)
    return footing(name, runs, health=Health.UNHEALTHY, phase=Phase.DEPLOYING, facts=facts)


def waves_after(
    *footings: Footing,
    record: RolloutRecord | None = None,
    in_flight: Iterable[str] = (),
    state: RolloutState = RolloutState.RUNNING,
    gone: Iterable[str] = (),
    **changes: object,
) -> Waves:
    """The waves once these relays were looked at; `gone` are those that the fleet file no longer asks for."""
    present = {name: each for name, each in fleet(*footings).items() if name not in gone}
    record = record or RolloutRecord()
    look = make_look(record, in_flight=in_flight)
    return keep_canary(make_rollout(state, **changes), present, record, look).waves


# --- it stays --------------------------------------------------------------------------------------------------------


def test_a_canary_that_serves_stays_while_all_others_do() -> None:
    assert waves_after() == WAVES


@pytest.mark.parametrize("state", [s for s in RolloutState if s is not RolloutState.RUNNING])
def test_while_nothing_may_be_begun_nobody_else_is_chosen(state: RolloutState) -> None:
    assert waves_after(down(US1), state=state) == WAVES


def test_a_rollout_without_canaries_gets_none() -> None:
    assert waves_after(down(US1), canaries=0) == WAVES


def test_a_rollout_whose_relays_are_all_gone_is_left_alone() -> None:
    assert waves_after(gone=(EU1, EU2, EU3, US1, US2, US3)) == WAVES


@pytest.mark.parametrize(
    ("canary", "record"),
    [
        (footing(EU3, NEW), RolloutRecord()),
        (footing(EU3), RolloutRecord(restarts=told(EU3))),
        (silent(EU3), RolloutRecord(restarts=told(EU3))),
    ],
    ids=["it runs the wish", "it was told to", "it was told to and is silent since"],
)
def test_once_something_was_done_to_it_it_is_the_canary(canary: Footing, record: RolloutRecord) -> None:
    assert waves_after(canary, down(US1), record=record) == WAVES


def test_a_canary_that_is_down_itself_stays() -> None:
    assert waves_after(down(EU3), down(US1)) == WAVES


# --- another takes its place -------------------------------------------------------------------------------------------


def test_who_is_down_anyway_takes_its_place() -> None:
    assert waves_after(down(US1)) == ((US1,), (EU3,), (EU1,), (EU2, US2), (US3,))


def test_what_it_was_told_to_be_for_an_earlier_wish_binds_nobody() -> None:
    record = RolloutRecord(restarts=told(EU3, digest="earlier"))
    assert waves_after(down(US1), record=record)[0] == (US1,)


def test_who_is_down_with_what_is_wished_for_is_no_canary_of_it() -> None:
    assert waves_after(down(US1, NEW)) == WAVES


def test_who_is_down_and_cannot_be_asked_is_none_either() -> None:
    unasked = footing(US1, health=Health.UNHEALTHY, phase=Phase.SYNCING, facts=None)
    assert waves_after(unasked) == WAVES


def test_who_is_down_with_nobody_knows_what_is_tried_where_its_region_has_proven_nothing() -> None:
    assert waves_after(down(US1, "")) == WAVES
    assert waves_after(down(US1, ""), good={"eu": OLD})[0] == (US1,)


def test_a_silent_canary_gives_way_to_one_that_serves() -> None:
    assert waves_after(silent(EU3)) == ((EU1,), (EU3,), (US1,), (EU2, US2), (US3,))


def test_a_silent_canary_gives_way_to_one_that_is_down_rather_than_to_one_that_serves() -> None:
    assert waves_after(silent(EU3), down(US2))[0] == (US2,)


def test_a_silent_canary_gives_way_to_nobody_who_does_not_serve_either() -> None:
    others = [silent(name) for name in (EU1, EU2, US1, US2, US3)]
    assert waves_after(silent(EU3), *others) == WAVES


def test_a_canary_that_is_worked_on_is_not_silent() -> None:
    assert waves_after(silent(EU3), in_flight=(EU3,)) == WAVES


def test_a_canary_that_the_fleet_file_no_longer_asks_for_is_followed_by_the_next() -> None:
    assert waves_after(gone=(EU3,)) == ((EU1,), (US1,), (EU2, US2), (US3,))


def test_where_the_canary_is_gone_but_others_have_begun_nobody_else_is_chosen() -> None:
    assert waves_after(footing(US1, NEW), gone=(EU3,)) == WAVES


# --- of two canaries ---------------------------------------------------------------------------------------------------


def test_of_two_canaries_one_gives_way_to_one_that_is_down() -> None:
    assert waves_after(down(US1), waves=TWO, canaries=2) == ((US3, US1), (EU3,), (EU1,), (EU2, US2))


def test_of_two_canaries_that_are_silent_one_gives_way_at_a_time_and_the_other_s_region_is_left_to_it() -> None:
    assert waves_after(silent(EU3), silent(US3), waves=TWO, canaries=2)[0] == (US3, EU1)


def test_of_two_that_are_down_the_one_of_another_region_than_the_canary_that_stays_is_chosen() -> None:
    assert waves_after(down(US1), down(EU2), waves=TWO, canaries=2)[0] == (US3, EU2)


def test_two_canaries_stay_in_their_order_while_all_serve() -> None:
    assert waves_after(waves=TWO, canaries=2) == TWO


def test_the_canary_that_stays_is_not_chosen_for_the_other_s_place_though_few_serve() -> None:
    few = waves_after(silent(EU3), silent(EU1), silent(EU2), waves=TWO, canaries=2)
    assert few[0] == (US3, US1)


def test_a_canary_that_has_begun_is_not_chosen_again_in_the_other_s_place() -> None:
    both = waves_after(footing(US3, NEW), silent(EU3), waves=TWO, canaries=2)
    assert both[0] == (US3, EU1)
