"""Faults of the lab node as values and files, and whose blocks are believed under them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.node.faults import (
    FAULT_FILE,
    BadFault,
    Fault,
    Fork,
    Hang,
    Slow,
    Stall,
    WrongMagic,
    parse_fault,
    read_fault,
    render_fault,
)
from orchestrator.lab.node.lottery import (
    ForkRule,
    LeaderRules,
    Lottery,
    draw,
    fork_issuer,
    next_led_slot,
    why_not_leader,
)

RULES = LeaderRules(b"seed", issuers=2, active_slots_coefficient=0.2)
FORKED = replace(RULES, fork=ForkRule(fork_issuer("split"), since=1000))


def lottery_of(rules: LeaderRules, issuer: int) -> Lottery:
    found = rules.lottery_of(issuer)
    assert found is not None
    return found


@pytest.mark.parametrize("fault", [Fork("split", 12.5), Stall(), Hang(), WrongMagic(), Slow(), Slow(0.5)])
def test_a_fault_is_read_as_it_was_written(fault: Fault) -> None:
    assert parse_fault(render_fault(fault)) == fault


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fork",
        "[]",
        '"fork"',
        '{"kind": "fork"}',
        '{"kind": "melt"}',
        '{"kind": "slow", "seconds": 0}',
        '{"kind": "slow", "seconds": "long"}',
        '{"kind": "fork", "name": 3, "since": 1}',
        '{"kind": "stall", "seconds": 1}',
    ],
)
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(BadFault, match="no fault of a lab node"):
        parse_fault(text)


@given(st.text(max_size=50) | st.from_regex(r'\{"kind": ?"[a-z]{3,6}"(, "seconds": [0-9]{1,3})?\}', fullmatch=True))
def test_no_text_crashes_the_reader_of_faults(text: str) -> None:
    with suppress(BadFault):
        assert parse_fault(text)


def test_no_file_and_a_file_that_makes_no_sense_are_no_fault(tmp_path: Path) -> None:
    assert read_fault(tmp_path) is None
    (tmp_path / FAULT_FILE).write_text("{")
    assert read_fault(tmp_path) is None
    (tmp_path / FAULT_FILE).write_text(render_fault(Hang()))
    assert read_fault(tmp_path) == Hang()


def test_in_a_thousand_blocks_there_are_slot_battles_and_not_too_many() -> None:
    first, second = (lottery_of(RULES, issuer) for issuer in (0, 1))
    blocks = battles = slot = 0
    while blocks < 1000:
        slot += 1
        led = (draw(first, slot) < first.threshold()) + (draw(second, slot) < second.threshold())
        blocks += led > 0
        battles += led > 1
    assert 20 < battles < 120, "about one in eighteen"
    assert 4000 < slot < 6000, "one slot in five has a block"


def test_a_block_of_its_slots_winner_is_believed() -> None:
    slot, drawn = next_led_slot(lottery_of(RULES, 1), 1)
    assert why_not_leader(RULES, 1, slot, drawn) is None


def test_a_block_of_somebody_who_lost_or_lies_or_is_nobody_is_not_believed() -> None:
    lottery = lottery_of(RULES, 0)
    led, drawn = next_led_slot(lottery, 1)
    lost = next(slot for slot in range(1, 100) if draw(lottery, slot) >= lottery.threshold())
    assert "does not lead" in str(why_not_leader(RULES, 0, lost, draw(lottery, lost)))
    assert "drew another number" in str(why_not_leader(RULES, 0, led, drawn - 1))
    assert "knows no issuer 2" in str(why_not_leader(RULES, 2, led, drawn))


def test_a_forks_blocks_are_believed_on_the_fork_alone_and_others_there_only_until_it_begins() -> None:
    fork = lottery_of(FORKED, fork_issuer("split"))
    slot, drawn = next_led_slot(fork, 1001)
    assert why_not_leader(FORKED, fork.issuer, slot, drawn) is None
    assert "knows no issuer" in str(why_not_leader(RULES, fork.issuer, slot, drawn))
    elsewhere = replace(RULES, fork=ForkRule(fork_issuer("other"), since=1000))
    assert "knows no issuer" in str(why_not_leader(elsewhere, fork.issuer, slot, drawn))
    early, late = next_led_slot(lottery_of(FORKED, 0), 900), next_led_slot(lottery_of(FORKED, 0), 1001)
    assert why_not_leader(FORKED, 0, *early) is None
    assert "other side of the fork" in str(why_not_leader(FORKED, 0, *late))


def test_a_fork_makes_blocks_at_the_pace_of_the_whole_network() -> None:
    fork = lottery_of(FORKED, fork_issuer("split"))
    assert fork.threshold() == Lottery(b"seed", 0, 1, 0.2).threshold()
