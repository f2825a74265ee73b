"""Which relays consumers are to find. Pure; where they are published is decided elsewhere.

A relay comes in only when it serves and is trusted. It goes out at once on proof: a fork, another network, death, a region
that is dark, or because it leaves. Lack of evidence (stale, saturated, silent) takes it out only as far as the floor allows: consumers are
better served by a relay that may be fine than by none.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.fleet.observation import Observation
from orchestrator.planning.assess import may_serve
from orchestrator.planning.plan import Health, Phase, RelayView
from orchestrator.spec.model import FleetSpec

DOUBTFUL = (Phase.SYNCING, Phase.UNKNOWN)
"""Phases of relays of which too little is known, as opposed to those known not to serve."""


def pick_published(
    views: Sequence[RelayView],
    before: frozenset[str],
    seen: Observation,
    spec: FleetSpec,
    dark_regions: frozenset[str] = frozenset(),
    *,
    frozen: bool,
) -> frozenset[str]:
    """Return the names to publish. `before` are those published now; `frozen`: nobody comes or goes without proof."""
    wanted = [view for view in views if not view.retiring and view.region not in dark_regions]
    serving = frozenset(v.name for v in wanted if v.phase is Phase.SERVING and v.health is Health.HEALTHY)
    doubtful = {v.name: v for v in wanted if v.name in before and v.phase in DOUBTFUL}
    if frozen:
        return (serving & before) | frozenset(doubtful)
    lacking = count_floor(sum(1 for view in views if not view.retiring), spec) - len(serving)
    best_first = sorted(doubtful, key=lambda name: (_doubt(doubtful[name], seen), name))
    return serving | frozenset(best_first[: max(lacking, 0)])


def count_floor(wanted: int, spec: FleetSpec) -> int:
    """Return how many relays lack of evidence must leave published."""
    return -(-wanted * spec.publish.floor_percent // 100)


def why_below_floor(count: int, wanted: int, spec: FleetSpec) -> str | None:
    """Return what to warn of if fewer are published than the floor asks for."""
    floor = count_floor(wanted, spec)
    if count >= floor:
        return None
    return f"{count} of {wanted} relays are published, the floor is {floor}: too few serve and are trusted"


def _doubt(view: RelayView, seen: Observation) -> int:
    """Order doubtful relays: those that still answer on the wire first."""
    return 0 if may_serve(view.name, seen) else 1
