"""What the lab may tell a running node to do wrong, as values, and as the file in the database folder that tells it.

One fault at a time; no file is no fault. The file is looked at several times a second, so that nothing has to be restarted.
Pure but for reading the file; what each fault does is up to `sessions`, `forge` and `node`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FAULT_FILE = "lab-fault"

# Long enough to be seen as slow, short enough for an answer within the lab's probe timeout of 5 seconds.
DEFAULT_SLOW_SECONDS = 3.0


class BadFault(ValueError):
    """A fault file, or a request for a fault, that makes no sense; says why."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Leave everybody's chain at `since` (unix seconds), and make another one; the same name makes the same chain."""

    name: str
    since: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Go on answering, and take in no block any more."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Accept connections, and never answer on them."""


@dataclass(frozen=True, slots=True)
class WrongMagic:
    """Be of another network."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Answer everything late."""

    seconds: float = DEFAULT_SLOW_SECONDS


Fault = Fork | Stall | Hang | WrongMagic | Slow

KINDS: dict[str, type[Fork | Stall | Hang | WrongMagic | Slow]] = {
    "fork": Fork,
    "stall": Stall,
    "hang": Hang,
    "wrong-magic": WrongMagic,
    "slow": Slow,
}


def kind_of(fault: Fault) -> str:
    """Return the word for a fault."""
    return next(kind for kind, type_ in KINDS.items() if isinstance(fault, type_))


def render_fault(fault: Fault) -> str:
    """Return the file that tells a node of a fault."""
    return json.dumps({"kind": kind_of(fault), **asdict(fault)}) + "\n"


def parse_fault(text: str) -> Fault:
    """Read such a file; raise BadFault."""
    try:
        values: dict[str, Any] = json.loads(text)
        fault = KINDS[values.pop("kind")](**values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadFault(f"no fault of a lab node: {text.strip()!r} ({type(error).__name__}: {error})") from error
    match fault:
        case Fork(str(), int() | float()) | Stall() | Hang() | WrongMagic():
            return fault
        case Slow(int() | float() as seconds) if seconds > 0:
            return fault
        case _:
            raise BadFault(f"no fault of a lab node: {text.strip()!r}")


def read_fault(database: Path) -> Fault | None:
    """Return the fault that the file of a database folder tells of; one that cannot be read is none."""
    try:
        return parse_fault((database / FAULT_FILE).read_text())
    except (OSError, ValueError):
        return None
