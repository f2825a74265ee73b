"""The command line in this process, with its streams apart: what its tests are written with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from orchestrator.cli.main import PROGRAM, cli, run_command
from tests.spec_texts import AWS, STATIC, write_network

ROOT = Path(__file__).resolve().parents[1]
LAB_FLEET = ROOT / "inventory" / "lab" / "fleet.yaml"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said where."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What `--json` printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Ended]


def make_run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs `genesis-fleet` with arguments, through the same door as the program."""

    def run(*arguments: str | Path) -> Ended:
        words = [str(word) for word in arguments]
        code = run_command(lambda: cli.main(args=words, prog_name=PROGRAM, standalone_mode=False))
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


def write_fleet(folder: Path, text: str = AWS) -> Path:
    """Write a fleet file with its network folder."""
    write_network(folder / "network")
    path = folder / "fleet.yaml"
    path.write_text(text)
    return path


def on_loopback(text: str = STATIC) -> str:
    """Return the static fleet with nobody at home: every host and partner is this machine, where no such port listens."""
    text = text.replace("198.51.100.", "127.0.0.1").replace("192.0.2.", "127.0.0.2")
    text = text.replace("address: 127.0.0.2", "port: 9, address: 127.0.0.2")
    return f"{text}ports: {{relay: 9}}\nssh: {{port: 8, private_key: key}}\n"


def list_commands() -> Iterator[tuple[str, ...]]:
    """List every command by the words that call it."""
    for name, command in cli.commands.items():
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, verb) for verb in command.commands)
