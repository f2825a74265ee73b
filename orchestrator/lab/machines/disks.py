"""Volumes: sparse files that appear in a running machine as the NVMe disks of an AWS instance, and outlive it.

A volume is `volumes/<id>.img`; beside it `<id>.attached` says where it is plugged in, and is the only record. Device
nodes inside the machine are made by a script of the image from a table that is rendered from those records, at boot
and at each change. Formatting and mounting is production's work.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines.commands import run_command, try_command
from orchestrator.lab.machines.layout import Lab, check_name
from orchestrator.lab.machines.locks import hold
from orchestrator.lab.machines.processes import find_init_below, find_recorded

MAKE_NODES = "/usr/local/lib/genesis-fleet-lab/make-volume-nodes"

# A machine in its first moments cannot be entered yet, or not in full.
BOOT_TIME = timedelta(seconds=10)

# The root disk of an instance is nvme0n1; AWS attaches at most 27 more to the smaller types.
DEVICES = tuple(f"nvme{number}n1" for number in range(1, 28))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume plugged into a machine. `device` is its name in the machine's /dev."""

    volume_id: str
    instance_id: str
    device: str


def create_volume(lab: Lab, volume_id: str, size_bytes: int) -> None:
    """Create an empty volume. One that exists is kept as it is."""
    image = _image(lab, volume_id)
    image.parent.mkdir(parents=True, exist_ok=True)
    if image.exists():
        return
    unfinished = image.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.truncate(size_bytes)
    unfinished.rename(image)


def attach_volume(lab: Lab, volume_id: str, instance_id: str) -> Attachment:
    """Plug a volume into a machine, running or not, under the first free device name."""
    if not _image(lab, volume_id).exists():
        raise LabUnavailable(f"volume {volume_id} does not exist", next_step="Create it before attaching it.")
    with hold(lab.lock("volumes")):
        attachments = observe_attachments(lab)
        current = next((found for found in attachments if found.volume_id == volume_id), None)
        if current is not None and current.instance_id != instance_id:
            raise LabUnavailable(
                f"volume {volume_id} is attached to {current.instance_id}, not to {instance_id}",
                next_step=f"Detach it from {current.instance_id} first.",
            )
        if current is None:
            taken = {found.device for found in attachments if found.instance_id == instance_id}
            device = next(name for name in DEVICES if name not in taken)
            current = Attachment(volume_id, instance_id, device)
            _record(lab, volume_id).write_text(f"{instance_id} {device}\n")
        _show(lab, instance_id)
    return current


def detach_volume(lab: Lab, volume_id: str) -> None:
    """Unplug a volume, as by force: what the machine had not written out is lost. Content is kept otherwise."""
    with hold(lab.lock("volumes")):
        attached = [found for found in observe_attachments(lab) if found.volume_id == volume_id]
        _record(lab, volume_id).unlink(missing_ok=True)
        for attachment in attached:
            _show(lab, attachment.instance_id)
        for loop in _loops(_image(lab, volume_id)):
            run_command("losetup", "--detach", loop)


def delete_volume(lab: Lab, volume_id: str) -> None:
    """Unplug a volume and destroy its content."""
    detach_volume(lab, volume_id)
    _image(lab, volume_id).unlink(missing_ok=True)


def observe_attachments(lab: Lab) -> tuple[Attachment, ...]:
    """Return what is plugged in where, ordered by volume."""
    found = []
    for record in sorted(lab.volumes.glob("*.attached")):
        instance_id, device = record.read_text().split()
        found.append(Attachment(record.stem, instance_id, device))
    return tuple(found)


def observe_volumes(lab: Lab) -> tuple[str, ...]:
    """Return the ids of all volumes, attached or not."""
    return tuple(sorted(image.stem for image in lab.volumes.glob("*.img")))


def write_table(lab: Lab, instance_id: str) -> Path:
    """Write the table of a machine's volumes, giving each a loop device if it has none; return the table's folder."""
    folder = lab.machine(instance_id) / "volumes"
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for attachment in observe_attachments(lab):
        if attachment.instance_id == instance_id:
            number = Path(_loop(_image(lab, attachment.volume_id))).stat().st_rdev
            identity = attachment.volume_id.replace("-", "")
            lines.append(f"{attachment.device} {os.major(number)} {os.minor(number)} {identity}\n")
    (folder / "table").write_text("".join(lines))
    return folder


def _show(lab: Lab, instance_id: str) -> None:
    """Make a machine's device nodes match the records, now if it runs, else at its next boot."""
    if not lab.machine(instance_id).is_dir():
        return
    write_table(lab, instance_id)
    deadline = time.monotonic() + BOOT_TIME.total_seconds()
    while (process := find_recorded(lab.machine(instance_id) / "process")) is not None:
        first = find_init_below(process)
        outcome = try_command("nsenter", "--target", str(first or 0), "--mount", "--pid", "--", MAKE_NODES)
        if outcome.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise LabUnavailable(
                f"the volumes of {instance_id} could not be shown to it: {outcome.stderr.strip()}",
                next_step="Repeat it, or reboot the machine: it looks for its volumes at each boot.",
            )
        time.sleep(0.05)


def _loop(image: Path) -> str:
    existing = _loops(image)
    return existing[0] if existing else run_command("losetup", "--find", "--show", str(image)).strip()


def _loops(image: Path) -> tuple[str, ...]:
    if not image.exists():
        return ()
    listed = run_command("losetup", "--associated", str(image), "--noheadings", "--output", "NAME")
    return tuple(listed.split())


def _image(lab: Lab, volume_id: str) -> Path:
    return lab.volumes / f"{check_name(volume_id)}.img"


def _record(lab: Lab, volume_id: str) -> Path:
    return lab.volumes / f"{check_name(volume_id)}.attached"
