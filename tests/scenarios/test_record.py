"""What the record forgets, and what a refused tag leads to, told by whole applies in the simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.errors import CloudRefused
from orchestrator.execution.cycle import Ending
from orchestrator.execution.ports import HostDone, HostResult
from orchestrator.fleet.observation import Instance
from orchestrator.fleet.record import LaunchIntent
from orchestrator.planning.launching import VISIBILITY
from orchestrator.simulation.cloud import SimulatedCloud
from orchestrator.simulation.machines import SimulatedDeath
from orchestrator.simulation.ports import SimulatedHosts
from orchestrator.simulation.rehearsal import Rehearsal
from tests.scenarios.builders import SMALL, fleet_spec, rehearsal, serving_fleet

NOBODYS = "demo-eu-central-1-09"
SECRET = '{"UserData": "PRIVATE KEY"}'


def open_launch(made: Rehearsal, ago: timedelta, relay: str = NOBODYS, region: str = "eu-central-1") -> LaunchIntent:
    """Record a launch that was never answered."""
    at = made.world.clock.now() - ago
    intent = LaunchIntent(relay, region, 1, 0, "token-9", SECRET, "ssh-ed25519 once", "subnet-1", at)
    made.store.save_intent(intent)
    return intent


def recorded(made: Rehearsal) -> LaunchIntent:
    return next(intent for intent in made.store.load().intents if intent.token == "token-9")


def test_the_key_of_a_launch_that_came_to_nothing_is_forgotten_with_its_relay() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    open_launch(made, VISIBILITY + timedelta(seconds=1))
    made.run()
    assert recorded(made).request_json == ""
    assert recorded(made).refused


def test_the_key_of_a_launch_that_may_not_be_listed_yet_is_kept() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    intent = open_launch(made, timedelta(seconds=1))
    made.run()
    assert recorded(made) == intent


def test_the_key_of_a_launch_in_a_region_that_is_silent_is_kept() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    intent = open_launch(made, VISIBILITY * 2, "demo-sa-east-1-01", "sa-east-1")
    made.world.faults.silent_regions.add("sa-east-1")
    made.run()
    assert recorded(made) == intent


def test_an_identity_is_forgotten_when_its_instance_left_the_lists_and_a_later_one_lives() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    gone = next(iter(made.world.hosts.values())).instance
    del made.world.hosts[gone.instance_id]
    made.run()
    made.run("later")
    identities = made.store.load().identities
    assert gone.instance_id not in identities
    assert gone.relay in {identity.relay for identity in identities.values()}


def test_the_key_of_an_instance_that_was_deleted_before_it_was_identified_is_forgotten_as_well() -> None:
    made = serving_fleet(fleet_spec(SMALL))
    made.world.stop_instance("demo-eu-central-1-01")
    made.world.crash_at = made.world.effects + 3
    with pytest.raises(SimulatedDeath):
        made.run()
    made.world.clock.drop()
    replacement = list(made.world.hosts.values())[-1].instance
    assert (replacement.relay, replacement.generation) == ("demo-eu-central-1-01", 2)
    del made.world.hosts[replacement.instance_id]
    made.world.clock.wait(600, until=lambda: False)
    assert made.run("second")[0] is Ending.CONVERGED
    made.run("third")
    assert [intent.request_json for intent in made.store.load().intents if intent.request_json] == []


# --- tags ------------------------------------------------------------------------------------------------------------


def refuse(_cloud: SimulatedCloud, _instance: Instance, _key: str) -> None:
    raise CloudRefused("the credentials lack the permission ec2:CreateTags")


def test_a_refused_tag_is_one_failure_of_each_relay_and_ends_nobodys_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedCloud, "save_host_key", refuse)
    made = rehearsal(fleet_spec(SMALL))
    ending, _ = made.run()
    failed = [(event.relay, event.intent) for _, event in made.events if event.outcome == "failed"]
    assert ending is Ending.CONVERGED
    assert sorted(failed) == sorted({(host.instance.relay, "tag") for host in made.world.hosts.values()})
    assert len(failed) == 4


def test_a_host_that_does_not_name_its_key_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SimulatedHosts.run_intent
    nameless = [True]

    def run_intent(hosts: SimulatedHosts, intent: str, targets: Any, on_result: Any) -> None:
        def answer(target: Any, result: HostResult) -> None:
            if isinstance(result, HostDone) and "host_key" in result.facts and nameless and nameless.pop():
                facts: Mapping[str, Any] = {k: v for k, v in result.facts.items() if k != "host_key"}
                result = replace(result, facts=facts)
            on_result(target, result)

        real(hosts, intent, targets, answer)

    monkeypatch.setattr(SimulatedHosts, "run_intent", run_intent)
    made = rehearsal(fleet_spec(SMALL))
    ending, _ = made.run()
    failed = [event for _, event in made.events if event.outcome == "failed"]
    assert ending is Ending.CONVERGED
    assert [(event.intent, event.text) for event in failed] == [
        ("prepare", "the host answered without naming its host key")
    ]
