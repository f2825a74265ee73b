"""Hand-made chains for tests of planning: blocks 20 slots apart, one a look, and branches that leave the main one where they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.fleet.record import NO_EVIDENCE, Evidence, Pin
from orchestrator.planning.look import Look
from orchestrator.planning.trust import Judgement, judge_chain
from tests.scenarios.looks import serving_look

PARTED = {"main": 0, "fork": 10, "late": 18}
"""Branch → last block that it has in common with the main one."""

LAST = 60
SLOTS = 20


def point(block: int, branch: str = "main") -> ChainPoint:
    """The point of a block: of the main branch as long as its own has not begun."""
    return ChainPoint(block * SLOTS, f"{branch if block > PARTED[branch] else 'main'}-{block}")


EVERY = frozenset(point(block, branch) for branch in PARTED for block in range(1, LAST + 1))
HEIGHTS = {each: each.slot // SLOTS for each in EVERY}


def chain(block: int, branch: str = "main") -> frozenset[ChainPoint]:
    """All points up to a block."""
    return frozenset(point(each, branch) for each in range(1, block + 1))


def tip(block: int, branch: str = "main", *, asked: frozenset[ChainPoint] = EVERY, **changes: object) -> Sighting:
    """Somebody on a branch, asked about every point there may be, or about these."""
    head = point(block, branch)
    shown = Sighting(
        Verdict.OK,
        tip_slot=head.slot,
        tip_block=block,
        tip_hash=head.hash,
        tip_age_seconds=float((LAST - block) * SLOTS),
        asked=asked,
        has=chain(block, branch) & asked,
    )
    return replace(shown, **changes)


NAMES = tuple(sorted(serving_look().seen.sightings))
"""Two partners, alpha and beta, and eight relays."""


def look_at(
    block: int,
    *,
    shown: Mapping[str, Sighting | None],
    evidence: Evidence = NO_EVIDENCE,
    pin: Pin | None = None,
    later: timedelta = timedelta(),
) -> Look:
    """All of the fleet at a block of the main chain, but for those who show something else, or nothing."""
    look = serving_look()
    seen = {name: tip(block) for name in NAMES} | dict(shown)
    sightings = {name: each for name, each in seen.items() if each is not None}
    return replace(
        look,
        seen=replace(look.seen, sightings=sightings, heights=HEIGHTS),
        record=replace(look.record, evidence=evidence, pin=pin),
        now=look.now + later,
    )


def judge(block: int, releases: Mapping[str, str] | None = None, **circumstances: object) -> Judgement:
    """What one look makes of it."""
    return judge_chain(look_at(block, **{"shown": {}, **circumstances}), releases or {})
