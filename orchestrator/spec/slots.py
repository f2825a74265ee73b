"""When slot 0 was, and how long a slot lasts: what turns the slot of a tip into its age.

Slots are counted as Shelley counts them. A network that began with Byron's longer slots has its slot 0 somewhere before its
start, which no genesis file states; for the well-known ones it is known here, for others the operator says it
(`network.slot_zero`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.spec.findings import Path, show
from orchestrator.spec.model import NetworkSpec

SLOT_ZERO_UNIX = {
    "mainnet": 1591566291,
    "preprod": 1655683200,
    "preview": 1666656000,
    "sanchonet": 1686789000,
    "dijkstra": 1767225600,
}
"""Unix time of slot s = this + s, for every slot since Shelley; from start, Byron epochs and slot length of each network."""


@dataclass(frozen=True, slots=True)
class SlotClock:
    """Unix time of slot s = slot_zero_unix + s * slot_length_seconds."""

    slot_zero_unix: float
    slot_length_seconds: float


@dataclass(frozen=True, slots=True)
class NoSlotClock:
    """Why there is none, and which value of the fleet file would mend it."""

    path: Path
    text: str


def read_slot_clock(
    network: NetworkSpec, config: Mapping[str, Any], shelley: Mapping[str, Any]
) -> SlotClock | NoSlotClock:
    """Return the clock of a network from its name, from `slot_zero`, or from its Shelley genesis."""
    folder: Path = ("network", "folder")
    length = shelley.get("slotLength")
    if isinstance(length, bool) or not isinstance(length, int | float) or not 0 < length <= 3600:
        return NoSlotClock(folder, f"found {show(length)} as slotLength of the Shelley genesis, expected seconds")
    known = SLOT_ZERO_UNIX.get(network.name)
    if known is not None and network.slot_zero not in (None, known):
        text = f"found {network.slot_zero}, expected {known}, the start of {network.name}, or nothing"
        return NoSlotClock(("network", "slot_zero"), text)
    if known is not None or network.slot_zero is not None:
        return SlotClock(float(known if known is not None else network.slot_zero or 0), float(length))
    if config.get("TestShelleyHardForkAtEpoch") != 0:
        text = (
            f"found a network with a Byron era ({network.name}), expected slot_zero: the Unix time that slot 0 would"
            " have if all slots were as long as Shelley's"
        )
        return NoSlotClock(("network", "slot_zero"), text)
    start = _parse_start(shelley.get("systemStart"))
    if start is None:
        text = f"found {show(shelley.get('systemStart'))} as systemStart of the Shelley genesis, expected a time in UTC"
        return NoSlotClock(folder, text)
    return SlotClock(start, float(length))


def _parse_start(text: object) -> float | None:
    try:
        start = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    # The node reads UTC only; a time without a zone would be read as this machine's.
    return start.timestamp() if start is not None and start.tzinfo is UTC else None
