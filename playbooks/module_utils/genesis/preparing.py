"""Prepare: what a host needs once. Two steps, because the controller must write the new key down between them.

`identify` makes the permanent SSH key and tells its public half. `settle` installs packages, user, folders and the
chain disk, switches sshd to the permanent key, wipes the one-time key, and writes `prepared` last.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .claim import check_right, claim
from .disk import foresee_disk, settle_disk
from .files import write_text
from .identity import find_one_time_key, find_switch, has_key, make_key, read_public_key, switch_key, wipe_one_time_key
from .machine import ETC, NETWORKS, PINNED, PREPARED, RELEASES, STORE_ID, Machine, Refused

_NOBODY = (
    *("--system", "--user-group", "--no-create-home"),
    *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"),
)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a host must be prepared as."""

    step: str
    token: int
    store_id: str
    volume_id: str
    mount: str
    packages: tuple[str, ...]
    user: str
    baseline_digest: str
    keep_identity: bool
    """True on hosts whose key the operator pinned: it stays as it is."""
    adopt: bool


def parse_preparation(raw: Mapping[str, Any]) -> Preparation:
    """Read module arguments."""
    return Preparation(
        step=str(raw["step"]),
        token=int(raw["token"]),
        store_id=str(raw.get("store_id") or ""),
        volume_id=str(raw.get("volume_id") or ""),
        mount=str(raw["mount"]),
        packages=tuple(raw.get("packages") or ()),
        user=str(raw["user"]),
        baseline_digest=str(raw["baseline_digest"]),
        keep_identity=bool(raw.get("keep_identity")),
        adopt=bool(raw.get("adopt")),
    )


def prepare(machine: Machine, wanted: Preparation, *, check: bool = False) -> tuple[bool, dict[str, Any]]:
    """Carry out one step; return whether anything changed, and facts. Raises Refused."""
    claimed_as = "" if wanted.adopt else wanted.store_id
    if check:
        check_right(machine, wanted.token, claimed_as)
        done = _foresee_identify(machine, wanted) if wanted.step == "identify" else _foresee_settle(machine, wanted)
    else:
        with claim(machine, "prepare", wanted.token, claimed_as):
            done = _identify(machine, wanted) if wanted.step == "identify" else _settle(machine, wanted)
    return bool(done), {
        "host_key": read_public_key(machine),
        "done": done,
        "summary": "; ".join(done) or "nothing to do",
    }


def _foresee_identify(machine: Machine, wanted: Preparation) -> list[str]:
    foreseen = _foresee_store(machine, wanted)
    if not wanted.keep_identity and not has_key(machine):
        foreseen.append("made the permanent host key")
    return foreseen


def _foresee_settle(machine: Machine, wanted: Preparation) -> list[str]:
    """Return what `_settle` would do, in its words, as far as it can be seen before any of it is done."""
    foreseen = _foresee_store(machine, wanted)
    foreseen += [f"installed {name}" for name in _find_missing_packages(machine, wanted.packages)]
    owner = _find_owner(wanted.user)
    if not _has_user(wanted.user):
        foreseen.append(f"made user {wanted.user}")
    if wanted.volume_id:
        foreseen += foresee_disk(machine, wanted.volume_id, wanted.mount)
    # Where a disk is to be mounted, systemd makes the folder.
    missing = _find_missing_folders(machine, wanted)
    foreseen += [f"made {path}" for path in missing if path != wanted.mount or not wanted.volume_id]
    if not _is_given(machine, wanted, owner):
        foreseen.append(f"gave {wanted.mount} to {wanted.user}")
    if wanted.keep_identity:
        foreseen += [] if machine.at(PINNED).exists() else ["kept the pinned host key"]
    else:
        foreseen += ["switched sshd to the permanent host key"] if find_switch(machine) else []
        foreseen += [f"wiped {path}" for path in find_one_time_key(machine)]
    if machine.read_text(PREPARED) != wanted.baseline_digest:
        foreseen.append("prepared")
    return foreseen


