"""What the judgement of the chain makes of a relay: serving, suspected, quarantined, as stale as everybody. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from orchestrator.fleet.observation import HostFacts, Observation, Verdict
from orchestrator.planning.assess import Slot
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health, Phase, RelayView
from orchestrator.planning.trust import ChainVerdict, Judgement, Stand

LIVING = (Phase.SERVING, Phase.SYNCING, Phase.DEPLOYING, Phase.STAGING, Phase.PREPARING, Phase.UNKNOWN)
"""Phases of a relay that may answer the wire, and so may lie to consumers."""


def list_releases(slots: Iterable[Slot], look: Look) -> Mapping[str, str]:
    """Return relay → version behind its release link, as far as it is one of the fleet file's."""
    versions = look.wanted.versions
    found: dict[str, str] = {}
    for slot in slots:
        facts = look.seen.hosts.get(slot.current.instance_id) if slot.current is not None else None
        if isinstance(facts, HostFacts) and facts.release in versions:
            found[slot.relay.name] = versions[facts.release]
    return found


def apply_judgement(view: RelayView, judged: Judgement, look: Look) -> RelayView:
    """Return the view with its standing on the chain."""
    verdict = judged.verdicts.get(view.name)
    view = replace(view, chain=verdict.text if verdict is not None else "")
    if (quarantine := judged.quarantines.get(view.name)) is not None and view.phase in (*LIVING, Phase.QUARANTINED):
        reason = quarantine.evidence
        if quarantine.agreeing_since is not None:
            seconds = (look.now - quarantine.agreeing_since).total_seconds()
            needed = look.spec.trust.return_after.total_seconds()
            reason = f"{reason}; agrees again for {seconds:.0f} of {needed:.0f} s, then an apply takes it back"
        return replace(view, phase=Phase.QUARANTINED, health=Health.UNHEALTHY, reason=reason)
    if verdict is None:
        return view
    if view.phase is Phase.QUARANTINED:  # the wire says another network, and nobody is there to confirm it
        return replace(view, phase=Phase.SYNCING, reason=verdict.text)
    if view.phase is Phase.SERVING:
        return _doubt_serving(view, verdict, look)
    agrees = verdict.stand is Stand.AGREES
    if view.phase is Phase.SYNCING and judged.all_stale is not None and agrees and _is_stale(view.name, look.seen):
        return replace(view, phase=Phase.SERVING, health=Health.HEALTHY, reason="serves; everybody's tip is stale")
    return view


def _doubt_serving(view: RelayView, verdict: ChainVerdict, look: Look) -> RelayView:
    behind, allowed = verdict.behind_seconds, look.spec.health.max_tip_age.total_seconds()
    if verdict.stand is Stand.SUSPECTED:
        return replace(view, phase=Phase.SYNCING, health=Health.UNHEALTHY, reason=verdict.text)
    if behind is not None and behind > allowed:
        # Its age alone looked fine: then our own clock is slow, and the others' tips tell.
        text = f"its tip is {behind:.0f} s behind the others', at most {allowed:.0f} s is allowed: {verdict.text}"
        return replace(view, phase=Phase.SYNCING, health=Health.UNHEALTHY, reason=text)
    if behind is not None and behind < -allowed and not _is_fresh_as_partners(view.name, allowed, look):
        text = f"its tip is {-behind:.0f} s ahead of the others', as none of this chain can be: {verdict.text}"
        return replace(view, phase=Phase.SYNCING, health=Health.UNHEALTHY, reason=text)
    return view


def _is_fresh_as_partners(relay: str, allowed: float, look: Look) -> bool:
    """Whether by the clock that shows a partner fresh it is fresh, too, and not in the future: then the others are stale."""
    seen = look.seen.sightings
    age = seen[relay].tip_age_seconds
    fresh = any(p.name in seen and seen[p.name].verdict is Verdict.OK for p in look.spec.partners)
    return fresh and age is not None and age >= -allowed


def _is_stale(relay: str, seen: Observation) -> bool:
    sighting = seen.sightings.get(relay)
    return sighting is not None and sighting.verdict is Verdict.STALE_TIP
