"""A relay as a slot with a name kept for life, and what names are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from orchestrator.spec.model import FleetSpec


@dataclass(frozen=True, slots=True, order=True)
class Relay:
    """A slot of the fleet; its generations are the instances that fill it one after another."""

    name: str
    region: str
    index: int
    """Number within its region, from 1; kept for life."""


def relay_name(fleet: str, region: str, index: int) -> str:
    """Return `<fleet>-<region>-<nn>`."""
    return f"{fleet}-{region}-{index:02d}"


def wanted_relays(spec: FleetSpec) -> tuple[Relay, ...]:
    """List the slots that the fleet file asks for, by region and index."""
    return _list_relays(spec.fleet, tuple((region, spec.relay_numbers(region)) for region in sorted(spec.regions)))


@lru_cache(maxsize=256)
def _list_relays(fleet: str, numbers: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[Relay, ...]:
    return tuple(Relay(relay_name(fleet, region, index), region, index) for region, own in numbers for index in own)