def _identify(machine: Machine, wanted: Preparation) -> list[str]:
    done = _note_store(machine, wanted)
    if not wanted.keep_identity and make_key(machine):
        done.append("made the permanent host key")
    return done


def _note_store(machine: Machine, wanted: Preparation) -> list[str]:
    done = _foresee_store(machine, wanted)
    if done:
        write_text(machine, STORE_ID, f"{wanted.store_id}\n")
    return done


def _foresee_store(machine: Machine, wanted: Preparation) -> list[str]:
    known = not wanted.store_id or machine.read_text(STORE_ID) == wanted.store_id
    return [] if known else ["noted the store this host belongs to"]


def _settle(machine: Machine, wanted: Preparation) -> list[str]:
    # A host whose key is pinned is never asked to identify itself, so it hears of its store here.
    done = _note_store(machine, wanted)
    done += _install_packages(machine, wanted.packages)
    done += _make_user(machine, wanted.user)
    if wanted.volume_id:
        done += settle_disk(machine, wanted.volume_id, wanted.mount)
    done += _make_folders(machine, wanted)
    if wanted.keep_identity:
        if not machine.at(PINNED).exists():
            write_text(machine, PINNED, "The operator pinned this host's SSH key: it stays.\n")
            done.append("kept the pinned host key")
    else:
        if switch_key(machine):
            done.append("switched sshd to the permanent host key")
        done += [f"wiped {path}" for path in wipe_one_time_key(machine)]
    if machine.read_text(PREPARED) != wanted.baseline_digest:
        write_text(machine, PREPARED, f"{wanted.baseline_digest}\n")
        done.append("prepared")
    return done


def _find_missing_packages(machine: Machine, packages: tuple[str, ...]) -> list[str]:
    if not packages:
        return []
    shown = machine.run(["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages])
    present = {line.split()[0] for line in shown.out.splitlines() if line.endswith(" installed")}
    return [name for name in packages if name not in present]


def _install_packages(machine: Machine, packages: tuple[str, ...]) -> list[str]:
    missing = _find_missing_packages(machine, packages)
    if not missing:
        return []
    apt = ["apt-get", "--quiet", "--yes", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Options::=--force-confold"]
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1"]
    machine.must_run([*quiet, *apt, "update"], "reading the package lists", timeout_seconds=300)
    machine.must_run(
        [*quiet, *apt, "install", "--no-install-recommends", *missing],
        f"installing {', '.join(missing)}",
        timeout_seconds=600,
    )
    return [f"installed {name}" for name in missing]


def _has_user(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _make_user(machine: Machine, user: str) -> list[str]:
    if _has_user(user):
        return []
    machine.must_run(["useradd", *_NOBODY, user], f"making user {user}")
    return [f"made user {user}"]


def _find_missing_folders(machine: Machine, wanted: Preparation) -> list[str]:
    folders = (ETC, RELEASES, NETWORKS, wanted.mount)
    return [path for path in folders if not machine.at(path).is_dir()]


def _find_owner(user: str) -> tuple[int, int] | None:
    try:
        return pwd.getpwnam(user).pw_uid, grp.getgrnam(user).gr_gid
    except KeyError:
        return None


def _is_given(machine: Machine, wanted: Preparation, owner: tuple[int, int] | None) -> bool:
    if not machine.at(wanted.mount).is_dir():
        return False
    seen = machine.at(wanted.mount).stat()
    return (seen.st_uid, seen.st_gid) == owner and seen.st_mode & 0o7777 == 0o750


def _make_folders(machine: Machine, wanted: Preparation) -> list[str]:
    done = []
    for path in _find_missing_folders(machine, wanted):
        machine.at(path).mkdir(mode=0o755, parents=True, exist_ok=True)
        done.append(f"made {path}")
    # The node's own folder, on the chain disk once that is mounted.
    owner = _find_owner(wanted.user)
    if owner is None:
        raise Refused(f"user {wanted.user} has no group of its own on this host")
    if not _is_given(machine, wanted, owner):
        os.chown(machine.at(wanted.mount), *owner)
        machine.at(wanted.mount).chmod(0o750)
        done.append(f"gave {wanted.mount} to {wanted.user}")
    return done
