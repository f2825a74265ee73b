"""Only the process that was recorded is ever ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.lab.machines.processes import (
    RecordedProcess,
    find_init_below,
    find_recorded,
    is_running,
    kill_and_wait,
    send_signal,
    start_recorded,
)

PATIENCE_SECONDS = 10


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    """A program that runs until somebody ends it, and the record of it."""
    record = tmp_path / "process"
    start_recorded(["sh", "-c", "echo started; exec sleep 60"], record, tmp_path / "output")
    return record


def found(record: Path) -> RecordedProcess:
    process = find_recorded(record)
    assert process is not None
    return process


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_started_program_is_found_again_by_its_record(sleeper: Path) -> None:
    process = found(sleeper)
    assert is_running(process)
    assert kill_and_wait(process)


def test_a_killed_program_is_not_found_any_more(sleeper: Path) -> None:
    process = found(sleeper)
    assert kill_and_wait(process)
    assert find_recorded(sleeper) is None
    assert kill_and_wait(process), "killing what is gone is no failure"


def test_another_process_with_the_same_pid_is_left_alone(sleeper: Path) -> None:
    process = found(sleeper)
    later = replace(process, start_ticks=process.start_ticks + 1)
    assert not send_signal(later, 9)
    assert kill_and_wait(later)
    assert is_running(process)
    assert kill_and_wait(process)


def test_a_record_of_an_earlier_boot_is_left_alone(sleeper: Path) -> None:
    process = found(sleeper)
    earlier = replace(process, boot_id="00000000-0000-0000-0000-000000000000")
    assert not is_running(earlier)
    assert not send_signal(earlier, 9)
    assert kill_and_wait(process)


def test_a_program_that_ended_by_itself_is_not_found(tmp_path: Path) -> None:
    start_recorded(["true"], tmp_path / "process", tmp_path / "output")
    wait_for(lambda: find_recorded(tmp_path / "process") is None)


def test_what_a_program_says_is_kept(sleeper: Path) -> None:
    wait_for(lambda: (sleeper.parent / "output").read_text() == "started\n")
    assert kill_and_wait(found(sleeper))


def test_a_program_does_not_start_before_it_is_recorded(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    with pytest.raises(OSError, match="no-such-cgroup"):
        start_recorded(["touch", str(proof)], tmp_path / "process", tmp_path / "output", [tmp_path / "no-such-cgroup"])
    assert find_recorded(tmp_path / "process") is None
    assert not proof.exists()


def test_an_unreadable_record_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "process").write_text("12")
    assert find_recorded(tmp_path / "process") is None


def test_an_ordinary_child_is_not_taken_for_the_first_process_of_a_machine(tmp_path: Path) -> None:
    start_recorded(["sh", "-c", "sleep 60 & wait"], tmp_path / "process", tmp_path / "output")
    process = found(tmp_path / "process")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(children.read_text)
    assert find_init_below(process) is None
    child = int(children.read_text().split()[0])
    stat = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    assert kill_and_wait(replace(process, pid=child, start_ticks=int(stat[19])))
    kill_and_wait(process)
