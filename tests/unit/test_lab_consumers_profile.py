"""A profile of consumers: how it is read, and that as many are there as it says."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.errors import FleetError
from orchestrator.lab.consumers.names import Answer
from orchestrator.lab.consumers.profile import Step, read_profile
from orchestrator.lab.consumers.visitors import Visitors
from tests.command_line import LAB_FLEET, Run, make_run
from tests.lab_relays import LONG, a_journey


def write(folder: Path, text: str) -> Path:
    path = folder / "demand.csv"
    path.write_text(text)
    return path


def test_each_row_is_a_time_and_a_number(tmp_path: Path) -> None:
    steps = read_profile(write(tmp_path, "minute,consumers\n0,10\n0.5,200\n20,0\n"))
    assert steps == (Step(timedelta(), 10), Step(timedelta(seconds=30), 200), Step(timedelta(minutes=20), 0))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("minute,demand\n0,1\n1,0\n", 1),
        ("minute,consumers\n0,1\n", 2),
        ("minute,consumers\n0,many\n1,0\n", 2),
        ("minute,consumers\n0\n1,0\n", 2),
        ("minute,consumers\n0,1,2\n1,0\n", 2),
        ("minute,consumers\nnan,1\n1,0\n", 2),
        ("minute,consumers\n-1,1\n1,0\n", 2),
        ("minute,consumers\n0,1\n1,1001\n", 3),
        ("minute,consumers\n1,1\n1,0\n", 3),
    ],
)
def test_what_is_no_profile_is_refused_at_its_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(FleetError) as refused:
        read_profile(write(tmp_path, text))
    assert f"demand.csv:{line}: found " in refused.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"none\.csv cannot be read"):
        read_profile(tmp_path / "none.csv")


def test_as_many_are_there_as_are_wanted_and_who_is_there_is_not_sent_home() -> None:
    async def story() -> None:
        asked, release = 0, asyncio.Event()
        came = asyncio.Condition()

        async def ask() -> Answer:
            nonlocal asked
            async with came:
                asked += 1
                came.notify_all()
            await release.wait()
            return Answer((), timedelta(seconds=5))

        async def until(count: int) -> None:
            async with came:
                await came.wait_for(lambda: asked == count)

        visitors = Visitors(9, a_journey(ask, 1, tip_slot=1))
        await visitors.want(0)
        stop = asyncio.Event()
        running = asyncio.create_task(visitors.run(stop, once=False, arrival=timedelta()))
        await visitors.want(3)
        await until(3)
        await visitors.want(5)
        await until(5)
        await visitors.want(1)
        assert len(visitors.present) == 5
        stop.set()
        await running
        assert asked == 5

    async def within_limits() -> None:
        async with asyncio.timeout(LONG.total_seconds()):
            await story()

    asyncio.run(within_limits())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def test_either_a_number_or_a_profile_is_given(run: Run, tmp_path: Path) -> None:
    profile = str(write(tmp_path, "minute,consumers\n0,1\n1,0\n"))
    for words in (
        (),
        ("5", "--profile", profile),
        ("--profile", profile, "--once"),
        ("--profile", profile, "--for", "5s"),
    ):
        assert run("--fleet", LAB_FLEET, "lab", "consumers", *words).code == 64
