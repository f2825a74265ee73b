"""A serving fleet with an oracle beside it, and effects made by hand: what a controller might do, right or wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.simulation.machines import Effect, SimulatedHost
from orchestrator.simulation.oracle import Oracle
from orchestrator.simulation.rehearsal import Rehearsal
from orchestrator.simulation.rules import Make, Rules, rules_of
from tests.scenarios.builders import SMALL, fleet_spec, serving_fleet
from tests.scenarios.judge import host_of

EU1, EU2, US1, US2 = (f"demo-{region}-0{n}" for region in sorted(SMALL) for n in (1, 2))

OLD, NEW, NEWER = "a" * 64, "b" * 64, "c" * 64


def watched(**changes: object) -> tuple[Rehearsal, Oracle]:
    """A serving fleet of two regions with two relays each, and an oracle that has just seen a look at it."""
    made = serving_fleet(fleet_spec(SMALL))
    spec = made.wanted.spec
    plain = replace(
        rules_of(spec, frozenset()),
        most_out_in=dict.fromkeys(spec.regions, 2),
        verified=frozenset({OLD, NEW, NEWER}),
        wish=frozenset({Make(NEW, "768", "ami-0123456789abcdef0", "r6a.large")}),
        canaries=1,
        canary_bake=timedelta(seconds=60),
        bake=timedelta(seconds=20),
        drain_time=None,
    )
    rules: Rules = replace(plain, **changes)  # type: ignore[arg-type]
    oracle = Oracle(made.world, rules)
    for host in made.world.hosts.values():
        oracle.witness(Effect.DEPLOY, host)
    made.world.witness = oracle.witness
    oracle.note_published(frozenset())
    look(made, oracle)
    return made, oracle


def truth(oracle: Oracle, **lies: Verdict) -> dict[str, Sighting]:
    """What honest probes say, but for some."""
    serving = oracle.who_serves()
    told = {name: Verdict.OK if name in serving else Verdict.REFUSED for name in (EU1, EU2, US1, US2)}
    partners = dict.fromkeys(("alpha", "beta"), Verdict.OK)
    said = {name.replace("-", "_"): name for name in told}
    return {name: Sighting(verdict) for name, verdict in {**told, **partners}.items()} | {
        said.get(name, name): Sighting(verdict) for name, verdict in lies.items()
    }


def look(made: Rehearsal, oracle: Oracle, **lies: Verdict) -> None:
    """A controller looks at all hosts and probes everybody."""
    world = made.world
    oracle.note_hosts({key: world.facts(host) for key, host in world.hosts.items() if world.is_up(host)})
    oracle.note_look(truth(oracle, **lies))


def pass_time(made: Rehearsal, oracle: Oracle, seconds: float, every: float = 10) -> None:
    """Let time pass, with a look now and then."""
    for _ in range(int(seconds / every)):
        made.world.clock.wait(every, until=lambda: False)
        for host in made.world.hosts.values():
            made.world.settle(host)
        look(made, oracle)


def stop(made: Rehearsal, relay: str) -> SimulatedHost:
    """Tell a node to stop."""
    host = host_of(made.world, relay)
    made.world.stop_node(host, then_start=False)
    return host


def give(made: Rehearsal, relay: str, release: str, settings: str | None = None) -> SimulatedHost:
    """Deploy a relay with another release, or other settings, and let it restart."""
    host = host_of(made.world, relay)
    host.staged |= {release}
    host.release, host.settings = release, settings or host.settings
    host.written_restart = f"restart digest of {release} {host.settings}"
    made.world.witness(Effect.DEPLOY, host)
    made.world.stop_node(host, then_start=True)
    return host


def give_all(made: Rehearsal, oracle: Oracle, relays: Iterable[str], release: str) -> None:
    """Deploy one relay after another, and wait until each has served for long enough."""
    for relay in relays:
        give(made, relay, release)
        pass_time(made, oracle, 180)
