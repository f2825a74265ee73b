"""What no plan may do unasked. Run on every plan, in production too; a finding refuses the whole plan.

Each rule is independent of how the plan was made: it looks at the plan, the fleet file and what is there.
"""

from __future__ import annotations

from collections import Counter

from orchestrator.fleet.observation import Observation, Verdict
from orchestrator.fleet.record import FleetRecord
from orchestrator.planning.look import GONE
from orchestrator.planning.plan import Deploy, Health, Launch, Phase, Plan, Stop
from orchestrator.rendering.values import ChangeClass
from orchestrator.spec.model import FleetSpec


def why_unsafe(plan: Plan, spec: FleetSpec, observation: Observation, record: FleetRecord) -> tuple[str, ...]:
    """Return every reason to refuse this plan, each naming the confirmation that allows it (if one does)."""
    confirmed = record.confirmed_retirements
    findings = [
        *_many_retirements(plan),
        *_emptied_regions(plan, spec),
        *_other_magic(spec, observation, record),
        *_many_replacements(plan, spec),
        *_beyond_budget(plan, spec, observation),
        *_dark_regions(plan, spec, observation),
        *_doubled(plan),
        *_published_without_trust(plan),
    ]
    return tuple(text for name, text in findings if name is None or not _is_confirmed(name, confirmed))


def _is_confirmed(name: str, confirmed: frozenset[str]) -> bool:
    """Whether the operator allowed this. Who allowed ten retirements allowed the seven that are left of them."""
    kind = next((kind for kind in (RETIRE, REPLACE) if name.startswith(kind)), None)
    if kind is None:
        return name in confirmed
    allowed = [each.removeprefix(kind) for each in confirmed if each.startswith(kind)]
    return any(each.isdecimal() and int(each) >= int(name.removeprefix(kind)) for each in allowed)


RETIRE = "retire:"
REPLACE = "replace:"
DARK = "dark-region:"
EMPTY = "empty-region:"

Finding = tuple[str | None, str]

ANSWERING = (Verdict.OK, Verdict.STALE_TIP, Verdict.HANDSHAKE_TIMEOUT, Verdict.ANSWER_TIMEOUT)
"""Verdicts behind which consumers may hang; written out here again, so that this check trusts no other module's."""


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
            name = f"{EMPTY}{region}"
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


def _many_replacements(plan: Plan, spec: FleetSpec) -> list[Finding]:
    dead = {view.name for view in plan.relays if view.phase is Phase.DEAD}
    replaced = sorted(dead & {action.relay for action in plan.actions if isinstance(action, Launch)})
    limit = spec.most_out()
    if len(replaced) <= limit:
        return []
    name = f"{REPLACE}{len(replaced)}"
    text = f"{len(replaced)} relays count as dead and would be replaced ({', '.join(replaced)})"
    return [(name, f"{text}; more than {limit} at once needs `--confirm {name}`")]


def _list_taken(plan: Plan, observation: Observation) -> dict[str, str]:
    """Return relay → region of those that answered the probe and that this plan restarts or stops.

    What an earlier generation has left behind is not what was probed: another instance serves in its place.
    """
    current = {view.instance.instance_id for view in plan.relays if view.instance is not None}
    taken: dict[str, str] = {}
    for action in plan.actions:
        restarts = isinstance(action, Deploy) and action.change >= ChangeClass.RESTART
        sighting = observation.sightings.get(action.relay)
        stops = isinstance(action, Stop) and action.instance.instance_id in current
        if (restarts or stops) and sighting is not None and sighting.verdict in ANSWERING:
            taken[action.relay] = action.instance.region  # type: ignore[union-attr]
    return taken


def _beyond_budget(plan: Plan, spec: FleetSpec, observation: Observation) -> list[Finding]:
    taken = _list_taken(plan, observation)
    if not taken:
        return []
    out = dict(taken)
    disturbed = {taken[view.name] for view in plan.relays if view.name in taken and view.health is Health.HEALTHY}
    if disturbed:
        out |= {v.name: v.region for v in plan.relays if not v.retiring and v.health is not Health.HEALTHY}
    # Where only relays that are out anyway are touched, the others that are out there are not this plan's doing.
    counts = Counter(out.values())
    limit = spec.most_out()
    over = [region for region in disturbed or counts if counts[region] > spec.most_out_in(region)]
    if len(out) <= limit and not over:
        return []
    where = ", ".join(f"{counts[region]} of {spec.most_out_in(region)} in {region}" for region in sorted(over))
    text = f"the plan disturbs {len(taken)} relays that answer; then {len(out)} of {limit} that may be out are out"
    return [(None, f"{text}{f', {where}' if where else ''}; this is a defect, report it")]


def _dark_regions(plan: Plan, spec: FleetSpec, observation: Observation) -> list[Finding]:
    """A region keeps a serving relay, unless the operator said otherwise, the fleet file wants none there, or it wants a
    single one: that may go while all others of the fleet serve.
    """
    taken = _list_taken(plan, observation)
    findings: list[Finding] = []
    for region in sorted(set(taken.values())):
        if region not in spec.regions or spec.relay_count(region) == 0:
            continue
        serving = {v.name for v in plan.relays if v.region == region and _serves(v.name, observation)}
        everywhere = {v.name for v in plan.relays if not v.retiring and v.health is Health.HEALTHY} - taken.keys()
        only = spec.relay_count(region) == 1 and len(everywhere) == sum(map(spec.relay_count, spec.regions)) - 1 > 0
        if serving and serving <= taken.keys() and not only:
            name = f"{DARK}{region}"
            findings.append((name, f"the plan takes the last serving relay of {region}; this needs `--confirm {name}`"))
    return findings


def _serves(relay: str, observation: Observation) -> bool:
    sighting = observation.sightings.get(relay)
    return sighting is not None and sighting.verdict is Verdict.OK


def _doubled(plan: Plan) -> list[Finding]:
    """At most one action a relay."""
    counts = Counter(action.relay for action in plan.actions)
    return [
        (None, f"the plan works on {relay} {count} times at once; this is a defect, report it")
        for relay, count in sorted(counts.items())
        if count > 1
    ]


def _published_without_trust(plan: Plan) -> list[Finding]:
    """Nobody in quarantine, leaving or dead is published, and nobody newly who does not serve."""
    never = (Phase.QUARANTINED, Phase.RETIRING, Phase.DEAD, Phase.ABSENT)
    wrong = sorted(view.name for view in plan.relays if view.published and view.phase in never)
    if not wrong:
        return []
    return [(None, f"the plan would publish {', '.join(wrong)}, which must not be; this is a defect, report it")]
