"""Traces from files, and the command that plays them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.errors import FleetError
from orchestrator.simulation.demand.traces import read_trace
from tests.command_line import Run, make_run
from tests.unit.demand.test_policies import daily

KEYS = {"under_time_percent", "under_depth_percent", "over_percent", "node_hours", "actions", "worst_shortfall"}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = "".join(f"{minute},{load:.3f}\n" for minute, load in enumerate(daily(8)))
    return write(tmp_path_factory.mktemp("trace") / "demand.csv", f"minute,demand\n{rows}")


def test_a_trace_is_read_minute_by_minute(tmp_path: Path) -> None:
    assert read_trace(write(tmp_path / "t.csv", "minute,demand\n0,1.5\n1,2\n2,0\n")) == (1.5, 2.0, 0.0)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "found nothing"),
        ("a,b\n", 1, "expected the columns minute,demand"),
        ("minute,demand\n", 2, "found no minute"),
        ("minute,demand\n0,1\n2,1\n", 3, "found minute 2, expected 1"),
        ("minute,demand\n0,1\n1,-1\n", 3, "a demand of -1"),
        ("minute,demand\n0,much\n", 2, "a demand of much"),
        ("minute,demand\n0,nan\n", 2, "a demand of nan"),
        ("minute,demand\n0,1e9\n", 2, "a demand of 1e9"),
        ("minute,demand\n0,1,2\n", 2, "found 3 values"),
        ("minute,demand\n0,1\n\x00,1\n", 3, "found"),
    ],
)
def test_what_is_no_trace_is_refused_at_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(FleetError) as refused:
        read_trace(path)
    assert f"{path}:{line}: " in refused.value.message
    assert said in refused.value.message


def test_one_policy_is_one_object_with_the_figures_that_count(run: Run, trace: Path) -> None:
    ended = run("autoscale", "simulate", "--trace", trace, "--lead", "20m", "--json")
    assert ended.code == 0
    assert ended.document.keys() == KEYS | {"policy", "target", "lead_minutes"}
    assert (ended.document["policy"], ended.document["lead_minutes"]) == ("ours", 20)


def test_several_are_compared_in_one_table(run: Run, trace: Path) -> None:
    ended = run("autoscale", "simulate", "--trace", trace, "--policy", "oracle", "--policy", "hpa", "--lead", "1h")
    assert ended.code == 0
    header, *rows = ended.out.splitlines()
    assert header.split() == [
        "policy",
        "minutes",
        "short",
        "short",
        "by",
        "over",
        "by",
        "relay-hours",
        "actions",
        "worst",
        "shortfall",
    ]
    assert [row.split()[0] for row in rows] == ["oracle", "hpa"]
    assert rows[0].split()[1] == "0.00"


def test_a_plot_is_an_svg_that_runs_nothing(run: Run, trace: Path, tmp_path: Path) -> None:
    picture = tmp_path / "out.svg"
    assert run("autoscale", "simulate", "--trace", trace, "--plot", picture).code == 0
    text = picture.read_text()
    assert "<svg" in text
    assert "needed" in text
    assert "<script" not in text


def test_a_trace_of_a_week_is_too_short(run: Run, tmp_path: Path) -> None:
    ended = run("autoscale", "simulate", "--trace", write(tmp_path / "t.csv", "minute,demand\n0,1\n"))
    assert ended.code == 1
    assert "the first 10080 (a week) are not scored" in ended.err


@pytest.mark.parametrize(
    "wrong", [("--target", "1.5"), ("--lead", "soon"), ("--policy", "magic"), ("--trace", "/no/such")]
)
def test_wrong_usage_is_told(run: Run, trace: Path, wrong: tuple[str, str]) -> None:
    given = ("--trace", str(trace), *wrong) if wrong[0] != "--trace" else wrong
    assert run("autoscale", "simulate", *given).code == 64


def test_the_json_of_several_is_a_list(run: Run, trace: Path) -> None:
    ended = run("autoscale", "simulate", "--trace", trace, "--policy", "ours", "--policy", "target-tracking", "--json")
    assert [each["policy"] for each in json.loads(ended.out)] == ["ours", "target-tracking"]
