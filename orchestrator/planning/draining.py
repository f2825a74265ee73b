"""When a relay that serves may be stopped: after it has been out of the names for a while, and others have let go of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from orchestrator.fleet.address import plain_address
from orchestrator.fleet.observation import HostFacts, HostView, Verdict
from orchestrator.fleet.rollout import Order, Verb
from orchestrator.planning.budget import Budget
from orchestrator.planning.look import Look
from orchestrator.planning.plan import DISTURBING, NAMES, PUBLISH, Action, Deploy, Health, Hold, RelayView, Stop
from orchestrator.planning.publishing import list_found_lately
from orchestrator.planning.retries import why_not_retry

DRAIN = "drain"
"""What a hold is called that keeps a relay out of the names until it may be stopped."""


def list_asked(look: Look) -> Mapping[str, Order]:
    """Return the relays that operators want drained until further notice, with their order."""
    return find_asked(look.record.orders)


def find_asked(orders: Sequence[Order]) -> Mapping[str, Order]:
    """Return the relays that these orders want drained; of several about one relay the last counts."""
    asked: dict[str, Order] = {}
    for order in orders:
        if order.verb is Verb.DRAIN:
            asked[order.relay] = order
        elif order.verb is Verb.UNDRAIN:
            asked.pop(order.relay, None)
    return asked


def keep_drained(view: RelayView, order: Order, look: Look, budget: Budget) -> Hold | None:
    """Return the hold of a relay that is to stay drained; None while it does not serve anyway, and so is in no names."""
    name, what = view.name, f"drained by {order.user}: {order.reason}"
    begun = name in look.record.rollout.draining
    if view.health is not Health.HEALTHY and not begun:
        return None
    if not begun and (full := budget.why_not_disturb(name, view.region)) is not None:
        return Hold(name, "stop", f"{what}; {full}")
    facts = look.seen.hosts.get(view.instance.instance_id) if view.instance is not None else None
    waits = wait_for_drain(name, what, facts, look) if isinstance(facts, HostFacts) else None
    return waits or Hold(name, DRAIN, f"{what}; `genesis-fleet undrain {name}` lets it back")


def wait_for_drain(relay: str, what: str, facts: HostFacts, look: Look, named_by: Collection[str] = ()) -> Hold | None:
    """Return the hold that lets a relay drain, or None once it has: it may be stopped.

    `named_by` are the addresses of the relays whose topology names it: those hold on to it until it stops, and are not waited for.
    """
    policy = look.spec.rollout
    since, zone = find_out_since(relay, look), look.seen.zone
    if policy.drain_time is None or (since is None and relay not in list_found_lately(look)):
        return None
    if zone is not None and zone.silent:
        return Hold(
            relay, DRAIN, f"{what}; it may still be in the names, which cannot be read: {zone.silent}", passes=True
        )
    if since is None:
        stuck = why_not_retry(look, NAMES, PUBLISH)
        because = f"{what}; leaves the names for {policy.drain_time.total_seconds():.0f} s first"
        return Hold(relay, DRAIN, because, passes=stuck is None or stuck.passes)
    drained = look.now - since
    if drained < policy.drain_time:
        seconds = f"{drained.total_seconds():.0f} of {policy.drain_time.total_seconds():.0f} s"
        return Hold(relay, DRAIN, f"{what}; is out of the names since {seconds}", passes=True)
    others = _count_others(facts, named_by)
    if others is None or others <= policy.drain_connections or drained >= policy.drain_deadline:
        return None
    left = (policy.drain_deadline - drained).total_seconds()
    because = f"{others} others are connected, {policy.drain_connections} may be; stopped in {left:.0f} s at the latest"
    return Hold(relay, DRAIN, f"{what}; {because}", passes=True)


def find_out_since(relay: str, look: Look) -> datetime | None:
    """Return since when a relay is out of the names; None if it is in them, or never was.

    Who was let back drains anew, although a controller may have died before it noted that the relay no longer does.
    """
    evidence = look.record.evidence
    if relay in list_found_lately(look):
        return None
    return look.record.rollout.draining.get(relay, evidence.withdrawn.get(relay))


def _count_others(facts: HostFacts, named_by: Collection[str]) -> int | None:
    """Return how many are connected to a relay that are none of ours; None if that is not known."""
    if facts.metrics is None or facts.metrics.inbound is None:
        return None
    peers = {plain_address(peer) for peer in facts.peers or ()}
    ours = sum(plain_address(address) in peers for address in named_by)
    return max(facts.metrics.inbound - ours, 0)


def list_draining(steps: Sequence[Action | Hold], look: Look) -> Mapping[str, datetime]:
    """Return since when relays have been draining, as this plan has it: whoever is not to be stopped any more is let back.

    Who could not be asked drains on: let back unseen, it would count as out of the names for no time, and be stopped at once.
    """
    before = look.record.rollout.draining
    if not before:
        return {name: find_out_since(name, look) or look.now for name in sorted(_name_draining(steps, before))}
    asked = list_asked(look).keys()
    hosts, instances = look.seen.hosts, look.seen.cloud.instances
    busy = {name for name, work in look.seen.in_flight.items() if work.disturbs}
    busy |= {i.relay for i in instances if _is_disturbed(hosts.get(i.instance_id))}
    there = {relay.name for relay in look.wanted.relays} | {i.relay for i in instances}
    silent = there - _name_answering(look)
    names = {*_name_draining(steps, before), *(before.keys() & (busy | silent | asked))}
    return {name: find_out_since(name, look) or look.now for name in sorted(names)}


def _name_answering(look: Look) -> frozenset[str]:
    """Name the relays of which host and wire could be asked."""
    probed = {name for name, sighting in look.seen.sightings.items() if sighting.verdict is not Verdict.NOT_ASKED}
    hosts = look.seen.hosts
    return frozenset(
        i.relay
        for i in look.seen.cloud.instances
        if i.relay in probed and isinstance(hosts.get(i.instance_id), HostFacts)
    )


def _is_disturbed(host: HostView | None) -> bool:
    """Whether somebody's playbook is at work on a host and may be about to stop its node."""
    return isinstance(host, HostFacts) and host.working in DISTURBING


def _name_draining(steps: Sequence[Action | Hold], before: Mapping[str, datetime]) -> Iterable[str]:
    for step in steps:
        begins = isinstance(step, Stop) or (isinstance(step, Deploy) and step.disturbs)
        if (isinstance(step, Hold) and step.wanted == DRAIN) or (begins and step.relay in before):
            yield step.relay
