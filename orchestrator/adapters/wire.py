"""The node-to-node protocol as a port: probes side by side, answers as sightings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.execution.ports import ProbeTarget
from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.ouroboros.chainsync import BlockPoint
from orchestrator.ouroboros.client import ProbeTimeouts, run_probes
from orchestrator.ouroboros.targets import Target
from orchestrator.ouroboros.verdicts import ProbeResult, SlotClock


@dataclass(frozen=True, slots=True)
class Wire:
    """Probes one network's relays. Time comes with the slot clock."""

    magic: int
    slot_clock: SlotClock
    max_tip_age: timedelta
    timeouts: ProbeTimeouts

    def observe_wire(self, targets: Sequence[ProbeTarget], points: Sequence[ChainPoint] = ()) -> Mapping[str, Sighting]:
        """Probe all targets at once and ask each about all points; every target has an answer."""
        results = run_probes(
            [Target(t.address, t.port) for t in targets],
            self.magic,
            timeouts=self.timeouts,
            slot_clock=self.slot_clock,
            max_tip_age=self.max_tip_age,
            points=tuple(BlockPoint(point.slot, bytes.fromhex(point.hash)) for point in points),
        )
        return {target.name: _sighting(result) for target, result in zip(targets, results, strict=True)}


def _sighting(result: ProbeResult) -> Sighting:
    tip = result.tip
    return Sighting(
        verdict=Verdict(result.verdict.value),
        detail=result.detail,
        tip_slot=tip.slot if tip else None,
        tip_block=tip.block if tip else None,
        tip_hash=tip.hash.hex() if tip and tip.hash else None,
        tip_age_seconds=result.tip_age_seconds,
        round_trip_seconds=result.keepalive_rtts_seconds[0] if result.keepalive_rtts_seconds else None,
        handshake_seconds=result.handshake_rtt_seconds,
        asked=_points_of(result.asked),
        has=_points_of(result.has),
    )


def _points_of(points: Sequence[BlockPoint]) -> frozenset[ChainPoint]:
    return frozenset(ChainPoint(point.slot, point.hash.hex()) for point in points)
