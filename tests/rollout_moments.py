"""Moments of a real rollout through twenty simulated relays, as looks saw them: what texts are shown with is what the planner says."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from orchestrator.execution.cycle import Ending, Round
from orchestrator.planning.rollout_view import Progress
from orchestrator.simulation.faults import ReleaseFault
from tests.scenarios.builders import REGIONS, fleet_spec
from tests.scenarios.tale import Tale, When, is_at

POLICY = {"max_unavailable": 2, "canary_bake": "1m", "bake": "20s", "drain_time": "20s"}

LOOKS = {"look_every": "10s"}

OLD, NEW = (fleet_spec(release=release, rollout=POLICY, controller=LOOKS) for release in ("10.5.1", "10.6.0"))

CANARY = f"demo-{REGIONS[0]}-05"

SLOW = f"demo-{REGIONS[1]}-01"
"""Of the first wave; takes its time to stop."""


@dataclass(slots=True)
class Moments:
    """What some looks found."""

    planned: Round
    """Before any apply."""
    seen: dict[str, Round] = field(default_factory=dict)


@cache
def good_rollout() -> Moments:
    """A good upgrade: `refused` (too many are down), `under way`, `complete`."""
    tale = Tale(OLD)
    moments = Moments(tale.look(NEW))
    tale.world.faults.hanging |= (down := {f"demo-{region}-0{n}" for region in REGIONS[:2] for n in (1, 2, 3, 4)})
    moments.seen["refused"] = tale.look(NEW)
    tale.world.faults.hanging -= down
    tale.world.faults.slow_to_stop.add(SLOW)
    keep(tale, moments, "under way", several(Progress.BAKES, Progress.RESTARTS, Progress.NEXT))
    assert tale.apply("anna", NEW) is Ending.CONVERGED
    moments.seen["complete"] = tale.look(NEW)
    return moments


@cache
def bad_rollout() -> Moments:
    """A release whose canary exits at each start: `goes back`, and `halted`, when all serve again."""
    tale = Tale(OLD)
    moments = Moments(tale.look(NEW))
    tale.world.faults.bad_releases["b" * 64] = ReleaseFault.NEVER_STARTS
    keep(tale, moments, "goes back", is_at(CANARY, Progress.GOES_BACK))
    assert tale.apply("anna", NEW) is Ending.HELD
    moments.seen["halted"] = tale.look(NEW)
    return moments


def keep(tale: Tale, moments: Moments, name: str, when: When) -> None:
    """Keep the first look that shows this."""
    tale.upon(when, "", lambda: moments.seen.__setitem__(name, tale.last()))


def several(*wanted: Progress) -> When:
    """Whether relays of the rollout are at all these steps at once, and the canaries are done."""

    def shows(found: Round) -> bool:
        view = found.plan.rollout
        steps = {now.progress for now in view.relays.values()} if view is not None else set()
        return Progress.DONE in steps and steps.issuperset(wanted)

    return shows
