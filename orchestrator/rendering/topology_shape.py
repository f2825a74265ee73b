"""Which keys a topology may have where, since which release, and of which type: the shape, before any meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

from orchestrator.rendering.topology_findings import Circumstances, Finding, find, severity_by_version, show
from orchestrator.rendering.topology_rules import Code
from orchestrator.spec.findings import Path


class KnownKey(NamedTuple):
    """A key that the node reads."""

    since: tuple[int, ...] = (1, 35)
    required: bool = False


Keys = Mapping[str, KnownKey]

TOPOLOGY_KEYS: Keys = MappingProxyType(
    {
        "localRoots": KnownKey(required=True),
        "publicRoots": KnownKey(required=True),
        "bootstrapPeers": KnownKey((8, 9)),
        "useLedgerAfterSlot": KnownKey(),
        "peerSnapshotFile": KnownKey((10, 2)),
    }
)
GROUP_KEYS: Keys = MappingProxyType(
    {
        "accessPoints": KnownKey(required=True),
        "advertise": KnownKey(),
        "trustable": KnownKey((8, 9)),
        "valency": KnownKey(),
        "hotValency": KnownKey((8, 2)),
        "warmValency": KnownKey((8, 2)),
        "diffusionMode": KnownKey((10, 2)),
        "behindFirewall": KnownKey((10, 7)),
    }
)
PUBLIC_KEYS: Keys = MappingProxyType({"accessPoints": KnownKey(required=True), "advertise": KnownKey()})
POINT_KEYS: Keys = MappingProxyType({"address": KnownKey(required=True), "port": KnownKey()})

DESCRIPTIVE_KEYS = frozenset({"comment", "description", "location", "name", "pool"})
"""Written for people by several tools; none of them is near a key that the node reads."""

LONGEST_KEY = 40
"""Nobody mistypes a key into one longer than this."""


def check_keys(members: Mapping[str, Any], known: Keys, path: Path, circumstances: Circumstances) -> Iterator[Finding]:
    """Yield keys that are missing, that no node knows, and that this node does not know yet."""
    for key, wanted in known.items():
        if wanted.required and key not in members:
            yield find(Code.MISSING_KEY, (*path, key), f"{key} is missing")
    for key in members:
        if key in known:
            if not (knows := circumstances.knows(known[key].since)):
                since = ".".join(map(str, known[key].since))
                severity = severity_by_version(known=knows)
                yield find(Code.KEY_TOO_NEW, (*path, key), f"{key} came with node {since}", severity)
        elif key in DESCRIPTIVE_KEYS:
            yield find(Code.DESCRIPTIVE_KEY, (*path, key), f"{key} is no key of the node's")
        else:
            yield find(Code.UNKNOWN_KEY, (*path, key), f"unknown key {show(key)}{_suggest(key, known)}")


def check_boolean(members: Mapping[str, Any], key: str, path: Path) -> Iterator[Finding]:
    """Yield a finding if a member is there and neither true nor false."""
    if key in members and not isinstance(members[key], bool):
        yield wrong_type((*path, key), members[key], "true or false")


def wrong_type(path: Path, value: object, expected: str) -> Finding:
    """Return the finding that a value is not of the type that the node reads."""
    name = next((step for step in reversed(path) if isinstance(step, str)), "the file")
    return find(Code.WRONG_TYPE, path, f"{name} is {show(value)} where {expected} is expected")


def read_number(value: object) -> int | float | None:
    """Return a number, finite and no truth value; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 10**300 else None


def read_whole(value: object) -> int | None:
    """Return a whole number, also one written with a point; None for anything else."""
    number = read_number(value)
    return int(number) if number is not None and number == number // 1 else None


def _suggest(key: str, known: Keys) -> str:
    if len(key) > LONGEST_KEY:
        return ""
    lowered = {name.lower(): name for name in known}
    close = get_close_matches(key.lower(), lowered, n=1, cutoff=0.7)
    return f" (did you mean {lowered[close[0]]}?)" if close else ""
