"""Watches a fleet's chain from the side, without a store: looks at the wire again and again, judges, and remembers who was accused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from orchestrator.cli.wiring import load_wanted, make_wire
from orchestrator.execution.observe import observe_chains
from orchestrator.execution.ports import ProbeTarget
from orchestrator.fleet.observation import CloudView, Observation, Sighting
from orchestrator.fleet.record import FleetRecord
from orchestrator.planning.look import Look
from orchestrator.planning.trust import judge_chain
from tests.lab_fleet import Fleet

SWITCHED = "Switched to a fork"
"""What a node writes when it leaves a block for another one."""


@dataclass
class Watch:
    """What was seen so far."""

    fleet: Fleet
    guilty: set[str] = field(default_factory=set)
    """Those told to do wrong: the others are healthy."""
    accusations: dict[str, int] = field(default_factory=dict)
    """Whoever was quarantined or suspected, and the number of the last look in which it was."""
    looks: int = 0
    first_block: int | None = None
    last_block: int = 0
    sightings: dict[str, Sighting] = field(default_factory=dict)
    thread: threading.Thread = field(default_factory=threading.Thread)
    ended: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)

    def end(self) -> None:
        """Look no more. A look that failed fails the test that ends the watch."""
        self.ended.set()
        self.thread.join()
        failures, self.failures = self.failures, []
        assert not failures, failures

    @property
    def blocks(self) -> int:
        """How many blocks the chain has grown by since the first look."""
        return self.last_block - (self.first_block or self.last_block)

    def accused(self, since_look: int = 0) -> set[str]:
        """Return whoever was accused in some look from that one on."""
        return {name for name, look in self.accusations.items() if look >= since_look}

    def count_battles(self) -> int:
        """How often a partner has given up its newest block for a rival: slot battles that it lost."""
        logs = (self.fleet.plan.lab.directory / "partners").glob("*/log")
        return sum(log.read_text(errors="replace").count(SWITCHED) for log in logs)

    def look(self, targets: list[ProbeTarget], record: FleetRecord) -> FleetRecord:
        """Look once; the record for the next look."""
        fleet, wanted = load_wanted(self.fleet.file)
        sightings, heights = observe_chains(make_wire(fleet), targets, record)
        seen = Observation(CloudView(), {}, sightings, {}, heights)
        judged = judge_chain(Look(wanted, seen, record, datetime.now(UTC)), {})
        honest = {n: s for n, s in sightings.items() if n not in self.guilty and s.tip is not None}
        self.accusations |= dict.fromkeys([*judged.quarantines, *judged.evidence.suspicions], self.looks)
        newest = max((s.tip_block or 0 for s in honest.values()), default=0)
        self.first_block = newest if self.first_block is None else self.first_block
        self.last_block = max(self.last_block, newest)
        self.sightings = dict(sightings)
        self.looks += 1
        return replace(record, evidence=judged.evidence)


@contextmanager
def watching(fleet: Fleet) -> Iterator[Watch]:
    """Watch all relays and partners meanwhile, or until the watch is told to end."""
    watch = Watch(fleet)
    spec = load_wanted(fleet.file)[0].spec
    relays = [ProbeTarget(name, relay["address"], 3001) for name, relay in fleet.relays().items()]
    targets = relays + [ProbeTarget(partner.name, partner.address, partner.port) for partner in spec.partners]

    def run() -> None:
        record = FleetRecord("watch", spec.fleet, None)
        try:
            while not watch.ended.is_set():
                record = watch.look(targets, record)
                watch.ended.wait(1)
        except BaseException as error:  # noqa: BLE001 - told to whoever ends the watch
            watch.failures.append(error)

    watch.thread = threading.Thread(target=run)
    watch.thread.start()
    try:
        yield watch
    finally:
        watch.end()
