"""What a bad release does wrong by itself, as values, as the entry of its `release.json`, and as faults that come due. Pure.

A flaw is built into a release and is there from each start on; a fault (see `faults`) is what the lab tells a running node. Where a
flaw is a fault that comes by itself, it is said here which one and when; the others are acted on by `__main__` and `node`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .faults import Fault, Fork, Hang, Stall, WrongMagic


class BadFlaw(ValueError):
    """An entry of a release.json that names no flaw; says why."""


@dataclass(frozen=True, slots=True)
class ExitsAtStart:
    """Read the configuration, say what is wrong, and leave."""

    exit_code: int = 1


@dataclass(frozen=True, slots=True)
class NeverListens:
    """Start, replay, show metrics, and never open the port."""


@dataclass(frozen=True, slots=True)
class Hangs:
    """Accept connections from the start, and never answer on them."""


@dataclass(frozen=True, slots=True)
class OtherNetwork:
    """Be of another network from the start."""


@dataclass(frozen=True, slots=True)
class Forks:
    """Do right for some seconds after the port has opened, then make a chain of its own. Honest nodes refuse it."""

    seconds: float = 5.0
    name: str = "bad-release"


@dataclass(frozen=True, slots=True)
class GoesStale:
    """Do right for some seconds after the port has opened, then take in no block any more."""

    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class ReplaysAlways:
    """Take the database for unclean at each start, whatever its marker says, and be long about replaying it."""

    seconds: float = 40.0


Flaw = ExitsAtStart | NeverListens | Hangs | OtherNetwork | Forks | GoesStale | ReplaysAlways

FLAWS: dict[str, type[Flaw]] = {
    "exits": ExitsAtStart,
    "never-listens": NeverListens,
    "hangs": Hangs,
    "wrong-magic": OtherNetwork,
    "forks": Forks,
    "goes-stale": GoesStale,
    "long-replay": ReplaysAlways,
}


def render_flaw(flaw: Flaw) -> dict[str, Any]:
    """Return the entry that tells a release of its flaw."""
    kind = next(kind for kind, type_ in FLAWS.items() if isinstance(flaw, type_))
    return {"kind": kind, **asdict(flaw)}


def parse_flaw(entry: Mapping[str, Any] | None) -> Flaw | None:
    """Read such an entry; raise BadFlaw. None is a release that does right."""
    if entry is None:
        return None
    values = dict(entry)
    try:
        flaw = FLAWS[values.pop("kind")](**values)
    except (KeyError, TypeError) as error:
        raise BadFlaw(f"no flaw of a release: {entry!r} ({type(error).__name__}: {error})") from error
    for field in fields(flaw):
        value, default = getattr(flaw, field.name), field.default
        fits = isinstance(value, str) if isinstance(default, str) else isinstance(value, int | float) and value >= 0
        if not fits:
            raise BadFlaw(f"no flaw of a release: {entry!r} ({field.name} is {value!r}, expected one like {default!r})")
    return flaw


def pick_due_fault(flaw: Flaw | None, serving_since: float | None, now: float) -> Fault | None:
    """Return the fault that a flaw has come to by now; `serving_since` is when the port opened, None before."""
    match flaw:
        case Hangs():
            return Hang()
        case OtherNetwork():
            return WrongMagic()
        case GoesStale(seconds) if serving_since is not None and now >= serving_since + seconds:
            return Stall()
        case Forks(seconds, name) if serving_since is not None and now >= serving_since + seconds:
            return Fork(name, serving_since + seconds)
        case _:
            return None
