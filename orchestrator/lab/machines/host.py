"""Whether this host can run a lab, found out by trying each thing that a lab needs, and undoing it at once.

Trying costs about a tenth of a second and cannot be wrong in the way that reading versions can. Nothing is installed and no
setting is changed; each answer says what to do. What to do without a lab is the caller's business.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from orchestrator.lab.machines.cgroups import MOUNTS, find_hierarchies
from orchestrator.lab.machines.commands import try_command
from orchestrator.lab.machines.firewall import render_firewall
from orchestrator.lab.machines.locks import hold

# Command → the Debian package that has it.
COMMANDS = {
    "apt-config": "apt",
    "ip": "iproute2",
    "losetup": "mount",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}

# What systemd and journald of one machine hold, counted on running machines; and what this host uses itself.
INOTIFY_A_MACHINE, INOTIFY_OF_HOST = 5, 20
INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")

# On the same kind of file system as /var/lib and /var/cache, where a lab lives; /tmp is often kept in memory.
SCRATCH = Path("/var/tmp")  # noqa: S108 (only folders with random names are made in it)

# Only ever exists for the length of one check, and two checks take turns.
PROBE = "gf-probe"
TURN = Path("/run/lock/genesis-fleet-host-check")

OVERLAY_WORKS = """
mkdir "$1/lower" "$1/upper" "$1/work" "$1/root" &&
mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work,volatile" "$1/root"
"""


def why_no_lab(machines: int = 20) -> tuple[str, ...]:
    """Return what this host lacks to run a lab of so many machines, each with the next step; nothing if it can."""
    first = (*why_not_root_on_linux(), *why_no_commands())
    # Without root and the commands the rest would only fail for the same reason again.
    if first:
        return first
    checks: tuple[Callable[[], str | None], ...] = (
        why_no_overlay,
        why_no_bridge,
        why_no_firewall,
        why_no_loop_device,
        why_no_cgroups,
        lambda: why_not_so_many(machines, int(INOTIFY_LIMIT.read_text())),
    )
    with hold(TURN):
        return tuple(why for check in checks if (why := check()) is not None)


def why_not_root_on_linux() -> tuple[str, ...]:
    """Return why this is not a host or not a user that could run a lab at all."""
    if platform.system() != "Linux":
        return (f"this is {platform.system()}, a lab needs Linux: use a Debian 12 virtual machine.",)
    if os.geteuid() != 0:
        return ("a lab needs root for namespaces and mounts: run the same command with sudo.",)
    return ()


def why_no_commands(find: Callable[[str], str | None] = shutil.which) -> tuple[str, ...]:
    """Return the missing commands as one line that installs them all."""
    missing = sorted(command for command in COMMANDS if find(command) is None)
    if not missing:
        return ()
    packages = " ".join(sorted({COMMANDS[command] for command in missing}))
    return (f"missing commands: {', '.join(missing)}. Install them: apt-get install {packages}",)


def why_no_overlay(directory: Path = SCRATCH) -> str | None:
    """Try to mount an overlay with its upper layer in `directory`, in a mount namespace that ends with the attempt."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        outcome = try_command("unshare", "--mount", "--propagation", "private", "sh", "-c", OVERLAY_WORKS, "sh", folder)
    if outcome.returncode == 0:
        return None
    return (
        f"overlayfs does not work below {directory} ({outcome.stderr.strip()}): load it with `modprobe overlay`, "
        "or keep the lab on ext4 or xfs (not on another overlay)."
    )


def why_no_bridge() -> str | None:
    """Try to make a bridge, a network namespace and a cable between them."""
    try:
        for command in (
            ("ip", "netns", "add", PROBE),
            ("ip", "link", "add", PROBE, "type", "bridge"),
            ("ip", "link", "add", f"{PROBE}0", "type", "veth", "peer", "name", "ens5", "netns", PROBE),
            ("ip", "link", "set", f"{PROBE}0", "master", PROBE),
        ):
            outcome = try_command(*command)
            if outcome.returncode != 0:
                return (
                    f"`{' '.join(command)}` failed ({outcome.stderr.strip()}): "
                    "load the modules with `modprobe -a bridge veth`; a container needs CAP_NET_ADMIN and CAP_SYS_ADMIN."
                )
    finally:
        for undo in (("netns", "delete", PROBE), ("link", "delete", f"{PROBE}0"), ("link", "delete", PROBE)):
            try_command("ip", *undo)
    return None


def why_no_firewall() -> str | None:
    """Let nftables check a lab's whole rule set without loading it."""
    rules = render_firewall(PROBE, IPv4Network("10.255.0.0/16"), IPv6Network("fd00:ffff::/48"))
    outcome = try_command("nft", "--check", "-f", "-", stdin=rules)
    if outcome.returncode == 0:
        return None
    first = next(iter(outcome.stderr.splitlines()), "no reason given")
    return f"nftables refuses the lab's rules ({first}): load the modules with `modprobe -a nf_tables nft_meta_bridge`."


def why_no_loop_device() -> str | None:
    """Try to attach a small file to a loop device."""
    with tempfile.NamedTemporaryFile(dir=SCRATCH) as file:
        file.truncate(1024 * 1024)
        outcome = try_command("losetup", "--find", "--show", file.name)
        if outcome.returncode != 0:
            return f"no loop device ({outcome.stderr.strip()}): load them with `modprobe loop`."
        try_command("losetup", "--detach", outcome.stdout.strip())
    return None


def why_no_cgroups() -> str | None:
    """Try to make a cgroup in each hierarchy that a machine's systemd needs."""
    places = find_hierarchies(MOUNTS.read_text())
    if not places:
        return "no cgroup tree is mounted: mount one with `mount -t cgroup2 cgroup2 /sys/fs/cgroup`."
    for place in places:
        try:
            (place / PROBE).mkdir()
            (place / PROBE).rmdir()
        except OSError as error:
            return f"no cgroup can be made in {place} ({error.strerror}): in a container, mount it writable."
    return None


def why_not_so_many(machines: int, inotify_limit: int) -> str | None:
    """Say whether the kernel lets so many machines watch their files: each systemd takes a few of one user's limit."""
    needed = machines * INOTIFY_A_MACHINE + INOTIFY_OF_HOST
    if inotify_limit >= needed:
        return None
    return (
        f"{machines} machines need {needed} inotify instances and this kernel allows {inotify_limit}: "
        f"run `sysctl fs.inotify.max_user_instances={max(512, needed)}`."
    )
