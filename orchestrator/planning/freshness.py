"""Is it the relays that are stale, or everybody? Pure. A tip's age is measured by our clock, which may be the one that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.planning.camps import TOLD
from orchestrator.planning.look import Look


def why_all_stale(look: Look, sightings: Mapping[str, Sighting]) -> str | None:
    """Return what to say if every partner that answers is stale, and most relays are: then it is not the relays."""
    partners = [sightings[p.name] for p in look.spec.partners if p.name in sightings]
    answering = [s for s in partners if s.verdict in TOLD]
    names = {p.name for p in look.spec.partners}
    relays = [s for n, s in sightings.items() if n not in names and s.verdict in TOLD]
    stale = sum(1 for s in relays if s.verdict is Verdict.STALE_TIP)
    if not answering or any(s.verdict is Verdict.OK for s in answering) or stale * 2 <= len(relays):
        return None
    youngest = min((s.tip_age_seconds for s in answering if s.tip_age_seconds is not None), default=0.0)
    return (
        f"all {len(answering)} partners and {stale} of {len(relays)} relays are stale, the youngest tip of a partner is "
        f"{youngest:.0f} s old: this machine's clock is wrong, or the chain itself stands still"
    )


AHEAD_SECONDS = 10.0
"""A tip further ahead of our clock than this says that the clock is slow; nodes refuse blocks more than 2 to 5 s early."""


def warn_of_clock(sightings: Mapping[str, Sighting]) -> Iterator[str]:
    """Say that our own clock is slow if most tips are ahead of it."""
    ages = [s.tip_age_seconds for s in sightings.values() if s.tip_age_seconds is not None]
    ahead = sum(1 for age in ages if age < -AHEAD_SECONDS)
    if ages and ahead * 2 > len(ages):
        yield f"{ahead} of {len(ages)} tips are ahead of this machine's clock, by up to {-min(ages):.0f} s: the clock is slow"
