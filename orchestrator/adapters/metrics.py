"""A node's Prometheus text, in any of its dialects → one vocabulary. Never raises, whatever the text.

Two tracing systems name the same figures differently, and the newer one can drop the ends of its names (`nosuffix`). What
cannot be read is skipped: labels printed as bare text, lines cut off, values that are no figure. A figure that is absent stays
None: after a restart a node has no tip until its chain grows, and 0 would be a lie. Whether a node is well is not judged here.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from orchestrator.fleet.metrics import NodeMetrics

MOST_CHARACTERS = 256 * 1024
"""Ten times what a real node writes; the rest of a longer text is not read."""
LARGEST_FIGURE = 2**63 - 1
"""The node counts in 64 bits: anything beyond is not its figure."""

PREFIX = "cardano_node_metrics_"
SUFFIXES = ("_int", "_counter", "_real")

LEGACY, NEW = "legacy", "new"
VOCABULARY: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "slotNum": ("tip_slot", ""),
        "blockNum": ("tip_block", ""),
        "connectionManager_incomingConns": ("inbound", LEGACY),
        "connectionManager_inboundConns": ("inbound", NEW),
        "connectionManager_outgoingConns": ("outbound", LEGACY),
        "connectionManager_outboundConns": ("outbound", NEW),
        "served_block_count": ("served_blocks", LEGACY),
        "served_block": ("served_blocks", NEW),
        "nodeStartTime": ("started_at", LEGACY),
        "node_start_time": ("started_at", NEW),
        "blockReplayProgress": ("replay_percent", NEW),
        "Mem_resident": ("memory_bytes", ""),
    }
)
"""Name without prefix and suffix → our name, and the dialect that this name gives away (empty: both use it)."""

# Names from the metrics migration guide of the developer portal, and from what nodes 10.5.1 and 11.0.1 were seen to write.
NAMES = tuple(VOCABULARY)
"""What a line's name must contain to be of interest: enough to leave the rest of a node's metrics on its host."""

# Python's own float() would take words, underscores and digits of other scripts as well.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LONGEST_NUMBER = 64


def parse_metrics(text: str) -> NodeMetrics:
    """Read one answer of a node. A last line without its end is not read: half a number is another number."""
    figures: dict[str, float] = {}
    hints: Counter[str] = Counter()
    for name, value in _samples(text):
        known = VOCABULARY.get(base_name(name))
        if known is not None:
            figures.setdefault(known[0], value)
            hints[known[1]] += 1
    percent = figures.get("replay_percent")
    return NodeMetrics(
        dialect=_dialect(hints),
        tip_slot=_count(figures.get("tip_slot")),
        tip_block=_count(figures.get("tip_block")),
        inbound=_count(figures.get("inbound")),
        outbound=_count(figures.get("outbound")),
        served_blocks=_count(figures.get("served_blocks")),
        started_at=_count(figures.get("started_at")),
        replay_percent=percent if percent is not None and 0 <= percent <= 100 else None,
        memory_bytes=_count(figures.get("memory_bytes")),
    )


def base_name(name: str) -> str:
    """Return a metric's name as all dialects share it: without the prefix and without the suffix of its kind."""
    short = name.removeprefix(PREFIX)
    for suffix in SUFFIXES:
        if short.endswith(suffix):
            return short.removesuffix(suffix)
    return short


def _samples(text: str) -> Iterator[tuple[str, float]]:
    """Yield name and value of every line that has both."""
    whole, end, _ = text[:MOST_CHARACTERS].rpartition("\n")
    for line in whole.split("\n") if end else ():
        sample = _read_line(line.strip())
        if sample is not None:
            yield sample


def _read_line(line: str) -> tuple[str, float] | None:
    named = _NAME.match(line)
    if named is None:
        return None
    rest = line[named.end() :].lstrip()
    if rest.startswith("{"):
        _, closed, rest = rest.rpartition("}")
        if not closed:
            return None
    elif not line[named.end() :].startswith((" ", "\t")):
        return None  # a name that runs on (a.b, a-b) is another name
    value = rest.split(maxsplit=1)[0] if rest.strip() else ""
    if len(value) > _LONGEST_NUMBER or _NUMBER.fullmatch(value) is None:
        return None
    return named.group(), float(value)


def _count(value: float | None) -> int | None:
    """Return a figure that counts something; what is negative or beyond the node's own range counts nothing."""
    if value is None or not math.isfinite(value) or not 0 <= value <= LARGEST_FIGURE:
        return None
    return int(value)


def _dialect(hints: Mapping[str, int]) -> str:
    legacy, new = hints.get(LEGACY, 0), hints.get(NEW, 0)
    if legacy == new:
        return "unknown"
    return LEGACY if legacy > new else NEW
