"""Machines: real systemd on an overlay of the image, in a network namespace of the lab, as a process of this host.

State is read from processes, never from a file that says so. A machine is a folder (`process`, `console.log`, the upper
layer of its root, its spec's files) and, while it runs, one recorded `systemd-nspawn`. Its root is mounted in a mount
namespace that ends with it: a machine that dies in any way leaves no mount behind. When machines start and stop, and
what the cloud says about them, is decided elsewhere.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines import disks
from orchestrator.lab.machines.cgroups import empty_cgroups, make_cgroups, remove_cgroups
from orchestrator.lab.machines.commands import PLAIN
from orchestrator.lab.machines.layout import Lab, check_name
from orchestrator.lab.machines.locks import hold
from orchestrator.lab.machines.network import NAMESPACES, Address, connect, delete_network, disconnect
from orchestrator.lab.machines.processes import (
    find_init_below,
    find_recorded,
    kill_and_wait,
    signal_init_below,
    start_recorded,
)
from orchestrator.lab.machines.seed import render_identity, render_seed

# Run in a mount namespace of its own, so that no mount is left behind however the machine ends. `volatile` skips every sync
# to disk: a lab needs no protection from a power cut of this host, and 20 machines that install at once are several
# times faster; the kernel leaves a marker of it that must go before the next mount. systemd-nspawn keeps notes in /run
# that it cannot remove where /run is on a disk. It ends with 133 when the machine wants to boot again.
MOUNT_AND_BOOT = """
lower=$1 folder=$2; shift 2
rm -rf "$folder/work/work/incompat"
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn || exit 1
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$folder/upper,workdir=$folder/work,volatile" "$folder/root" || exit 1
while :; do
    setpriv --pdeathsig KILL "$@"
    ended=$?
    [ "$ended" -eq 133 ] || exit "$ended"
done
"""

# As PID 1 of a machine understands them: systemd(1), section on signals.
POWEROFF, REBOOT = signal.SIGRTMIN + 4, signal.SIGRTMIN + 5

# Twenty machines that end at once on two cores take a few seconds; what takes longer than this hangs in the kernel.
KILL_TIME = timedelta(seconds=20)

# A console log longer than this is read from its end, as the cloud's own call does.
CONSOLE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What a machine is started with. `user_data` is what the cloud was given, decoded and otherwise untouched."""

    instance_id: str
    hostname: str
    addresses: tuple[Address, ...]
    user_data: bytes = b""
    public_keys: tuple[str, ...] = ()


class MachineState(StrEnum):
    """What can be seen of a machine: no folder, a folder without a process, or a process."""

    ABSENT = "absent"
    STOPPED = "stopped"
    RUNNING = "running"


def start_machine(lab: Lab, spec: MachineSpec) -> None:
    """Start a machine and return when its process runs; ssh answers seconds later. One that runs is left alone.

    A machine that was stopped starts from the root it had. Raises LabUnavailable.
    """
    folder = lab.machine(spec.instance_id)
    with hold(lab.lock(spec.instance_id)):
        if find_recorded(folder / "process") is not None:
            return
        _end_leftovers(lab, spec.instance_id)
        _write_root(lab, spec, folder)
        volumes = disks.write_table(lab, spec.instance_id)
        namespace = connect(lab.network, spec.instance_id, spec.addresses)
        start_recorded(
            _render_command(lab, spec.instance_id, folder, namespace, volumes),
            record=folder / "process",
            output=folder / "console.log",
            cgroups=make_cgroups(_cgroup(lab, spec.instance_id)),
        )


def poweroff_machine(lab: Lab, instance_id: str) -> None:
    """Ask a machine to stop its services in order and end; returns at once. Asking again changes nothing."""
    _ask(lab, instance_id, POWEROFF)


def reboot_machine(lab: Lab, instance_id: str) -> None:
    """Ask a machine to stop its services in order and start again; returns at once."""
    _ask(lab, instance_id, REBOOT)


def kill_machine(lab: Lab, instance_id: str) -> None:
    """Cut a machine's power: return when every process of it is gone. Its root, cable and volumes are kept."""
    with hold(lab.lock(instance_id)):
        _kill(lab, instance_id)


def delete_machine(lab: Lab, instance_id: str) -> None:
    """Cut a machine's power and remove all of it: root, cable, namespace, cgroup. Its volumes are detached, and kept."""
    lock = lab.lock(instance_id)
    with hold(lock):
        _kill(lab, instance_id)
        for attachment in disks.observe_attachments(lab):
            if attachment.instance_id == instance_id:
                disks.detach_volume(lab, attachment.volume_id)
        disconnect(lab.network, instance_id)
        if lab.machine(instance_id).exists():
            shutil.rmtree(lab.machine(instance_id))
        lock.unlink(missing_ok=True)


def observe_machine(lab: Lab, instance_id: str) -> MachineState:
    """Say what can be seen of a machine now."""
    folder = lab.machine(instance_id)
    if find_recorded(folder / "process") is not None:
        return MachineState.RUNNING
    return MachineState.STOPPED if folder.is_dir() else MachineState.ABSENT


def observe_machines(lab: Lab) -> dict[str, MachineState]:
    """Return the state of every machine that has a folder, by instance id."""
    names = sorted(folder.name for folder in lab.machines.glob("*")) if lab.machines.is_dir() else []
    return {name: observe_machine(lab, name) for name in names}


