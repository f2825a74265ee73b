"""Peers: with whom the node has an established connection, whoever opened it. Ports say nothing about that: the node dials out
from the very port it listens on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from .connections import Connection, ask_kernel, read_tables
from .machine import Machine

MOST_PEERS = 4096
"""Beyond what any limit on connections allows; a look carries all of them home."""


def read_peers(machine: Machine, pid: int, ask: Callable[[], list[Connection]] = ask_kernel) -> list[str] | None:
    """Return the addresses at the other ends of a process's connections, without this host's own; None if unknown."""
    if pid <= 0:
        return None
    try:
        own = frozenset(_list_sockets(machine, pid))
        try:
            connections = ask()
        except OSError:
            connections = read_tables(machine.at(f"/proc/{pid}/net"))
    except OSError:
        return None  # gone in between
    found = {address for inode, address in connections if inode in own}
    return sorted(address for address in found if not address.startswith("127.") and address != "::1")[:MOST_PEERS]


def _list_sockets(machine: Machine, pid: int) -> Iterator[int]:
    """Yield the inode numbers of a process's sockets."""
    with os.scandir(machine.at(f"/proc/{pid}/fd")) as entries:
        for entry in entries:
            with suppress(OSError):  # closed in between
                # Not through Path: a full relay has thousands of these, and every look reads them.
                target = os.readlink(entry.path)  # noqa: PTH115
                if target.startswith("socket:["):
                    yield int(target[8:-1])
