"""The documents say what is true: commands, links, the ten-line fleet file, the references that are written from the code."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orchestrator import __version__
from orchestrator.cli.main import cli
from orchestrator.lab.fleet_file import render_lab_fleet
from orchestrator.lab.releases.offers import VERSIONS
from orchestrator.lab.releases.tarball import build_release
from orchestrator.spec.load import parse_fleet
from orchestrator.spec.schema import render_schema
from scripts.fleet_file_reference import render_reference

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")

# A command is only taken for one in code: `genesis-fleet plan --json`, or at the start of a line of a block.
COMMAND = re.compile(r"(?:`|^\$ )genesis-fleet((?: [^`\n#|]+)?)", re.MULTILINE)
LAB_VERB = re.compile(r"`lab ([a-z]+)")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


def commands_in(text: str) -> set[tuple[str, ...]]:
    """Return the commands that a document names, each as the words that choose it, and as `lab VERB`."""
    named = {_words(match[1].split()) for match in COMMAND.finditer(text)}
    return (named | {("lab", match[1]) for match in LAB_VERB.finditer(text)}) - {()}


def _words(words: list[str]) -> tuple[str, ...]:
    """Leave out the options of the program itself; keep the command, and the verb of a group."""
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] == "--fleet" else words[1:]
    if not words or not re.fullmatch(r"[a-z]+", words[0]):
        return ()
    is_group = isinstance(cli.commands.get(words[0]), click.Group)
    return tuple(words[: 2 if is_group and len(words) > 1 else 1])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    for command in sorted(commands_in(document.read_text(encoding="utf-8"))):
        done = CliRunner().invoke(cli, [*command, "--help"])
        assert done.exit_code == 0, f"{document.name} names `genesis-fleet {' '.join(command)}`: {done.output}"


def test_the_readme_names_every_command() -> None:
    assert {command[0] for command in commands_in(README)} >= set(cli.commands)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    targets = [match[1] for match in LINK.finditer(document.read_text(encoding="utf-8"))]
    missing = [to for to in targets if "://" not in to and not (document.parent / to).exists()]
    assert missing == []


def test_every_function_that_the_architecture_places_in_a_file_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    placed = re.findall(r"`([a-z_/]+\.py): (\w+)`", text)
    assert placed
    for name, function in placed:
        files = [base / name for base in (ROOT / "orchestrator", ROOT / "playbooks") if (base / name).is_file()]
        assert files, f"there is no {name}"
        assert f"def {function}(" in files[0].read_text(encoding="utf-8"), f"{name} has no {function}"


def test_every_make_target_that_the_documents_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    there = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {name for path in DOCUMENTS for name in re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))}
    assert named
    assert named <= there


def test_the_ten_lines_of_the_readme_are_a_fleet_file(tmp_path: Path) -> None:
    found = re.search(r"## A fleet in ten lines\n\n```yaml\n(.*?)```", README, re.DOTALL)
    assert found is not None
    assert len(found[1].splitlines()) == 10
    path = tmp_path / "fleet.yaml"
    path.write_text(found[1], encoding="utf-8")
    fleet = parse_fleet(path)
    assert sum(fleet.relay_count(region) for region in fleet.regions) == 20


def test_the_exit_codes_of_the_readme_are_those_of_the_errors() -> None:
    from orchestrator import errors
    from orchestrator.cli.main import INTERRUPTED, WRONG_USAGE

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FleetError)]
    codes = {kind.exit_code for kind in kinds} | {INTERRUPTED, WRONG_USAGE}
    table = README.partition("### Exit codes")[2].partition("###")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == codes | {0, 2}


def test_the_changelog_has_the_present_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}]" in changelog


def test_the_reference_of_the_fleet_file_is_current() -> None:
    text = (ROOT / "docs" / "fleet-file.md").read_text(encoding="utf-8")
    assert text == render_reference(), "write it anew: .venv/bin/python scripts/fleet_file_reference.py"


def test_the_lab_s_fleet_file_is_what_lab_init_writes(tmp_path: Path) -> None:
    # The lab node's own sources go into its releases, so their checksums change with them.
    releases = [build_release(version, tmp_path) for version in VERSIONS]
    text = (ROOT / "inventory" / "lab" / "fleet.yaml").read_text(encoding="utf-8")
    assert text == render_lab_fleet("demo", releases), "write it anew: make lab-fleet"


def test_the_schema_beside_the_lab_s_fleet_file_is_current() -> None:
    text = (ROOT / "inventory" / "lab" / "fleet.schema.json").read_text(encoding="utf-8")
    assert text == render_schema(), "write it anew: make lab-fleet"
