"""The port of the names: the zone that has them, and the resolver that consumers ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from orchestrator.fleet.names import NO_ANSWERS, Answers, NameChange, ZoneView


class NamesPort(Protocol):
    """The record sets at the fleet's name and below."""

    def observe_zone(self) -> ZoneView | None:
        """Read the zone; None where nobody keeps one for this fleet. A zone that cannot be read is told, not raised."""

    def observe_answers(self) -> Mapping[str, Answers]:
        """Ask the resolver for the fleet's name and those of its regions; empty for a fleet without names."""

    def save_names(self, change: NameChange) -> None:
        """Make a change, all of it or nothing. Raises CloudRefused or CloudUnavailable.

        Safe without fencing: what is taken out must be exactly as it was seen, what is put in must not be there yet.
        """


class NoNames:
    """A fleet whose names are kept elsewhere, or that has none."""

    def observe_zone(self) -> ZoneView | None:
        """Know of no zone."""
        return None

    def observe_answers(self) -> Mapping[str, Answers]:
        """Ask nobody."""
        return NO_ANSWERS

    def save_names(self, change: NameChange) -> None:
        """Never asked: what has no zone has no changes."""
        raise NotImplementedError(change)


NO_NAMES = NoNames()
