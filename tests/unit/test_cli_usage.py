"""What is the same for every command: help, wrong usage, errors as messages with a next step, streams, colours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from orchestrator import errors
from orchestrator.cli.main import cli, run_command
from orchestrator.errors import FleetError, LabUnavailable, LeaseHeld, NotOurStore, PlanRefused, SpecInvalid
from tests.command_line import LAB_FLEET, ROOT, Run, list_commands, make_run, on_loopback, write_fleet
from tests.spec_texts import AWS, STATIC, edit

CODES = {LeaseHeld: 3, NotOurStore: 4, PlanRefused: 5, LabUnavailable: 6}
ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FleetError)]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def start(*arguments: str, stdout: int = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli.main", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_a_command_the_help_is_shown_as_wrong_usage(run: Run) -> None:
    ended = run()
    assert (ended.code, ended.out) == (64, "")
    assert "Usage: genesis-fleet" in ended.err


@pytest.mark.parametrize("words", [(), *list_commands()], ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(run: Run, words: tuple[str, ...]) -> None:
    ended = run(*words, "--help")
    assert ended.code == 0
    assert ended.err == ""
    example = " ".join(ended.out.partition("Example: ")[2].split())
    assert " ".join(words) in example or "inventory/hosts.py" in example
    assert ("genesis-fleet" in example) or ("inventory/hosts.py" in example)


@pytest.mark.parametrize("words", [(), ("lab",)])
def test_no_command_is_introduced_by_half_a_sentence(run: Run, words: tuple[str, ...]) -> None:
    assert "..." not in run(*words, "--help").out.partition("Commands:")[2]


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("plan", "--nonsense"),
        ("plan", "left over"),
        ("render",),
        ("probe",),
        ("init", "--cloud", "moon"),
        ("completion", "tcsh"),
        ("lab", "nonsense"),
        ("lab", "kill"),
        ("--fleet",),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_64_and_prints_no_data(run: Run, words: tuple[str, ...]) -> None:
    ended = run(*words)
    assert (ended.code, ended.out) == (64, "")
    assert "Error: " in ended.err


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_reaches_the_operator_with_its_next_step_and_exit_code(
    kind: type[FleetError], capsys: pytest.CaptureFixture[str]
) -> None:
    raised = (
        SpecInvalid(("fleet.yaml:3: a: found x", "fleet.yaml:4: b: found y"))
        if kind is SpecInvalid
        else kind("the thing is broken", next_step="mend the thing")
    )

    def fail() -> None:
        raise raised

    assert run_command(fail) == CODES.get(kind, 1)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    for line in str(raised).splitlines():
        assert line in said.err


def test_the_exit_codes_of_errors_are_the_documented_ones() -> None:
    tree = str(errors.__doc__)
    for kind in ERRORS:
        (line,) = (line for line in tree.splitlines() if kind.__name__ in line)
        assert f" {kind.exit_code} " in line


def test_an_interrupted_command_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert run_command(interrupt) == 130
    assert "takes up what is there" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named_without_a_traceback(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run("init", tmp_path / "file" / "below")
    assert ended.code == 1
    assert ended.err == f"error: {tmp_path}/file/below: Not a directory\n"


def test_a_defect_is_not_hidden() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(fail)


def test_a_reader_that_goes_away_is_no_error_worth_a_word() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with start("--fleet", str(LAB_FLEET), "render", "--offline", "demo-eu-central-1-01", stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate()
    assert (process.returncode, err) == (1, "")


def test_a_terminal_without_our_characters_gets_others_rather_than_a_traceback() -> None:
    with start("--fleet", str(LAB_FLEET), "render", "nobody", "--offline", PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert "nobody is no relay of this fleet" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["validate", "plan", "apply", "status", "inventory", "adopt"])
def test_a_fleet_file_that_is_not_there_is_one_line(
    run: Run, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GENESIS_FLEET", raising=False)
    monkeypatch.chdir(tmp_path)
    ended = run(command)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("error: fleet.yaml: ")
    assert "genesis-fleet init" in ended.err


def test_the_environment_names_the_fleet_file_and_the_option_wins(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_fleet(tmp_path)
    monkeypatch.setenv("GENESIS_FLEET", str(path))
    assert f"{path}: fleet demo" in run("validate").out
    assert run("--fleet", tmp_path / "other.yaml", "validate").code == 1


@pytest.mark.parametrize("command", ["plan", "apply", "status", "inventory", "adopt"])
def test_a_lab_that_does_not_run_is_named_with_how_to_start_it(run: Run, command: str, tmp_path: Path) -> None:
    path = write_fleet(tmp_path, f"{AWS}lab: asleep\n")
    ended = run("--fleet", path, command)
    assert (ended.code, ended.out) == (6, "")
    assert "genesis-fleet lab up asleep" in ended.err


def test_a_missing_ssh_key_is_named_with_how_to_make_it(run: Run, tmp_path: Path) -> None:
    path = write_fleet(tmp_path, on_loopback())
    ended = run("--fleet", path, "plan")
    assert ended.code == 1
    assert f"ssh.private_key {tmp_path}/key does not exist" in ended.err
    assert f"ssh-keygen -t ed25519 -f {tmp_path}/key" in ended.err
    (tmp_path / "key").write_text("")
    halved = run("--fleet", path, "plan")
    assert halved.code == 1
    assert f"ssh-keygen -y -f {tmp_path}/key > {tmp_path}/key.pub" in halved.err


def test_only_a_fleet_on_aws_can_be_simulated(run: Run, tmp_path: Path) -> None:
    ended = run("--fleet", write_fleet(tmp_path, STATIC), "apply", "--simulate")
    assert (ended.code, ended.out) == (1, "")
    assert "only a fleet on aws can be simulated" in ended.err


def test_all_errors_of_a_fleet_file_are_told_at_once(run: Run, tmp_path: Path) -> None:
    text = edit(edit(AWS, "magic: 2\n", "magic: two\n"), "fleet: demo", "flet: demo")
    ended = run("--fleet", write_fleet(tmp_path, text), "validate")
    assert ended.code == 1
    assert "fleet.yaml:1:" in ended.err
    assert "fleet.yaml:4:" in ended.err


def test_an_error_in_a_pipe_has_no_colour(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "render", "nobody", "--offline")
    assert "\x1b" not in ended.out + ended.err


def test_every_command_is_one_of_those_promised() -> None:
    promised = "validate init schema render plan apply status probe inventory adopt lab completion"
    assert set(promised.split()) <= set(cli.commands)
    assert all(isinstance(command, click.Command) for command in cli.commands.values())
