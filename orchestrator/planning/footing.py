"""What each relay is to be, and what it is: by digest, with the signals that a look measured of it. Pure.

The digest of a relay is of all that would ask for a restart or a replacement if it differed: files, release, image, instance type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from orchestrator.fleet.observation import HostFacts, Instance, Sighting
from orchestrator.fleet.rollout import Bundle, Restart
from orchestrator.planning.assess import Slot
from orchestrator.planning.comparison import Signals
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health, Phase, RelayView
from orchestrator.planning.trust import Judgement
from orchestrator.rendering import layout
from orchestrator.rendering.bundle import parse_bundle
from orchestrator.rendering.values import RenderedRelay
from orchestrator.spec.model import FleetSpec

UNBORN = (Phase.ABSENT, Phase.LAUNCHING, Phase.DEAD)
"""Phases of relays on which nothing runs that could be told to be another."""


@dataclass(frozen=True, slots=True)
class Footing:
    """One relay: what it is to be, and what it is."""

    name: str
    region: str
    wish: str
    """Digest that the fleet file asks for."""
    runs: str
    """Digest that it runs, or that lies on it while its node is down; empty if that is not known."""
    view: RelayView
    facts: HostFacts | None
    """None if its host was not asked, or did not answer."""
    signals: Signals

    @property
    def healthy(self) -> bool:
        """Whether it serves."""
        return self.view.health is Health.HEALTHY

    @property
    def arrived(self) -> bool:
        """Whether it is what the fleet file asks for."""
        return self.runs == self.wish


def find_footings(
    slots: Iterable[Slot],
    views: Mapping[str, RelayView],
    rendered: Mapping[str, RenderedRelay],
    judged: Judgement,
    look: Look,
) -> Mapping[str, Footing]:
    """Return the footing of every wanted relay, by name."""
    kept = {parse_bundle(bundle.document).restart_digest for bundle in look.record.bundles.values()}
    footings = {}
    for slot in slots:
        name, wish = slot.relay.name, rendered[slot.relay.name]
        found = look.seen.hosts.get(slot.current.instance_id) if slot.current is not None else None
        facts = found if isinstance(found, HostFacts) else None
        runs = _find_running(slot.current, facts, wish, kept, look.spec)
        restart = look.record.rollout.restarts.get(name)
        footings[name] = Footing(
            name=name,
            region=slot.relay.region,
            wish=digest_of_wish(wish.restart_digest, slot.relay.region, look.spec),
            runs=runs,
            view=views[name],
            facts=facts,
            signals=_measure(facts, look.seen.sightings.get(name), restart, judged, name),
        )
    return footings


def digest_of_wish(restart_digest: str, region: str, spec: FleetSpec) -> str:
    """Return what a relay of a region is to be."""
    wanted = spec.regions[region]
    return combine_digest(restart_digest, wanted.image or "", wanted.instance_type or "")


@lru_cache(maxsize=4096)
def combine_digest(restart_digest: str, image: str, instance_type: str) -> str:
    """Return the digest of files and release together with what the instance was launched from; empty where hosts are named."""
    return hashlib.sha256(f"{restart_digest}\n{image}\n{instance_type}".encode()).hexdigest()[:16]


def make_bundle(rendered: RenderedRelay, document: str, region: str, spec: FleetSpec) -> Bundle:
    """Return what is to be kept of a wish for one region."""
    wanted = spec.regions[region]
    digest = digest_of_wish(rendered.restart_digest, region, spec)
    return Bundle(digest, rendered.release.version, wanted.image or "", wanted.instance_type or "", document)


def lend_bundles(good: Mapping[str, str], bundles: Mapping[str, Bundle], spec: FleetSpec) -> Mapping[str, Bundle]:
    """Return for regions without anything proven what another region has proven, launched as the region itself says.

    Only hosts of the same size and architecture are made of the same files.
    """
    lent: dict[str, Bundle] = {}
    for region, wanted in sorted(spec.regions.items()):
        lenders = (bundles.get(good[other]) for other in sorted(good) if _are_alike(other, region, spec))
        bundle = next((found for found in lenders if found is not None), None)
        if region not in good and bundle is not None:
            image, instance_type = wanted.image or "", wanted.instance_type or ""
            digest = combine_digest(parse_bundle(bundle.document).restart_digest, image, instance_type)
            lent[region] = replace(bundle, digest=digest, image=image, instance_type=instance_type)
    return lent


def _are_alike(one: str, other: str, spec: FleetSpec) -> bool:
    sizes = [
        (region.memory_gib, region.cores, region.architecture)
        for region in (spec.regions.get(one), spec.regions.get(other))
        if region is not None
    ]
    return len(sizes) == 2 and sizes[0] == sizes[1]


def _find_running(
    instance: Instance | None, facts: HostFacts | None, wish: RenderedRelay, kept: Iterable[str], spec: FleetSpec
) -> str:
    if instance is None or facts is None:
        return ""
    restart_digest = facts.running_restart_digest or _find_lying(facts, {wish.restart_digest, *kept})
    if not restart_digest:
        return ""
    named = spec.cloud.kind == "static"
    return combine_digest(restart_digest, "" if named else instance.image, "" if named else instance.instance_type)


def _find_lying(facts: HostFacts, known: Iterable[str]) -> str:
    """Return which of the known digests was last written on a host whose node does not run."""
    written = facts.files.get(layout.RESTART_DIGEST)
    if written is None:
        return ""
    return next((digest for digest in sorted(known) if _checksum(digest) == written.sha256), "")


@lru_cache(maxsize=4096)
def _checksum(digest: str) -> str:
    return hashlib.sha256(f"{digest}\n".encode()).hexdigest()


def _measure(
    facts: HostFacts | None, sighting: Sighting | None, restart: Restart | None, judged: Judgement, name: str
) -> Signals:
    metrics = facts.metrics if facts is not None else None
    verdict = judged.verdicts.get(name)
    return Signals(
        tip_age_seconds=sighting.tip_age_seconds if sighting is not None else None,
        handshake_seconds=sighting.handshake_seconds if sighting is not None else None,
        restarts=facts.restarts if facts is not None else None,
        inbound=metrics.inbound if metrics is not None else None,
        stand=verdict.stand if verdict is not None else None,
        before=restart.inbound if restart is not None else None,
    )
