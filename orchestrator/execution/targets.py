"""Which host is reached how, and told what: address, login, the keys that are accepted, a playbook's variables.

Pure; used by every work on hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.execution.ports import HostTarget
from orchestrator.fleet.observation import Instance
from orchestrator.fleet.record import FleetRecord
from orchestrator.planning.look import Wanted
from orchestrator.planning.plan import Deploy, Prepare, Retire, Stage, Stop
from orchestrator.rendering.variables import deploy_variables, prepare_variables, stage_variables
from orchestrator.spec.model import FleetSpec

HostAction = Prepare | Stage | Deploy | Stop | Retire


def accepted_host_keys(instance: Instance, record: FleetRecord) -> tuple[str, ...]:
    """Return the public keys to accept from this instance; empty if none is known, and then it is not talked to.

    Until the permanent key was seen at work, the one-time key is accepted as well, so no crash locks us out.
    """
    identity = record.identities.get(instance.instance_id)
    one_time = tuple(
        intent.one_time_public_key
        for intent in record.intents
        if intent.instance_id == instance.instance_id
        or (intent.token == instance.launch_token and intent.token and intent.instance_id is None)
    )
    if identity is not None:
        return (identity.public_key,) if identity.confirmed else (identity.public_key, *one_time)
    if instance.host_key is not None:
        return (instance.host_key, *one_time)
    return one_time


def host_target(instance: Instance, keys: tuple[str, ...], spec: FleetSpec, variables: Mapping[str, Any]) -> HostTarget:
    """Return how to reach an instance that has an address. Raises ValueError without address or keys."""
    if instance.address is None or not keys:
        raise ValueError(f"{instance.instance_id} has no address or no known host key")
    return HostTarget(
        relay=instance.relay,
        instance_id=instance.instance_id,
        region=instance.region,
        address=instance.address,
        user=spec.ssh.user,
        port=spec.ssh.port,
        host_keys=keys,
        variables=variables,
    )


def variables_of(action: HostAction, wanted: Wanted) -> dict[str, Any]:
    """Return what an action's playbook needs to know, but for who runs it."""
    match action:
        case Prepare(step=step, volume_id=volume_id):
            return prepare_variables(wanted.spec, step, volume_id)
        case Stage(rendered=rendered):
            return stage_variables(rendered, wanted.network, allow_http=wanted.spec.lab is not None)
        case Deploy(rendered=rendered, change=change):
            # The host refuses more than was planned: what the budget was not charged for does not happen.
            return deploy_variables(rendered) | {"genesis_allowed_change": change.name.lower()}
        case Stop() | Retire():
            return {}
