"""Our nftables table: tried first, kept only when a new connection came through it.

The new rules go to the kernel and a transient timer is armed to put the old ones back. The file that is loaded at boot
is replaced only on confirmation, so that a reboot, like the timer, falls back to rules that are known to let us in.
"""

from __future__ import annotations

from .checks import TABLE
from .files import Wish, write_files, write_text
from .machine import LOCK, STATE, Machine, Refused

PENDING = "/run/genesis-fleet/firewall"
_UNDO_UNIT = "genesis-fleet-firewall-undo"
_ARMED = frozenset(f"ActiveState={state}" for state in ("active", "activating", "reloading", "deactivating"))
_CLEAR = f"table inet {TABLE}\ndelete table inet {TABLE}\n"
_UNDO = f"""#!/bin/sh
# Puts the previous firewall table back unless the new one was confirmed. The lock keeps it apart from a confirmation.
exec 9>>{LOCK}
flock -w 60 9
[ -e {PENDING}/new.nft ] || exit 0
nft -f {PENDING}/before.nft
code=$?
# Whatever nft said: the trial is over. Rules that stayed differ from the file, and the next deploy tries them again.
rm -f {PENDING}/new.nft
exit $code
"""


def is_pending(machine: Machine) -> bool:
    """Return whether new rules wait for their confirmation, with the way back still armed or under way."""
    if not machine.at(f"{PENDING}/new.nft").exists():
        return False
    # A run that broke off may leave the file with nothing that would ever remove it.
    text = machine.must_run(
        ["systemctl", "show", f"{_UNDO_UNIT}.timer", f"{_UNDO_UNIT}.service", "--property=ActiveState"],
        "looking at the way back of the firewall",
    )
    return any(line in _ARMED for line in text.splitlines())


def is_loaded(machine: Machine) -> bool:
    """Return whether the kernel has our table at all."""
    return machine.run(["nft", "list", "tables", "inet"]).out.find(f"table inet {TABLE}\n") >= 0


def try_rules(machine: Machine, wish: Wish, undo_after_seconds: int) -> None:
    """Load new rules, with the way back armed before. Raises Refused, with the old rules in force."""
    machine.at(STATE).mkdir(mode=0o755, parents=True, exist_ok=True)
    # While a trial runs, what the kernel holds is not known to let us in: the way back leads to what was before it.
    if not is_pending(machine):
        before = machine.run(["nft", "--stateless", "list", "table", "inet", TABLE])
        write_text(machine, f"{PENDING}/before.nft", _CLEAR + (before.out if before.code == 0 else ""), "0600")
    write_text(machine, f"{PENDING}/undo", _UNDO, "0700")
    _disarm(machine)
    try:
        _arm(machine, undo_after_seconds)
        write_text(machine, f"{PENDING}/new.nft", wish.content, "0600")
        loaded = machine.run(["nft", "--file", "-"], stdin=_CLEAR + wish.content)
        if loaded.code != 0:
            raise Refused(f"{wish.path}: nft did not load it, the old rules stay: {loaded.complaint}")
    except (OSError, Refused):
        machine.at(f"{PENDING}/new.nft").unlink(missing_ok=True)
        _disarm(machine)
        raise


def confirm_rules(machine: Machine, wish: Wish) -> None:
    """Keep the rules that were tried, now that a new connection came through. Raises Refused if they were undone."""
    pending = machine.at(f"{PENDING}/new.nft")
    if not pending.exists() or pending.read_text(encoding="utf-8") != wish.content:
        raise Refused(
            f"{wish.path}: the new rules were undone before a new connection confirmed them; the old ones stay"
        )
    write_files(machine, (wish,))
    pending.unlink()
    _disarm(machine)


def delete_table(machine: Machine) -> None:
    """Take our table out of the kernel; harmless without one."""
    _disarm(machine)
    machine.at(f"{PENDING}/new.nft").unlink(missing_ok=True)
    if is_loaded(machine):
        machine.must_run(["nft", "--file", "-"], "removing the firewall table", stdin=_CLEAR)


def _arm(machine: Machine, undo_after_seconds: int) -> None:
    machine.must_run(
        [
            "systemd-run",
            f"--unit={_UNDO_UNIT}",
            f"--on-active={undo_after_seconds}",
            "--timer-property=AccuracySec=1s",
            "--collect",
            "--quiet",
            f"{PENDING}/undo",
        ],
        "arming the way back of the firewall",
    )


def _disarm(machine: Machine) -> None:
    machine.run(["systemctl", "stop", f"{_UNDO_UNIT}.timer"])
    machine.run(["systemctl", "reset-failed", f"{_UNDO_UNIT}.service", f"{_UNDO_UNIT}.timer"])
