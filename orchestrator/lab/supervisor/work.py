"""Decides what a machine of the lab needs so that it agrees with its instance. Pure; the doing is in `loop`."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.lab.cloud.addresses import Address
from orchestrator.lab.cloud.instances import InstanceView, VolumeView

from .port import MachineView


@dataclass(frozen=True, slots=True)
class Start:
    """Boot a machine."""


@dataclass(frozen=True, slots=True)
class Report:
    """Nothing to do but to tell the API: its state is `state` now."""

    state: str


@dataclass(frozen=True, slots=True)
class PowerOff:
    """Shut a machine down."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Destroy a machine."""


@dataclass(frozen=True, slots=True)
class Adjust:
    """Plug and unplug, address and isolate, while the machine runs."""

    attach: tuple[VolumeView, ...]
    detach: tuple[str, ...]
    add: tuple[Address, ...]
    remove: tuple[Address, ...]
    isolated: bool | None


Work = Start | Report | PowerOff | Delete | Adjust


def plan_work(instance: InstanceView, machine: MachineView | None) -> Work | None:
    """Decide what brings a machine and its instance into agreement, if anything has to be done."""
    running = machine is not None and machine.running
    match instance.state:
        case "pending" if instance.launch_fails:
            return Report("launch-failed")
        case "pending":
            return Report("running") if running or not instance.machine_wanted else Start()
        case "running" if not instance.machine_wanted and not instance.reboot_asked:
            return None
        case "running" if instance.reboot_asked:
            return PowerOff() if running else Start()
        case "running":
            return _plan_adjustment(instance, machine) if machine and running else Report("stopped")
        case "stopping":
            return PowerOff() if running else Report("stopped")
        case "shutting-down" | "terminated" if machine is not None:
            return Delete()
        case "shutting-down":
            return Report("terminated")
        case _:
            return None


def _plan_adjustment(instance: InstanceView, machine: MachineView) -> Adjust | None:
    """Compare what a running machine should carry with what it carries."""
    wanted = frozenset(instance.addresses)
    carried = wanted if machine.addresses is None else machine.addresses
    unsettled = tuple(each for each in instance.volumes if each.wanted and not each.settled)
    missing = tuple(each for each in instance.volumes if each.wanted and each.volume_id not in machine.volumes)
    kept = {each.volume_id for each in instance.volumes if each.wanted}
    leaving = {each.volume_id for each in instance.volumes if not each.wanted}
    adjustment = Adjust(
        attach=tuple(dict.fromkeys(unsettled + missing)),
        detach=tuple(sorted((machine.volumes - kept) | leaving)),
        add=tuple(address for address in instance.addresses if address not in carried),
        remove=tuple(sorted(carried - wanted, key=str)),
        isolated=instance.isolated if instance.isolated != machine.isolated else None,
    )
    return adjustment if adjustment != Adjust((), (), (), (), None) else None
