"""A second pair of eyes: is a region gone, or is it only we who cannot see it? Pure.

When no relay of a region answers, neither by SSH nor on the wire, the relays elsewhere tell: they name some of them as neighbours
and keep connections with them for as long as these live. A region that nobody elsewhere is connected with any more is *dark*. It is
then no longer published, and nothing in it is destroyed. Without relays elsewhere that say so, it is we who may be cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.fleet.address import plain_address
from orchestrator.fleet.observation import HostFacts, Instance, InstanceState, Observation, Unreachable, Verdict

LEAST_VANTAGES = 2
"""Relays elsewhere that must say so: one alone may be cut off from that region by its own network."""

HEARD = (
    Verdict.OK,
    Verdict.STALE_TIP,
    Verdict.HANDSHAKE_TIMEOUT,
    Verdict.ANSWER_TIMEOUT,
    Verdict.WRONG_MAGIC,
    Verdict.REFUSED,
)
"""Verdicts that somebody at that address caused."""


def find_dark_regions(seen: Observation) -> frozenset[str]:
    """Return the regions of which nobody answers us and nobody elsewhere has a connection."""
    regions: dict[str, list[Instance]] = {}
    for instance in seen.cloud.instances:
        if instance.state is InstanceState.RUNNING:
            regions.setdefault(instance.region, []).append(instance)
    return frozenset(
        region for region, own in regions.items() if _is_unseen(own, seen) and _is_confirmed(region, regions, seen)
    )


def _is_unseen(instances: Sequence[Instance], seen: Observation) -> bool:
    """Whether somebody was asked, and nobody answered in any way."""
    hosts = [seen.hosts.get(instance.instance_id) for instance in instances]
    heard = any((s := seen.sightings.get(i.relay)) is not None and s.verdict in HEARD for i in instances)
    asked = any(isinstance(host, Unreachable) for host in hosts)
    return asked and not heard and all(host is None or isinstance(host, Unreachable) for host in hosts)


def _is_confirmed(region: str, regions: Mapping[str, Sequence[Instance]], seen: Observation) -> bool:
    """Whether relays of other regions answer, say who their peers are, and none of these is of this region."""
    addresses = [plain_address(instance.address or "") for instance in regions[region]]
    if any(address is None for address in addresses):
        return False  # no connection bears a name: whether it is there cannot be told
    vantages = list(_list_vantages(region, regions, seen))
    # One that has no peers at all is cut off itself.
    return len(vantages) >= LEAST_VANTAGES and all(peers and not peers & set(addresses) for peers in vantages)


def _list_vantages(
    region: str, regions: Mapping[str, Sequence[Instance]], seen: Observation
) -> Iterator[frozenset[str | None]]:
    for other, instances in regions.items():
        for instance in instances if other != region else ():
            host = seen.hosts.get(instance.instance_id)
            if isinstance(host, HostFacts) and host.peers is not None:
                yield frozenset(plain_address(peer) for peer in host.peers)
