"""How a topology is told in the log, in the node's own words: what a reload is confirmed by."""

from __future__ import annotations

from .topology import LocalRootGroup, Topology


def describe_topology(topology: Topology) -> str:
    """Return the text of the `NetworkConfig` line; it goes over several lines."""
    ledger = topology.use_ledger_after_slot
    match ledger:
        case None:
            ledger_text = "Don't use ledger to get root peers."
        case 0:
            ledger_text = "Use ledger peers in any slot."
        case slot:
            ledger_text = f"Get root peers from the ledger after slot {slot}"
    snapshot = topology.peer_snapshot
    return "\n".join(
        [
            "",
            "Local Root Groups:",
            "  " + "\n  ".join(_describe_group(group) for group in topology.local_roots),
            "Public Roots:",
            "  " + "\n  ".join(str(point) for point in topology.public_roots),
            ledger_text,
            "Topology configuration does not specify ledger peer snapshot file"
            if snapshot is None
            else f'Topology configuration specifies ledger peer snapshot file: "{snapshot}"',
        ]
    )


def _describe_group(group: LocalRootGroup) -> str:
    trust = "IsTrustable" if group.trustable else "IsNotTrustable"
    advertise = "DoAdvertisePeer" if group.advertise else "DoNotAdvertisePeer"
    members = ",".join(f"({point},{advertise},{trust})" for point in group.access_points)
    return f"(HotValency {{getHotValency = {group.hot}}},WarmValency {{getWarmValency = {group.warm}}},[{members}])"
