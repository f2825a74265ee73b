"""The first commands that an operator meets: init, validate, schema, completion."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from orchestrator.cli.main import PROGRAM, cli
from tests.command_line import LAB_FLEET, Run, list_commands, make_run, write_fleet
from tests.spec_texts import write_network


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def test_a_good_file_is_told_in_one_line_of_data(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "validate")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{LAB_FLEET}: fleet demo, 20 relays in 4 regions: no errors\n"


@pytest.mark.parametrize("cloud", ["aws", "static"])
def test_a_starter_lacks_nothing_but_the_network_folder(run: Run, cloud: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "fleet"
    begun = run("init", "--cloud", cloud, "--name", "bootstrap", folder)
    assert (begun.code, begun.out) == (0, "")
    assert f"genesis-fleet --fleet {folder}/fleet.yaml validate" in begun.err
    without = run("--fleet", folder / "fleet.yaml", "validate")
    assert without.code == 1
    assert without.err.count("fleet.yaml:") == 1
    assert "network.folder" in without.err
    write_network(folder / "network")
    assert run("--fleet", folder / "fleet.yaml", "validate").code == 0


def test_init_overwrites_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("mine")
    ended = run("init", tmp_path)
    assert (ended.code, ended.out) == (1, "")
    assert f"{tmp_path}/fleet.yaml exists already" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.yaml"]
    assert (tmp_path / "fleet.yaml").read_text() == "mine"


def test_init_refuses_a_name_that_no_fleet_can_have_before_it_writes(run: Run, tmp_path: Path) -> None:
    ended = run("init", "--name", "Not A Name", tmp_path / "new")
    assert ended.code == 1
    assert "'Not A Name'" in ended.err
    assert not (tmp_path / "new").exists()


def test_the_schema_is_a_json_schema_and_the_one_that_init_writes(run: Run, tmp_path: Path) -> None:
    printed = run("schema")
    assert (printed.code, printed.err) == (0, "")
    jsonschema.Draft202012Validator.check_schema(json.loads(printed.out))
    run("init", tmp_path)
    assert (tmp_path / "fleet.schema.json").read_text() == printed.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_for_our_name(run: Run, shell: str) -> None:
    ended = run("completion", shell)
    assert (ended.code, ended.err) == (0, "")
    assert PROGRAM in ended.out
    assert f"_GENESIS_FLEET_COMPLETE={shell}_complete" in ended.out


def complete(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    words = line.split(" ")
    monkeypatch.setenv("_GENESIS_FLEET_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit):
        cli.main(prog_name=PROGRAM)
    return [answer.partition(",")[2] for answer in capsys.readouterr().out.splitlines() if answer]


def test_relay_names_are_completed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = complete(f"genesis-fleet --fleet {LAB_FLEET} render demo-eu", capsys, monkeypatch)
    assert found == [f"demo-eu-central-1-{number:02d}" for number in range(1, 6)]


def test_relay_names_are_completed_from_the_environments_fleet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GENESIS_FLEET", str(write_fleet(tmp_path)))
    assert complete("genesis-fleet render ", capsys, monkeypatch) == ["demo-eu-central-1-01", "demo-eu-central-1-02"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (f"{verb} demo-us-east-1-0", [f"demo-us-east-1-{number:02d}" for number in range(1, 6)])
        for verb in ("ssh", "kill", "isolate", "terminate", "fault", "heal")
    ]
    + [
        ("fault a", ["alpha"]),
        ("cut us", ["us-east-1"]),
        ("heal us", ["us-east-1"]),
        ("ssh a", []),
        ("cut demo", []),
        ("fault demo-us-east-1-01 s", ["stall", "saturate", "slow"]),
    ],
)
def test_verbs_of_the_lab_complete_what_they_work_on(
    words: str, expected: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complete(f"genesis-fleet --fleet {LAB_FLEET} lab {words}", capsys, monkeypatch) == expected


@pytest.mark.parametrize("verb", ["fault", "cut", "heal", "ssh"])
def test_verbs_of_the_lab_complete_nothing_without_a_fleet_file(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert complete(f"genesis-fleet --fleet {tmp_path}/none lab {verb} d", capsys, monkeypatch) == []


def test_completion_is_silent_without_a_fleet_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert complete(f"genesis-fleet --fleet {tmp_path}/none render d", capsys, monkeypatch) == []


def test_commands_are_completed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete("genesis-fleet ", capsys, monkeypatch) == sorted(w[0] for w in list_commands() if len(w) == 1)
