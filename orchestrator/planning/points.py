"""Which points of the chain are kept to ask about in later looks. Pure.

Dense at the tip, where slot battles and young forks are told apart, and ever sparser below: for each doubling of the distance
one point of what several have shown, and one of what others have shown beside it. Distance is measured from the middle of the
tips, not from the highest: one peer that names an impossible block must not push everything else out of memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import median_low

from orchestrator.fleet.chain import ChainPoint, ShownPoint
from orchestrator.fleet.observation import Sighting

MOST_BRANCHES = 4
"""Points kept of one height."""

MOST_SPARSE_POINTS = 32

MOST_NAMES = 8
"""Names kept of those who showed one point: it only matters whether it was more than one, and whether they are others."""


def note_points(
    known: Iterable[ShownPoint], sightings: Mapping[str, Sighting], now: datetime, fork_depth: int
) -> tuple[ShownPoint, ...]:
    """Return the points to keep after this look, newest first: those known before, and the tips shown now."""
    points = {shown.point: shown for shown in known}
    tips: list[int] = []
    for name, sighting in sorted(sightings.items()):
        if sighting.tip is None or sighting.tip_block is None:
            continue
        tips.append(sighting.tip_block)
        before = points.get(sighting.tip, ShownPoint(sighting.tip, sighting.tip_block, now, frozenset()))
        if len(before.shown_by) < MOST_NAMES and name not in before.shown_by:
            before = replace(before, shown_by=before.shown_by | {name})
        points[sighting.tip] = before
    middle = median_low(tips) if tips else max((shown.block for shown in points.values()), default=0)
    return thin_out(points.values(), middle, fork_depth)


def thin_out(points: Iterable[ShownPoint], middle: int, fork_depth: int) -> tuple[ShownPoint, ...]:
    """Drop what later looks need not ask about; newest first, the same for any order of the input.

    The heights that a fork's depth is told by are all kept. What is far above the middle is of this look or of none.
    """
    ordered = sorted(points, key=lambda shown: (-shown.block, -len(shown.shown_by), shown.point))
    above = [shown for shown in ordered if shown.block > middle + fork_depth]
    dense = [shown for shown in ordered if middle - fork_depth <= shown.block <= middle + fork_depth]
    newest = max((shown.at for shown in ordered), default=None)
    kept = [shown for shown in above if shown.at == newest][:MOST_BRANCHES]
    heights: dict[int, int] = {}
    for shown in dense:
        heights[shown.block] = heights.get(shown.block, 0) + 1
        if heights[shown.block] <= MOST_BRANCHES:
            kept.append(shown)
    buckets: dict[int, list[ShownPoint]] = {}
    for shown in ordered:
        if shown.block < middle - fork_depth:
            buckets.setdefault((middle - shown.block).bit_length(), []).append(shown)
    sparse = [shown for number in sorted(buckets) for shown in _oldest_of_each_side(buckets[number])]
    return (*kept, *sparse[:MOST_SPARSE_POINTS])


def _oldest_of_each_side(bucket: Sequence[ShownPoint]) -> list[ShownPoint]:
    """Return the oldest point of a bucket, and the oldest that others have shown.

    The oldest, because it is the one that moves on into the next bucket, so none runs empty for long. What several have shown
    comes first, or a lonely fork would push the others' chain out of memory; what others have shown is kept beside it, or the
    others would push out the fork's.
    """
    by_age = sorted(bucket, key=lambda shown: (len(shown.shown_by) == 1, shown.block, shown.point))
    first = by_age[0]
    other = next((shown for shown in by_age[1:] if not shown.shown_by & first.shown_by), None)
    return [first] if other is None else [first, other]


def heights_of(points: Iterable[ShownPoint], sightings: Iterable[Sighting]) -> dict[ChainPoint, int]:
    """Return the block number of every point that is known or was shown."""
    heights = {shown.point: shown.block for shown in points}
    for sighting in sightings:
        if sighting.tip is not None and sighting.tip_block is not None:
            heights[sighting.tip] = sighting.tip_block
    return heights
