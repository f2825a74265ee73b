"""Did a relay take up the topology it was told to reload? Judged by its log, and by the peers it has. Pure.

A node that does not take a topology up may do so in two ways: it logs no success, or it does and passes over its local roots,
because it is in the sensitive state of a node that trusts nobody but its bootstrap peers. Only the peers tell of the second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from orchestrator.fleet.address import plain_address
from orchestrator.fleet.observation import HostFacts, InstanceState, Observation, Verdict
from orchestrator.planning.budget import name_some
from orchestrator.planning.mesh import relay_addresses
from orchestrator.planning.node_notes import describe_span
from orchestrator.rendering.layout import TOPOLOGY
from orchestrator.rendering.values import RenderedRelay
from orchestrator.spec.model import FleetSpec

LOG_GRACE = timedelta(seconds=15)
"""A node answers a signal in milliseconds; one that replays or collects garbage, later."""

PEERS_GRACE = timedelta(seconds=60)
"""By then a node has dialled its local roots, also if the first attempt failed."""

PEERS_JUDGED_UNTIL = timedelta(minutes=15)
"""A node leaves its sensitive state within as long, or ends of it, and peers come and go: who is missing later was lost since."""

SETTLED_AFTER = timedelta(minutes=5)
"""A node that has just started was down a moment ago, and those that tried it then pause for minutes before they try again."""


def find_reachable(seen: Observation, spec: FleetSpec, now: datetime) -> Mapping[str, str]:
    """Return who can be connected to at which address, by what this very look saw: address → name.

    Left out are those known by a DNS name only, which no connection bears, relays whose node has just started or is worked on,
    and those of whom it is not known how long they run, partners too, while none of our relays is connected with them.
    """
    addresses = {**relay_addresses(spec, seen), **{partner.name: partner.address for partner in spec.partners}}
    ages = _list_ages(seen, now)
    connected = _list_connected(seen)

    def has_settled(name: str, address: str) -> bool:
        if name in seen.in_flight:
            return False
        age = ages.get(name)
        return age >= SETTLED_AFTER if age is not None else connected is None or address in connected

    return {
        plain: name
        for name, address in addresses.items()
        if (plain := plain_address(address)) is not None
        and (sighting := seen.sightings.get(name)) is not None
        and sighting.verdict is Verdict.OK
        and has_settled(name, plain)
    }


def why_reload_not_taken(
    facts: HostFacts,
    rendered: RenderedRelay,
    reachable: Mapping[str, str],
    *,
    log_grace: timedelta = LOG_GRACE,
    peers_grace: timedelta = PEERS_GRACE,
) -> str | None:
    """Say how it shows that a relay did not take up its last reload; None if it did, was told nothing, or cannot be judged.

    `reachable` is who can be connected to, by address (see `find_reachable`).
    """
    if facts.reloaded_seconds_ago is None:
        return None
    ago = timedelta(seconds=facts.reloaded_seconds_ago)
    if facts.reload_logged is False:
        said = f"; it says: {facts.detail}" if facts.detail else ""
        told = f"was told to reload its topology {describe_span(ago)} ago, and its log does not confirm it{said}"
        return told if ago >= log_grace else None
    if not peers_grace <= ago < PEERS_JUDGED_UNTIL:
        return None
    # Which peers it should have is known only of the topology that it loaded.
    if facts.peers is None or facts.running_reload_digest != rendered.reload_digest:
        return None
    missing = find_missing_peers(rendered, facts.peers, reachable)
    if not missing:
        return None
    logged = ", which its log confirms," if facts.reload_logged else ""
    return (
        f"reloaded its topology {describe_span(ago)} ago{logged} and has no connection with {name_some(missing, 5)}, "
        "named there as local roots and reachable: a node in its sensitive state passes over them"
    )


def find_missing_peers(rendered: RenderedRelay, peers: frozenset[str], reachable: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of reachable local roots without a connection, of groups that keep fewer than they ask for."""
    connected = {plain for peer in peers if (plain := plain_address(peer)) is not None}
    missing: list[str] = []
    for wanted, members in _list_groups(rendered):
        known = [member for member in members if member in reachable]
        absent = [reachable[member] for member in known if member not in connected]
        kept = sum(member in connected for member in members)
        if absent and kept < min(wanted, len(known)):
            missing += absent
    return tuple(sorted(missing))


def _list_groups(rendered: RenderedRelay) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """List each local root group of a rendered topology: how many peers it keeps, and its members with an IP address."""
    return _read_groups(next((file.content for file in rendered.files if file.path == TOPOLOGY), "{}"))


@lru_cache(maxsize=32_768)  # as many as rendered relays are remembered
def _read_groups(text: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    groups = []
    for group in json.loads(text).get("localRoots", ()):
        members = (plain_address(point["address"]) for point in group["accessPoints"])
        keeps = group.get("valency", group.get("hotValency", 0))
        groups.append((keeps, tuple(member for member in members if member)))
    return tuple(groups)


def _list_ages(seen: Observation, now: datetime) -> Mapping[str, timedelta]:
    """Return relay → how long its node has run, of two generations the younger one; only where its metrics tell."""
    ages: dict[str, timedelta] = {}
    for instance in seen.cloud.instances:
        host = seen.hosts.get(instance.instance_id)
        if instance.state is not InstanceState.RUNNING or not isinstance(host, HostFacts):
            continue
        if host.metrics is not None and host.metrics.started_at is not None:
            age = timedelta(seconds=now.timestamp() - host.metrics.started_at)
            ages[instance.relay] = min(age, ages.get(instance.relay, age))
    return ages


def _list_connected(seen: Observation) -> frozenset[str] | None:
    """Return everybody whom one of our relays is connected with; None unless several tell, for then no other one could say."""
    told = [host.peers for host in seen.hosts.values() if isinstance(host, HostFacts) and host.peers is not None]
    if len(told) <= 1:
        return None
    return frozenset(plain for peers in told for peer in peers if (plain := plain_address(peer)) is not None)
