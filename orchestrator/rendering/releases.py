"""What changed between node releases, as far as rendering must know it. Facts with their version, no decisions."""

from __future__ import annotations

import re

# From here on the official configurations use the new tracing system; before, it lacked metrics that we read.
NEW_TRACING = (10, 6)
# From here on the node is peer-to-peer only, and EnableP2P means nothing.
PEER_TO_PEER_ONLY = (10, 6)
# From here on the legacy peer snapshot stops the node from starting, and before it nobody reads the new one.
NEW_PEER_SNAPSHOT = (10, 7)
# From here on nothing reads the legacy tracing keys.
LEGACY_TRACING_REMOVED = (11, 1)


def is_at_least(version: str, bound: tuple[int, ...]) -> bool:
    """Tell whether a release is as new as `bound`; a pre-release counts as the release it leads to."""
    numbers = tuple(int(number) for number in re.split(r"[.-]", version) if number.isdigit())
    return numbers[: len(bound)] >= bound
