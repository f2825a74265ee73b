"""The one Debian image that every lab machine boots from: built once, kept outside the repository, found ever after.

The recipe is the package list, the masked units and the files of `image_files/`; its digest names the image's folder, so
an edited recipe builds a new image beside the old one. Mirror, keys and proxy are those of the host's own apt: none is
named here. What a single machine adds (names, addresses, user data) is `machine.py`'s business.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines.locks import hold
from orchestrator.lab.machines.sources import read_apt_options, read_debian_sources

IMAGES = Path("/var/cache/genesis-fleet/images")
SUITE = "bookworm"

# What Debian's own cloud image has and production relies on; and what our playbooks need on any host.
# python3 in full: parts of the standard library that Ansible imports are not in python3-minimal.
PACKAGES = (
    "ca-certificates", "chrony", "cloud-init", "curl", "dbus", "e2fsprogs", "iproute2", "iputils-ping", "kmod",
    "nftables", "openssh-server", "procps", "python3", "python3-cbor2", "sudo", "systemd", "systemd-sysv", "udev",
    "unattended-upgrades", "xz-utils", "zstd",
)  # fmt: skip

# Units that do nothing useful in a container, wait for hardware that is not there, or cost every machine a process.
# unattended-upgrades is masked too: its service waits for logind, and a lab machine reaches no mirror anyway.
# cloud-init's own four units are replaced by one (see image_files).
MASKED = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "cloud-config.service", "cloud-final.service",
    "cloud-init-hotplugd.socket", "cloud-init-local.service", "console-getty.service", "dev-hugepages.mount",
    "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "getty-static.service",
    "getty.target", "kmod-static-nodes.service", "modprobe@.service", "networking.service",
    "proc-sys-fs-binfmt_misc.automount", "rc-local.service", "sys-fs-fuse-connections.mount",
    "systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-binfmt.service",
    "systemd-hwdb-update.service", "systemd-networkd.service", "systemd-pstore.service",
    "systemd-random-seed.service", "systemd-remount-fs.service", "systemd-resolved.service",
    "systemd-sysusers.service", "systemd-tmpfiles-clean.timer", "systemd-tmpfiles-setup-dev.service",
    "systemd-udev-trigger.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
    "systemd-udevd.service", "systemd-update-utmp-runlevel.service", "systemd-update-utmp.service",
    "unattended-upgrades.service",
)  # fmt: skip

# Programs that systemd starts at every boot only to find out that there is nothing to generate.
MASKED_GENERATORS = (
    "systemd-bless-boot-generator", "systemd-cryptsetup-generator", "systemd-debug-generator",
    "systemd-getty-generator", "systemd-gpt-auto-generator", "systemd-hibernate-resume-generator",
    "systemd-integritysetup-generator", "systemd-rc-local-generator", "systemd-run-generator",
    "systemd-system-update-generator", "systemd-sysv-generator", "systemd-veritysetup-generator",
)  # fmt: skip

# Wanted at boot, beyond what the packages enable themselves.
ENABLED = {
    "multi-user.target": ("cloud-init.service",),
    "sysinit.target": ("lab-volumes.service",),
}

# logind and D-Bus are started on demand (systemctl reboot asks for them) instead of at every boot; without its generator
# cloud-init does not probe for clouds; host keys are each machine's own.
REMOVED = (
    "etc/hostname", "etc/machine-id", "etc/resolv.conf", "etc/ssh/ssh_host_*", "var/lib/dbus/machine-id",
    "lib/systemd/system-generators/cloud-init-generator",
    "lib/systemd/system/multi-user.target.wants/dbus.service",
    "lib/systemd/system/multi-user.target.wants/systemd-logind.service",
)  # fmt: skip

NEVER_UNPACKED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")

FILES = Path(__file__).parent / "image_files"

# Lines of mmdebstrap's own report that begin a step, in order: they are all it says of its progress.
STEPS = (
    "running apt-get update", "downloading packages", "extracting archives", "installing essential packages",
    "installing remaining packages", "cleaning package lists", "success",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a long piece of work is: step `step` of `steps` is `what`, and begins now."""

    what: str
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class MachineImage:
    """A built image. `root` is a folder that machines only ever read."""

    digest: str
    root: Path


