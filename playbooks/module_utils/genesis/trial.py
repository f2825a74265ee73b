"""Trying a release before it counts as staged: its node is asked for its version, as the user it will run as.

An archive whose checksum is right may still be for another processor, lack a library here, or be another version than the
fleet file calls it, with the wrong configuration rendered for it. All of that shows without starting a node: `--version` reads no
file and opens no port. It runs without any privilege, and as long as it likes only up to a limit.
"""

from __future__ import annotations

import re
from pathlib import Path

from .machine import USER, Machine, Ran, Refused

LIMIT_SECONDS = 30.0
"""Reading a program of 200 MB from a cold, slow disk takes seconds; nothing else happens."""

_TIMED_OUT = 124
_NOT_FOUND = 127
"""How `machine.run_command` and `setpriv` tell of a command that was ended for its time, and of one that is missing."""

_SAYS = re.compile(r"^cardano-node (\d+(?:\.\d+)*)(?:\s|$)")
_UNPRIVILEGED = ("--init-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--reset-env")


def check_version(machine: Machine, folder: Path, version: str) -> None:
    """Run the node of an unpacked release. Raises Refused if it does not run, or says that it is another version."""
    said = read_version(_ask(machine, folder))
    if said is None or not is_same(said, version):
        raise Refused(
            f"the archive's cardano-node says {said or 'no version at all'}, the fleet file calls it {version}; "
            "correct the version or the archive that the fleet file names for it"
        )


def read_version(printed: str) -> str | None:
    """Return the version out of what `cardano-node --version` prints; None if it prints something else."""
    found = _SAYS.match(printed)
    return found[1] if found else None


def is_same(said: str, version: str) -> bool:
    """Tell whether a node that says so may be called that: a pre-release says the number of the release it leads to."""
    return _numbers(said) == _numbers(version.partition("-")[0])


def _ask(machine: Machine, folder: Path) -> str:
    program = str(folder / "bin" / "cardano-node")
    done = machine.run(
        ["setpriv", f"--reuid={USER}", f"--regid={USER}", *_UNPRIVILEGED, "--", program, "--version"],
        timeout_seconds=LIMIT_SECONDS,
    )
    if done.code != 0:
        raise Refused(f"the archive's cardano-node does not run on this host: {_explain(done)}")
    return done.out


def _explain(done: Ran) -> str:
    if done.code == _TIMED_OUT:
        return f"asked for its version, it did not end within {LIMIT_SECONDS:.0f} s"
    said = done.complaint or (f"killed by signal {-done.code}" if done.code < 0 else f"it ended with {done.code}")
    return f"{said} (a file that is there and cannot be found lacks its loader)" if done.code == _NOT_FOUND else said


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
