"""The names under which a fleet is found: record sets as values, and what a look saw of them. No judgement.

Names are in lower case, without the last dot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

ADDRESSES = ("A", "AAAA")


class Routing(StrEnum):
    """How one of several record sets of a name is chosen."""

    SIMPLE = "simple"
    MULTIVALUE = "multivalue"
    """Up to eight of them, by chance."""
    LATENCY = "latency"
    """The one whose region is nearest to who asks."""


@dataclass(frozen=True, slots=True, order=True)
class NameRecord:
    """One record set."""

    name: str
    kind: str
    """`A`, `AAAA` or `TXT`."""
    values: tuple[str, ...] = ()
    """Addresses or texts; empty for an alias."""
    ttl: int = 0
    """Seconds; 0 for an alias, which has that of its target."""
    routing: Routing = Routing.SIMPLE
    set_id: str = ""
    """Tells record sets of one name and kind apart; empty for a simple one."""
    region: str = ""
    """Of a latency record."""
    alias: str = ""
    """Name that it stands for."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What no two record sets of a zone have in common."""
        return self.name, self.kind, self.set_id


@dataclass(frozen=True, slots=True)
class ZoneView:
    """What the zone has at the fleet's name and below, whosever it is."""

    records: tuple[NameRecord, ...] = ()
    fading: tuple[NameRecord, ...] = ()
    """Taken out by a change of this controller that not all name servers know of yet."""
    silent: str = ""
    """Why the zone could not be read, or empty; then nothing is known of it."""
    relays: frozenset[str] = field(init=False, repr=False, compare=False)
    """First labels of names with addresses, and identifiers of multivalue records: relays that can be found, among others."""

    def __post_init__(self) -> None:
        with_address = [each for each in (*self.records, *self.fading) if each.kind in ADDRESSES and each.values]
        found = {each.set_id or each.name.partition(".")[0] for each in with_address}
        object.__setattr__(self, "relays", frozenset(found))


@dataclass(frozen=True, slots=True)
class NameChange:
    """Takes record sets out and puts others in, all at once or not at all."""

    delete: tuple[NameRecord, ...] = ()
    create: tuple[NameRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What a resolver answered for one name."""

    addresses: frozenset[str] = frozenset()
    trouble: str = ""
    """Why there is no answer, or empty; a name that does not exist is an answer without addresses."""


NO_ANSWERS: Mapping[str, Answers] = MappingProxyType({})
