"""Figures of a running node → Prometheus text, in the dialect of its tracing system. Pure.

Names are those of the real node, in their legacy and their new spelling. What is not known yet is absent, not 0: after a
restart there is no slot and no block until the chain grows, and only the new dialect tells how far a replay has come.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from .version import Version

PREFIX = "cardano_node_metrics_"
KINDS = {"_counter": "counter", "_int": "gauge", "_real": "gauge"}


@dataclass(frozen=True, slots=True)
class TipFigures:
    """The chain's end, once it has grown."""

    slot: int
    block: int
    epoch: int
    slot_in_epoch: int
    density: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What the node counts; `replay_percent` is None in a node that never replayed."""

    version: Version
    revision: str
    started: datetime
    tip: TipFigures | None
    replay_percent: float | None
    inbound: int = 0
    outbound: int = 0
    known_peers: int = 0
    forks: int = 0
    served_headers: int = 0
    served_blocks: int = 0
    served_newest: int = 0
    resident_bytes: int = 0


def render_metrics(figures: Figures, *, legacy: bool, with_suffix: bool = True) -> str:
    """Render all figures; `with_suffix` False drops `_int` and its like, as the backend's option does."""
    return _render_legacy(figures) if legacy else _render_new(figures, with_suffix=with_suffix)


def _render_legacy(figures: Figures) -> str:
    # A blank before the brace and no type lines: so the legacy exposition is.
    lines = [f"{PREFIX}cardano_build_info {_build_labels(figures)} 1"]
    lines += [f"{PREFIX}{name} {value}" for name, value in _legacy_values(figures)]
    return "\n".join(sorted(lines)) + "\n"


def _render_new(figures: Figures, *, with_suffix: bool) -> str:
    lines = [f"# TYPE {PREFIX}cardano_build_info info", f"{PREFIX}cardano_build_info{_build_labels(figures)} 1"]
    for name, value in _new_values(figures):
        suffix = next((suffix for suffix in KINDS if name.endswith(suffix)), None)
        shown = name if with_suffix or suffix is None else name.removesuffix(suffix)
        lines += [f"# TYPE {PREFIX}{shown} {KINDS[suffix]}"] if suffix is not None else []
        lines.append(f"{PREFIX}{shown} {value}")
    return "\n".join(lines) + "\n# EOF\n"


def _shared_values(figures: Figures) -> Iterator[tuple[str, int | float]]:
    if (tip := figures.tip) is not None:
        yield "slotNum_int", tip.slot
        yield "blockNum_int", tip.block
        yield "epoch_int", tip.epoch
        yield "slotInEpoch_int", tip.slot_in_epoch
        yield "density_real", tip.density
    yield "txsInMempool_int", 0
    yield "mempoolBytes_int", 0
    yield "Mem_resident_int", figures.resident_bytes
    yield "RTS_gcLiveBytes_int", figures.resident_bytes
    yield "RTS_gcHeapBytes_int", figures.resident_bytes
    yield "RTS_gcMajorNum_int", 1
    yield "RTS_gcMinorNum_int", 1


def _legacy_values(figures: Figures) -> Iterator[tuple[str, int | float]]:
    yield from _shared_values(figures)
    yield "nodeStartTime_int", int(figures.started.timestamp())
    yield "connectionManager_incomingConns", figures.inbound
    yield "connectionManager_outgoingConns", figures.outbound
    yield "connectionManager_duplexConns", 0
    yield "connectionManager_fullDuplexConns", 0
    yield "connectionManager_unidirectionalConns", figures.inbound + figures.outbound
    yield "inboundGovernor_idle", 0
    yield "inboundGovernor_cold", 0
    yield "inboundGovernor_hot", figures.inbound
    yield "inboundGovernor_warm", 0
    yield "peerSelection_cold", max(0, figures.known_peers - figures.outbound)
    yield "peerSelection_warm", 0
    yield "peerSelection_hot", figures.outbound
    yield "txsProcessedNum_int", 0
    yield "forks_int", figures.forks
    yield "served_header_counter_int", figures.served_headers
    yield "served_block_count_int", figures.served_blocks
    yield "served_block_latest_count_int", figures.served_newest


def _new_values(figures: Figures) -> Iterator[tuple[str, int | float]]:
    yield from _shared_values(figures)
    if figures.replay_percent is not None:
        yield "blockReplayProgress_real", figures.replay_percent
    version = figures.version
    yield "cardano_version_major_int", version.major
    yield "cardano_version_minor_int", version.minor
    yield "cardano_version_patch_int", version.patch
    yield "node_start_time_int", int(figures.started.timestamp())
    yield "connectionManager_inboundConns_int", figures.inbound
    yield "connectionManager_outboundConns_int", figures.outbound
    yield "connectionManager_duplexConns_int", 0
    yield "connectionManager_fullDuplexConns_int", 0
    yield "connectionManager_unidirectionalConns_int", figures.inbound + figures.outbound
    yield "inboundGovernor_idle_int", 0
    yield "inboundGovernor_cold_int", 0
    yield "inboundGovernor_hot_int", figures.inbound
    yield "inboundGovernor_warm_int", 0
    yield "peerSelection_Cold_int", max(0, figures.known_peers - figures.outbound)
    yield "peerSelection_Warm_int", 0
    yield "peerSelection_Hot_int", figures.outbound
    yield "peerSelection_KnownPeers_int", figures.known_peers
    yield "peerSelection_EstablishedPeers_int", figures.outbound
    yield "peerSelection_ActivePeers_int", figures.outbound
    yield "txsProcessedNum_counter", 0
    yield "forks_counter", figures.forks
    yield "served_header_counter", figures.served_headers
    yield "ChainSync_HeadersServed_counter", figures.served_headers
    yield "served_block_counter", figures.served_blocks
    yield "served_block_latest_int", figures.served_newest
    # A relay of the backbone stays in this state while perfectly well: nobody should take it for readiness.
    yield "GSM_state_int", 0


def _build_labels(figures: Figures) -> str:
    version = figures.version
    labels = {
        "version_major": version.major,
        "version_minor": version.minor,
        "version_patch": version.patch,
        "version": version,
        "revision": figures.revision,
        "compiler_name": "ghc",
        "compiler_version": "9.6.7",
        "architecture": platform.machine(),
        "os_name": "linux",
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
