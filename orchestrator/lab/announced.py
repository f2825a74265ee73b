"""Where the fleets of a lab keep their records, as their controllers have told: a file a fleet, in the lab's folder.

The lab knows machines and addresses by itself; whom a controller wants to be found stands in the controller's record alone.
Whoever opens a record announces it; the resolver reads it. The latest word counts.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

FLEETS = "fleets"

FLEET_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""What may stand in a name on the wire; nothing else ever becomes a path."""


def announce_fleet(lab_folder: Path, fleet: str, store_url: str) -> None:
    """Tell a lab where a fleet keeps its record. Such a URL may hold a password: the file is its owner's alone."""
    file = lab_folder / FLEETS / f"{fleet}.json"
    text = json.dumps({"store": store_url}) + "\n"
    if file.is_file() and file.read_text() == text:
        return
    file.parent.mkdir(mode=0o700, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(file)


def find_store(lab_folder: Path, fleet: str) -> str | None:
    """Return the URL of a fleet's store; None if nobody has told."""
    file = lab_folder / FLEETS / f"{fleet}.json"
    if FLEET_NAME.fullmatch(fleet) is None or not file.is_file():
        return None
    return str(json.loads(file.read_text())["store"])
