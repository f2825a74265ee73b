"""What a fleet file asks for, in the words of the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from orchestrator.fleet.relay import wanted_relays
from orchestrator.planning.look import Wanted
from orchestrator.spec.model import FleetSpec

SHARE_OF_A_REGION = 3


class Make(NamedTuple):
    """What a node is made with, as it can be read on its host."""

    release: str
    """Checksum of the archive."""
    settings: str
    """Soft limit of connections."""
    image: str
    """This and the type are empty in a fleet whose regions differ in them."""
    instance_type: str


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
    versions: Mapping[str, str] = field(default_factory=dict)
    """Checksum → release, for people."""
    wish: frozenset[Make] = frozenset()
    """What nodes are to be made with."""
    partners: frozenset[str] = frozenset()
    canaries: int = 1
    canary_bake: timedelta = timedelta()
    bake: timedelta = timedelta()
    by_region: bool = False
    wave_share: int | str | None = None
    """Relays of a region that go in one wave: so many, or so many percent; None: a third."""
    progress_deadline: timedelta = timedelta(minutes=15)
    drain_time: timedelta | None = None

    def most_in_wave(self, relays: int) -> int:
        """Return how many of so many relays of a region may go in one wave."""
        match self.wave_share:
            case None:
                return max(1, relays // SHARE_OF_A_REGION)
            case int(number):
                return number
            case percent:
                return max(1, relays * int(percent.rstrip("%")) // 100)


@lru_cache(maxsize=64)  # asked whenever a controller begins, mostly for the file that is in force already
def rules_of_file(wanted: Wanted, confirmed: frozenset[str], unverifiable: frozenset[str]) -> Rules:
    """Return the rules of what a fleet file wants; see below."""
    return rules_of(wanted.spec, confirmed, unverifiable)


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
        versions=spec.list_versions(),
        wish=_list_makes(spec),
        partners=frozenset(partner.name for partner in spec.partners),
        canaries=spec.rollout.canaries,
        canary_bake=spec.rollout.canary_bake or timedelta(),
        bake=spec.rollout.bake or timedelta(),
        by_region=spec.rollout.order == "by-region",
        wave_share=spec.rollout.wave_share,
        progress_deadline=spec.rollout.progress_deadline,
        drain_time=spec.rollout.drain_time,
    )


def _list_makes(spec: FleetSpec) -> frozenset[Make]:
    kinds = {(region.image or "", region.instance_type or "") for region in spec.regions.values()}
    (image, instance_type) = kinds.pop() if len(kinds) == 1 else ("", "")
    checksums = [artifact.sha256 for artifact in spec.releases[spec.release].values()]
    return frozenset(Make(checksum, str(spec.connections.soft_limit), image, instance_type) for checksum in checksums)
