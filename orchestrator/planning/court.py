"""Who is right about the chain: a quorum that is not the fleet alone, or the operator's pin. Pure; verdicts are `trust`'s.

Without a quorum, or where the parting runs along releases or through the partners as well, nobody is quarantined: it may be
the newer nodes that are wrong, or the older ones, and only people can tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_high, median_low
from types import MappingProxyType

from orchestrator.fleet.chain import ChainPoint
from orchestrator.planning.camps import Camp, Heights, Witness, describe_camp, find_camps, recall_parting
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Side

ASK_OPERATOR = "nobody is quarantined until `genesis-fleet trust pin SLOT.HASH` says who is right"


@dataclass(frozen=True, slots=True)
class Court:
    """What verdicts are found by."""

    look: Look
    heights: Heights
    camps: tuple[Camp, ...]
    reference: Camp | None
    chain: frozenset[ChainPoint]
    """Points of the reference camp's chain."""
    rejected: frozenset[ChainPoint] = frozenset()
    """Points that are not on it."""
    against_pin: frozenset[str] = frozenset()
    """Witnesses past the point that the operator pinned, without it; nobody if nobody has it."""
    pin_is_held: bool = True
    """Whether anybody has the pinned point; true without a pin."""
    spared: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Relay → why it is not suspected although its chain is another."""
    middle: Middle | None = None
    """Where the reference camp is, found once: everybody is measured by it."""


@dataclass(frozen=True, slots=True)
class Middle:
    """What most of a camp have reached. Not the newest of all: who answers late, answers with a later tip."""

    block: int
    slot: int
    age_seconds: float | None


def open_court(look: Look, heights: Heights, witnesses: Sequence[Witness]) -> Court:
    """Find the side by which the others are measured, if there is one.

    With a pin, those against it have no voice, and the others are judged among themselves: there may be another fork yet.
    """
    pin = look.record.pin
    against = frozenset(w.name for w in witnesses if pin is not None and _contradicts(w, pin.point))
    loyal = [witness for witness in witnesses if witness.name not in against]
    known = {name: recall_parting(found) for name, found in look.record.evidence.suspicions.items()}
    camps = find_camps(loyal, heights, look.spec.trust.fork_depth, known)
    if pin is not None and not any(pin.point in witness.has for witness in witnesses):
        return Court(look, heights, camps, None, frozenset(), pin_is_held=False)
    reference = _find_reference(camps)
    if reference is None:
        return Court(look, heights, camps, None, frozenset(), against_pin=against)
    return Court(
        look=look,
        heights=heights,
        camps=camps,
        reference=reference,
        chain=reference.points(),
        rejected=reference.rejected(),
        against_pin=against,
        middle=_find_middle(reference, look),
    )


def _contradicts(witness: Witness, pinned: ChainPoint) -> bool:
    """Whether a witness is past the pinned point and does not have it."""
    return pinned in witness.asked and pinned not in witness.has and witness.tip.slot >= pinned.slot


def _find_middle(camp: Camp, look: Look) -> Middle:
    sightings = (look.seen.sightings[member.name] for member in camp.members)
    ages = [sighting.tip_age_seconds for sighting in sightings if sighting.tip_age_seconds is not None]
    return Middle(
        block=median_low(member.block for member in camp.members),
        slot=median_low(member.tip.slot for member in camp.members),
        age_seconds=median_high(ages) if ages else None,
    )


def _find_reference(camps: tuple[Camp, ...]) -> Camp | None:
    """Return the camp with the quorum: more than half of all voices, and at least half of the partners' among them.

    Half is enough, so that one of two partners on a chain of its own does not silence everybody; who sides with it is
    spared all the same. A camp that nobody contradicts needs no quorum to be measured by; without partners it proves nothing.
    """
    if len(camps) == 1:
        return camps[0]
    voices = sum(len(camp.members) for camp in camps)
    partners = sum(len(camp.partners) for camp in camps)
    for camp in camps:
        if len(camp.members) * 2 > voices and camp.partners and len(camp.partners) * 2 >= partners:
            return camp
    return None


def weigh_camps(court: Court) -> tuple[str | None, tuple[str, ...], Mapping[str, str]]:
    """Return why rollouts halt, what to warn of, and whom the parting itself speaks free."""
    pin = court.look.record.pin
    if pin is not None and not court.pin_is_held:
        text = f"nobody who answers has the pinned point {pin.point.short}"
        return text, (f"{text}: see `genesis-fleet trust show`",), {}
    halted, warnings, spared = _weigh_sides(court)
    return halted, (*_tell_pinned(court), *warnings), spared


def _weigh_sides(court: Court) -> tuple[str | None, tuple[str, ...], Mapping[str, str]]:
    camps = court.camps
    if len(camps) == 1 and not camps[0].partners:
        return None, ("no partner's chain is known: the fleet agrees with itself alone",), {}
    if len(camps) <= 1:
        return None, (), {}
    if court.reference is None:
        text = _describe_split(camps)
        return text, (text,), {w.name: text for camp in camps for w in camp.relays}
    halts: list[str] = []
    warnings: list[str] = []
    spared: dict[str, str] = {}
    for camp in camps:
        if camp is court.reference:
            continue
        why = _why_spared(camp, court.reference)
        if why is None:
            continue
        text = f"{why}: {describe_camp(court.reference)}; against {describe_camp(camp)}"
        if camp.relays:
            text = f"{text}; {ASK_OPERATOR}"
            halts.append(text)
            spared |= {w.name: text for w in camp.relays}
        warnings.append(text)
    return (halts[0] if halts else None), tuple(warnings), spared


def _why_spared(camp: Camp, reference: Camp) -> str | None:
    """Return why nobody of a camp is quarantined on account of its parting; None if nothing speaks for it."""
    if not camp.relays:
        return "a partner is on a chain of its own"
    if camp.partners:
        return "the chain is split, and the partners with it"
    if _runs_along_releases(camp, reference):
        return "the chain is split along releases"
    unknown = any(member.release is None for member in camp.relays)
    if unknown and len(camp.releases | reference.releases) > 1:
        return "the chain is split, perhaps along releases: what some run is not known"
    return None


def _runs_along_releases(camp: Camp, reference: Camp) -> bool:
    """Whether most relays of one release are on the camp's side, and other releases on the reference's.

    Not all of them have to be: a release that accepts both chains stands on both sides.
    """
    here = Counter(member.release for member in camp.relays if member.release is not None)
    there = Counter(member.release for member in reference.relays if member.release is not None)
    return any(count > there[release] and there.keys() - {release} for release, count in here.items())


def _describe_split(camps: tuple[Camp, ...]) -> str:
    with_relays = [camp for camp in camps if camp.relays]
    with_partners = [camp for camp in camps if camp.partners]
    what = "the chain is split, and no side has the word of most relays and partners"
    if len(with_relays) == 1 and with_partners and not with_relays[0].partners:
        what = "the fleet agrees only with itself, against all partners"
    sides = "; against ".join(describe_camp(camp) for camp in camps)
    return f"{what}: {sides}; {ASK_OPERATOR}"


def list_sides(camps: Sequence[Camp]) -> tuple[Side, ...]:
    """Return the sides of a chain that is split, each with a point of its own; empty while it is not."""
    if len(camps) <= 1:
        return ()
    held = [frozenset(point for member in camp.members for point in member.has) for camp in camps]
    sides = []
    for camp, own in zip(camps, held, strict=True):
        others = frozenset[ChainPoint]().union(*(points for points in held if points is not own))
        point = max(camp.points() - others, default=None)
        names = tuple(sorted(w.name for w in camp.relays)), tuple(sorted(w.name for w in camp.partners))
        sides.append(Side(*names, tuple(sorted(camp.releases)), point))
    return tuple(sides)


def _tell_pinned(court: Court) -> tuple[str, ...]:
    partners = sorted(court.against_pin & {partner.name for partner in court.look.spec.partners})
    return (f"partners against the pinned point: {', '.join(partners)}",) if partners else ()
