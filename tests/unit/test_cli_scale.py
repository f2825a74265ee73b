"""`scale`: one number of the fleet file changes, and nothing else of it."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from orchestrator.spec.editing import replace_count
from orchestrator.spec.load import parse_fleet
from tests.command_line import LAB_FLEET, Run, make_run

EU = "eu-central-1"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    shutil.copytree(LAB_FLEET.parent / "network", tmp_path / "network")
    return Path(shutil.copy(LAB_FLEET, tmp_path / "fleet.yaml"))


def test_the_count_of_one_region_changes_and_no_other_byte(run: Run, fleet: Path) -> None:
    before = fleet.read_text()
    ended = run("--fleet", fleet, "scale", "us-east-1", "7", "--yes")
    assert ended.code == 0
    assert parse_fleet(fleet).relay_count("us-east-1") == 7
    head, region, tail = before.partition("  us-east-1:\n")
    assert fleet.read_text() == f"{head}{region}{tail.replace('count: 5', 'count: 7', 1)}"
    assert "-    count: 5" in ended.out
    assert "+    count: 7" in ended.out
    assert "and no longer for 5" in ended.err


def test_comments_quotes_and_flow_style_stay() -> None:
    text = '# a\nregions: {a: {hosts: [count, 3], count: 2}, "b": {note: {count: 9}, "count": 4}}  # c\ncount: 1\n'
    assert replace_count(text.encode(), "b", 6).decode() == text.replace('"count": 4', '"count": 6')
    assert replace_count(text.encode(), "a", 6).decode() == text.replace("count: 2", "count: 6")


def test_a_region_without_a_count_is_told_apart(run: Run, fleet: Path) -> None:
    with pytest.raises(ValueError, match=r"regions\.c\.count"):
        replace_count(b"regions: {c: {image: x}}\ncount: 3\n", "c", 1)


def test_a_dry_run_and_nobody_who_says_yes_write_nothing(
    run: Run, fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    before = fleet.read_bytes()
    assert run("--fleet", fleet, "scale", EU, "6", "--dry-run").code == 0
    assert run("--fleet", fleet, "scale", EU, "6").code == 1
    assert fleet.read_bytes() == before


def test_the_count_that_is_there_already_is_no_change(run: Run, fleet: Path) -> None:
    ended = run("--fleet", fleet, "scale", EU, "5")
    assert (ended.code, ended.out) == (0, "")
    assert "asks for 5 relays" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("scale", "mars-1", "3"), 1, "has no region mars-1; it has eu-central-1"),
        (("scale", EU, "-1"), 64, "-1"),
        (("scale", EU, "many"), 64, "many"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    run: Run, fleet: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = run("--fleet", fleet, *arguments)
    assert ended.code == code
    assert said in ended.err


def test_a_count_that_makes_no_valid_fleet_is_refused_with_its_line(run: Run, fleet: Path) -> None:
    text = fleet.read_text()
    for region in ("us-east-1", "ap-southeast-1", "sa-east-1"):
        text = replace_count(text.encode(), region, 0).decode()
    fleet.write_text(text)
    ended = run("--fleet", fleet, "scale", EU, "0", "--yes")
    assert ended.code == 1
    assert "regions" in ended.err
    assert fleet.read_text() == text
