"""Whether updated relays are worse than the others: signal by signal in one look, and all looks together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.rollout import Settling
from orchestrator.planning.comparison import (
    AGREEMENT,
    HANDSHAKE,
    INBOUND,
    LONG_ROW,
    RESTARTS,
    SIGNALS,
    TIP_AGE,
    Signals,
    compare,
    describe,
    judge_bake,
)
from orchestrator.planning.trust import Stand
from orchestrator.spec.policies import HealthSpec
from tests.rollout_looks import NEW, NOW, SOUND

NOTHING = Signals(None, None, None, None, None)
BEGUN = Settling(NEW, NOW)
HEALTH = HealthSpec()
"""A tip may be 5 minutes old, and an answer that takes 2 s is slow."""


def looked(mine: Signals, *others: Signals, times: int = 1, settling: Settling = BEGUN) -> Settling:
    for _ in range(times):
        settling = compare(settling, mine, others or (SOUND, SOUND, SOUND), HEALTH)
    return settling


def verdict(*settlings: Settling) -> str:
    return judge_bake(settlings[-1]).verdict


def worse_in(signal: str, mine: Signals, *others: Signals) -> int | None:
    """Whether one look calls a signal worse; None if it could not measure it."""
    settling = looked(mine, *others)
    return settling.worse[signal] if signal in settling.measured else None


# --- one look --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "changes", "worse"),
    [
        (TIP_AGE, {"tip_age_seconds": 85}, 0),
        (TIP_AGE, {"tip_age_seconds": 86}, 1),
        (TIP_AGE, {"tip_age_seconds": 1}, 0),
        (HANDSHAKE, {"handshake_seconds": 1.1}, 0),
        (HANDSHAKE, {"handshake_seconds": 1.2}, 1),
        (RESTARTS, {"restarts": 0}, 0),
        (RESTARTS, {"restarts": 1}, 1),
        (INBOUND, {"inbound": 5}, 0),
        (INBOUND, {"inbound": 4}, 1),
        (INBOUND, {"inbound": 200}, 0),
        (AGREEMENT, {"stand": Stand.AGREES}, 0),
        (AGREEMENT, {"stand": Stand.LAGS}, 0),
        (AGREEMENT, {"stand": Stand.SUSPECTED}, 1),
        (AGREEMENT, {"stand": Stand.FORKED}, 1),
        (AGREEMENT, {"stand": Stand.OTHER_NETWORK}, 1),
    ],
)
def test_a_signal_is_worse_from_a_difference_on_that_counts(signal: str, changes: dict, worse: int) -> None:
    assert worse_in(signal, replace(SOUND, **changes)) == worse


@pytest.mark.parametrize("signal", SIGNALS)
def test_what_could_not_be_measured_here_says_nothing(signal: str) -> None:
    assert worse_in(signal, NOTHING) is None


@pytest.mark.parametrize("signal", SIGNALS)
def test_what_could_not_be_measured_there_says_nothing(signal: str) -> None:
    assert worse_in(signal, replace(SOUND, stand=Stand.FORKED), NOTHING, NOTHING) is None


@pytest.mark.parametrize("signal", SIGNALS)
def test_some_others_that_could_be_measured_are_enough(signal: str) -> None:
    assert worse_in(signal, SOUND, NOTHING, SOUND, NOTHING) == 0


def test_a_chain_that_cannot_be_told_is_not_measured() -> None:
    assert worse_in(AGREEMENT, replace(SOUND, stand=Stand.CANNOT_TELL)) is None


def test_when_all_have_parted_nobody_is_a_measure_of_agreement() -> None:
    suspected = replace(SOUND, stand=Stand.SUSPECTED)
    assert worse_in(AGREEMENT, suspected, suspected, suspected) is None


def test_when_the_whole_network_is_slow_no_relay_is_worse() -> None:
    slow = replace(SOUND, tip_age_seconds=280, handshake_seconds=8, restarts=2, inbound=0)
    assert not any(worse_in(signal, slow, slow, slow) for signal in SIGNALS)


def test_a_single_slow_one_among_the_others_is_no_measure() -> None:
    slow = replace(SOUND, tip_age_seconds=290, handshake_seconds=9, restarts=5)
    assert [worse_in(signal, slow, SOUND, SOUND, slow) for signal in (TIP_AGE, HANDSHAKE, RESTARTS)] == [1, 1, 1]


def test_a_handshake_three_times_as_long_is_not_worse_while_it_is_short() -> None:
    assert worse_in(HANDSHAKE, replace(SOUND, handshake_seconds=0.5)) == 0


@pytest.mark.parametrize(("seconds", "worse"), [(6.0, 0), (6.1, 1)])
def test_where_all_are_slow_a_handshake_is_worse_from_more_than_three_times_as_long_on(seconds, worse: int) -> None:
    slow = replace(SOUND, handshake_seconds=2.0)
    assert worse_in(HANDSHAKE, replace(SOUND, handshake_seconds=seconds), slow, slow) == worse


@pytest.mark.parametrize(
    ("inbound", "before", "theirs", "worse"),
    [
        (2, 10, 20, 1),
        (3, 10, 20, 0),
        (0, 4, 20, 0),
        (0, 5, 20, 1),
        (0, 100, 4, 0),
        (4, 100, 20, 1),
        (5, 100, 20, 0),
        (0, None, 20, 1),
    ],
)
def test_connections_are_measured_by_what_it_had_and_by_what_the_others_have(
    inbound: int, before: int | None, theirs: int, worse: int
) -> None:
    mine = replace(SOUND, inbound=inbound, before=before)
    assert worse_in(INBOUND, mine, replace(SOUND, inbound=theirs)) == worse


def test_without_others_a_look_adds_nothing() -> None:
    assert compare(BEGUN, SOUND, [], HEALTH) == BEGUN


# --- all looks together ----------------------------------------------------------------------------------------------


def test_a_relay_like_the_others_is_no_worse() -> None:
    answer = judge_bake(looked(SOUND, times=7))
    assert (answer.verdict, answer.text) == ("no worse", "no worse than the others in 7 looks")


@pytest.mark.parametrize(
    ("signal", "changes"),
    [
        (TIP_AGE, {"tip_age_seconds": 200}),
        (HANDSHAKE, {"handshake_seconds": 5}),
        (RESTARTS, {"restarts": 1}),
        (AGREEMENT, {"stand": Stand.SUSPECTED}),
    ],
)
def test_a_relay_that_is_worse_in_one_signal_is_worse_and_the_signal_is_named(signal: str, changes: dict) -> None:
    answer = judge_bake(looked(replace(SOUND, **changes), times=4))
    assert answer.verdict == "worse"
    assert signal in answer.text
    assert "4 of 4 looks" in answer.text


@pytest.mark.parametrize(("bad", "good", "expected"), [(2, 2, "no worse"), (3, 2, "worse"), (1, 6, "no worse")])
def test_it_is_worse_if_most_looks_say_so(bad: int, good: int, expected: str) -> None:
    settling = looked(replace(SOUND, tip_age_seconds=200), times=bad)
    assert verdict(looked(SOUND, times=good, settling=settling)) == expected


def test_a_relay_that_has_become_worse_is_worse_however_long_it_was_not() -> None:
    settling = looked(SOUND, times=100)
    for looks in range(1, LONG_ROW):
        settling = looked(replace(SOUND, restarts=1), settling=settling)
        assert verdict(settling) == "not yet", looks
    answer = judge_bake(looked(replace(SOUND, restarts=1), settling=settling))
    assert (answer.verdict, answer.text) == (
        "worse",
        f"worse than the others in restarts, in the last {LONG_ROW} looks",
    )


def test_five_bad_looks_in_a_row_are_enough() -> None:
    assert verdict(looked(replace(SOUND, restarts=1), times=5, settling=looked(SOUND, times=100))) == "worse"


def test_connections_that_are_not_back_in_the_only_look_are_waited_for() -> None:
    assert verdict(looked(replace(SOUND, inbound=0))) == "not yet"


def test_a_row_of_bad_looks_ends_with_a_good_one() -> None:
    settling = looked(replace(SOUND, restarts=1), times=LONG_ROW - 1, settling=looked(SOUND, times=100))
    assert verdict(looked(SOUND, settling=settling)) == "no worse"


def test_a_look_that_could_not_measure_neither_ends_nor_lengthens_a_row() -> None:
    settling = looked(replace(SOUND, restarts=1), times=2, settling=looked(SOUND, times=100))
    assert looked(replace(SOUND, restarts=None), settling=settling).row == settling.row


def test_nobody_to_compare_it_with_is_inconclusive() -> None:
    assert verdict(BEGUN) == "inconclusive"


@pytest.mark.parametrize("lacking", ["tip_age_seconds", "handshake_seconds", "restarts", "inbound", "stand"])
def test_a_signal_that_was_measured_in_too_few_looks_makes_it_inconclusive(lacking: str) -> None:
    settling = looked(replace(SOUND, **{lacking: None}), times=3)
    assert verdict(looked(SOUND, times=2, settling=settling)) == "inconclusive"
    assert verdict(looked(SOUND, times=3, settling=settling)) == "no worse"


def test_what_could_not_be_measured_is_named_with_numbers() -> None:
    answer = judge_bake(looked(replace(SOUND, inbound=None), times=4))
    assert answer.text == "too little could be measured: inbound connections in 0 of 4 looks"


@pytest.mark.parametrize("looks", [1, 2])
def test_what_was_never_measured_is_inconclusive_from_the_first_look_on(looks: int) -> None:
    assert verdict(looked(replace(SOUND, inbound=None), times=looks)) == "inconclusive"


def test_a_signal_that_was_bad_in_the_few_looks_that_measured_it_is_inconclusive_rather_than_worse() -> None:
    settling = looked(replace(SOUND, tip_age_seconds=200), times=1)
    assert verdict(looked(replace(SOUND, tip_age_seconds=None), times=9, settling=settling)) == "inconclusive"


def test_connections_that_have_come_back_by_now_were_never_lost() -> None:
    settling = looked(replace(SOUND, inbound=0), times=9)
    assert verdict(settling) == "not yet"
    assert verdict(looked(replace(SOUND, inbound=18), settling=settling)) == "no worse"


def test_connections_that_went_away_again_are_waited_for() -> None:
    settling = looked(SOUND, times=9)
    assert verdict(looked(replace(SOUND, inbound=0), settling=settling)) == "not yet"


# --- in words --------------------------------------------------------------------------------------------------------


def test_signals_are_shown_side_by_side() -> None:
    assert describe(replace(SOUND, inbound=7), (SOUND, SOUND)) == (
        "tip age 10 s (others 10 s), handshake 0.10 s (others 0.10 s), 7 inbound (others 20), "
        "0 restarts (others 0), chain agrees"
    )


def test_what_is_not_known_is_shown_as_a_question() -> None:
    assert describe(NOTHING, ()) == (
        "tip age ? s (others ? s), handshake ? s (others ? s), ? inbound (others ?), "
        "? restarts (others ?), chain not compared"
    )
