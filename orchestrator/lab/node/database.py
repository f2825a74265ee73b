"""The database folder: lock, magic, the `clean` marker, and the adopted blocks.

    lock               held for as long as the process lives: a second node on this folder is stopped by it, not by the port
    protocolMagicId    which network the folder belongs to
    clean              made by a clean stop, gone as soon as the node has opened the database; absent while it runs
    immutable/         headers.log: each header with its length before it, in the chain's order
                       bodies.log: the bodies in the same order, one after the other; headers know their lengths
    volatile/ ledger/ gsm/   as the real node has them, empty

A block that was cut short by a power failure ends the chain; what is before it is kept. Which blocks belong here is
decided by `chain`; whether they link up and are whole is checked when they are loaded.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from .block import belongs
from .chain import why_not_after
from .header import Header, InvalidHeader, parse_header

LENGTH = struct.Struct(">H")

# What may lie in a folder that no node has used yet: a fresh file system's own folder, and what the lab dropped.
STRANGERS_ALLOWED = ("lost+found", "lock")
SETTINGS_PREFIX = "lab-"


class DatabaseRefused(Exception):
    """This folder is not for this node, or another one is using it."""


class Database:
    """An open and locked database folder."""

    def __init__(self, folder: Path, network_magic: int) -> None:
        """Create what is missing and take the lock; raise DatabaseRefused."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _take_lock(folder / "lock")
        _check_magic(folder, network_magic)
        for name in ("immutable", "volatile", "ledger", "gsm"):
            (folder / name).mkdir(exist_ok=True)
        self._clean = folder / "clean"
        self.stopped_cleanly = self._clean.exists()
        self._sizes = array("H")
        # Where each body ends.
        self._ends = array("Q")
        self._log, self._bodies = (
            os.open(folder / "immutable" / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            for name in ("headers.log", "bodies.log")
        )

    def is_empty(self) -> bool:
        """Tell whether there is nothing to replay."""
        return os.fstat(self._log).st_size == 0

    def load_headers(self, believe: Callable[[Header], bool] = lambda _: True) -> Iterator[Header]:
        """Yield the headers of all blocks that are whole, linked and believable; forget all from the first that is not."""
        previous: Header | None = None
        immutable = self.folder / "immutable"
        with (immutable / "headers.log").open("rb") as log, (immutable / "bodies.log").open("rb") as bodies:
            while (encoded := _read_record(log)) is not None:
                try:
                    header = parse_header(encoded)
                except InvalidHeader:
                    break
                if why_not_after(header, previous) is not None or not believe(header):
                    break
                if not belongs(bodies.read(header.body_size), header):
                    break
                previous = header
                self._note(header)
                yield header
        os.ftruncate(self._log, sum(self._sizes))
        os.ftruncate(self._bodies, self._end_of(len(self._ends)))
        for log_file in (self._log, self._bodies):
            os.lseek(log_file, 0, os.SEEK_END)

    def mark_running(self) -> None:
        """Initialisation has succeeded: from here on only a clean stop brings the marker back."""
        self._clean.unlink(missing_ok=True)

    def append(self, header: Header, body: bytes) -> None:
        """Write one more block behind the last."""
        # The body first: a header is only ever there with its body.
        os.write(self._bodies, body)
        os.write(self._log, LENGTH.pack(len(header.encoded)) + header.encoded)
        self._note(header)

    def body_at(self, index: int) -> bytes:
        """Return the body of the block at this index."""
        begin = self._end_of(index)
        return os.pread(self._bodies, self._ends[index] - begin, begin)

    def roll_back(self, length: int) -> None:
        """Keep the first `length` blocks."""
        removed = sum(self._sizes[length:])
        end = self._end_of(length)
        del self._sizes[length:]
        del self._ends[length:]
        os.ftruncate(self._log, os.lseek(self._log, 0, os.SEEK_END) - removed)
        os.ftruncate(self._bodies, end)
        for log_file in (self._log, self._bodies):
            os.lseek(log_file, 0, os.SEEK_END)

    def _note(self, header: Header) -> None:
        self._ends.append(self._end_of(len(self._ends)) + header.body_size)
        self._sizes.append(LENGTH.size + len(header.encoded))

    def _end_of(self, length: int) -> int:
        """Return where the bodies of the first `length` blocks end."""
        return self._ends[length - 1] if length else 0

    def close(self, *, mark_clean: bool) -> None:
        """Let go of the folder, leaving the marker of a clean stop if asked to."""
        for log_file in (self._bodies, self._log):
            os.fsync(log_file)
            os.close(log_file)
        if mark_clean:
            self._clean.touch()
        os.close(self._lock)


def _read_record(log: BinaryIO) -> bytes | None:
    length = log.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    encoded = log.read(int(LENGTH.unpack(length)[0]))
    return encoded if len(encoded) == LENGTH.unpack(length)[0] else None


def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise DatabaseRefused(f"The db is used by another process. File {path} is locked") from error
    return descriptor


def _check_magic(folder: Path, network_magic: int) -> None:
    marker = folder / "protocolMagicId"
    with contextlib.suppress(FileNotFoundError):
        found = marker.read_text().strip()
        if found != str(network_magic):
            raise DatabaseRefused(f"Wrong network magic in {marker}: found {found}, expected {network_magic}")
        return
    strangers = [
        name
        for name in sorted(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
        if name not in STRANGERS_ALLOWED and not name.startswith(SETTINGS_PREFIX)
    ]
    if strangers:
        raise DatabaseRefused(
            f"Missing {marker} but the folder is not empty (it has {strangers[0]}). If it is a database, delete it or "
            "name another folder; if it is not, the wrong folder was named."
        )
    marker.write_text(str(network_magic))
