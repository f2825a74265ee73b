"""Peers: with whom the node has an established connection, whoever opened it. Ports say nothing about that: the node dials out
from the very port it listens on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress

from .machine import Machine

_ESTABLISHED = "01"
_MAPPED = "00000000000000000000FFFF"
MOST_PEERS = 4096
"""Beyond what any limit on connections allows; a look carries all of them home."""


def read_peers(machine: Machine, pid: int) -> list[str] | None:
    """Return the addresses at the other ends of a process's connections, without this host's own; None if unknown."""
    if pid <= 0:
        return None
    try:
        own = frozenset(_list_sockets(machine, pid))
        tables = [machine.at(f"/proc/{pid}/net/tcp").read_text(encoding="ascii")]
    except OSError:
        return None  # gone in between
    with suppress(OSError):  # a kernel without IPv6
        tables.append(machine.at(f"/proc/{pid}/net/tcp6").read_text(encoding="ascii"))
    found = {address for table in tables for address in _list_remotes(table, own)}
    return sorted(found)[:MOST_PEERS]


def _list_sockets(machine: Machine, pid: int) -> Iterator[str]:
    """Yield the inode numbers of a process's sockets."""
    folder = machine.at(f"/proc/{pid}/fd")
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # closed in between
                # Not through Path: a full relay has thousands of these, and every look reads them.
                target = os.readlink(entry.path)  # noqa: PTH115
                if target.startswith("socket:["):
                    yield target[8:-1]


def _list_remotes(table: str, own: frozenset[str]) -> Iterator[str]:
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 9 and words[3] == _ESTABLISHED and words[9] in own:
            address = read_address(words[2].partition(":")[0])
            if not address.startswith("127.") and address != "::1":
                yield address


def read_address(digits: str) -> str:
    """Return an address of the kernel's tables as text; one of IPv4 that is written as IPv6 as what it is."""
    import socket

    raw = b"".join(int(digits[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(digits), 8))
    if raw[:12].hex().upper() == _MAPPED:
        raw = raw[12:]
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
