"""Decides about the instance that fills a relay's slot: launch it, repeat a launch, wait for it, or say why not.

Never two instances for one generation: an intent whose outcome is unknown is repeated with its own token, and a new
attempt (another zone) is made only after the cloud refused the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from orchestrator.fleet.observation import Observation
from orchestrator.fleet.record import LaunchIntent
from orchestrator.planning.assess import Slot
from orchestrator.planning.look import Look
from orchestrator.planning.placement import pick_subnet
from orchestrator.planning.plan import Hold, Kind, Launch
from orchestrator.planning.retries import why_not_retry

VISIBILITY = timedelta(seconds=90)
"""How long a launched instance may be missing from the cloud's lists (eventual consistency) before it counts as deleted."""

CAPACITY_MEMORY = timedelta(minutes=10)
"""How long a zone that had no capacity is passed over."""


def plan_launch(slot: Slot, reason: str, look: Look, planned: Mapping[str, int], kind: Kind) -> Launch | Hold:
    """Plan the launch of this slot's next generation. `planned`: how many this plan already launches into each subnet."""
    relay = slot.relay
    if look.spec.cloud.kind == "static":
        return Hold(relay.name, "launch", f"{reason}; it is a named host: repair it, or name another in the fleet file")
    mine = look.by.intents.get(relay.name, ())
    newest = mine[-1] if mine else None
    if newest is not None and _is_not_listed_yet(newest, look):
        age = (look.now - newest.at).total_seconds()
        return Hold(
            relay.name, "launch", f"{newest.instance_id} was launched {age:.0f} s ago; not listed yet", passes=True
        )
    if (hold := why_not_retry(look, relay.name, "launch")) is not None:
        return hold
    if newest is not None and _is_open(newest, look):
        return _repeat(newest, look.seen, kind)
    generation, attempt = _next_number(slot, newest)
    full = [i for i in mine if i.generation == generation and i.refused and i.subnet]
    refused = [i for i in full if look.now - i.at < CAPACITY_MEMORY]
    if (lacking := _why_no_address(relay.name, relay.region, look, planned)) is not None:
        return Hold(relay.name, "launch", lacking)
    place = pick_subnet(relay, look.seen.cloud, planned, refused)
    if place is None:
        return Hold(relay.name, "launch", _no_place(relay.region, look, refused))
    return Launch(relay.name, relay.region, place[0], place[1], generation, attempt, reason, kind=kind)


def _why_no_address(relay: str, region: str, look: Look, planned: Mapping[str, int]) -> str | None:
    """Return why the quota of elastic addresses forbids a launch, counting those that launches under way will take."""
    cloud = look.seen.cloud
    free = cloud.free_addresses.get(region)
    if free is None or look.spec.regions[region].addresses != "elastic":
        return None
    if relay in look.by.address_owners:
        return None
    coming = sum(planned.get(subnet, 0) for subnet, _ in cloud.zones.get(region, ()))
    coming += look.by.without_address.get(region, 0)
    if coming < free:
        return None
    return (
        f"the account has {free} elastic addresses left in {region}, and {coming} launches take them; ask AWS for more"
    )


def _is_not_listed_yet(intent: LaunchIntent, look: Look) -> bool:
    """Whether the launched instance may still be missing from the lists, as a new one or beside the dead one it replaces."""
    listed = intent.instance_id in look.by.listed
    return intent.instance_id is not None and not listed and look.now - intent.at < VISIBILITY


def _is_open(intent: LaunchIntent, look: Look) -> bool:
    """Whether the outcome of a launch is not known: no answer recorded, and no instance, gone or not, carries its token."""
    return intent.instance_id is None and intent.refused is None and intent.token not in look.by.launch_tokens


def _repeat(intent: LaunchIntent, observation: Observation, kind: Kind) -> Launch:
    zone = dict(observation.cloud.zones.get(intent.region, ())).get(intent.subnet, "")
    return Launch(
        intent.relay,
        intent.region,
        intent.subnet,
        zone,
        intent.generation,
        intent.attempt,
        "the outcome of its launch is not known; the same request again",
        repeat_token=intent.token,
        kind=kind,
    )


def _next_number(slot: Slot, newest: LaunchIntent | None) -> tuple[int, int]:
    """Return (generation, attempt): the next attempt of a refused generation, else a new generation."""
    there = (*slot.instances, *([slot.successor] if slot.successor is not None else []))
    seen = max((instance.generation for instance in there), default=0)
    if newest is not None and newest.refused is not None and newest.generation > seen:
        return newest.generation, newest.attempt + 1
    return max(seen, newest.generation if newest else 0) + 1, 0


def _no_place(region: str, look: Look, refused: Sequence[LaunchIntent]) -> str:
    if not look.seen.cloud.zones.get(region):
        return f"none of the fleet file's subnets exists in {region}"
    latest = {intent.subnet: intent for intent in refused}
    again = min(intent.at for intent in latest.values()) + CAPACITY_MEMORY - look.now
    said = "; ".join(f"{intent.subnet}: {intent.refused}" for intent in latest.values())
    return f"every zone of {region} refused ({said}); asked again {again.total_seconds() / 60:.0f} min from now at the earliest"
