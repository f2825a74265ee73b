"""Names in a simulated world: who drains has left the zone first, wherever a controller dies and whatever the zone refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.execution.cycle import Ending
from orchestrator.execution.execute import Event
from orchestrator.fleet.names import Routing
from orchestrator.simulation.machines import Effect, SimulatedDeath, SimulatedHost
from orchestrator.simulation.rehearsal import Rehearsal
from tests.scenarios.builders import MEDIUM, fleet_spec, resubmit, serving_fleet

PUBLISH = {"provider": "route53", "zone": "Z0123456789", "name": "relays.example.org", "ttl": "5s"}
QUICK = {"canary_bake": None, "bake": None, "healthy_looks": 1, "drain_time": "10s", "drain_deadline": "20s"}


def in_the_names(made: Rehearsal) -> set[str]:
    return {record.set_id for record in made.world.zone.values() if record.routing is Routing.MULTIVALUE}


def upgrade(counts: dict[str, int] = MEDIUM) -> tuple[Rehearsal, list[str]]:
    """A fleet that serves, and an upgrade of it; with the relays that were stopped while the zone had them."""
    spec = fleet_spec(counts, publish=PUBLISH, rollout=QUICK)
    made = serving_fleet(spec)
    named_when_stopped: list[str] = []

    def witness(effect: Effect, host: SimulatedHost) -> None:
        if effect is Effect.STOP and host.instance.relay in in_the_names(made):
            named_when_stopped.append(host.instance.relay)

    made.world.witness = witness
    return resubmit(made, fleet_spec(counts, publish=PUBLISH, rollout=QUICK, release="10.6.0")), named_when_stopped


def test_every_relay_leaves_the_zone_before_it_is_stopped_and_comes_back() -> None:
    made, wrong = upgrade()
    ending, _ = made.run()
    assert (ending, wrong) == (Ending.CONVERGED, [])
    assert len(in_the_names(made)) == 8
    told = [event.text for _, event in made.events if event.relay == "names" and event.outcome == "done"]
    assert sum("out:" in text for text in told) >= 4


def test_while_the_zone_refuses_nobody_is_stopped_and_afterwards_all_goes_on() -> None:
    made, wrong = upgrade()
    made.world.faults.zone_refuses = True
    ending, last = made.run()
    assert ending is Ending.HELD
    assert any(hold.relay == "names" and "publish failed" in hold.because for hold in last.plan.holds)
    assert {event.intent for _, event in made.events} <= {"stage", "publish"}
    made.world.faults.zone_refuses = False
    made.store.delete_all_attempts()
    assert made.run()[0] is Ending.CONVERGED
    assert wrong == []
    assert len(in_the_names(made)) == 8


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("change", range(1, 9))
def test_a_controller_that_dies_around_a_change_of_the_zone_leaves_nobody_stopped_in_it(
    change: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, wrong = upgrade()
    from orchestrator.simulation.ports import SimulatedNames

    count, real = 0, SimulatedNames.save_names

    def die(self: SimulatedNames, wanted: object) -> None:
        nonlocal count
        count += 1
        if count == change and not after:
            raise SimulatedDeath
        real(self, wanted)  # type: ignore[arg-type]
        if count == change:
            raise SimulatedDeath

    monkeypatch.setattr(SimulatedNames, "save_names", die)
    with pytest.raises(SimulatedDeath):
        made.run()
    made.world.clock.drop()
    made.world.clock.wait(120, until=lambda: False)
    ending, _ = made.run("next")
    assert (ending, wrong) == (Ending.CONVERGED, [])
    assert len(in_the_names(made)) == 8


def test_records_that_somebody_deletes_by_hand_are_written_again() -> None:
    made, _ = upgrade()
    made.run()
    made.world.zone = {key: record for key, record in made.world.zone.items() if record.routing is not Routing.LATENCY}
    assert made.run()[0] is Ending.CONVERGED
    assert sum(record.routing is Routing.LATENCY for record in made.world.zone.values()) == 4


def test_a_relay_that_is_no_longer_wanted_leaves_all_its_names() -> None:
    made, wrong = upgrade()
    made.run()
    smaller = resubmit(
        made, fleet_spec({**MEDIUM, "eu-central-1": 1}, publish=PUBLISH, rollout=QUICK, release="10.6.0")
    )
    assert smaller.run()[0] is Ending.CONVERGED
    assert wrong == []
    assert not [record for record in made.world.zone.values() if "eu-central-1-02" in f"{record.name} {record.set_id}"]
    assert Event("names", "publish", "done", "out: demo-eu-central-1-02 (3 records)", changed=True) in [
        event for _, event in smaller.events
    ]
    assert replace(smaller).look().plan.nothing_to_do
