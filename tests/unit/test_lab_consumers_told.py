"""What `lab consumers` says: the command as far as it answers without a lab, the summary, the table, the JSON, the live lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.consumers_text import consumers_json, summary_lines, usage_columns
from orchestrator.cli.consumers_view import ConsumersView
from orchestrator.lab.consumers.outcome import (
    Bootstrapped,
    CutShort,
    Failed,
    Outcome,
    Seen,
    Stall,
    Visit,
    count_usage,
    summarize,
)
from orchestrator.lab.consumers.visitors import Visitors
from tests.command_line import Run, make_run, write_fleet
from tests.lab_relays import a_journey, names_that_say
from tests.spec_texts import AWS

LOST, REFUSED = "the peer closed the connection", "connection refused"


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def saw(stall: float, *visits: Visit, number: int = 1, took: float = 10) -> Seen:
    blocks = sum(visit.blocks for visit in visits)
    return Seen(number, seconds(took), blocks, Stall(seconds(stall), seconds(1)), visits, lookups=1)


def a_visit(address: str, blocks: int = 0, problem: str | None = None) -> Visit:
    return Visit(address, seconds(0), blocks, blocks, problem)


OUTCOMES: Sequence[Outcome] = (
    Bootstrapped(saw(0.2, a_visit("10.0.0.1", 50, LOST), a_visit("10.0.0.2", 0, REFUSED), a_visit("10.0.0.1", 50))),
    Bootstrapped(saw(0.4, a_visit("10.0.0.1", 100), number=2, took=30)),
    Failed(saw(10, a_visit("10.0.0.2", 7, "no progress"), number=3), "no progress for 10 s"),
    CutShort(saw(0.1, a_visit("10.0.0.1", 3), number=4)),
)
NAMES = {"10.0.0.1": "demo-eu-1-01"}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def test_the_summary_counts_ends_and_parted_connections_and_names_the_worst_stalls() -> None:
    assert summary_lines(OUTCOMES) == (
        "2 bootstrapped, 1 failed, 1 sent home on the way; connections lost on the way: 1, addresses unusable: 1; blocks: 210",
        "stall: slowest 10.0 s, median 0.3 s; time to bootstrap: median 20.0 s",
    )


def test_without_any_consumer_there_is_no_stall() -> None:
    assert summarize(()).slowest_stall is None
    assert summary_lines(())[1] == "stall: slowest –, median –; time to bootstrap: median –"


def test_the_last_visit_of_a_failure_is_no_reconnect() -> None:
    assert OUTCOMES[2].seen.reconnects == 0


def test_usage_is_counted_by_address() -> None:
    usage = count_usage(OUTCOMES)
    assert (usage["10.0.0.1"].visits, usage["10.0.0.1"].blocks, usage["10.0.0.1"].unusable) == (4, 203, 0)
    assert (usage["10.0.0.2"].visits, usage["10.0.0.2"].blocks, usage["10.0.0.2"].unusable) == (2, 7, 1)


def test_the_table_names_relays_and_leaves_unknown_addresses_unnamed() -> None:
    cells = {column.title: [str(cell) for cell in column.cells] for column in usage_columns(OUTCOMES, NAMES)}
    assert cells["relay"] == ["?", "demo-eu-1-01"]
    assert cells["address"] == ["10.0.0.2", "10.0.0.1"]


def test_the_json_has_the_summary_the_relays_and_each_consumer_with_its_visits() -> None:
    document = json.loads(json.dumps(consumers_json(OUTCOMES, NAMES)))
    assert (document["bootstrapped"], document["failed"], document["cut_short"]) == (2, 1, 1)
    assert (document["slowest_stall_seconds"], document["median_stall_seconds"]) == (10, 0.3)
    assert document["relays"]["10.0.0.1"]["name"] == "demo-eu-1-01"
    assert [consumer["outcome"] for consumer in document["consumers"]] == [
        "bootstrapped",
        "bootstrapped",
        "failed",
        "cut short",
    ]
    failed = document["consumers"][2]
    assert failed["reason"] == "no progress for 10 s"
    assert failed["visits"][0]["problem"] == "no progress"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_failure_is_shown_when_it_happens(terminal: bool, capsys: pytest.CaptureFixture[str]) -> None:
    async def story() -> None:
        visitors = Visitors(1, a_journey(names_that_say(), 1, tip_slot=1))
        view = ConsumersView(Console(stderr=True, force_terminal=terminal, width=120))
        view.show_outcome(OUTCOMES[2])
        watching = asyncio.create_task(view.watch(visitors))
        await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait([watching])

    asyncio.run(story())
    assert "consumer 3 failed after 10.0 s: no progress for 10 s" in capsys.readouterr().err


def test_once_and_a_duration_together_are_wrong_usage(run: Run) -> None:
    ended = run("lab", "consumers", "3", "--once", "--for", "20s")
    assert ended.code == 64
    assert "--once and --for" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"), [(("0",), "0"), (("3", "--for", "20"), "such as 90s"), (("3", "--pace", "1"), "--pace")]
)
def test_consumers_that_make_no_sense_are_wrong_usage(run: Run, arguments: tuple[str, ...], said: str) -> None:
    ended = run("lab", "consumers", *arguments)
    assert ended.code == 64
    assert said in ended.err


def test_a_fleet_file_without_a_lab_has_no_consumers_here(run: Run, tmp_path: Path) -> None:
    ended = run("--fleet", str(write_fleet(tmp_path, AWS)), "lab", "consumers", "3")
    assert ended.code == 1
    assert "name its lab with --lab" in ended.err
