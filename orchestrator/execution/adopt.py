"""Makes this store the owner of a fleet that another store launched: record, then tags, then the hosts themselves.

Safe to repeat, and meant to be: a host that could not be told goes on refusing this store, and the next adopt finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.execution.execute import Hands
from orchestrator.execution.ports import HostDone, HostFailed, HostLost, HostResult, HostTarget
from orchestrator.execution.targets import accepted_host_keys, host_target
from orchestrator.fleet.observation import HostFacts, Instance, Observation
from orchestrator.fleet.record import FleetRecord, Identity, Lease
from orchestrator.planning.look import GONE
from orchestrator.rendering.variables import prepare_variables
from orchestrator.spec.model import FleetSpec


@dataclass(frozen=True, slots=True)
class Adopted:
    """What came of an adoption."""

    instances: int
    untold: Mapping[str, str]
    """Relay → why its host could not be told of its new store."""


def adopt_fleet(hands: Hands, seen: Observation, record: FleetRecord, spec: FleetSpec, lease: Lease) -> Adopted:
    """Take over every living instance: its key from the tag onto the record, then the tags, then each host's own marker."""
    instances = [i for i in seen.cloud.instances if i.state not in GONE]
    for instance in instances:
        if instance.host_key is not None and instance.instance_id not in record.identities:
            hands.store.save_identity(Identity(instance.instance_id, instance.relay, instance.host_key, confirmed=True))
    hands.store.save_magic(spec.network.magic)
    hands.cloud.guard_changes(lambda: hands.store.check_lease(lease, hands.clock.now()))
    # The tags first: by them the other controller learns that it may only read.
    hands.cloud.save_ownership(instances, record.store_id)
    return Adopted(len(instances), _tell_hosts(hands, instances, seen, spec, lease))


def _tell_hosts(
    hands: Hands, instances: list[Instance], seen: Observation, spec: FleetSpec, lease: Lease
) -> Mapping[str, str]:
    """Write this store's id on every host that names another; return those that could not be told."""
    record = hands.store.load()
    variables = prepare_variables(spec, "identify", adopt=True, token=lease.token)
    variables["genesis_store_id"] = record.store_id
    untold: dict[str, str] = {}
    targets = []
    for instance in instances:
        facts, keys = seen.hosts.get(instance.instance_id), accepted_host_keys(instance, record)
        if not isinstance(facts, HostFacts) or not keys:
            untold[instance.relay] = getattr(facts, "reason", "it was not reached")
        elif facts.store_id not in ("", record.store_id):
            targets.append(host_target(instance, keys, spec, variables))

    def on_result(target: HostTarget, result: HostResult) -> None:
        match result:
            case HostDone():
                pass
            case HostFailed(error=why) | HostLost(reason=why):
                untold[target.relay] = why

    hands.store.check_lease(lease, hands.clock.now())
    hands.hosts.run_intent("prepare", targets, on_result)
    return untold
