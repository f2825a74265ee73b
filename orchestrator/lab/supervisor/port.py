"""The seam between the lab's cloud and its machines: what the supervisor asks of each side.

`MachinePort` is the machine layer (real machines, or a fake in tests); `Instances` is one region of the API.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from orchestrator.lab.cloud.addresses import Address
from orchestrator.lab.cloud.instances import InstanceView, VolumeView


@dataclass(frozen=True, slots=True)
class MachineView:
    """What the machine layer sees of one machine. A machine that is not running keeps its disk.

    `addresses` is None while they cannot be seen: a machine that is just beginning to boot.
    """

    running: bool
    addresses: frozenset[Address] | None = None
    volumes: frozenset[str] = frozenset()
    isolated: bool = False


class MachinePort(Protocol):
    """The machine layer, as the supervisor needs it. Every call may be repeated; none needs another to go first."""

    def observe(self) -> Mapping[str, MachineView]:
        """Describe every machine of this lab, by instance id."""
        ...

    def observe_volumes(self) -> frozenset[str]:
        """Name every volume that takes up space."""
        ...

    def start(self, instance: InstanceView) -> None:
        """Make the machine if there is none, and boot it; return when it runs."""
        ...

    def poweroff(self, instance_id: str) -> None:
        """Ask a machine to shut down, and return at once."""
        ...

    def kill(self, instance_id: str) -> None:
        """Cut a machine's power; its disk stays."""
        ...

    def delete(self, instance_id: str) -> None:
        """Kill a machine and forget its disk; volumes stay."""
        ...

    def attach(self, instance_id: str, volume: VolumeView) -> None:
        """Plug a volume in; make it if there is none."""
        ...

    def detach(self, instance_id: str, volume_id: str) -> None:
        """Unplug a volume."""
        ...

    def delete_volume(self, volume_id: str) -> None:
        """Forget a volume's bytes."""
        ...

    def add_address(self, instance_id: str, address: Address) -> None:
        """Give a running machine an address more."""
        ...

    def remove_address(self, instance_id: str, address: Address) -> None:
        """Take an address from a running machine."""
        ...

    def isolate(self, instance_id: str) -> None:
        """Cut a machine from the network; it goes on running."""
        ...

    def heal(self, instance_id: str) -> None:
        """Undo `isolate`."""
        ...

    def cut(self, regions: Mapping[str, Collection[str]]) -> None:
        """Cut these regions, given as the ids of their instances, off from everything else; and no other."""
        ...


class Instances(Protocol):
    """One region's instances, as the supervisor needs them (see `cloud.ec2.LabRegion`)."""

    def views(self) -> tuple[InstanceView, ...]: ...  # noqa: D102

    def volume_ids(self) -> frozenset[str]: ...  # noqa: D102

    def mark_running(self, instance_id: str) -> None: ...  # noqa: D102

    def mark_rebooted(self, instance_id: str) -> None: ...  # noqa: D102

    def mark_stopped(self, instance_id: str, reason: tuple[str, str]) -> None: ...  # noqa: D102

    def mark_broken(self, instance_id: str) -> None: ...  # noqa: D102

    def mark_isolated(self, instance_id: str, *, isolated: bool) -> None: ...  # noqa: D102

    def mark_launch_failed(self, instance_id: str) -> None: ...  # noqa: D102

    def mark_terminated(self, instance_id: str) -> None: ...  # noqa: D102

    def mark_attached(self, volume_id: str) -> None: ...  # noqa: D102

    def mark_detached(self, volume_id: str) -> None: ...  # noqa: D102
