"""Makes the whole request of a launch, and the record of it that is written before the call."""

from __future__ import annotations

import hashlib
from datetime import datetime

from orchestrator.execution.ports import CloudPort, KeysPort, ServerIdentity
from orchestrator.fleet.record import FleetRecord, LaunchIntent
from orchestrator.planning.plan import Launch
from orchestrator.rendering.user_data import render_user_data
from orchestrator.spec.model import FleetSpec


def make_intent(
    action: Launch,
    spec: FleetSpec,
    record: FleetRecord,
    now: datetime,
    cloud: CloudPort,
    keys: KeysPort,
    authorized_key: str,
) -> LaunchIntent:
    """Make a one-time host key and the request that carries it; launches nothing."""
    token = launch_token(record.store_id, action.relay, action.generation, action.attempt)
    key = keys.make_host_key(token)
    user_data = render_user_data(
        hostname=action.relay,
        user=spec.ssh.user,
        authorized_key=authorized_key,
        one_time_private_key=key.private,
        one_time_public_key=key.public,
        ssh_port=spec.ssh.port,
    )
    identity = ServerIdentity(
        relay=action.relay,
        region=action.region,
        generation=action.generation,
        attempt=action.attempt,
        token=token,
        subnet=action.subnet,
        user_data=user_data,
        image=action.kind.image,
        instance_type=action.kind.instance_type,
    )
    return LaunchIntent(
        action.relay,
        action.region,
        action.generation,
        action.attempt,
        token,
        cloud.render_launch(identity),
        key.public,
        action.subnet,
        now,
    )


def launch_token(store_id: str, relay: str, generation: int, attempt: int) -> str:
    """Return the idempotency token of one launch attempt: at most 64 ASCII characters, the same after a crash."""
    return hashlib.sha256(f"{store_id}/{relay}/{generation}/{attempt}".encode()).hexdigest()[:40]
