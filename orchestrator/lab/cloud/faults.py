"""The faults that the lab's cloud can be told to have: what they are, which are on, and how often they still strike.

A fault names what it applies to; a field left empty applies to everything. Values only: who asks the board, and what
happens then, is elsewhere (`gate` for faults of calls, `ec2` for faults of instances and volumes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from threading import Lock
from typing import Any, TypeVar


@dataclass(frozen=True, slots=True)
class DelayedVisibility:
    """What RunInstances or CreateVolume made is unknown to every other call for a while."""

    seconds: float
    region: str | None = None


@dataclass(frozen=True, slots=True)
class NoCapacity:
    """InsufficientInstanceCapacity."""

    region: str | None = None
    zone: str | None = None
    instance_type: str | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """RequestLimitExceeded for every n-th call (1: for all)."""

    every: int = 1
    region: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorAfterEffect:
    """The call does what it says, and its answer is InternalError."""

    action: str
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """UnauthorizedOperation for one action."""

    action: str
    region: str | None = None


@dataclass(frozen=True, slots=True)
class BadCredentials:
    """AuthFailure, as for revoked keys."""

    region: str | None = None


@dataclass(frozen=True, slots=True)
class SlowCall:
    """The answer takes a while."""

    seconds: float
    region: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class NeverBoots:
    """The API says running, and there is no machine. `name` is the instance's Name tag."""

    region: str | None = None
    name: str | None = None
    status: str = "impaired"


@dataclass(frozen=True, slots=True)
class LaunchFails:
    """The launch is accepted, and the instance goes from pending to terminated (Server.InternalError)."""

    region: str | None = None
    name: str | None = None


Fault = (
    DelayedVisibility
    | NoCapacity
    | Throttled
    | ErrorAfterEffect
    | Denied
    | BadCredentials
    | SlowCall
    | NeverBoots
    | LaunchFails
)

KINDS: Mapping[str, type[Fault]] = {
    "delayed-visibility": DelayedVisibility,
    "no-capacity": NoCapacity,
    "throttled": Throttled,
    "error-after-effect": ErrorAfterEffect,
    "denied": Denied,
    "bad-credentials": BadCredentials,
    "slow-call": SlowCall,
    "never-boots": NeverBoots,
    "launch-fails": LaunchFails,
}

AnyFault = TypeVar("AnyFault", bound=Fault)


class BadFaultError(ValueError):
    """A fault's description is wrong; the message says what is possible."""


def parse_fault(document: Mapping[str, Any]) -> tuple[Fault, int | None]:
    """Read a fault from JSON: its `kind`, its fields, and `times` (empty: until cleared)."""
    values = dict(document)
    kind = KINDS.get(str(values.pop("kind", None)))
    times = values.pop("times", None)
    if kind is None:
        raise BadFaultError(f"kind is {document.get('kind')!r}, expected one of {', '.join(KINDS)}")
    if times is not None and (not isinstance(times, int) or times < 1):
        raise BadFaultError(f"times is {times!r}, expected a whole number above 0")
    known = {field.name: str(field.type) for field in fields(kind)}
    for name, value in values.items():
        if name not in known or not _fits(value, known[name]):
            expected = ", ".join(f"{key}: {wanted}" for key, wanted in known.items())
            raise BadFaultError(f"{document['kind']} cannot have {name} = {value!r}, expected {expected}")
    try:
        return kind(**values), times
    except TypeError as error:
        raise BadFaultError(f"{document['kind']}: {error}") from error


def _fits(value: object, wanted: str) -> bool:
    """Say whether a JSON value has a field's type: the types that faults use, no more."""
    match wanted:
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        case "int":
            return isinstance(value, int) and not isinstance(value, bool) and value > 0
        case "str":
            return isinstance(value, str)
        case _:
            return value is None or isinstance(value, str)


def render_fault(fault: Fault) -> dict[str, Any]:
    """Write a fault as the JSON that `parse_fault` reads, without what is empty."""
    kind = next(name for name, made in KINDS.items() if made is type(fault))
    return {"kind": kind} | {name: value for name, value in asdict(fault).items() if value is not None}


@dataclass(slots=True)
class _Active:
    fault: Fault
    times_left: int | None
    asked: int = 0


class FaultBoard:
    """The faults that are on now. Safe to use from several threads."""

    def __init__(self) -> None:
        self._active: dict[str, _Active] = {}
        self._made = 0
        self._lock = Lock()

    def add(self, fault: Fault, times: int | None = None) -> str:
        """Switch a fault on, for so many strikes or until cleared; return its id."""
        with self._lock:
            self._made += 1
            fault_id = f"fault-{self._made}"
            self._active[fault_id] = _Active(fault, times)
            return fault_id

    def clear(self, fault_id: str | None = None) -> int:
        """Switch one fault off, or all; return how many were on."""
        with self._lock:
            before = len(self._active)
            if fault_id is None:
                self._active.clear()
            else:
                self._active.pop(fault_id, None)
            return before - len(self._active)

    def list(self) -> tuple[dict[str, Any], ...]:
        """Describe the faults that are on."""
        with self._lock:
            return tuple(
                {"id": fault_id, "times_left": active.times_left} | render_fault(active.fault)
                for fault_id, active in self._active.items()
            )

    def take(self, kind: type[AnyFault], **subject: str) -> AnyFault | None:
        """Return the fault of this kind that strikes the subject now, and count the strike."""
        with self._lock:
            for fault_id, active in self._active.items():
                fault = active.fault
                if not isinstance(fault, kind) or not _applies(fault, subject):
                    continue
                active.asked += 1
                if isinstance(fault, Throttled) and active.asked % fault.every:
                    continue
                if active.times_left is not None:
                    active.times_left -= 1
                    if active.times_left == 0:
                        del self._active[fault_id]
                return fault
            return None


def _applies(fault: Fault, subject: Mapping[str, str]) -> bool:
    return all(getattr(fault, name, None) in (None, value) for name, value in subject.items())