def read_console(lab: Lab, instance_id: str) -> str:
    """Return the end of what a machine wrote to its console, through all its boots."""
    try:
        with (lab.machine(instance_id) / "console.log").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - CONSOLE_BYTES))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def run_in_machine(lab: Lab, instance_id: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as root inside a running machine, past its network and its ssh. Raises LabUnavailable."""
    first = find_first_process(lab, instance_id)
    if first is None:
        raise LabUnavailable(
            f"machine {instance_id} does not run (it is {observe_machine(lab, instance_id)})",
            next_step=f"Start it, or read {lab.machine(instance_id) / 'console.log'} for why it ended.",
        )
    inside = ["nsenter", "--target", str(first), "--mount", "--uts", "--ipc", "--net", "--pid", "--", *command]
    return subprocess.run(inside, capture_output=True, text=True, env=PLAIN, check=False, stdin=subprocess.DEVNULL)


def find_first_process(lab: Lab, instance_id: str) -> int | None:
    """Return the pid, as this host numbers it, of a running machine's PID 1; None until it is in its own network.

    In its first milliseconds it still sees this host's: whoever entered it then would act on the host instead.
    """
    process = find_recorded(lab.machine(instance_id) / "process")
    first = find_init_below(process) if process is not None else None
    try:
        inside = Path(f"/proc/{first}/ns/net").stat()
        return first if inside.st_ino == (NAMESPACES / lab.network.namespace(instance_id)).stat().st_ino else None
    except OSError:
        return None


def delete_lab(lab: Lab) -> None:
    """Remove everything of a lab: machines, volumes with their content, network, folder."""
    for instance_id in observe_machines(lab):
        delete_machine(lab, instance_id)
    for volume_id in disks.observe_volumes(lab):
        disks.delete_volume(lab, volume_id)
    delete_network(lab.network)
    remove_cgroups(lab.cgroup)
    if lab.directory.exists():
        shutil.rmtree(lab.directory)


def _write_root(lab: Lab, spec: MachineSpec, folder: Path) -> None:
    """Write what this machine adds to the image. What it may have changed itself since is not written again."""
    upper = folder / "upper"
    files = render_seed(spec.instance_id, spec.hostname, spec.user_data, spec.public_keys)
    if not upper.exists():
        files |= render_identity(spec.instance_id, spec.hostname, lab.network.gateway_v4)
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # the seed holds keys
    for name, content in files.items():
        path = upper / name
        _copy_folders(lab.image.root, upper, path.parent)
        path.write_bytes(content)
        path.chmod(0o600 if "seed" in path.parts else 0o644)


def _copy_folders(image: Path, upper: Path, folder: Path) -> None:
    # A folder of the upper layer decides the mode of the merged one, so it takes that of the image's.
    for path in [*reversed(folder.relative_to(upper).parents), folder.relative_to(upper)]:
        if not (upper / path).exists():
            (upper / path).mkdir()
        mode = (image / path).stat().st_mode & 0o7777 if (image / path).exists() else 0o755
        (upper / path).chmod(mode)


def _render_command(lab: Lab, instance_id: str, folder: Path, namespace: Path, volumes: Path) -> list[str]:
    for path in (lab.image.root, folder):
        if set(str(path)) & set(",:\\"):
            raise LabUnavailable(
                f"the path {path} holds a character that mount options cannot",
                next_step="Keep the lab and its images in folders without commas, colons and backslashes.",
            )
    return [
        "unshare", "--mount", "--propagation", "private",
        "sh", "-c", MOUNT_AND_BOOT, "sh", str(lab.image.root), str(folder),
        # Lets sysctls of the machine's own network namespace be set, and nothing else of this host's kernel.
        "env", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network",
        "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--capability=CAP_NET_ADMIN",
        "--console=read-only", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
        f"--network-namespace-path={namespace}",
        f"--machine={check_name(instance_id)}",
        f"--bind-ro={volumes}:/run/host/lab-volumes",
        f"--directory={folder / 'root'}",
    ]  # fmt: skip


def _ask(lab: Lab, instance_id: str, number: int) -> None:
    # Signals go to the machine's own PID 1: systemd-nspawn takes a second SIGTERM for a power cut.
    process = find_recorded(lab.machine(instance_id) / "process")
    if process is not None:
        signal_init_below(process, number)


def _kill(lab: Lab, instance_id: str) -> None:
    process = find_recorded(lab.machine(instance_id) / "process")
    if process is not None and not kill_and_wait(process, KILL_TIME):
        raise LabUnavailable(
            f"machine {instance_id} (pid {process.pid}) did not end within {KILL_TIME.total_seconds():.0f} s",
            next_step=f"See what pid {process.pid} waits for (`cat /proc/{process.pid}/stack`), then repeat.",
        )
    _end_leftovers(lab, instance_id)


def _end_leftovers(lab: Lab, instance_id: str) -> None:
    """End what may be left of a machine whose first process is gone, so that its root can be mounted again."""
    if not empty_cgroups(_cgroup(lab, instance_id), KILL_TIME):
        raise LabUnavailable(
            f"processes of machine {instance_id} are still there {KILL_TIME.total_seconds():.0f} s after it ended",
            next_step=f"See /sys/fs/cgroup/*/{_cgroup(lab, instance_id)} for their pids, then repeat.",
        )
    (lab.machine(instance_id) / "process").unlink(missing_ok=True)


def _cgroup(lab: Lab, instance_id: str) -> str:
    return f"{lab.cgroup}/{check_name(instance_id)}"
