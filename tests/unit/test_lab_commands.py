"""The lab's commands, as far as they answer without a lab."""

from __future__ import annotations

import pytest

from tests.command_line import Run, make_run


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("demo-eu-1-01", "stall", "--seed", "x"), "--seed goes with fork"),
        (("demo-eu-1-01", "fork", "--seconds", "3"), "--seconds with slow"),
        (("demo-eu-1-01", "slow", "--seconds", "0"), "'--seconds'"),
        (("demo-eu-1-01", "melt"), "'melt' is not one of"),
    ],
)
def test_a_fault_that_makes_no_sense_is_wrong_usage(run: Run, arguments: tuple[str, ...], said: str) -> None:
    ended = run("lab", "fault", *arguments)
    assert ended.code == 64
    assert said in ended.err


def test_each_kind_of_fault_stands_on_a_line_of_its_own(run: Run) -> None:
    lines = [line.strip() for line in run("lab", "fault", "--help").out.splitlines()]
    assert "fork         make its own chain from now on; honest nodes refuse it" in lines
    assert "clear        do right again" in lines
    assert not any("\\b" in line for line in lines)


@pytest.mark.parametrize("words", [("fault", "alpha", "stall"), ("cut", "eu-1"), ("heal", "eu-1"), ("status",)])
def test_a_lab_that_does_not_run_is_said_so_with_how_to_start_it(run: Run, words: tuple[str, ...]) -> None:
    lab = ("nolab",) if words == ("status",) else ("--lab", "nolab")
    ended = run("lab", *words, *lab)
    assert ended.code == 6
    assert "lab nolab is not running" in ended.err
    assert "genesis-fleet lab up nolab" in ended.err
