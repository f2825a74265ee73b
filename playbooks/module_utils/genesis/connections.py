"""Established TCP connections as the kernel lists them: the number of the socket, and the address at the other end.

Asked by netlink, as `ss` does. The tables under /proc say the same and take ten times as long, since the kernel writes them out
from a hash table that is nearly empty; they are read where the kernel has no such interface.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

Connection = tuple[int, str]
"""Inode number and address."""

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_ESTABLISHED = 1
_HEADER = struct.Struct("=IHHII")
_TIMEOUT_SECONDS = 2.0
_MAPPED = bytes(10) + b"\xff\xff"


def ask_kernel() -> list[Connection]:
    """List the connections of this network namespace. Raises OSError where the kernel has no such interface."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as channel:
        channel.settimeout(_TIMEOUT_SECONDS)
        return [each for family in (socket.AF_INET, socket.AF_INET6) for each in _dump(channel, family)]


def read_tables(folder: Path) -> list[Connection]:
    """Read the same from the tables in a folder such as /proc/net. Raises OSError without that of IPv4."""
    found = list(_read_table((folder / "tcp").read_text(encoding="ascii")))
    if (folder / "tcp6").exists():  # a kernel without IPv6 has none
        found += _read_table((folder / "tcp6").read_text(encoding="ascii"))
    return found


def address_text(raw: bytes) -> str:
    """Return an address as text; one of IPv4 that is written as IPv6 as what it is."""
    raw = raw[12:] if raw.startswith(_MAPPED) else raw
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _dump(channel: socket.socket, family: int) -> Iterator[Connection]:
    asked = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 1 << _ESTABLISHED) + bytes(48)
    channel.send(_HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _DUMP, 1, 0) + asked)
    length = 4 if family == socket.AF_INET else 16
    while True:
        piece = channel.recv(1 << 16)
        place = 0
        while place + _HEADER.size <= len(piece):
            size, kind, *_ = _HEADER.unpack_from(piece, place)
            if kind == _DONE:
                return
            if kind == _ERROR or size < _HEADER.size:
                raise OSError(-struct.unpack_from("=i", piece, place + _HEADER.size)[0], "the kernel lists no sockets")
            # struct inet_diag_msg: the other end's address at 24, the inode number at 68.
            body = piece[place + _HEADER.size : place + size]
            yield struct.unpack_from("=I", body, 68)[0], address_text(body[24 : 24 + length])
            place += (size + 3) & ~3


def _read_table(table: str) -> Iterator[Connection]:
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 9 and int(words[3], 16) == _ESTABLISHED:
            digits = words[2].partition(":")[0]
            # Each word of four bytes is written as a number of this machine.
            parts = (int(digits[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(digits), 8))
            yield int(words[9]), address_text(b"".join(parts))
