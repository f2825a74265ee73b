"""What stories about the chain are made of: time passes, somebody leaves it, a look says what it saw."""

from __future__ import annotations

import json

from orchestrator.execution.cycle import Round, save_evidence
from orchestrator.fleet.record import Pin
from orchestrator.planning.plan import Deploy, Phase
from orchestrator.rendering import layout
from orchestrator.simulation.chain import SLOTS_A_BLOCK, Branch
from orchestrator.simulation.rehearsal import Rehearsal
from tests.scenarios.builders import MEDIUM, fleet_spec, serving_fleet
from tests.scenarios.judge import host_of

EU1, EU2, US1 = "demo-eu-central-1-01", "demo-eu-central-1-02", "demo-us-east-1-01"
PARTNERS = ("alpha", "beta")
OLD, NEW = "10.5.1", "10.6.0"


def slot_now(made: Rehearsal) -> int:
    return int(made.world.clock.now().timestamp())


def pass_time(made: Rehearsal, seconds: float) -> None:
    made.world.clock.wait(seconds, until=lambda: False)


def follow(made: Rehearsal, looks: int, seconds: float = 30) -> Round:
    """Look again and again, as a loop would, and keep what was seen; the last look."""
    for _ in range(looks):
        pass_time(made, seconds)
        found = made.look()
        save_evidence(made.store, found)
    return found


def fork(made: Rehearsal, *names: str, branch: str = "fork", blocks: int = 0, slowness: int = 1) -> None:
    """From so many blocks ago, these are on a branch of their own."""
    since = (slot_now(made) // SLOTS_A_BLOCK - blocks + 1) * SLOTS_A_BLOCK
    for name in names:
        made.world.chain.branches[name] = Branch(branch, since, slowness)


def view_of(found: Round, relay: str):
    return next(view for view in found.plan.relays if view.name == relay)


def quarantined(found: Round) -> set[str]:
    return {view.name for view in found.plan.relays if view.phase is Phase.QUARANTINED}


def published(found: Round) -> set[str]:
    return {view.name for view in found.plan.relays if view.published}


def named_by(made: Rehearsal, found: Round) -> dict[str, set[str]]:
    """Relay → which addresses of ours its topology would name, by relay."""
    addresses = {view.address: view.name for view in found.plan.relays}
    deploys = {a.relay: a.rendered for a in found.plan.actions if isinstance(a, Deploy)}
    return {
        relay: {
            addresses[point["address"]]
            for group in json.loads(topology_of(rendered))["localRoots"]
            for point in group["accessPoints"]
            if point["address"] in addresses
        }
        for relay, rendered in deploys.items()
    }


def topology_of(rendered) -> str:
    return next(file.content for file in rendered.files if file.path == layout.TOPOLOGY)


def upgraded(made: Rehearsal, *relays: str) -> None:
    """Let these relays run the other release already, as a rollout leaves them half way."""
    sha256 = made.wanted.spec.releases[NEW]["x86_64"].sha256
    for relay in relays:
        host_of(made.world, relay).release = sha256


def pin(made: Rehearsal, name: str) -> None:
    tip, _ = made.world.chain.tip_of(name, slot_now(made))
    made.store.save_pin(Pin(tip, "operator", "the explorers agree", made.world.clock.now()))


def unasked(made: Rehearsal, *names: str) -> None:
    """These hang up before they answer about points."""
    made.world.faults.tells_no_points.update(names)


def watched_fleet() -> Rehearsal:
    """Eight relays in four regions that serve, and have been looked at for a while."""
    made = serving_fleet(fleet_spec(MEDIUM))
    follow(made, 8)
    return made
