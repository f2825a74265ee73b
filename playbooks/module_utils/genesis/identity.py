"""The host's SSH identity: a key made on the host itself, and the one-time key it replaces.

`identify` makes the permanent key and changes nothing about what sshd presents. `settle` switches sshd to it and wipes
the one-time key; the controller calls it only after it recorded the public half, and accepts both until it saw the new
one, so no crash in between locks anybody out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .files import Difference, Wish, find_differences, write_files
from .machine import HOST_KEY, PINNED, Machine, Refused

SSHD_DROP_IN = "/etc/ssh/sshd_config.d/00-genesis-fleet-identity.conf"
_SSHD_TEXT = f"# Made by genesis-fleet: the only key this host presents.\nHostKey {HOST_KEY}\n"
_CLOUD_INIT = "/etc/cloud/cloud.cfg.d/99-genesis-fleet.cfg"
_CLOUD_INIT_TEXT = "# Made by genesis-fleet: the host's key is permanent.\nssh_deletekeys: false\nssh_genkeytypes: []\n"
_CLOUD_INIT_OFF = "/etc/cloud/cloud-init.disabled"
_SEARCHED = ("/var/lib/cloud", "/run/cloud-init", "/etc/cloud", "/etc/ssh", "/var/log")
_MARK = b"PRIVATE KEY-----"
_MOST_BYTES = 16 * 1024 * 1024


def read_public_key(machine: Machine) -> str:
    """Return the permanent public key as `type base64`; empty before `identify`."""
    return " ".join(machine.read_text(f"{HOST_KEY}.pub").split()[:2])


def make_key(machine: Machine) -> bool:
    """Make the permanent key once; an existing one is never replaced. Return whether it was made."""
    if has_key(machine):
        return False
    private = machine.at(HOST_KEY)
    if not private.exists():
        fresh = private.with_name(f".{private.name}.new")
        fresh.unlink(missing_ok=True)
        machine.must_run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "genesis-fleet", "-f", str(fresh)],
            "making the host key",
        )
        # The private half counts; its public half can be derived again.
        fresh.rename(private)
        fresh.with_name(f"{fresh.name}.pub").unlink(missing_ok=True)
    text = machine.must_run(["ssh-keygen", "-y", "-f", str(private)], "reading the host key")
    write_files(machine, (Wish(f"{HOST_KEY}.pub", text.strip() + "\n"),))
    return True


def has_key(machine: Machine) -> bool:
    """Return whether both halves of the permanent key are there."""
    return machine.at(HOST_KEY).exists() and machine.at(f"{HOST_KEY}.pub").exists()


def find_switch(machine: Machine) -> tuple[Difference, ...]:
    """Return the files to write for sshd to present the permanent key. Raises Refused before there is one."""
    if not read_public_key(machine) or not machine.at(HOST_KEY).exists():
        raise Refused("this host has no permanent key yet; run the identify step first")
    wishes = [Wish(SSHD_DROP_IN, _SSHD_TEXT)]
    if machine.at("/etc/cloud").is_dir():
        wishes += [
            Wish(_CLOUD_INIT, _CLOUD_INIT_TEXT),
            Wish(_CLOUD_INIT_OFF, "Made by genesis-fleet: its work is done.\n"),
        ]
    return find_differences(machine, wishes)


def switch_key(machine: Machine) -> bool:
    """Make sshd present the permanent key and no other. Return whether anything changed."""
    differing = find_switch(machine)
    if differing:
        write_files(machine, tuple(difference.wish for difference in differing))
    presented = _presented_keys(machine)
    if HOST_KEY not in presented:
        machine.at(SSHD_DROP_IN).unlink()
        raise Refused(
            f"sshd would present {', '.join(presented) or 'no key'}: does sshd_config include sshd_config.d/*.conf?"
        )
    # Again even when nothing differed: a crash may have come before the reload.
    if differing or _one_time_keys(machine):
        machine.must_run(["systemctl", "reload", "ssh.service"], "switching sshd to the permanent key")
    return bool(differing)


def wipe_one_time_key(machine: Machine) -> list[str]:
    """Remove the one-time key wherever it lies, copies first, and return the paths. Raises Refused if one stays."""
    keys = _one_time_keys(machine)
    needles = _needles(keys)
    found = find_one_time_key(machine)
    for path in found:
        path.unlink()
        if path in keys:
            path.with_name(f"{path.name}.pub").unlink(missing_ok=True)
    if not is_wiped(machine) or any(_holds(path, needles[1:]) for path in _files(machine)):
        raise Refused("the one-time host key is still somewhere in " + ", ".join(_SEARCHED))
    return [str(path) for path in found]


def find_one_time_key(machine: Machine) -> list[Path]:
    """Return where the one-time key lies, copies first."""
    keys = _one_time_keys(machine)
    needles = _needles(keys)
    copies = [
        path
        for path in _files(machine)
        if path not in keys and _is_own(machine, path) is False and _holds(path, needles)
    ]
    return copies + keys


def is_wiped(machine: Machine) -> bool:
    """Return whether no host key but the permanent one lies where cloud-init and sshd keep them.

    A host whose key the operator pinned never had a one-time key.
    """
    if machine.at(PINNED).exists():
        return True
    if _one_time_keys(machine):
        return False
    found = _files(machine, ("/var/lib/cloud", "/run/cloud-init", "/etc/cloud"))
    return not any(_holds(path, [_MARK]) for path in found)


def _presented_keys(machine: Machine) -> list[str]:
    machine.at("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
    # -T reads the configuration as the next sshd will, and fails on what -t fails on.
    text = machine.must_run(["sshd", "-T"], "checking sshd's configuration")
    return [line.split(maxsplit=1)[1] for line in text.splitlines() if line.lower().startswith("hostkey ")]


def _one_time_keys(machine: Machine) -> list[Path]:
    return sorted(machine.at("/etc/ssh").glob("ssh_host_*_key"))


def _is_own(machine: Machine, path: Path) -> bool:
    return path == machine.at(HOST_KEY)


def _needles(keys: list[Path]) -> list[bytes]:
    return [_MARK, *(needle for key in keys if (needle := _middle_line(key)))]


def _middle_line(key: Path) -> bytes:
    lines = [line for line in key.read_bytes().splitlines() if b"-----" not in line]
    # The first lines of all such keys are alike; the last but one is this key's alone.
    return lines[-2] if len(lines) > 3 else b""


def _files(machine: Machine, folders: tuple[str, ...] = _SEARCHED) -> Iterator[Path]:
    for folder in folders:
        for parent, _, names in os.walk(machine.at(folder)):
            for name in names:
                path = Path(parent) / name
                if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST_BYTES:
                    yield path


def _holds(path: Path, needles: list[bytes]) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return any(needle in content for needle in needles)
