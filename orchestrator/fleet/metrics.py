"""What a node says of itself, in one vocabulary for all of its dialects. Absent is None, never 0."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeMetrics:
    """One reading of a node's metrics. Sources of the names: `adapters/metrics.py`."""

    dialect: str
    """`legacy` (until 10.x with legacy tracing), `new` (new tracing, with or without suffixes), or `unknown`."""
    tip_slot: int | None = None
    tip_block: int | None = None
    inbound: int | None = None
    """Connections that others opened."""
    outbound: int | None = None
    """Connections that this node opened."""
    served_blocks: int | None = None
    """Blocks handed to peers since the start."""
    started_at: int | None = None
    """Unix seconds of the node's start."""
    replay_percent: float | None = None
    """0 to 100 while the ledger is replayed; 100, or absent, afterwards."""
    memory_bytes: int | None = None
    """Resident memory."""
