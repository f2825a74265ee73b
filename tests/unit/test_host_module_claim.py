"""Who may work on a host: the lock and the fencing token."""

from __future__ import annotations

from pathlib import Path

import pytest

from playbooks.module_utils.genesis.claim import claim, read_holder, read_token
from playbooks.module_utils.genesis.machine import STORE_ID, TOKEN, Machine, Refused


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_highest_token_is_remembered(machine: Machine) -> None:
    for token in (3, 3, 5):
        with claim(machine, "deploy", token):
            pass
    assert read_token(machine) == 5


def test_a_lower_token_is_refused_and_named_with_the_highest(machine: Machine) -> None:
    with claim(machine, "deploy", 5):
        pass
    with pytest.raises(Refused, match="token 4 is lower than 5"), claim(machine, "deploy", 4):
        pass
    assert read_token(machine) == 5


def test_a_second_run_at_the_same_time_is_told_who_is_at_work(machine: Machine) -> None:
    with claim(machine, "stage", 2):
        assert read_holder(machine) == "stage"
        with pytest.raises(Refused, match="busy: stage of token 2"), claim(machine, "deploy", 2, wait_seconds=0):
            pass
    assert read_holder(machine) == ""


def test_a_run_that_failed_frees_the_host(machine: Machine) -> None:
    with pytest.raises(RuntimeError), claim(machine, "deploy", 1):
        raise RuntimeError
    with claim(machine, "deploy", 1, wait_seconds=0):
        assert read_holder(machine) == "deploy"


def test_another_store_is_refused_and_both_are_named(machine: Machine) -> None:
    with claim(machine, "prepare", 1):
        machine.at(STORE_ID).write_text("mine\n")
    with pytest.raises(Refused, match="belongs to store mine, not theirs"), claim(machine, "deploy", 1, "theirs"):
        pass


def test_a_token_file_that_is_no_number_is_never_read_as_zero(machine: Machine) -> None:
    with claim(machine, "deploy", 1):
        pass
    machine.at(TOKEN).write_text("garbage")
    with pytest.raises(Refused, match="garbage"), claim(machine, "deploy", 9):
        pass


def test_looking_at_a_host_that_was_never_worked_on_writes_nothing(machine: Machine) -> None:
    assert (read_holder(machine), read_token(machine)) == ("", 0)
    assert list(machine.root.iterdir()) == []
