"""The wheel, installed by pip into an empty environment with what it says it depends on, and used from another folder.

Versions are those of requirements.lock; which packages are needed is the wheel's own claim, so a missing dependency, or one
that only the lab has, shows here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import __version__
from tests.spec_texts import write_network

ROOT = Path(__file__).resolve().parents[2]

FIRST_RELAY = """
from pathlib import Path
from orchestrator.fleet.relay import wanted_relays
from orchestrator.spec.load import load_fleet
print(wanted_relays(load_fleet(Path("mine/fleet.yaml")).spec)[0].name)
"""


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and a folder to work in that has nothing to do with the checkout."""

    environment: Path
    folder: Path

    def run(self, *command: str | Path, status: int = 0) -> str:
        tool, *arguments = command
        done = subprocess.run(
            [self.environment / "bin" / tool, *arguments],
            cwd=self.folder,
            env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
        return done.stdout


def run_here(*command: str | Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    place = tmp_path_factory.mktemp("wheel")
    run_here(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place, ROOT)
    (wheel,) = place.glob("*.whl")
    locked = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==[^\s;]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    constraints = place / "constraints.txt"
    # Constraints may not name extras.
    constraints.write_text("\n".join(re.sub(r"\[.*\]", "", line) for line in locked))
    empty = place / "empty"
    run_here(sys.executable, "-m", "venv", "--without-pip", empty)
    pip = (sys.executable, "-m", "pip", "--python", empty / "bin/python", "--disable-pip-version-check", "--no-input")
    run_here(*pip, "install", "--no-compile", "--root-user-action=ignore", "--constraint", constraints, wheel)
    folder = place / "elsewhere"
    folder.mkdir()
    return Installed(empty, folder)


def test_the_installed_command_says_its_version(installed: Installed) -> None:
    assert installed.run("genesis-fleet", "--version") == f"genesis-fleet, version {__version__}\n"


def test_an_installed_starter_validates_and_renders(installed: Installed) -> None:
    installed.run("genesis-fleet", "init", "--cloud", "static", "--name", "mine", "mine")
    write_network(installed.folder / "mine" / "network")
    fleet = ("genesis-fleet", "--fleet", "mine/fleet.yaml")
    assert "no errors" in installed.run(*fleet, "validate")
    relay = installed.run("python", "-c", FIRST_RELAY).strip()
    assert "[Service]" in installed.run(*fleet, "render", relay, "--offline")


def test_the_wheel_carries_all_playbooks_modules_and_templates(installed: Installed) -> None:
    find = "from orchestrator.adapters.assets import assets; print(assets().playbooks)"
    playbooks = Path(installed.run("python", "-c", find).strip())
    assert playbooks.is_relative_to(installed.environment)
    for folder in ("playbooks", "templates"):
        carried = {str(path.relative_to(playbooks.parent)) for path in files_below(playbooks.parent / folder)}
        assert carried == {str(path.relative_to(ROOT)) for path in files_below(ROOT / folder)}


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
