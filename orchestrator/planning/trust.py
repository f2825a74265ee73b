"""Is each relay on the right chain? Pure: one look and the evidence of earlier ones in, verdicts and evidence out.

Start with `judge_chain`. Who is with whom is found by `camps`, and which side is right, if that can be said, by `court`.
A relay on another chain than the right one is suspected, and after some looks that each brought a block which it lacks, it
is proven to be forked. Then it is quarantined, until it has agreed for a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.fleet.record import Evidence, Quarantine, Suspicion
from orchestrator.fleet.relay import wanted_relays
from orchestrator.planning.camps import (
    TOLD,
    Parting,
    Witness,
    find_parting,
    make_witness,
)
from orchestrator.planning.court import Court, open_court, weigh_camps
from orchestrator.planning.freshness import warn_of_clock, why_all_stale
from orchestrator.planning.look import Look
from orchestrator.planning.points import heights_of, note_points


class Stand(StrEnum):
    """How a relay or partner stands to the others' chain."""

    AGREES = "agrees"
    LAGS = "lags"
    SUSPECTED = "suspected"
    FORKED = "forked"
    OTHER_NETWORK = "other network"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """One verdict, with its evidence in words."""

    stand: Stand
    text: str
    behind_seconds: float | None = None
    """How much older its tip is than most of those it is measured by."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one look and the evidence before it say of the chain."""

    verdicts: Mapping[str, ChainVerdict]
    """By relay or partner."""
    quarantines: Mapping[str, Quarantine]
    """In force after this look."""
    halted: str | None
    """Why no rollout goes on: the chain itself is in doubt."""
    warnings: tuple[str, ...]
    agreed_tip: ChainPoint | None
    """Newest point of the chain that the quorum stands on."""
    evidence: Evidence
    """To be kept for the next look."""
    all_stale: str | None = None
    """Why stale tips are no relay's fault: everybody's are."""


def judge_chain(look: Look, releases: Mapping[str, str]) -> Judgement:
    """Judge every relay and partner that was probed. `releases` is relay → version that it runs, as far as known."""
    sightings = look.seen.sightings
    witnesses = _call_witnesses(look, releases)
    heights = heights_of(look.record.evidence.points, sightings.values()) | dict(look.seen.heights)
    court = open_court(look, heights, witnesses)
    halted, warnings, spared = weigh_camps(court)
    court = replace(court, spared=spared)
    suspicions = _list_suspicions(witnesses, court)
    by_name = {witness.name: witness for witness in witnesses}
    verdicts = {n: _judge(n, sightings[n], by_name.get(n), suspicions.get(n), court) for n in sorted(sightings)}
    quarantines = _list_quarantines(court, verdicts)
    evidence = replace(
        look.record.evidence,
        points=note_points(look.record.evidence.points, sightings, look.now, look.spec.trust.fork_depth),
        suspicions=suspicions,
        quarantines=quarantines,
    )
    all_stale = why_all_stale(look, sightings)
    return Judgement(
        verdicts=verdicts,
        quarantines=quarantines,
        halted=halted or all_stale,
        warnings=(*warnings, *((all_stale,) if all_stale else ()), *warn_of_clock(sightings)),
        agreed_tip=_find_agreed_tip(court),
        evidence=evidence,
        all_stale=all_stale,
    )


def _call_witnesses(look: Look, releases: Mapping[str, str]) -> list[Witness]:
    partners = {partner.name for partner in look.spec.partners}
    made = (
        make_witness(name, sighting, partner=name in partners, release=releases.get(name))
        for name, sighting in sorted(look.seen.sightings.items())
    )
    return [witness for witness in made if witness is not None]


def _find_agreed_tip(court: Court) -> ChainPoint | None:
    """Return the newest point that most of the reference camp have; the fleet alone agrees on nothing."""
    if court.reference is None or not court.reference.partners:
        return None
    held = Counter(point for member in court.reference.members for point in member.has)
    return max((p for p, count in held.items() if count * 2 > len(court.reference.members)), default=None)


# --- verdicts --------------------------------------------------------------------------------------------------------


def _list_suspicions(witnesses: list[Witness], court: Court) -> Mapping[str, Suspicion]:
    """Return the suspicions after this look. One that says nothing this time has not cleared itself."""
    silent = court.look.record.evidence.suspicions.keys() - {witness.name for witness in witnesses}
    kept = {name: court.look.record.evidence.suspicions[name] for name in silent}
    return kept | {w.name: found for w in witnesses if (found := _suspect(w, court)) is not None}


def _suspect(witness: Witness, court: Court) -> Suspicion | None:
    """Return the suspicion against a witness after this look, None if there is none."""
    if court.reference is None or witness.name in court.spared or witness.name in court.against_pin:
        return None
    parting = find_parting(witness, court.chain, court.heights)
    if parting is None:
        return None
    lacking = max((court.chain & witness.asked) - witness.has)
    before = court.look.record.evidence.suspicions.get(witness.name)
    if before is None or _advanced(parting.common, before.common):
        if parting.least_depth(witness.block) <= court.look.spec.trust.fork_depth:
            return None
        place = (parting.common, parting.common_block, parting.parted_block)
        return Suspicion(witness.name, *place, looks=1, newest_lacking=lacking, since=court.look.now)
    # Points are forgotten downwards: what was known better before, still is.
    found = replace(before, parted_block=min(before.parted_block, parting.parted_block))
    if lacking.slot <= before.newest_lacking.slot:
        return found
    return replace(found, looks=before.looks + 1, newest_lacking=lacking)


