"""What a fleet file asks for, in the words of the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.fleet.relay import wanted_relays
from orchestrator.spec.model import FleetSpec


@dataclass(frozen=True, slots=True)
class Rules:
    """What the fleet file in force asks for, in the words of this oracle."""

    wanted: Mapping[str, str]
    """Relay → region."""
    most_out: int
    most_out_in: Mapping[str, int]
    """By region."""
    replace_after: timedelta
    max_tip_age: timedelta
    return_after: timedelta
    verified: frozenset[str]
    """Checksums of the releases that are what they should be."""
    confirmed: frozenset[str] = frozenset()


def rules_of(spec: FleetSpec, confirmed: frozenset[str], unverifiable: frozenset[str] = frozenset()) -> Rules:
    """Return the rules of a fleet file; `unverifiable` are checksums that no archive has."""
    checksums = {artifact.sha256 for builds in spec.releases.values() for artifact in builds.values()}
    return Rules(
        wanted={relay.name: relay.region for relay in wanted_relays(spec)},
        most_out=spec.most_out(),
        most_out_in={region: spec.most_out_in(region) for region in spec.regions},
        replace_after=spec.rollout.replace_after,
        return_after=spec.trust.return_after,
        max_tip_age=spec.health.max_tip_age,
        verified=frozenset(checksums - unverifiable),
        confirmed=confirmed,
    )
