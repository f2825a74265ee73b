"""Where a lab keeps what: one folder for the lab, one in it for each machine.

Only paths are decided here; nothing is created, so every function may be called for things that do not exist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines.image import MachineImage
from orchestrator.lab.machines.network import LabNetwork

LABS = Path("/var/lib/genesis-fleet/labs")

NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Lab:
    """One lab: its folder (by default below LABS), its network, and the image that its machines boot."""

    directory: Path
    network: LabNetwork
    image: MachineImage

    @property
    def machines(self) -> Path:
        """The folder that holds a folder for each machine."""
        return self.directory / "machines"

    @property
    def volumes(self) -> Path:
        """The folder that holds the volumes."""
        return self.directory / "volumes"

    def machine(self, instance_id: str) -> Path:
        """Return the folder of one machine."""
        return self.machines / check_name(instance_id)

    def lock(self, name: str) -> Path:
        """Return the file that whoever works on `name` holds locked."""
        return self.directory / "locks" / check_name(name)

    @property
    def cgroup(self) -> str:
        """The cgroup that holds a cgroup for each machine."""
        return f"genesis-fleet-{self.network.bridge}"


def check_name(name: str) -> str:
    """Return `name` if it is safe in paths, in host names and on command lines; raise LabUnavailable otherwise."""
    if not NAME.fullmatch(name):
        raise LabUnavailable(
            f"{name!r} cannot name a thing in the lab",
            next_step="Use up to 63 lower-case letters, digits, dots and dashes, the first a letter or a digit.",
        )
    return name
