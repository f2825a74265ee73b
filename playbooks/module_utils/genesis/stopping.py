"""Stop and retire: take the node off a host, cleanly, and give the host back.

A stop is asked for and not awaited. Retiring needs it to be over, removes what is ours and keeps the chain.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import Any

from . import firewall, unit
from .checks import TABLE
from .claim import check_right, claim
from .deploying import read_manifest
from .effects import apply_effects
from .files import read_file
from .machine import ETC, LOCK, OPT, STATE, UNIT, Machine, Refused


def stop(machine: Machine, token: int, store_id: str, *, check: bool = False) -> tuple[bool, dict[str, Any]]:
    """Ask for a clean stop; return whether there was anything to stop, and the unit's state. Raises Refused."""
    if check:
        check_right(machine, token, store_id)
        found = unit.read_unit(machine)
        return _runs(found), _describe(machine, found)
    with claim(machine, "stop", token, store_id):
        found = unit.read_unit(machine)
        if _runs(found):
            machine.must_run(["systemctl", "--no-block", "stop", UNIT], "stopping the node")
        return _runs(found), _describe(machine, unit.read_unit(machine))


def retire(machine: Machine, token: int, store_id: str, *, check: bool = False) -> tuple[bool, dict[str, Any]]:
    """Disable the unit and remove all that is ours but the chain and the SSH identity. Raises Refused while it runs."""
    # Before the claim, which leaves the token as a trace of its own.
    ours = _find_ours(machine)
    if check:
        check_right(machine, token, store_id)
        _refuse_running(machine)
        return bool(ours), {"removed": ours, "summary": "released" if ours else "nothing to do"}
    with claim(machine, "retire", token, store_id):
        _refuse_running(machine)
        _remove_ours(machine)
        return bool(ours), {"removed": ours, "summary": "released" if ours else "nothing to do"}


def _refuse_running(machine: Machine) -> None:
    found = unit.read_unit(machine)
    if found.state not in {"absent", "inactive", "failed"}:
        raise Refused(f"the node is still {found.state}; stop it first and wait for it")


def _find_ours(machine: Machine) -> list[str]:
    """Return what a retirement removes: files, the program folder, the firewall table, and our notes about the host."""
    files = [path for path in sorted(read_manifest(machine)) if read_file(machine, path) is not None]
    folders = [OPT] if machine.at(OPT).is_dir() else []
    table = [f"table inet {TABLE}"] if firewall.is_loaded(machine) else []
    state = machine.at(STATE)
    names = sorted(entry.name for entry in state.iterdir()) if state.is_dir() else []
    return [*files, *folders, *table, *(f"{STATE}/{name}" for name in names if f"{STATE}/{name}" != LOCK)]


def _remove_ours(machine: Machine) -> None:
    paths = sorted(read_manifest(machine))
    units = [
        path.rsplit("/", 1)[1]
        for path in paths
        if path.startswith("/etc/systemd/system/") and path.endswith(".service")
    ]
    if units:
        machine.run(["systemctl", "disable", "--quiet", *units])
    firewall.delete_table(machine)
    for path in paths:
        machine.at(path).unlink(missing_ok=True)
    apply_effects(machine, (), daemon_reload=True)
    if any(path.startswith("/etc/ssh/sshd_config.d/") for path in paths):
        machine.run(["systemctl", "reload", "ssh.service"])
    shutil.rmtree(machine.at(OPT), ignore_errors=True)
    # What somebody else laid there stays, and the folder with it.
    with suppress(OSError):
        machine.at(ETC).rmdir()
    # The lock is held, and goes with its folder's other files only by name; token and store id are released here.
    for entry in machine.at(STATE).iterdir():
        if entry != machine.at(LOCK):
            entry.unlink()


def _runs(found: unit.UnitFound) -> bool:
    return found.state in {"active", "activating", "reloading"}


def _describe(machine: Machine, found: unit.UnitFound) -> dict[str, Any]:
    return {
        "unit": found.state,
        "clean_marker": unit.has_clean_marker(machine),
        "detail": unit.read_detail(machine, found),
    }
