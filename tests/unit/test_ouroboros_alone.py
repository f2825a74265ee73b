"""The wire package runs as a copied folder, with Debian's cbor2 or a newer one."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "orchestrator" / "ouroboros"
MODULES = sorted(FOLDER.glob("*.py"))
# What 5.4.6 (Debian 12) and 6.2 both have, and mean the same by.
ALLOWED_OF_CBOR2 = {"dumps", "CBORTag"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_nothing_but_the_standard_library_and_cbor2_is_imported(module):
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names | {"cbor2"}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 1 or (node.level == 0 and node.module.split(".")[0] in sys.stdlib_module_names)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_only_the_lasting_part_of_cbor2_is_used(module):
    used = {
        node.attr
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cbor2"
    }
    assert used <= ALLOWED_OF_CBOR2


def test_a_copy_under_another_name_can_be_imported(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "wire", ignore=shutil.ignore_patterns("__pycache__"))
    names = ", ".join(module.stem for module in MODULES if module.stem != "__init__")
    program = f"import sys; sys.path.insert(0, '.'); from wire import {names}; print('orchestrator' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert said.stdout == "False\n"
