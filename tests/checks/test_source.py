"""The source itself: format, lint, types, layers and playbooks, each by the tool that knows, so that one summary tells all.

What each tool demands is in its own configuration (pyproject.toml, .ansible-lint); nothing is decided here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The tools of the environment that runs the tests, whatever is on PATH.
TOOLS = Path(sys.executable).parent


def demand(*command: str) -> None:
    """Run a tool at the root of the repository and show what it says if it is not content."""
    # ansible-lint starts its neighbours by name.
    environment = os.environ | {"PATH": f"{TOOLS}:{os.environ['PATH']}", "NO_COLOR": "1"}
    tool, *arguments = command
    done = subprocess.run(
        [TOOLS / tool, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_code_is_formatted() -> None:
    demand("ruff", "format", "--check", "--diff", "--quiet")


def test_the_linter_has_nothing_to_say() -> None:
    demand("ruff", "check", "--output-format=concise")


def test_types_hold() -> None:
    demand("mypy")


def test_layers_point_one_way() -> None:
    demand("lint-imports", "--no-logo")


def test_playbooks_pass_the_production_profile() -> None:
    # What is looked at is named here; profile, strictness and staying offline are in .ansible-lint. The role that we are
    # measured against is held to the same.
    demand("ansible-lint", "--config-file", ".ansible-lint", "playbooks", "benchmarks/role")
