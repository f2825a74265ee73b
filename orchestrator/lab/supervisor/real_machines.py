"""The lab's real machines behind the port of the supervisor: words of the cloud in, calls of the machine layer out.

Nothing is remembered here: what a machine is, carries and has plugged in is read from the host at each look.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from orchestrator.lab.cloud.addresses import Address, RangeAllocator
from orchestrator.lab.cloud.instances import InstanceView, VolumeView
from orchestrator.lab.machines import cuts, disks, machine, network
from orchestrator.lab.machines.layout import Lab
from orchestrator.lab.machines.network import LabNetwork
from orchestrator.lab.supervisor.port import MachineView

GIB = 1024**3

_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def carve_cloud_ranges(lab_network: LabNetwork) -> RangeAllocator:
    """Give the cloud the upper half of a lab's ranges; the lower is for the gateway, partners, and what else there is."""
    _, v4 = lab_network.v4.subnets()
    _, v6 = lab_network.v6.subnets()
    return RangeAllocator(v4, v6)


def pick_host_name(instance: InstanceView) -> str:
    """Call the machine what its Name tag says, if a host can be called that, else by the instance's id."""
    return instance.name if _HOST_NAME.fullmatch(instance.name) else instance.instance_id


class LabMachines:
    """`MachinePort` over the machines, volumes and cables of one lab."""

    def __init__(self, lab: Lab, public_keys: tuple[str, ...] = ()) -> None:
        self._lab, self._public_keys = lab, public_keys

    def observe(self) -> Mapping[str, MachineView]:
        """Describe every machine of this lab, by instance id."""
        lab = self._lab
        states = machine.observe_machines(lab)
        if not states:
            return {}
        isolated = network.observe_isolated(lab.network)
        plugged: dict[str, set[str]] = {name: set() for name in states}
        for attachment in disks.observe_attachments(lab):
            plugged.setdefault(attachment.instance_id, set()).add(attachment.volume_id)
        return {
            name: MachineView(
                running=state is machine.MachineState.RUNNING,
                addresses=self._observe_addresses(name),
                volumes=frozenset(plugged[name]),
                isolated=name in isolated,
            )
            for name, state in states.items()
            if state is not machine.MachineState.ABSENT
        }

    def _observe_addresses(self, instance_id: str) -> frozenset[Address] | None:
        first = machine.find_first_process(self._lab, instance_id)
        if first is None:
            return None
        found = network.observe_addresses(self._lab.network, first)
        # In its first moments the process is not yet in the machine's namespace, and sees this host's addresses.
        return None if not found or self._lab.network.gateway_v4 in found else found

    def observe_volumes(self) -> frozenset[str]:
        """Name every volume that takes up space."""
        return frozenset(disks.observe_volumes(self._lab))

    def start(self, instance: InstanceView) -> None:
        """Make the machine if there is none, and boot it; return when its process runs."""
        spec = machine.MachineSpec(
            instance_id=instance.instance_id,
            hostname=pick_host_name(instance),
            addresses=instance.addresses,
            user_data=instance.user_data,
            public_keys=self._public_keys,
        )
        machine.start_machine(self._lab, spec)

    def poweroff(self, instance_id: str) -> None:
        """Ask a machine to shut down, and return at once."""
        machine.poweroff_machine(self._lab, instance_id)

    def kill(self, instance_id: str) -> None:
        """Cut a machine's power; its disk stays."""
        machine.kill_machine(self._lab, instance_id)

    def delete(self, instance_id: str) -> None:
        """Kill a machine and forget its disk; volumes stay."""
        machine.delete_machine(self._lab, instance_id)

    def attach(self, instance_id: str, volume: VolumeView) -> None:
        """Plug a volume in; make it if there is none."""
        disks.create_volume(self._lab, volume.volume_id, volume.size_gib * GIB)
        disks.attach_volume(self._lab, volume.volume_id, instance_id)

    def detach(self, instance_id: str, volume_id: str) -> None:
        """Unplug a volume from this machine; one that is plugged in elsewhere by now is left there."""
        if any(
            (each.volume_id, each.instance_id) == (volume_id, instance_id)
            for each in disks.observe_attachments(self._lab)
        ):
            disks.detach_volume(self._lab, volume_id)

    def delete_volume(self, volume_id: str) -> None:
        """Forget a volume's bytes."""
        disks.delete_volume(self._lab, volume_id)

    def add_address(self, instance_id: str, address: Address) -> None:
        """Give a running machine an address more."""
        network.add_address(self._lab.network, instance_id, address)

    def remove_address(self, instance_id: str, address: Address) -> None:
        """Take an address from a running machine."""
        network.remove_address(self._lab.network, instance_id, address)

    def isolate(self, instance_id: str) -> None:
        """Cut a machine from the network; it goes on running."""
        network.isolate(self._lab.network, instance_id)

    def heal(self, instance_id: str) -> None:
        """Undo `isolate`."""
        network.heal(self._lab.network, instance_id)

    def cut(self, regions: Mapping[str, Collection[str]]) -> None:
        """Cut these regions off from everything else, and no other."""
        cuts.cut_regions(self._lab.network, regions)
