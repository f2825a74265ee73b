"""Is a file valid, as the program that will read it sees it? Asked before anything is written.

Checks see the new text in a temporary folder; the file in place is not touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from .files import Wish
from .machine import CURRENT, Machine, Refused

TABLE = "genesis_fleet"
"""The only nftables table this project ever touches."""
_TABLE_LINE = re.compile(
    r"^\s*(?:(?:add|create|delete|destroy|flush|list)\s+)?table\s+(?:(\w+)\s+)?([\w-]+)", re.MULTILINE
)
_FOREIGN = re.compile(
    r"^\s*(?:flush\s+ruleset|include\b|(?:add|insert|delete|flush)\s+(?!table)(?:rule|chain|set|map)\b)", re.MULTILINE
)


def check_file(machine: Machine, wish: Wish, release_folder: str) -> None:
    """Check one file by the means it names. Raises Refused with the path and the complaint."""
    match wish.validate:
        case "json":
            _check_json(wish)
        case "nft":
            check_firewall(machine, wish)
        case "sshd":
            _check_sshd(machine, wish)
        case "systemd":
            _check_unit(machine, wish, release_folder)
        case _:
            return


def check_firewall(machine: Machine, wish: Wish) -> None:
    """Check that the rules load, and that they touch our own table and nothing else."""
    names = {f"{family} {name}".strip() for family, name in _TABLE_LINE.findall(wish.content)}
    if names != {f"inet {TABLE}"} or _FOREIGN.search(wish.content):
        raise Refused(f"{wish.path}: touches more than table inet {TABLE} ({', '.join(sorted(names)) or 'no table'})")
    done = machine.run(["nft", "--check", "--file", "-"], stdin=wish.content)
    if done.code != 0:
        raise Refused(f"{wish.path}: nft refuses it: {done.complaint}")


def _check_json(wish: Wish) -> None:
    try:
        json.loads(wish.content)
    except ValueError as problem:
        raise Refused(f"{wish.path}: not JSON: {problem}") from None


def _check_sshd(machine: Machine, wish: Wish) -> None:
    # The first value of an option wins in sshd, so the new text goes before the whole present configuration.
    present = machine.read_text("/etc/ssh/sshd_config")
    with _scratch_folder() as folder:
        path = Path(folder) / "sshd_config"
        path.write_text(f"{wish.content}\n{present}\n", encoding="utf-8")
        machine.at("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
        done = machine.run(["sshd", "-t", "-f", str(path)])
    if done.code != 0:
        raise Refused(f"{wish.path}: sshd refuses it: {done.complaint}")


def _check_unit(machine: Machine, wish: Wish, release_folder: str) -> None:
    # The link may still point to the previous release, or not exist: the staged one stands in for it.
    text = wish.content.replace(f"{CURRENT}/", f"{release_folder}/")
    with _scratch_folder() as folder:
        path = Path(folder) / PurePosixPath(wish.path).name
        path.write_text(text, encoding="utf-8")
        done = machine.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)])
    if done.code != 0:
        raise Refused(f"{wish.path}: systemd refuses it: {done.complaint}")


@contextmanager
def _scratch_folder() -> Iterator[str]:
    import tempfile  # here: a host that has nothing to check does not pay for it at each look

    with tempfile.TemporaryDirectory(prefix="genesis-check-") as folder:
        yield folder
