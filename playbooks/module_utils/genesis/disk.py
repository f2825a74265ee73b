"""The chain disk: found by its id, formatted only if it is empty, mounted by the id of its volume.

A disk that shows any signature is never formatted: it may hold the chain that took days to sync.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from .files import Wish, find_differences, write_files
from .machine import Machine, Refused

_LABEL = "genesis-chain"
_NOTHING_FOUND = 2


def settle_disk(machine: Machine, volume_id: str, mount: str) -> list[str]:
    """Format if empty, and mount. Return what was done, in words. Raises Refused for a disk that is not ours to use."""
    _await_links(machine)
    device = find_device(machine, volume_id)
    done = []
    if not read_signatures(machine, device):
        machine.must_run(
            ["mkfs.ext4", "-q", "-m", "0", "-L", _LABEL, device], f"formatting {device}", timeout_seconds=600
        )
        _await_links(machine)
        done.append(f"formatted {device}")
    signatures = read_signatures(machine, device)
    _refuse_foreign(signatures, volume_id)
    what = find_link(machine, volume_id) or _link_by_uuid(machine, signatures["UUID"]) or device
    return done + _mount(machine, what, device, mount)


def foresee_disk(machine: Machine, volume_id: str, mount: str) -> list[str]:
    """Return what settle_disk would do, in its words, by looking only. Raises Refused for what it would refuse."""
    device = find_device(machine, volume_id)
    signatures = read_signatures(machine, device)
    if signatures:
        _refuse_foreign(signatures, volume_id)
    what = find_link(machine, volume_id) or _link_by_uuid(machine, signatures.get("UUID", "")) or device
    wish = _wish_mount(machine, what, mount)
    foreseen = [] if signatures else [f"formatted {device}"]
    if find_differences(machine, (wish,)):
        foreseen.append(f"wrote {PurePosixPath(wish.path).name}")
    if not is_mounted(machine, mount):
        _refuse_hiding(machine.at(mount), mount)
        foreseen.append(f"mounted {device} on {mount}")
    return foreseen


def find_device(machine: Machine, volume_id: str) -> str:
    """Return the device of a volume. Raises Refused while it is not attached."""
    if link := find_link(machine, volume_id):
        return f"/dev/{machine.at(link).resolve().name}"
    serial = volume_id.replace("-", "")
    # Without udev there are no links; the kernel knows the serial number itself.
    for path in sorted(machine.at("/sys/class/block").glob("*/device/serial")):
        if path.read_text(encoding="utf-8", errors="replace").strip().replace("-", "") == serial:
            return f"/dev/{path.parent.parent.name}"
    raise Refused(f"chain disk {volume_id} is not attached to this host yet")


def find_link(machine: Machine, volume_id: str) -> str:
    """Return the link that leads to a volume whatever number its device has after a reboot; empty without one."""
    by_id = machine.at("/dev/disk/by-id")
    links = sorted(by_id.glob(f"*{volume_id.replace('-', '')}")) if by_id.is_dir() else []
    return f"/dev/disk/by-id/{links[0].name}" if links else ""


def read_signatures(machine: Machine, device: str) -> dict[str, str]:
    """Return what blkid reads on the device itself; empty only if there is nothing at all. Raises Refused in doubt."""
    done = machine.run(["blkid", "--probe", "--output", "export", device])
    if done.code == _NOTHING_FOUND and not done.out.strip():
        return {}
    if done.code != 0:
        raise Refused(f"blkid cannot tell what is on {device} ({done.code}): {done.complaint}; it is left alone")
    return dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)


def is_mounted(machine: Machine, mount: str) -> bool:
    """Return whether something is mounted there."""
    lines = machine.read_text("/proc/self/mounts").splitlines()
    return any(line.split()[1] == mount for line in lines if len(line.split()) > 1)


def _await_links(machine: Machine) -> None:
    # udev makes its links a moment after a disk came or was formatted. Without udev there is nothing to wait for.
    machine.run(["udevadm", "settle", "--timeout=20"])


def _link_by_uuid(machine: Machine, uuid: str) -> str:
    link = f"/dev/disk/by-uuid/{uuid}"
    return link if uuid and machine.at(link).exists() else ""


def _refuse_foreign(signatures: dict[str, str], volume_id: str) -> None:
    if signatures.get("TYPE") != "ext4" or not signatures.get("UUID"):
        found = signatures.get("TYPE") or signatures.get("PTTYPE") or "something unknown"
        raise Refused(f"chain disk {volume_id} holds {found}, not ext4; it is not formatted unasked, empty it by hand")


def _wish_mount(machine: Machine, what: str, mount: str) -> Wish:
    name = machine.must_run(["systemd-escape", "--path", "--suffix=mount", mount], "naming the mount").strip()
    text = (
        "# Made by genesis-fleet.\n[Unit]\nDescription=Chain disk\nBefore=cardano-node.service\n\n"
        f"[Mount]\nWhat={what}\nWhere={mount}\nType=ext4\nOptions=noatime\n\n[Install]\nWantedBy=multi-user.target\n"
    )
    return Wish(f"/etc/systemd/system/{name}", text)


def _mount(machine: Machine, what: str, device: str, mount: str) -> list[str]:
    wish = _wish_mount(machine, what, mount)
    name = PurePosixPath(wish.path).name
    done = []
    differing = find_differences(machine, (wish,))
    if differing:
        write_files(machine, tuple(difference.wish for difference in differing))
        machine.must_run(["systemctl", "daemon-reload"], "taking up the mount")
        machine.must_run(["systemctl", "enable", "--quiet", name], "enabling the mount")
        done.append(f"wrote {name}")
    if not is_mounted(machine, mount):
        _refuse_hiding(machine.at(mount), mount)
        machine.must_run(["systemctl", "start", name], f"mounting {device} on {mount}", timeout_seconds=100)
        done.append(f"mounted {device} on {mount}")
    return done


def _refuse_hiding(folder: Path, mount: str) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise Refused(f"{mount} is not empty on the root disk: mounting the chain disk would hide it; move it away")
