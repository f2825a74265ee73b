"""Stage: bring a release and the network folder onto the host, verified, beside older ones. Disturbs nothing that runs.

Downloads happen within the module, in bounded time; what was fetched is kept and gone on with. A wrong checksum, a
hostile archive, a node that does not run here or is another version than it is called, or a full disk leave the host as it was.
"""

from __future__ import annotations

import errno
import re
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import release, trial
from .archive import check_members, find_top, size_of, unpack
from .claim import check_right, claim
from .download import check_space, check_url, download
from .files import explain, sync_folder
from .machine import NETWORKS, RELEASES, Machine, Refused

_FILE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Stage:
    """What must lie on a host."""

    release: release.Release
    network_digest: str
    network_files: Mapping[str, str]
    token: int
    store_id: str = ""
    allow_http: bool = False
    limit_seconds: int = 600


def parse_stage(raw: Mapping[str, Any]) -> Stage:
    """Read module arguments. Raises Refused for what cannot be meant."""
    network = raw.get("network") or {}
    files = {str(name): str(text) for name, text in (network.get("files") or {}).items()}
    wrong = [name for name in files if not _FILE_NAME.fullmatch(name)]
    if wrong:
        raise Refused(f"network file name {wrong[0]!r} could leave its folder")
    return Stage(
        release=release.parse_release(raw["release"]),
        network_digest=str(network.get("digest") or ""),
        network_files=files,
        token=int(raw["token"]),
        store_id=str(raw.get("store_id") or ""),
        allow_http=bool(raw.get("allow_http")),
        limit_seconds=int(raw.get("limit_seconds") or 600),
    )


def stage(machine: Machine, wanted: Stage, *, check: bool = False) -> list[str]:
    """Stage what is missing and return it by name. Raises Refused."""
    check_url(wanted.release.url, allow_http=wanted.allow_http)
    missing = find_missing(machine, wanted)
    if check:
        check_right(machine, wanted.token, wanted.store_id)
        return missing
    with claim(machine, "stage", wanted.token, wanted.store_id):
        missing = find_missing(machine, wanted)
        if "network" in missing:
            _stage_network(machine, wanted)
        if "release" in missing:
            _stage_release(machine, wanted)
    return missing


def find_missing(machine: Machine, wanted: Stage) -> list[str]:
    """Return which of release and network do not lie verified on the host."""
    missing = []
    if release.read_marker(machine, wanted.release.folder) != wanted.release.sha256:
        missing.append("release")
    if wanted.network_digest:
        folder = release.network_folder(wanted.network_digest)
        if release.read_marker(machine, folder) != wanted.network_digest:
            missing.append("network")
    return missing


def _stage_release(machine: Machine, wanted: Stage) -> None:
    parent = machine.at(RELEASES)
    parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = parent / f".{wanted.release.sha256}.part"
    _sweep(parent, keep=partial)
    try:
        download(
            wanted.release.url,
            wanted.release.sha256,
            partial,
            allow_http=wanted.allow_http,
            limit_seconds=wanted.limit_seconds,
        )
        _unpack_release(machine, partial, wanted.release)
    except OSError as problem:
        # What fills the disk is ours: give it back, since nothing can go on from it here.
        if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
            partial.unlink(missing_ok=True)
        raise explain(problem, f"staging release {wanted.release.version}") from problem
    partial.unlink()


def _unpack_release(machine: Machine, archive_path: Path, wanted: release.Release) -> None:
    final = machine.at(wanted.folder)
    fresh = final.with_name(f".{final.name}.new")
    _remove(fresh)
    try:
        with tarfile.open(archive_path, "r:*") as archive:
            members = check_members(archive)
            top = find_top(members)
            check_space(final.parent, size_of(members), "unpacking")
            fresh.mkdir(mode=0o755)
            unpack(archive, members, top, fresh)
        trial.check_version(machine, fresh, wanted.version)
        release.write_marker(fresh, wanted.sha256)
    except (tarfile.TarError, EOFError, Refused) as problem:
        _remove(fresh)
        archive_path.unlink(missing_ok=True)
        raise Refused(f"archive {wanted.sha256[:12]}: {problem}") from None
    except OSError:
        _remove(fresh)
        raise
    _put_in_place(fresh, final)


def _stage_network(machine: Machine, wanted: Stage) -> None:
    parent = machine.at(NETWORKS)
    final = machine.at(release.network_folder(wanted.network_digest))
    try:
        parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = final.with_name(f".{final.name}.new")
        _sweep(parent, keep=parent)
        fresh.mkdir(mode=0o755)
        for name, text in wanted.network_files.items():
            (fresh / name).write_text(text, encoding="utf-8", newline="")
            (fresh / name).chmod(0o644)
        release.write_marker(fresh, wanted.network_digest)
        _put_in_place(fresh, final)
    except OSError as problem:
        _sweep(parent, keep=parent)
        raise explain(problem, "staging the network folder") from problem


def _put_in_place(fresh: Path, final: Path) -> None:
    # A folder that is there and not intact is in the way; the node that may run from it has its files open.
    if final.exists():
        broken = final.with_name(f".{final.name}.broken")
        _remove(broken)
        final.rename(broken)
        fresh.rename(final)
        _remove(broken)
    else:
        fresh.rename(final)
    sync_folder(final.parent)


def _sweep(parent: Path, keep: Path) -> None:
    """Remove what earlier attempts left; the lock says that none of them is still at work."""
    for entry in parent.glob(".*"):
        if entry != keep:
            _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
