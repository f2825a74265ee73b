"""Rollouts in a lab, seen from the outside: who is out by the wire, and when whose node was started by its own journal.

But for the history in the store, nothing here asks the controller. `lab_fleet` has what drives it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator.cli.wiring import make_wire, open_store_alone
from orchestrator.execution.ports import ProbeTarget
from orchestrator.fleet.observation import Verdict
from orchestrator.fleet.rollout import RolloutEvent
from orchestrator.spec.load import load_fleet
from tests.lab_fleet import Fleet

QUICK_ROLLOUT: Mapping[str, object] = {
    "max_unavailable": 1,
    "max_unavailable_per_region": 1,
    "canary_bake": "12s",
    "bake": "1s",
    "healthy_looks": 2,
    "progress_deadline": "15s",
    "slowest_restart": 4,
    "drain_time": "1s",
    "drain_connections": 2,
    "drain_deadline": "4s",
    "retry_after": "1s",
}
"""One relay out at a time. A canary bakes for as long as its worst flaw needs to show, all else is as short as can be."""

MAX_TIP_AGE = "16s"
"""With a block a second, no chain is as old as that by chance, and a quarter of it shows within a canary's bake."""

SECONDS_BETWEEN_SAMPLES = 0.3

# The journal of a machine outlives its boots, so a start is found however often the machine was started.
STARTS = "journalctl -q -u cardano-node.service -o short-unix | sed -n 's/^\\([0-9.]*\\) .* systemd\\[1\\]: Started cardano-node.service.*/\\1/p'"


def quicken_rollouts(document: dict[str, Any]) -> None:
    """Change a fleet file so that its rollouts take a minute."""
    document["rollout"].update(QUICK_ROLLOUT)
    document["publish"]["ttl"] = QUICK_ROLLOUT["drain_time"]
    document["health"]["max_tip_age"] = MAX_TIP_AGE


@dataclass
class Outside:
    """What was seen from the outside so far."""

    samples: list[frozenset[str]] = field(default_factory=list)
    """Relays that did not serve, at one moment after another."""

    @property
    def most_out(self) -> int:
        """How many were out at the same time, at most."""
        return max(map(len, self.samples))

    @property
    def ever_out(self) -> frozenset[str]:
        """Whoever was out at some moment."""
        return frozenset().union(*self.samples)


@contextmanager
def watching_outside(fleet: Fleet) -> Iterator[Outside]:
    """Probe all relays again and again meanwhile. A watch that breaks off fails the test that ends it."""
    wire = make_wire(load_fleet(fleet.file))
    targets = [ProbeTarget(i["name"], i["addresses"][0], 3001) for i in fleet.instances()]
    found, ended, failures = Outside(), threading.Event(), list[BaseException]()

    def watch() -> None:
        try:
            while True:
                seen = wire.observe_wire(targets)
                found.samples.append(frozenset(n for n, s in seen.items() if s.verdict is not Verdict.OK))
                if ended.wait(SECONDS_BETWEEN_SAMPLES):
                    return
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the watch
            failures.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        assert not failures, failures


def list_starts(fleet: Fleet) -> dict[str, list[float]]:
    """When each relay's node was started, in unix seconds, by its machine's journal."""
    return {name: [float(at) for at in said.split()] for name, said in fleet.shells(STARTS).items()}


def list_starts_since(fleet: Fleet, since: float) -> list[tuple[float, str]]:
    """Starts after a moment, in the order of time."""
    return sorted((at, name) for name, starts in list_starts(fleet).items() for at in starts if at > since)


def links(fleet: Fleet) -> dict[str, str]:
    """The release that each host's link leads to."""
    return fleet.shells("basename $(readlink /opt/cardano-node/current)")


def load_history(fleet: Fleet) -> tuple[RolloutEvent, ...]:
    """What became of rollouts, oldest first; the one thing here that is the controller's own word."""
    _, store = open_store_alone(fleet.file)
    with closing(store):
        return tuple(store.load_events(200))


def now() -> float:
    """This moment, in unix seconds, as all machines of a lab have it."""
    return time.time()


def releases_of(document: Mapping[str, Any]) -> set[str]:
    """The releases of relays that serve and are published; what keeps another one from it is in their place."""
    return {
        relay["release"]
        if relay["phase"] == "serving" and relay["published"]
        else f"{relay['name']}: {relay['reason']}"
        for relay in document["relays"]
    }
