"""What no plan may do unasked. Run on every plan, in production too; a finding refuses the whole plan.

Each rule is independent of how the plan was made: it looks at the plan, the fleet file and what is there.
"""

from __future__ import annotations

from collections import Counter

from orchestrator.fleet.observation import Observation
from orchestrator.fleet.record import FleetRecord
from orchestrator.planning.look import GONE
from orchestrator.planning.plan import Deploy, Health, Phase, Plan
from orchestrator.spec.model import FleetSpec


def why_unsafe(plan: Plan, spec: FleetSpec, observation: Observation, record: FleetRecord) -> tuple[str, ...]:
    """Return every reason to refuse this plan, each naming the confirmation that allows it (if one does)."""
    confirmed = record.confirmed_retirements
    findings = [
        *_many_retirements(plan),
        *_emptied_regions(plan, spec),
        *_other_magic(spec, observation, record),
        *_beyond_budget(plan, spec),
        *_doubled(plan),
    ]
    return tuple(text for name, text in findings if name is None or not _is_confirmed(name, confirmed))


def _is_confirmed(name: str, confirmed: frozenset[str]) -> bool:
    """Whether the operator allowed this. Who allowed ten retirements allowed the seven that are left of them."""
    if not name.startswith(RETIRE):
        return name in confirmed
    allowed = [each.removeprefix(RETIRE) for each in confirmed if each.startswith(RETIRE)]
    return any(each.isdecimal() and int(each) >= int(name.removeprefix(RETIRE)) for each in allowed)


RETIRE = "retire:"

Finding = tuple[str | None, str]


def _many_retirements(plan: Plan) -> list[Finding]:
    surplus = {view.name for view in plan.relays if view.phase is Phase.RETIRING}
    present = surplus | {view.name for view in plan.relays if view.instance is not None and not view.retiring}
    limit = max(1, len(present) // 10)
    if len(surplus) <= limit:
        return []
    name = f"{RETIRE}{len(surplus)}"
    return [
        (
            name,
            (
                f"the fleet file would retire {len(surplus)} of {len(present)} relays ({', '.join(sorted(surplus))}); "
                f"more than {limit} at once needs `--confirm {name}`"
            ),
        )
    ]


def _emptied_regions(plan: Plan, spec: FleetSpec) -> list[Finding]:
    leaving = Counter(view.region for view in plan.relays if view.phase is Phase.RETIRING)
    findings: list[Finding] = []
    for region, count in sorted(leaving.items()):
        if region not in spec.regions or spec.relay_count(region) == 0:
            name = f"empty-region:{region}"
            text = f"the fleet file would retire all {count} relays of {region}; this needs `--confirm {name}`"
            findings.append((name, text))
    return findings


def _other_magic(spec: FleetSpec, observation: Observation, record: FleetRecord) -> list[Finding]:
    tagged = {i.magic for i in observation.cloud.instances if i.magic is not None and i.state not in GONE}
    known = tagged | ({record.magic} if record.magic is not None else set())
    others = sorted(known - {spec.network.magic})
    if not others:
        return []
    name = f"magic:{spec.network.magic}"
    return [
        (
            name,
            (
                f"this fleet serves the network with magic {others[0]}, the fleet file says {spec.network.magic}; "
                f"changing a fleet's network needs `--confirm {name}`"
            ),
        )
    ]


def _beyond_budget(plan: Plan, spec: FleetSpec) -> list[Finding]:
    taken = {action.relay for action in plan.actions if isinstance(action, Deploy) and action.disturbs}
    if not taken:
        return []
    out = {view.name: view.region for view in plan.relays if not view.retiring and view.health is not Health.HEALTHY}
    out |= {view.name: view.region for view in plan.relays if view.name in taken}
    here, limit_here = max(Counter(out.values()).values()), spec.rollout.max_unavailable_per_region
    limit = spec.rollout.max_unavailable
    if len(out) <= limit and here <= limit_here:
        return []
    return [
        (
            None,
            (
                f"the plan disturbs {len(taken)} serving relays, then {len(out)} are out and {here} of them in one region; "
                f"the budget is {limit} and {limit_here}; this is a defect, report it"
            ),
        )
    ]


def _doubled(plan: Plan) -> list[Finding]:
    """At most one action a relay."""
    counts = Counter(action.relay for action in plan.actions)
    return [
        (None, f"the plan works on {relay} {count} times at once; this is a defect, report it")
        for relay, count in sorted(counts.items())
        if count > 1
    ]
