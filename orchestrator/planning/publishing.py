"""Which relays consumers are to find. Pure; where they are published is decided elsewhere.

A relay comes in only when it serves and is seen to agree with the others. It goes out at once on proof: a fork, another network,
death, a region that is dark, or because it leaves. Lack of evidence (stale, saturated, silent) takes it out only as far as the
floor allows: consumers are better served by a relay that may be fine than by none. That the cloud does not answer for a region is
no evidence against its relays at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.planning.assess import may_serve
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health, Phase, RelayView
from orchestrator.planning.trust import Judgement, Stand
from orchestrator.spec.model import FleetSpec

DOUBTFUL = (Phase.SYNCING, Phase.UNKNOWN)
"""Phases of relays of which too little is known, as opposed to those known not to serve."""

TRUSTED = (Stand.AGREES, Stand.LAGS)


def pick_published(views: Sequence[RelayView], judged: Judgement, look: Look, *, frozen: bool) -> frozenset[str]:
    """Return the names to publish. `frozen`: nobody comes or goes without proof."""
    before = _list_published_before(look)
    wanted = [view for view in views if not view.retiring]
    there = [view for view in wanted if view.region not in look.by.dark_regions]
    stands = {name: verdict.stand for name, verdict in judged.verdicts.items()}
    serving = frozenset(
        view.name
        for view in there
        if view.phase is Phase.SERVING and view.health is Health.HEALTHY
        if view.name in before or stands.get(view.name) in TRUSTED
    )
    doubtful = [view for view in there if view.name in before and view.phase in DOUBTFUL]
    if frozen:
        return (serving & before) | frozenset(view.name for view in doubtful)
    # Who cannot be asked because the cloud does not say where it is has done nothing wrong.
    serving |= frozenset(view.name for view in doubtful if view.region in look.seen.cloud.silent_regions)
    doubtful = [view for view in doubtful if view.name not in serving]
    lacking = count_floor(len(wanted), look.spec) - len(serving)
    best_first = sorted(doubtful, key=lambda view: (_doubt(view, stands.get(view.name), look), view.name))
    return serving | frozenset(view.name for view in best_first[: max(lacking, 0)])


def _list_published_before(look: Look) -> frozenset[str]:
    """Return who is published until now, by the record and by the zone.

    The zone alone still has whom the last look has just taken out, the record alone has whom nobody got round to put in. Where there
    is no record of anybody, the zone is believed; where the zone cannot be read, the record.
    """
    evidence, zone = look.record.evidence, look.seen.zone
    if zone is None or zone.silent:
        return evidence.published
    knows = bool(evidence.published or evidence.withdrawn or evidence.named)
    return evidence.published & zone.relays if knows else zone.relays


def list_findable(look: Look) -> frozenset[str]:
    """Name whom consumers could find until now: those published last, and those that the zone has, whoever wrote them there."""
    zone = look.seen.zone
    return look.record.evidence.published | (zone.relays if zone is not None else frozenset())


def list_found_lately(look: Look) -> frozenset[str]:
    """Name whom consumers could find until this look, or until the one before it: when in between somebody left is not known."""
    return list_findable(look) | (look.record.evidence.named if look.seen.zone is not None else frozenset())


def count_floor(wanted: int, spec: FleetSpec) -> int:
    """Return how many relays lack of evidence must leave published."""
    return -(-wanted * spec.publish.floor_percent // 100)


def why_below_floor(count: int, wanted: int, spec: FleetSpec) -> str | None:
    """Return what to warn of if fewer are published than the floor asks for."""
    floor = count_floor(wanted, spec)
    if count >= floor:
        return None
    return f"{count} of {wanted} relays are published, the floor is {floor}: too few serve and are trusted"


def _doubt(view: RelayView, stand: Stand | None, look: Look) -> int:
    """Order doubtful relays: those that still answer on the wire first, those suspected of a fork last."""
    if stand is Stand.SUSPECTED:
        return 2
    return 0 if may_serve(view.name, look.seen) else 1
