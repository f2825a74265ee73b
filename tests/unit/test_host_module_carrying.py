"""How our modules reach a host: the archive with source and bytecode, and the little of AnsibleModule that they get there."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from playbooks.action_plugins.genesis_module import _START, pack_modules, read_answer
from playbooks.module_utils.genesis.bare import read_options

SPEC: dict[str, dict[str, Any]] = {
    "step": {"type": "str", "choices": ["one", "two"], "required": True},
    "token": {"type": "int", "default": 0},
    "paths": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "bool", "default": False},
}


def carry(folder: Path, module: str, request: dict[str, Any], *, without_bytecode: bool = False) -> dict[str, Any]:
    """Run a module as a host does, from an archive that holds it beside ours."""
    archive = folder / "archive.zip"
    archive.write_bytes(pack_modules())
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("asked.py", module)
    if without_bytecode:
        whole = {name: zipfile.ZipFile(archive).read(name) for name in zipfile.ZipFile(archive).namelist()}
        with zipfile.ZipFile(archive, "w") as other:
            for name, content in whole.items():
                # What a host with another Python sees: bytecode with a number that is not its own.
                other.writestr(name, b"\0\0\0\0" + content[4:] if name.endswith(".pyc") else content)
    packed = archive.read_bytes()
    asked = {"module": "asked", "options": {}, "check": False, "diff": False, **request}
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _START],
        input=b"%d\n%b%b" % (len(packed), packed, json.dumps(asked).encode()),
        capture_output=True,
        check=False,
    )
    return read_answer(
        "asked", {"stdout": ended.stdout.decode(), "stderr": ended.stderr.decode(), "rc": ended.returncode}
    )


ASKED = """
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.genesis.machine import Machine
def main():
    module = AnsibleModule({"say": {"type": "str", "required": True}}, supports_check_mode=True)
    module.exit_json(changed=True, said=module.params["say"], check=module.check_mode)
"""


@pytest.mark.parametrize("without_bytecode", [False, True])
def test_a_module_runs_from_bytecode_and_where_that_does_not_fit_from_source(
    tmp_path: Path, without_bytecode: bool
) -> None:
    answer = carry(
        tmp_path, ASKED, {"options": {"say": "{{ braces }}"}, "check": True}, without_bytecode=without_bytecode
    )
    assert answer == {"changed": True, "said": "{{ braces }}", "check": True}


def test_a_missing_option_is_a_failure_that_names_it(tmp_path: Path) -> None:
    answer = carry(tmp_path, ASKED, {})
    assert (answer["failed"], answer["msg"]) == (True, "option say is missing")


def test_a_module_that_breaks_off_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    answer = carry(tmp_path, "def main(): raise RuntimeError('the disk is on fire')", {})
    assert answer["failed"]
    assert "the disk is on fire" in answer["module_stderr"]


def test_every_module_of_ours_travels() -> None:
    with zipfile.ZipFile(io.BytesIO(pack_modules())) as archive:
        names = set(archive.namelist())
    library = {path.name for path in (Path(__file__).parents[2] / "playbooks" / "library").glob("*.py")}
    assert library <= names
    assert {f"{name}c" for name in library} <= names


def test_options_left_out_have_their_defaults() -> None:
    assert read_options(SPEC, {"step": "one"}) == {"step": "one", "token": 0, "paths": [], "keep": False}


def test_a_number_given_as_a_word_is_read_as_a_number() -> None:
    assert read_options(SPEC, {"step": "one", "token": "7"})["token"] == 7


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"step": "three"}, "expected one of one, two"),
        ({"step": "one", "tokne": 1}, "no option tokne"),
        ({"step": "one", "paths": "/etc"}, "expected list"),
        ({"step": "one", "keep": "no"}, "expected bool"),
        ({}, "option step is missing"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_options(SPEC, given)
