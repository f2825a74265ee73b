"""All files of one relay, with their digests. Start here.

Pure, and remembered by value: a cycle renders every relay, and nearly always nothing has changed. What differs
between relays of a region is the topology alone.
"""

from __future__ import annotations

from functools import lru_cache

from orchestrator.errors import RenderFailed
from orchestrator.fleet.relay import Relay
from orchestrator.rendering import layout
from orchestrator.rendering.digest import digest_of_files, file_states
from orchestrator.rendering.host import (
    HostFiles,
    host_values,
    json_text,
    make_file,
    render_host_files,
    wanted_release,
)
from orchestrator.rendering.node_config import NodeValues
from orchestrator.rendering.snapshot import check_peer_snapshot
from orchestrator.rendering.topology import TopologyValues, find_faults, topology_document
from orchestrator.rendering.values import (
    AccessPoint,
    NetworkFiles,
    RelayNeighbours,
    RenderedRelay,
    Templates,
    WantedRelease,
)
from orchestrator.spec.model import FleetSpec


def render_relay(
    spec: FleetSpec, network: NetworkFiles, templates: Templates, relay: Relay, neighbours: RelayNeighbours
) -> RenderedRelay:
    """Render one relay. Raises RenderFailed, naming the template or file and what is wrong with it."""
    region = spec.regions[relay.region]
    release = wanted_release(spec, region)
    node = NodeValues(
        release=spec.release,
        metrics_port=spec.ports.metrics,
        hard_limit=spec.connections.hard_limit,
        soft_limit=spec.connections.soft_limit,
        delay_seconds=spec.connections.delay_seconds,
    )
    named = (network.config_json, network.digest, tuple(sorted(network.genesis)))
    shared = render_host_files(host_values(spec, region), node, release, named, templates)
    snapshot = _wanted_snapshot(spec, network)
    topology = TopologyValues(
        public_roots=tuple(AccessPoint(root.address, root.port) for root in spec.topology.public_roots),
        use_ledger_after_slot=spec.topology.use_ledger_after_slot,
        peer_snapshot=snapshot is not None,
    )
    itself = _own_access_points(spec, relay, neighbours)
    return _assemble(relay.name, release, network.digest, shared, topology, snapshot, neighbours, itself)


@lru_cache(maxsize=32_768)  # more than any fleet has relays: a smaller one would forget each before it is asked again
def _assemble(
    name: str,
    release: WantedRelease,
    network_digest: str,
    shared: HostFiles,
    topology: TopologyValues,
    snapshot: str | None,
    neighbours: RelayNeighbours,
    itself: frozenset[AccessPoint],
) -> RenderedRelay:
    document = topology_document(topology, neighbours)
    faults = find_faults(document, itself)
    if faults:
        raise RenderFailed(
            f"topology.json of {name}: {'; '.join(faults)}",
            next_step="Correct partners and public_roots in the fleet file; otherwise this is a defect of genesis-fleet.",
        )
    reloads = [make_file(layout.TOPOLOGY, json_text(document))]
    if snapshot is not None:
        reloads.append(make_file(layout.PEER_SNAPSHOT, snapshot))
    reload_digest = digest_of_files(file_states(reloads))
    files = (
        *shared.files,
        *reloads,
        # Last, so that whoever writes files in this order never leaves a digest beside files that it does not describe.
        make_file(layout.RELOAD_DIGEST, f"{reload_digest}\n"),
        make_file(layout.RESTART_DIGEST, f"{shared.restart_digest}\n"),
    )
    digest = digest_of_files(file_states(files), release.sha256, network_digest)
    return RenderedRelay(name, files, release, shared.restart_digest, reload_digest, digest, network_digest)


def _wanted_snapshot(spec: FleetSpec, network: NetworkFiles) -> str | None:
    """Return the peer snapshot's text if the relays are to have it: asked for, and ledger peers on, else it is never read."""
    if spec.topology.peer_snapshot is None or spec.topology.use_ledger_after_slot < 0:
        return None
    if network.peer_snapshot is None:
        raise RenderFailed(
            f"the network folder did not supply the peer snapshot {spec.topology.peer_snapshot!r}",
            next_step="Put the file into the network folder, or remove topology.peer_snapshot.",
        )
    _check_snapshot(network.peer_snapshot, spec.release, spec.network.magic, spec.topology.use_ledger_after_slot)
    return network.peer_snapshot


# A snapshot has megabytes of text at worst, and is the same for all relays.
_check_snapshot = lru_cache(maxsize=16)(check_peer_snapshot)


def _own_access_points(spec: FleetSpec, relay: Relay, neighbours: RelayNeighbours) -> frozenset[AccessPoint]:
    """Return where the relay itself listens, as far as that is known."""
    addresses = set(neighbours.itself)
    hosts = spec.regions[relay.region].hosts
    if spec.cloud.kind == "static" and relay.index <= len(hosts):
        addresses.add(hosts[relay.index - 1].address)
    return frozenset(AccessPoint(address, spec.ports.relay) for address in addresses)
