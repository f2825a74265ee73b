"""Puts a plan together from what was decided: views, actions, holds, who is published, warnings. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from orchestrator.fleet.observation import Observation, Verdict
from orchestrator.planning.draining import DRAIN, list_draining
from orchestrator.planning.estimate import estimate_time
from orchestrator.planning.look import Look
from orchestrator.planning.names import plan_names
from orchestrator.planning.plan import (
    NAMES,
    PUBLISH,
    Action,
    Deploy,
    Health,
    Hold,
    NamesPlan,
    Phase,
    Plan,
    RelayView,
    Stop,
)
from orchestrator.planning.publishing import list_found_lately, pick_published, why_below_floor
from orchestrator.planning.retries import why_not_retry
from orchestrator.planning.silence import is_missed_briefly
from orchestrator.planning.trust import Judgement, Stand


def hold_all(views: Mapping[str, RelayView], because: str, judged: Judgement, look: Look) -> Plan:
    """Return a plan that does nothing, because what is seen may not be so."""
    holds = [
        Hold(v.name, "look", v.reason if v.phase is Phase.UNKNOWN else because, is_missed_briefly(v.instance, look))
        for v in views.values()
    ]
    out = sum(1 for view in views.values() if view.health is not Health.HEALTHY)
    plan = assemble_plan(list(views.values()), list(holds), out, judged, look, frozen=True)
    return replace(plan, warnings=tuple(dict.fromkeys((because, *plan.warnings))))


def assemble_plan(
    views: list[RelayView],
    steps: Sequence[Action | Hold],
    out: int,
    judged: Judgement,
    look: Look,
    *,
    frozen: bool = False,
    withheld: frozenset[str] = frozenset(),
) -> Plan:
    """Put the plan together; `frozen` changes nothing about who is published without proof.

    `withheld` are relays that serve again, but have not done so for long enough to be published.
    """
    draining = frozenset(list_draining(steps, look))
    views = [_show_draining(view, steps) if view.name in draining else view for view in views]
    actions = tuple(sorted((s for s in steps if not isinstance(s, Hold)), key=lambda a: (a.relay, type(a).__name__)))
    holds = tuple(sorted((s for s in steps if isinstance(s, Hold)), key=lambda h: (h.relay, h.wanted)))
    taken = frozenset(
        step.relay for step in steps if isinstance(step, Stop) or (isinstance(step, Deploy) and step.disturbs)
    )
    published = pick_published(views, judged, look, frozen=frozen) - draining - withheld - taken
    named = {view.name for view in views}
    names, wait = _time_names(plan_names(views, published, look), look)
    return Plan(
        relays=_sorted(_complete(view, look.seen, published) for view in views),
        actions=actions,
        holds=(*holds, *wait),
        warnings=(
            *_warnings(look.seen),
            *judged.warnings,
            *_dark_warnings(look.by.dark_regions),
            *_floor_warning(published, look),
            *(names.warnings if names is not None else ()),
        ),
        out_at_most=out,
        estimate=estimate_time(actions, holds, look.spec),
        partners={name: text for name, text in _partners(look.seen, judged).items() if name not in named},
        agreed_tip=judged.agreed_tip,
        evidence=replace(
            judged.evidence,
            published=published,
            withdrawn=_list_withdrawn(named, published, look),
            named=_list_named(look),
        ),
        sides=judged.sides,
        names=names,
    )


def _list_named(look: Look) -> frozenset[str]:
    """Return whom the zone has; while it cannot be read, whom it had."""
    zone, before = look.seen.zone, look.record.evidence.named
    if zone is None:
        return frozenset()
    return before if zone.silent else zone.relays


def _time_names(names: NamesPlan | None, look: Look) -> tuple[NamesPlan | None, tuple[Hold, ...]]:
    """Wait with the names while their last change is under way, or has just failed."""
    if names is None or not names.changes:
        return names, ()
    if NAMES in look.seen.in_flight:
        return replace(names, changes=()), (Hold(NAMES, PUBLISH, "the names are being changed", passes=True),)
    wait = why_not_retry(look, NAMES, PUBLISH)
    return (names, ()) if wait is None else (replace(names, changes=()), (wait,))


def _list_withdrawn(known: Collection[str], published: frozenset[str], look: Look) -> Mapping[str, datetime]:
    """Return since when relays are out of the names, whyever: consumers may have read them until shortly before.

    Who is neither wanted nor there any more is forgotten, but not while a region does not say who is there.
    """
    before, cloud = look.record.evidence, look.seen.cloud
    there = {*known, *(instance.relay for instance in cloud.instances)}
    kept = {name for name in before.withdrawn if name in there or cloud.silent_regions}
    findable = list_found_lately(look)
    left = (kept | before.published | (findable & there)) - published
    # Who is still in the zone, or was at the last look, has only now left it, whoever decided that and when.
    return {name: look.now if name in findable else before.withdrawn.get(name, look.now) for name in sorted(left)}


def _show_draining(view: RelayView, steps: Sequence[Action | Hold]) -> RelayView:
    because = next(
        (s.because for s in steps if isinstance(s, Hold) and s.relay == view.name and s.wanted == DRAIN), None
    )
    if because is None:
        return view
    # Who leaves for good goes on counting as such: the checks of a plan count the retirements in it.
    return replace(view, phase=view.phase if view.retiring else Phase.DRAINING, reason=because)


def _dark_warnings(dark: frozenset[str]) -> Iterable[str]:
    for region in sorted(dark):
        yield f"{region} is dark: no relay there answers, and none elsewhere is connected with one; nothing is destroyed"


def _floor_warning(published: frozenset[str], look: Look) -> tuple[str, ...]:
    """Warn of too few, unless the fleet is only about to begin."""
    below = why_below_floor(len(published), len(look.wanted.relays), look.spec)
    return (below,) if below is not None and look.record.evidence.published else ()


def _complete(view: RelayView, seen: Observation, published: frozenset[str]) -> RelayView:
    """Return the view with its tip, and whether consumers are to find it."""
    sighting, is_published = seen.sightings.get(view.name), view.name in published
    if sighting is None:
        return replace(view, published=is_published)
    return replace(view, tip_slot=sighting.tip_slot, tip_age_seconds=sighting.tip_age_seconds, published=is_published)


def _warnings(seen: Observation) -> tuple[str, ...]:
    return *seen.cloud.warnings, *(
        f"the cloud does not answer for {r}: {why}" for r, why in sorted(seen.cloud.silent_regions.items())
    )


def _sorted(views: Iterable[RelayView]) -> tuple[RelayView, ...]:
    return tuple(sorted(views, key=lambda view: (view.name, view.instance.generation if view.instance else 0)))


def _partners(seen: Observation, judged: Judgement) -> Mapping[str, str]:
    """Return what every probed name that is no relay came to, in words."""
    texts = {}
    for name, sighting in sorted(seen.sightings.items()):
        verdict = judged.verdicts.get(name)
        if sighting.verdict is not Verdict.OK:
            texts[name] = f"{sighting.verdict.value}: {sighting.detail}"
        elif verdict is not None and verdict.stand is not Stand.AGREES:
            texts[name] = verdict.text
        else:
            texts[name] = "ok"
    return texts
