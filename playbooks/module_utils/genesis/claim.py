"""Who may work on this host: one run at a time, and never one of an older controller.

An ansible-playbook outlives a killed controller, so both rules are kept here, on the host: a lock held while a module
works, and the highest fencing token ever seen. The lock is the kernel's and ends with its process; the text in the
file only says who has it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .files import write_text
from .machine import LOCK, STATE, STORE_ID, TOKEN, Machine, Refused

LOCK_WAIT_SECONDS = 5.0
"""Long enough for an inspection or a finishing deploy to pass, short enough that a cycle stays bounded."""
_POLL_SECONDS = 0.1


@contextmanager
def claim(
    machine: Machine, intent: str, token: int, store_id: str = "", *, wait_seconds: float = LOCK_WAIT_SECONDS
) -> Iterator[None]:
    """Hold the host's lock for `intent`. Raises Refused if it is busy, the token is stale or the store is another."""
    machine.at(STATE).mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(machine.at(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, wait_seconds)
        check_right(machine, token, store_id)
        _remember(machine, token)
        _write_holder(descriptor, {"intent": intent, "token": token, "pid": os.getpid()})
        try:
            yield
        finally:
            _write_holder(descriptor, {})
    finally:
        os.close(descriptor)


def check_right(machine: Machine, token: int, store_id: str) -> None:
    """Raise Refused for a token below the highest seen, or another store than the one this host belongs to."""
    highest = read_token(machine)
    if token < highest:
        raise Refused(f"stale: token {token} is lower than {highest}, which another controller used here since")
    owner = machine.read_text(STORE_ID)
    if owner and store_id and owner != store_id:
        raise Refused(
            f"not ours: this host belongs to store {owner}, not {store_id}; `genesis-fleet adopt` takes it over"
        )


def read_token(machine: Machine) -> int:
    """Return the highest token seen; 0 for none. Raises Refused if the file is not a number: never guess lower."""
    text = machine.read_text(TOKEN)
    if not text:
        return 0
    if not text.isdecimal():
        raise Refused(f"{TOKEN} holds {text[:40]!r} instead of a number; put the highest token of your store there")
    return int(text)


def read_holder(machine: Machine) -> str:
    """Return the intent of the run that holds the lock now, or empty. Writes nothing."""
    try:
        descriptor = os.open(machine.at(LOCK), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _describe(os.pread(descriptor, 4096, 0)).get("intent") or "unknown"
    else:
        return ""
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                held = _describe(os.pread(descriptor, 4096, 0))
                raise Refused(
                    f"busy: {held.get('intent', 'another run')} of token {held.get('token', '?')} "
                    f"(pid {held.get('pid', '?')}) is at work on this host; the next look tries again"
                ) from None
            time.sleep(_POLL_SECONDS)
        else:
            return


def _remember(machine: Machine, token: int) -> None:
    if token > read_token(machine):
        write_text(machine, TOKEN, f"{token}\n")


def _write_holder(descriptor: int, holder: dict[str, object]) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _describe(raw: bytes) -> dict[str, str]:
    try:
        values = json.loads(raw)
    except ValueError:
        return {}
    return {key: str(value) for key, value in values.items()} if isinstance(values, dict) else {}
