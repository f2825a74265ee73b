"""Is each relay on the right chain? Pure: one look and the evidence of earlier ones in, verdicts and evidence out.

Start with `judge_chain`. Who is with whom is found by `camps`, and which side is right, if that can be said, by `court`.
A relay on another chain than the right one is suspected, and after some looks that each brought a block which it lacks, it
is proven to be forked. Then it is quarantined, until it has agreed for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.fleet.record import Evidence, Quarantine, Suspicion
from orchestrator.planning.camps import (
    TOLD,
    Witness,
    find_common,
    find_parting,
    make_witness,
    recall_parting,
)
from orchestrator.planning.court import Court, list_sides, open_court, weigh_camps
from orchestrator.planning.freshness import warn_of_clock, why_all_stale
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Side
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
    sides: tuple[Side, ...] = ()
    """The sides of a chain that is split, largest first."""


def judge_chain(look: Look, releases: Mapping[str, str]) -> Judgement:
    """Judge every relay and partner that was probed. `releases` is relay → version that it runs, as far as seen now."""
    sightings = look.seen.sightings
    releases = {**look.record.evidence.releases, **releases}
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
        releases={relay.name: releases[relay.name] for relay in look.wanted.relays if relay.name in releases},
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
        sides=list_sides(court.camps),
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
    return max(court.chain, default=None)


# --- verdicts --------------------------------------------------------------------------------------------------------


def _list_suspicions(witnesses: Sequence[Witness], court: Court) -> Mapping[str, Suspicion]:
    """Return the suspicions after this look. Whoever cannot be judged this time has not cleared itself."""
    look = court.look
    names = {relay.name for relay in look.wanted.relays} | {partner.name for partner in look.spec.partners}
    born = {i.relay: i.launched_at for i in sorted(look.seen.cloud.instances, key=lambda i: i.generation)}
    before = {
        name: found
        for name, found in look.record.evidence.suspicions.items()
        # Another instance has another chain: what its forerunner did says nothing of it.
        if name in names and found.since >= born.get(name, found.since)
    }
    if court.reference is None:
        return before
    judged = {w.name: _suspect(w, before.get(w.name), court) for w in witnesses}
    return {n: found for n in sorted(before | judged) if (found := judged.get(n, before.get(n))) is not None}


def _suspect(witness: Witness, before: Suspicion | None, court: Court) -> Suspicion | None:
    """Return the suspicion against a witness after this look, None if there is none."""
    if witness.name in court.against_pin:
        return before
    if before is not None and _advanced(find_common(witness.has, court.chain, court.heights), before.common):
        before = None  # it has taken blocks of the others since: what was seen was a slot battle
    parting = find_parting(witness, court.chain, court.rejected, court.heights)
    if parting is None:
        return before
    if before is None:
        place = (parting.common, parting.common_block, parting.parted_block)
        before = Suspicion(witness.name, *place, looks=0, newest_lacking=None, since=court.look.now)
    found = replace(before, parted_block=min(before.parted_block, parting.parted_block))
    lacking = max((court.chain & witness.asked) - witness.has, default=None)
    deep = recall_parting(found).least_depth(witness.block) > court.look.spec.trust.fork_depth
    news = lacking is not None and (found.newest_lacking is None or lacking.slot > found.newest_lacking.slot)
    if not (deep and news) or witness.name in court.spared:
        return found
    return replace(found, looks=found.looks + 1, newest_lacking=lacking)


def _advanced(common: ChainPoint | None, before: ChainPoint | None) -> bool:
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
    if court.reference is None:
        return ChainVerdict(Stand.CANNOT_TELL, "cannot tell: no quorum of relays and partners")
    if suspicion is not None and suspicion.looks > 0:
        return _judge_suspicion(witness, suspicion, court)
    return _judge_place(name, witness, suspicion, court)


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
    depth = _describe_depth(witness, suspicion)
    others = len(court.reference.members) if court.reference is not None else 0
    text = f"forked {at} (depth {depth} blocks), now at {witness.tip.short}, against {others} others"
    if suspicion.looks >= needed:
        return ChainVerdict(Stand.FORKED, text)
    return ChainVerdict(Stand.SUSPECTED, f"{text}; proven in {needed - suspicion.looks} more looks")


def _describe_depth(witness: Witness, found: Suspicion) -> str:
    parting = recall_parting(found)
    return _count_between(parting.least_depth(witness.block), parting.most_depth(witness.block))


def _count_between(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(most) if least >= most else f"{least} to {most}"


def _judge_place(name: str, witness: Witness, suspicion: Suspicion | None, court: Court) -> ChainVerdict:
    """Judge a witness that is not known to be on another chain: agreeing takes a recent block of the others that it has."""
    behind = _behind_seconds(name, court)
    depth = court.look.spec.trust.fork_depth
    middle = court.middle
    assert middle is not None  # noqa: S101 - a reference camp has one
    if suspicion is not None:
        most = recall_parting(suspicion).most_depth(witness.block)
        if most is None or most > depth:
            what = f"differs in its newest {_describe_depth(witness, suspicion)} blocks"
            text = f"cannot tell: {what}, a slot battle or a fork; the next looks will tell"
            return ChainVerdict(Stand.CANNOT_TELL, text, behind)
    common = find_common(witness.has, court.chain, court.heights)
    if common is None or witness.block - court.heights[common] > depth:
        return ChainVerdict(Stand.CANNOT_TELL, "cannot tell: none of the others' newest blocks is known of it", behind)
    if middle.block - witness.block <= depth:
        who = "the others" if court.reference is not None and court.reference.partners else ALONE
        return ChainVerdict(Stand.AGREES, f"agrees with {who}", behind)
    text = f"lags by {middle.slot - witness.tip.slot} slots ({middle.block - witness.block} blocks)"
    return ChainVerdict(Stand.LAGS, text, behind)


ALONE = "the rest of the fleet; no partner's chain is known"


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
    # A fleet cannot take its own relays back on its own word: with everybody else silent, a fork agrees with itself.
    vouched = look.record.pin is not None or (court.reference is not None and bool(court.reference.partners))
    known = look.record.evidence.quarantines.keys() & {relay.name for relay in look.wanted.relays}
    result: dict[str, Quarantine] = {}
    for name in sorted((verdicts.keys() | known) - partners):
        before = look.record.evidence.quarantines.get(name)
        verdict = verdicts.get(name)
        if verdict is not None and verdict.stand in (Stand.FORKED, Stand.OTHER_NETWORK):
            since = before.since if before is not None else look.now
            result[name] = Quarantine(name, since, verdict.text)
        elif before is not None:
            agrees = vouched and verdict is not None and verdict.stand is Stand.AGREES
            agreeing = (before.agreeing_since or look.now) if agrees else None
            if agreeing is None or look.now - agreeing < look.spec.trust.return_after:
                result[name] = replace(before, agreeing_since=agreeing)
    return result
