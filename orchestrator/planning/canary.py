"""Which relay is the canary, as long as nothing was done to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.fleet.rollout import Rollout, RolloutRecord, RolloutState
from orchestrator.planning.footing import Footing
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Phase
from orchestrator.planning.settling import stays_down
from orchestrator.planning.wished import list_wanted_waves


def keep_canary(rollout: Rollout, footings: Mapping[str, Footing], record: RolloutRecord, look: Look) -> Rollout:
    """Let another relay be the canary while nothing was done to it: it is gone or silent, or another is down.

    A relay that is down anyway costs nothing; and while it waits for a canary that serves, it may keep the budget from that.
    """
    waves = list_wanted_waves(rollout, footings)
    waved = [name for wave in waves for name in wave]
    if rollout.state is not RolloutState.RUNNING or not rollout.canaries or not waved:
        return rollout
    told = {name for name, restart in record.restarts.items() if restart.digest in rollout.wish.values()}
    begun = {name for name in waved if footings[name].arrived or name in told}
    if not waves[0] and begun:
        return rollout
    idle = [name for name in waves[0] if name not in begun]
    silent = [name for name in idle if footings[name].view.phase is Phase.UNKNOWN and name not in look.seen.in_flight]
    untouched = silent or [name for name in idle if footings[name].healthy]
    down = [
        name for name in waved if name not in (*begun, *waves[0]) and _may_try(footings[name], rollout, record, look)
    ]
    if silent and not down:  # nobody knows when it can be asked again
        down = [name for name in waved if name not in (*begun, *waves[0]) and footings[name].healthy]
    if waves[0] and not (untouched and down):
        return rollout
    there = {footings[name].region for name in waves[0] if name not in untouched[:1]}
    canary = min(down or waved, key=lambda name: footings[name].region in there)
    first = (*(name for name in waves[0] if name not in untouched[:1]), canary)
    rest = (tuple(name for name in wave if name != canary) for wave in (tuple(untouched[:1]), *waves[1:]))
    return replace(rollout, waves=(first, *(wave for wave in rest if wave)))


def _may_try(footing: Footing, rollout: Rollout, record: RolloutRecord, look: Look) -> bool:
    """Whether a relay is down and can be asked, and waits for the wish alone: what was proven is not to be tried on it first."""
    waits = bool(footing.runs) or footing.region not in rollout.good
    return waits and footing.facts is not None and stays_down(footing, record, look)