def _advanced(common: ChainPoint | None, before: ChainPoint | None) -> bool:
    """Whether it has taken blocks of the others since: then what was seen was a slot battle."""
    return common is not None and (before is None or common.slot > before.slot)


def _judge(
    name: str, sighting: Sighting, witness: Witness | None, suspicion: Suspicion | None, court: Court
) -> ChainVerdict:
    if sighting.verdict is Verdict.WRONG_MAGIC:
        return _judge_magic(sighting, court)
    if witness is None:
        told = sighting.verdict in TOLD
        return ChainVerdict(Stand.CANNOT_TELL, "has no block yet" if told else "shows no tip")
    pin = court.look.record.pin
    if pin is not None and name in court.against_pin:
        text = f"at {witness.tip.short} without the pinned point {pin.point.short}"
        return ChainVerdict(Stand.FORKED, f"forked: {text}")
    if (spared := court.spared.get(name)) is not None:
        return ChainVerdict(Stand.CANNOT_TELL, f"cannot tell: {spared}")
    if suspicion is not None:
        return _judge_suspicion(witness, suspicion, court)
    return _judge_lag(name, witness, court)


def _judge_magic(sighting: Sighting, court: Court) -> ChainVerdict:
    """Another network is proven by the handshake, unless nobody else takes our magic either: then it may be ours that is wrong."""
    seen = court.look.seen.sightings
    if any(seen[p.name].verdict in TOLD for p in court.look.spec.partners if p.name in seen):
        return ChainVerdict(Stand.OTHER_NETWORK, f"is on another network: {sighting.detail}")
    text = f"refuses magic {court.look.spec.network.magic}, and no partner is there to confirm it: {sighting.detail}"
    return ChainVerdict(Stand.CANNOT_TELL, text)


def _judge_suspicion(witness: Witness, suspicion: Suspicion, court: Court) -> ChainVerdict:
    needed = court.look.spec.trust.fork_looks
    at = "before every point known" if suspicion.common is None else f"at slot {suspicion.common.slot}"
    parting = Parting(suspicion.common, suspicion.common_block, suspicion.parted_block)
    depth = _count_between(parting.least_depth(witness.block), parting.most_depth(witness.block))
    others = len(court.reference.members) if court.reference is not None else 0
    text = f"forked {at} (depth {depth} blocks), now at {witness.tip.short}, against {others} others"
    if suspicion.looks >= needed:
        return ChainVerdict(Stand.FORKED, text)
    return ChainVerdict(Stand.SUSPECTED, f"{text}; proven in {needed - suspicion.looks} more looks")


def _count_between(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(most) if least >= most else f"{least} to {most}"


def _judge_lag(name: str, witness: Witness, court: Court) -> ChainVerdict:
    if court.reference is None:
        return ChainVerdict(Stand.CANNOT_TELL, "cannot tell: no quorum of relays and partners")
    behind = _behind_seconds(name, court)
    depth = court.look.spec.trust.fork_depth
    parting = find_parting(witness, court.chain, court.heights)
    most = parting.most_depth(witness.block) if parting is not None else 0
    if parting is not None and (most is None or most > depth):
        between = _count_between(parting.least_depth(witness.block), most)
        text = f"cannot tell: differs in its newest {between} blocks, a slot battle or a fork; the next looks will tell"
        return ChainVerdict(Stand.CANNOT_TELL, text, behind)
    middle = court.middle
    assert middle is not None  # noqa: S101 - a reference camp has one
    if middle.block - witness.block <= depth:
        who = "the others" if court.reference.partners else "the rest of the fleet; no partner's chain is known"
        return ChainVerdict(Stand.AGREES, f"agrees with {who}", behind)
    text = f"lags by {middle.slot - witness.tip.slot} slots ({middle.block - witness.block} blocks)"
    return ChainVerdict(Stand.LAGS, text, behind)


def _behind_seconds(name: str, court: Court) -> float | None:
    age = court.look.seen.sightings[name].tip_age_seconds
    if court.middle is None or court.middle.age_seconds is None or age is None:
        return None
    return age - court.middle.age_seconds


# --- consequences ----------------------------------------------------------------------------------------------------


def _list_quarantines(court: Court, verdicts: Mapping[str, ChainVerdict]) -> Mapping[str, Quarantine]:
    """Return the quarantines in force: those proven now, and earlier ones until their relay has agreed for a while."""
    look = court.look
    partners = {partner.name for partner in look.spec.partners}
    known = look.record.evidence.quarantines.keys() & {relay.name for relay in wanted_relays(look.spec)}
    result: dict[str, Quarantine] = {}
    for name in sorted((verdicts.keys() | known) - partners):
        before = look.record.evidence.quarantines.get(name)
        verdict = verdicts.get(name)
        if verdict is not None and verdict.stand in (Stand.FORKED, Stand.OTHER_NETWORK):
            since = before.since if before is not None else look.now
            result[name] = Quarantine(name, since, verdict.text)
        elif before is not None:
            agrees = verdict is not None and verdict.stand is Stand.AGREES
            agreeing = (before.agreeing_since or look.now) if agrees else None
            if agreeing is None or look.now - agreeing < look.spec.trust.return_after:
                result[name] = replace(before, agreeing_since=agreeing)
    return result
