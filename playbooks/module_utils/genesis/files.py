"""Files as they must be, as they are, and writing them so that nobody ever sees half of one.

All new content is written to temporary files beside the targets and synced before the first rename: a full disk shows
before anything changed. What a file means, and whether it is valid, is decided elsewhere.
"""

from __future__ import annotations

import errno
import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .machine import Machine, Refused

_SUFFIX = ".genesis-new"
_CHANGES = ("none", "reload", "restart")
_CHECKS = ("", "nft", "sshd", "json", "systemd")


@dataclass(frozen=True, slots=True)
class Wish:
    """One file as it must be."""

    path: str
    content: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    change: str = "none"
    validate: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One file as it is. `content` is None for something that is not a regular file."""

    content: bytes | None
    owner: str
    group: str
    mode: str

    def describe(self) -> dict[str, str]:
        """Return it as `inspect` reports it."""
        digest = hashlib.sha256(self.content).hexdigest() if self.content is not None else "not a regular file"
        return {"sha256": digest, "owner": self.owner, "group": self.group, "mode": self.mode}


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not as wished."""

    wish: Wish
    found: Found | None

    @property
    def content_differs(self) -> bool:
        """Whether more than owner and mode differ."""
        return self.found is None or self.found.content != self.wish.content.encode()


def parse_wishes(raw: Sequence[Mapping[str, Any]]) -> tuple[Wish, ...]:
    """Read wishes from module arguments. Raises Refused for what cannot be meant."""
    wishes = tuple(Wish(**{key: str(value) for key, value in entry.items() if value is not None}) for entry in raw)
    seen: set[str] = set()
    for wish in wishes:
        if not wish.path.startswith("/") or os.path.normpath(wish.path) != wish.path or wish.path in seen:
            raise Refused(f"{wish.path!r} is not a plain absolute path, or is listed twice")
        if wish.change not in _CHANGES or wish.validate not in _CHECKS:
            raise Refused(
                f"{wish.path}: change {wish.change!r} or check {wish.validate!r} is none that this host knows"
            )
        seen.add(wish.path)
    return wishes


def read_file(machine: Machine, path: str) -> Found | None:
    """Return the file at `path`, not following a link; None if nothing is there."""
    place = machine.at(path)
    try:
        seen = place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    regular = stat.S_ISREG(seen.st_mode)
    return Found(
        content=place.read_bytes() if regular else None,
        owner=_name_of_user(seen.st_uid),
        group=_name_of_group(seen.st_gid),
        mode=f"{stat.S_IMODE(seen.st_mode):04o}",
    )


def find_differences(machine: Machine, wishes: Iterable[Wish]) -> tuple[Difference, ...]:
    """Return the wishes that the host does not meet, in their order."""
    differences = []
    for wish in wishes:
        found = read_file(machine, wish.path)
        wanted = (wish.content.encode(), wish.owner, wish.group, wish.mode)
        if found is None or (found.content, found.owner, found.group, found.mode) != wanted:
            differences.append(Difference(wish, found))
    return tuple(differences)


def write_files(machine: Machine, wishes: Sequence[Wish], *, before: Callable[[], None] = lambda: None) -> None:
    """Write all of them: every temporary file first, then rename one by one. Raises Refused and changes nothing.

    `before` is called between the two, when nothing but a crash is left to go wrong.
    """
    staged: list[tuple[Path, Path]] = []
    made: list[Path] = []
    try:
        for wish in wishes:
            place = machine.at(wish.path)
            if place.is_dir() and not place.is_symlink():
                raise Refused(f"{wish.path} is a folder on this host; move it away")
            made += _make_parents(place.parent)
            temporary = place.with_name(f".{place.name}{_SUFFIX}")
            staged.append((temporary, place))
            _write_temporary(temporary, wish)
        before()
    except (OSError, Refused) as problem:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)
        for folder in reversed(made):
            folder.rmdir()
        raise explain(problem, "writing files") from problem
    for temporary, place in staged:
        temporary.rename(place)
    for folder in dict.fromkeys(place.parent for _, place in staged):
        sync_folder(folder)


def write_text(machine: Machine, path: str, content: str, mode: str = "0644") -> None:
    """Write one file of our own state, owned by whoever runs this (root)."""
    owner, group = _name_of_user(os.geteuid()), _name_of_group(os.getegid())
    write_files(machine, (Wish(path, content, owner, group, mode),))


def explain(problem: Exception, what: str) -> Refused:
    """Say what went wrong in an operator's words."""
    if isinstance(problem, Refused):
        return problem
    if isinstance(problem, OSError) and problem.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Refused(
            f"disk full while {what} ({problem.filename or 'this host'}); nothing was changed, free some space"
        )
    if isinstance(problem, OSError) and problem.errno == errno.EROFS:
        return Refused(
            f"{problem.filename or 'the file system'} is read-only, so {what} is not possible; check the disk"
        )
    return Refused(f"{what} failed: {problem}")


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_temporary(temporary: Path, wish: Wish) -> None:
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(wish.content.encode())
        file.flush()
        user, group = _id_of_user(wish.owner), _id_of_group(wish.group)
        if (user, group) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, user, group)
        os.fchmod(descriptor, int(wish.mode, 8))
        os.fsync(descriptor)


def _make_parents(folder: Path) -> list[Path]:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o755)
    return list(reversed(missing))


def _id_of_user(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise Refused(f"user {name} does not exist on this host; prepare it first") from None


def _id_of_group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise Refused(f"group {name} does not exist on this host; prepare it first") from None


def _name_of_user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _name_of_group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
