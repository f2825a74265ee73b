"""Unpacking a release archive, after every member was checked.

An archive whose checksum is right may still be a bad one. Members are looked at first, all of them; then files are
written by us, one by one, into a fresh folder: nothing is delegated to a library that follows links.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from .machine import Refused

MOST_BYTES = 4 * 1024**3
MOST_MEMBERS = 20_000
_PROGRAM = "cardano-node"


@dataclass(frozen=True, slots=True)
class Member:
    """One member that was found acceptable, with its normalised name."""

    name: str
    info: tarfile.TarInfo


def check_members(archive: tarfile.TarFile) -> tuple[Member, ...]:
    """Return the members, names normalised. Raises Refused for the first one that has no place in a release."""
    members: list[Member] = []
    total = 0
    for info in archive:
        name = posixpath.normpath(info.name)
        _check_member(info, name)
        total += info.size
        members.append(Member(name, info))
        if total > MOST_BYTES or len(members) > MOST_MEMBERS:
            raise Refused(f"the archive unpacks to more than {MOST_BYTES} bytes or {MOST_MEMBERS} members")
    _check_parents(members)
    return tuple(member for member in members if member.name != ".")


def size_of(members: tuple[Member, ...]) -> int:
    """Return how many bytes the members take; links take none, a hard link shares what it points to."""
    return sum(member.info.size for member in members)


def find_top(members: tuple[Member, ...]) -> str:
    """Return the folder within the archive that holds bin/cardano-node. Raises Refused if there is none, or several."""
    found = {
        posixpath.dirname(posixpath.dirname(member.name))
        for member in members
        if member.info.isreg() and member.name.endswith(f"bin/{_PROGRAM}") and member.name.split("/")[-2] == "bin"
    }
    if len(found) != 1:
        raise Refused(f"the archive holds {len(found)} files bin/{_PROGRAM}; exactly one is expected")
    return found.pop()


def unpack(archive: tarfile.TarFile, members: tuple[Member, ...], top: str, folder: Path) -> None:
    """Write all that lies under `top` into an empty folder: folders and files first, links last.

    Raises Refused, before anything is written, for a link that would not stay within that folder.
    """
    chosen = [(_below(member.name, top), member) for member in members]
    _check_links(chosen, top)
    for name, member in chosen:
        if name and member.info.isdir():
            (folder / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        elif name and member.info.isreg():
            _write_member(archive, member.info, folder / name)
    for name, member in chosen:
        if name and (member.info.issym() or member.info.islnk()):
            _link(folder, name, member, top)


def _check_member(info: tarfile.TarInfo, name: str) -> None:
    if info.name.startswith("/") or name == ".." or name.startswith("../") or "\0" in info.name:
        raise Refused(f"archive member {info.name!r} leaves its folder")
    if not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
        raise Refused(f"archive member {info.name!r} is a device, a pipe or something else that is no file")
    if info.mode & 0o7000:
        raise Refused(f"archive member {info.name!r} is setuid, setgid or sticky")
    if info.issym() or info.islnk():
        base = posixpath.dirname(name) if info.issym() else ""
        target = posixpath.normpath(posixpath.join(base, info.linkname))
        if info.linkname.startswith("/") or target == ".." or target.startswith("../"):
            raise Refused(f"archive member {info.name!r} links to {info.linkname!r}, outside its folder")


def _check_parents(members: list[Member]) -> None:
    """Refuse a name that comes twice, and a file below something that is no folder: ways to write through a link."""
    solid = {member.name for member in members if not member.info.isdir()}
    if len(solid) != sum(not member.info.isdir() for member in members):
        raise Refused("the archive holds two members of one name")
    for member in members:
        parent = posixpath.dirname(member.name)
        while parent:
            if parent in solid:
                raise Refused(f"archive member {member.info.name!r} lies below {parent!r}, which is no folder")
            parent = posixpath.dirname(parent)


def _check_links(chosen: list[tuple[str, Member]], top: str) -> None:
    """Refuse links as they will lie on the disk, without the top folder: leaving it, or passing through another link."""
    links = {name for name, member in chosen if name and member.info.issym()}
    for name, member in chosen:
        if name and member.info.issym():
            _walk(posixpath.dirname(name), member.info, links)
        elif name and member.info.islnk():
            target = _below(posixpath.normpath(member.info.linkname), top)
            if target in links or any(parent in links for parent in _parents(target)):
                raise Refused(f"archive member {member.info.name!r} links to {member.info.linkname!r} through a link")


def _walk(place: str, info: tarfile.TarInfo, links: set[str]) -> None:
    """Go a link's way step by step, as the kernel will: `..` behind another link is not where the names say."""
    for step in info.linkname.split("/"):
        if place in links:
            raise Refused(f"archive member {info.name!r} links to {info.linkname!r} through a link")
        place = posixpath.normpath(posixpath.join(place, step))
        if place == ".." or place.startswith("../"):
            raise Refused(f"archive member {info.name!r} links to {info.linkname!r}, outside the release's folder")


def _parents(name: str) -> list[str]:
    steps = name.split("/")
    return ["/".join(steps[:count]) for count in range(1, len(steps))]


def _below(name: str, top: str) -> str:
    if not top:
        return name
    return name[len(top) + 1 :] if name.startswith(f"{top}/") else ""


def _write_member(archive: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    source = archive.extractfile(info)
    if source is None:
        raise Refused(f"archive member {info.name!r} cannot be read")
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    mode = 0o755 if info.mode & 0o111 else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as target:
        shutil.copyfileobj(source, target, 1024 * 1024)
        os.fchmod(descriptor, mode)
        target.flush()
        os.fsync(descriptor)


def _link(folder: Path, name: str, member: Member, top: str) -> None:
    path = folder / name
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if member.info.issym():
        path.symlink_to(member.info.linkname)
        return
    target = _below(posixpath.normpath(member.info.linkname), top)
    source = folder / target
    within = source.resolve().is_relative_to(folder.resolve())
    if not target or not within or source.is_symlink() or not source.is_file():
        raise Refused(
            f"archive member {member.info.name!r} links to {member.info.linkname!r}, which is no file of the release"
        )
    path.hardlink_to(source)
