"""A second pair of eyes: is a region gone, or is it only we who cannot see it? Pure.

When no relay of a region can be asked, the relays elsewhere tell: they name some of them as neighbours and keep connections
with them for as long as these live. A region that nobody elsewhere is connected with any more is *dark*. It is then no longer
published, and nothing in it is destroyed. Without relays elsewhere that say so, it is we who may be cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.fleet.observation import HostFacts
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Phase, RelayView


def find_dark_regions(views: Iterable[RelayView], look: Look) -> frozenset[str]:
    """Return the regions of which nobody answers us and nobody elsewhere has a connection."""
    by_region: dict[str, list[RelayView]] = {}
    for view in views:
        if view.instance is not None:
            by_region.setdefault(view.region, []).append(view)
    unseen = {region for region, own in by_region.items() if all(view.phase is Phase.UNKNOWN for view in own)}
    return frozenset(region for region in unseen if _is_confirmed(region, by_region, look))


def _is_confirmed(region: str, by_region: Mapping[str, list[RelayView]], look: Look) -> bool:
    """Whether relays of other regions answer, say who their peers are, and none of these is of this region."""
    addresses = {view.address for view in by_region[region] if view.address is not None}
    vantages = [
        peers
        for other, views in by_region.items()
        if other != region
        for view in views
        if (peers := _peers_of(view, look)) is not None
    ]
    if len(vantages) < LEAST_VANTAGES or not addresses:
        return False
    # One that has no peers at all is cut off itself.
    return all(peers and not peers & addresses for peers in vantages)


LEAST_VANTAGES = 2
"""Relays elsewhere that must say so: one alone may be cut off from that region by its own network."""


def _peers_of(view: RelayView, look: Look) -> frozenset[str] | None:
    host = look.seen.hosts.get(view.instance.instance_id) if view.instance is not None else None
    return host.peers if isinstance(host, HostFacts) else None