def find_or_build_image(images: Path = IMAGES, report: Callable[[Progress], None] = lambda _: None) -> MachineImage:
    """Return the image of this recipe from `images`, building it first (about a minute) if it is not there.

    Two builders take turns and the second finds the first one's image. Raises LabUnavailable, naming the log.
    """
    digest = digest_recipe(FILES)
    image = MachineImage(digest, images / digest / "root")
    if image.root.is_dir():
        return image
    images.mkdir(parents=True, exist_ok=True)
    with hold(images / f"{digest}.lock"):
        if not image.root.is_dir():
            _build(image, images, report)
    return image


def digest_recipe(files: Path) -> str:
    """Name the recipe: 16 hexadecimal digits that change whenever the image would."""
    parts = [SUITE, *PACKAGES, *MASKED, *MASKED_GENERATORS, *REMOVED, *NEVER_UNPACKED, repr(ENABLED)]
    for file in sorted(path for path in files.rglob("*") if path.is_file()):
        parts += [str(file.relative_to(files)), file.read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _build(image: MachineImage, images: Path, report: Callable[[Progress], None]) -> None:
    """Build beside the place and rename, so that a folder of the right name is always a whole image."""
    unfinished = images / f"{image.digest}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    log = images / f"{image.digest}.log"
    _bootstrap(unfinished / "root", log, report)
    _customize(unfinished / "root")
    unfinished.rename(image.root.parent)


def _bootstrap(root: Path, log: Path, report: Callable[[Progress], None]) -> None:
    sources = root.parent / "sources.list"
    sources.write_text("\n".join(read_debian_sources(SUITE)) + "\n")
    command = ["mmdebstrap", "--variant=apt", f"--include={','.join(PACKAGES)}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in NEVER_UNPACKED]
    command += [f"--aptopt={option}" for option in read_apt_options()]
    command += [SUITE, str(root), str(sources)]
    with log.open("w") as kept, subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": str(root.parent)},
    ) as process:  # fmt: skip
        for line in process.stderr or ():
            kept.write(line)
            step = find_step(line)
            if step is not None:
                report(Progress(f"machine image: {STEPS[step]}", step + 1, len(STEPS)))
    if process.returncode != 0:
        raise LabUnavailable(
            f"the machine image could not be built: mmdebstrap ended with {process.returncode}: {_last_error(log)}",
            next_step=f"Read {log}; check that `apt-get update` works on this host, then run the same command again.",
        )


def find_step(line: str) -> int | None:
    """Return which of STEPS this line of mmdebstrap's report begins, if any."""
    return next((number for number, step in enumerate(STEPS) if step in line), None)


def _last_error(log: Path) -> str:
    errors = [line.strip() for line in log.read_text().splitlines() if line.startswith(("E:", "Err:", "W:"))]
    return errors[-1] if errors else "no error was printed"


def _customize(root: Path) -> None:
    units = root / "etc/systemd/system"
    for pattern in REMOVED:
        for path in root.glob(pattern):
            path.unlink()
    generators = root / "etc/systemd/system-generators"
    generators.mkdir(exist_ok=True)
    for masked in (*(units / unit for unit in MASKED), *(generators / name for name in MASKED_GENERATORS)):
        masked.unlink(missing_ok=True)
        masked.symlink_to("/dev/null")
    shutil.copytree(FILES, root, dirs_exist_ok=True, symlinks=True)
    for script in (root / "usr/local/lib/genesis-fleet-lab").iterdir():
        script.chmod(0o755)  # a wheel does not keep the executable bit
    for target, wanted in ENABLED.items():
        wants = units / f"{target}.wants"
        wants.mkdir(exist_ok=True)
        for unit in wanted:
            (wants / unit).unlink(missing_ok=True)
            (wants / unit).symlink_to(f"../{unit}")
    (root / "etc/machine-id").touch()
    _open_to_services(root)


def _open_to_services(root: Path) -> None:
    # The bootstrap leaves the root folder as private as the caller's umask made it; services inside are not root.
    root.chmod(0o755)
    root.parent.chmod(0o755)
