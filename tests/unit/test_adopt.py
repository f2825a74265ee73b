"""Taking over a fleet that another store launched: who says whose an instance is, and who must be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from orchestrator.execution.adopt import Adopted, adopt_fleet
from orchestrator.execution.cycle import why_not_ours
from orchestrator.execution.ports import HostDone, HostFailed, HostResult, HostTarget
from orchestrator.fleet.observation import HostFacts, HostView, Observation, Unreachable
from orchestrator.fleet.record import FleetRecord
from orchestrator.simulation.rehearsal import Rehearsal
from orchestrator.simulation.store import MemoryStore
from tests.scenarios.builders import SMALL, fleet_spec, serving_fleet

RELAY = "demo-eu-central-1-01"


@dataclass
class Hosts:
    """Hosts that do as they are told, but for some."""

    refusing: dict[str, str] = field(default_factory=dict)
    told: list[tuple[str, HostTarget]] = field(default_factory=list)

    def observe_hosts(self, targets: Sequence[HostTarget]) -> dict[str, HostView]:
        raise NotImplementedError

    def run_intent(
        self, intent: str, targets: Sequence[HostTarget], on_result: Callable[[HostTarget, HostResult], None]
    ) -> None:
        for target in targets:
            self.told.append((intent, target))
            why = self.refusing.get(target.relay)
            on_result(target, HostFailed(why) if why else HostDone(changed=True, facts={}))


def hosts_of(seen: Observation, store_id: str) -> Observation:
    """Return the same look with every host naming this store."""
    return replace(
        seen,
        hosts={k: replace(v, store_id=store_id) if isinstance(v, HostFacts) else v for k, v in seen.hosts.items()},
    )


def adopt(fleet: Rehearsal, seen: Observation, hosts: Hosts) -> tuple[Adopted, FleetRecord]:
    """Take the fleet over with a fresh store."""
    store = MemoryStore("demo", "new")
    now = fleet.world.clock.now()
    _, hands = fleet.ports()
    lease = store.acquire_lease("taker", now, now + timedelta(minutes=1), 0)
    adopted = adopt_fleet(replace(hands, store=store, hosts=hosts), seen, store.load(), fleet.wanted.spec, lease)
    return adopted, store.load()


def test_a_host_that_names_another_store_makes_this_controller_read_only() -> None:
    fleet = serving_fleet(fleet_spec(SMALL))
    look = fleet.look().look
    assert why_not_ours(hosts_of(look.seen, look.record.store_id), look.record) is None
    assert why_not_ours(hosts_of(look.seen, ""), look.record) is None
    quarrel = why_not_ours(hosts_of(look.seen, "another"), look.record)
    assert quarrel == f"4 instances of fleet demo belong to store another, this one is {look.record.store_id}"


def test_every_host_is_told_its_new_store() -> None:
    fleet, hosts = serving_fleet(fleet_spec(SMALL)), Hosts()
    adopted, record = adopt(fleet, hosts_of(fleet.look().look.seen, "old"), hosts)
    assert (adopted.instances, adopted.untold) == (4, {})
    assert {intent for intent, _ in hosts.told} == {"prepare"}
    assert len({target.relay for _, target in hosts.told}) == 4
    for _, target in hosts.told:
        assert target.variables["genesis_store_id"] == record.store_id
        assert target.variables["genesis_prepare"]["adopt"] is True
        assert target.variables["genesis_prepare"]["step"] == "identify"
        assert target.variables["genesis_token"] == record.token


def test_the_keys_in_the_tags_are_taken_onto_the_record() -> None:
    fleet = serving_fleet(fleet_spec(SMALL))
    seen = fleet.look().look.seen
    _, record = adopt(fleet, seen, Hosts())
    assert {i.instance_id: i.host_key for i in seen.cloud.instances} == {
        instance_id: identity.public_key for instance_id, identity in record.identities.items()
    }


def test_hosts_that_name_no_store_or_ours_already_are_left_alone() -> None:
    fleet, hosts = serving_fleet(fleet_spec(SMALL)), Hosts()
    adopt(fleet, hosts_of(fleet.look().look.seen, ""), hosts)
    assert hosts.told == []


def test_hosts_that_could_not_be_told_are_named() -> None:
    fleet, hosts = serving_fleet(fleet_spec(SMALL)), Hosts(refusing={RELAY: "busy: deploy is at work"})
    seen = hosts_of(fleet.look().look.seen, "old")
    (silent,) = (i for i in seen.cloud.instances if i.relay == "demo-us-east-1-02")
    seen = replace(seen, hosts={**seen.hosts, silent.instance_id: Unreachable("timed out")})
    adopted, _ = adopt(fleet, seen, hosts)
    assert adopted.untold == {RELAY: "busy: deploy is at work", "demo-us-east-1-02": "timed out"}
