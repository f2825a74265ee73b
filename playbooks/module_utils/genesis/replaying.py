"""How far a node that starts has come with its database, from its own log: where no metric tells.

The legacy dialect has no such metric, and the check of the blocks after an unclean stop has none in any dialect; either goes on
for minutes up to hours with the port closed. Without this, a node that works and one that hangs look the same. What follows
from how far it is, and when to ask, is decided elsewhere.
"""

from __future__ import annotations

import re

from .machine import UNIT, Machine

SEARCHED = "(Replayed block: slot|Validat(ed|ing) chunk no).* Progress: "
_PERCENT = re.compile(r"Progress: (\d{1,3}(?:\.\d+)?)%")
_SECONDS = 5.0


def read_progress(machine: Machine, pid: int) -> float | None:
    """Return what a process last wrote of its progress, in percent; None if it wrote nothing of the kind, or nobody can tell."""
    if pid <= 0:
        return None
    asked = ["journalctl", f"--unit={UNIT}", f"_PID={pid}", f"--grep={SEARCHED}", "--case-sensitive=yes", "--lines=1"]
    done = machine.run([*asked, "--output=cat", "--quiet", "--no-pager"], timeout_seconds=_SECONDS)
    found = _PERCENT.search(done.out) if done.code == 0 else None
    return min(100.0, float(found[1])) if found else None
