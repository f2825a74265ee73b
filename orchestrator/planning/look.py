"""One look: everything a decision may depend on, in one value that is passed down unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestrator.fleet.observation import Observation
from orchestrator.fleet.record import FleetRecord
from orchestrator.rendering.values import NetworkFiles, Templates
from orchestrator.spec.model import FleetSpec


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted, whole: the fleet file, the network's files, the templates."""

    spec: FleetSpec
    network: NetworkFiles
    templates: Templates


@dataclass(frozen=True, slots=True)
class Look:
    """What is wanted, seen, recorded, and when."""

    wanted: Wanted
    seen: Observation
    record: FleetRecord
    now: datetime

    @property
    def spec(self) -> FleetSpec:
        """The fleet file."""
        return self.wanted.spec
