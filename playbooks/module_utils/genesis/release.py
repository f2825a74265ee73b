"""Releases and network folders on a host: where each lies, whether it lies there verified, and the link to the one that runs.

A marker written last, inside the folder, makes it count: it names the archive's checksum and every file with size and
time of change, so that a look can tell a damaged folder without reading hundreds of megabytes.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import sync_folder
from .machine import CURRENT, MARKER, NETWORKS, RELEASES, Machine, Refused

_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Release:
    """The release a host must have."""

    version: str
    sha256: str
    url: str = ""

    @property
    def folder(self) -> str:
        """Where it lies; the checksum in the name keeps two builds of one version apart."""
        return f"{RELEASES}/{self.version}-{self.sha256[:12]}"


def parse_release(raw: dict[str, Any]) -> Release:
    """Read a release from module arguments. Raises Refused for names that could leave their folder."""
    release = Release(str(raw["version"]), str(raw["sha256"]).lower(), str(raw.get("url") or ""))
    if not _SHA256.fullmatch(release.sha256) or not _VERSION.fullmatch(release.version):
        raise Refused(
            f"release {release.version!r} with checksum {release.sha256!r} is not one: 64 hex digits are expected"
        )
    return release


def network_folder(digest: str) -> str:
    """Return where a network folder lies. Raises Refused for a digest that is none."""
    if not re.fullmatch(r"[0-9a-f]{16,128}", digest):
        raise Refused(f"network digest {digest!r} is not a checksum")
    return f"{NETWORKS}/{digest}"


def write_marker(folder: Path, sha256: str) -> None:
    """Declare a folder complete; the last thing before it is renamed into place."""
    (folder / MARKER).write_text(json.dumps({"sha256": sha256, "files": _measure(folder)}), encoding="utf-8")
    sync_folder(folder)


def read_marker(machine: Machine, folder: str) -> str:
    """Return the checksum a folder stands for; empty if it is not complete or was changed since."""
    place = machine.at(folder)
    try:
        marker = json.loads((place / MARKER).read_text(encoding="utf-8"))
        intact = marker["files"] == _measure(place)
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return str(marker["sha256"]) if intact else ""


def list_staged(machine: Machine) -> frozenset[str]:
    """Return what lies verified on the host: archives' checksums and network digests."""
    found = set()
    for parent in (RELEASES, NETWORKS):
        place = machine.at(parent)
        names = sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []
        found |= {read_marker(machine, f"{parent}/{name}") for name in names if not name.startswith(".")}
    return frozenset(found - {""})


def read_link(machine: Machine) -> str:
    """Return the folder behind the release link; empty without one."""
    try:
        return str(machine.at(CURRENT).readlink())
    except OSError:
        return ""


def read_linked_release(machine: Machine) -> str:
    """Return the checksum of the archive behind the release link; empty if there is none or it was changed."""
    link = read_link(machine)
    return read_marker(machine, link) if link.startswith(f"{RELEASES}/") else ""


def check_staged(machine: Machine, release: Release) -> None:
    """Raise Refused unless the release lies verified on the host and has a node to run."""
    if read_marker(machine, release.folder) != release.sha256:
        raise Refused(f"release {release.version} ({release.sha256[:12]}) is not staged on this host; stage it first")
    if not os.access(machine.at(f"{release.folder}/bin/cardano-node"), os.X_OK):
        raise Refused(f"release {release.version} has no executable bin/cardano-node; stage it again")


def switch_link(machine: Machine, release: Release) -> None:
    """Point the link to the release, in one step."""
    link = machine.at(CURRENT)
    temporary = link.with_name(".current.genesis-new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(release.folder)
    temporary.rename(link)
    sync_folder(link.parent)


def _measure(folder: Path) -> dict[str, list[int]]:
    measured = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            if name != MARKER:
                seen = path.lstat()
                measured[str(path.relative_to(folder))] = [seen.st_size, seen.st_mtime_ns]
    return measured
