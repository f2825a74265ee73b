"""Which points of the chain are kept to ask about in later looks. Pure.

Dense at the tip, where slot battles and young forks are told apart, and ever sparser below: about one point for each
doubling of the distance. So a fork's depth is known to within a factor of two however deep it is, at the cost of some
twenty points. Points of all branches are kept: they show who is on a branch together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from orchestrator.fleet.chain import ChainPoint, ShownPoint
from orchestrator.fleet.observation import Sighting

MOST_BRANCHES = 4
"""Points kept of one height."""

MOST_SPARSE_POINTS = 24

MOST_NAMES = 8
"""Names kept of those who showed one point: it only matters whether it was more than one."""


def note_points(
    known: Iterable[ShownPoint], sightings: Mapping[str, Sighting], now: datetime, fork_depth: int
) -> tuple[ShownPoint, ...]:
    """Return the points to keep after this look, newest first: those known before, and the tips shown now."""
    points = {shown.point: shown for shown in known}
    for name, sighting in sorted(sightings.items()):
        if sighting.tip is None or sighting.tip_block is None:
            continue
        before = points.get(sighting.tip, ShownPoint(sighting.tip, sighting.tip_block, now, frozenset()))
        if len(before.shown_by) < MOST_NAMES:
            before = replace(before, shown_by=before.shown_by | {name})
        points[sighting.tip] = before
    return thin_out(points.values(), fork_depth)


def thin_out(points: Iterable[ShownPoint], fork_depth: int) -> tuple[ShownPoint, ...]:
    """Drop what later looks need not ask about; newest first, the same for any order of the input.

    The heights that a fork's depth is told by are all kept.
    """
    ordered = sorted(points, key=lambda shown: (-shown.block, -len(shown.shown_by), shown.point))
    if not ordered:
        return ()
    newest = ordered[0].block
    kept: list[ShownPoint] = []
    buckets: dict[int, list[ShownPoint]] = {}
    for shown in ordered:
        distance = newest - shown.block
        if distance <= fork_depth:
            if sum(1 for other in kept if other.block == shown.block) < MOST_BRANCHES:
                kept.append(shown)
        else:
            buckets.setdefault(distance.bit_length(), []).append(shown)
    # The oldest of each bucket: it is the one that moves on into the next, so no bucket runs empty for long. One that
    # several have shown comes first, or a lonely fork would push the others' chain out of memory.
    kept.extend(min(bucket, key=lambda s: (len(s.shown_by) < 2, s.block, s.point)) for bucket in buckets.values())
    return tuple(kept[: fork_depth + MOST_SPARSE_POINTS])


def heights_of(points: Iterable[ShownPoint], sightings: Iterable[Sighting]) -> dict[ChainPoint, int]:
    """Return the block number of every point that is known or was shown."""
    heights = {shown.point: shown.block for shown in points}
    for sighting in sightings:
        if sighting.tip is not None and sighting.tip_block is not None:
            heights[sighting.tip] = sighting.tip_block
    return heights
