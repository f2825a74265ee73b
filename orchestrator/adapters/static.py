"""Hosts that exist already, as the cloud port: nothing is launched or terminated, every host's key is pinned in the fleet file.

A static host carries no tags. Whose it is says the marker that our modules write on the host itself, with the fencing
token, and from prepare on with the store's id; so here each host counts as this store's, and the host refuses what is not its master's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from orchestrator.errors import CloudRefused
from orchestrator.execution.ports import Launched, LaunchRefused, LaunchResult, ServerIdentity
from orchestrator.fleet.observation import CloudView, ElasticAddress, Instance, InstanceState, InstanceStatus, Volume
from orchestrator.fleet.relay import relay_name
from orchestrator.spec.model import FleetSpec

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""Static hosts were always there: no boot to wait for."""


class StaticCloud:
    """CloudPort over the hosts that the fleet file lists; has no effects."""

    def __init__(self, spec: FleetSpec, store_id: str) -> None:
        self._spec = spec
        self._store_id = store_id

    def observe_cloud(self) -> CloudView:
        """List every host as a running instance. Whether it lives is for its SSH and its relay port to say."""
        return CloudView(instances=tuple(self._instances()))

    def render_launch(self, identity: ServerIdentity) -> str:
        """Return the claim on a host as canonical JSON."""
        return json.dumps({"relay": identity.relay}, sort_keys=True, separators=(",", ":"))

    def start_launch(self, region: str, request_json: str) -> LaunchResult:
        """Claim a host: it is there already, so there is nothing to do."""
        relay = json.loads(request_json)["relay"]
        for instance in self._instances():
            if (instance.region, instance.relay) == (region, relay):
                return Launched(instance.instance_id)
        return LaunchRefused(f"region {region} of the fleet file lists no host for {relay}", capacity=False)

    def run_furnish(self, instance: Instance) -> str:
        """Do nothing: a static host has its address, and its disk is its owner's affair."""
        self._refuse_unknown(instance)
        return "nothing was missing"

    def save_host_key(self, instance: Instance, public_key: str) -> None:
        """Refuse a key other than the pinned one: only the fleet file says which key a static host has."""
        self._refuse_unknown(instance)
        if instance.host_key is None or instance.host_key.split()[:2] != public_key.split()[:2]:
            raise CloudRefused(
                f"Static host {instance.address} ({instance.relay}) has the host key {instance.host_key} in the fleet file and "
                f"now shows {public_key}.",
                next_step=f"Find out why the key changed; if that was meant, pin the new one under regions.{instance.region}.hosts.",
            )

    def start_retire(self, instance: Instance) -> None:
        """Do nothing more: the retire playbook stopped and released the host, and the machine stays its owner's."""
        self._refuse_unknown(instance)

    def start_release(self, thing: Volume | ElasticAddress) -> None:
        """Refuse: static hosts have no disks or addresses of ours."""
        raise CloudRefused(f"{thing} is none of a static fleet's")

    def guard_changes(self, check: Callable[[], None]) -> None:
        """Do nothing: nothing is ever changed here."""

    def save_access(self, region: str, *, revoke: bool) -> None:
        """Do nothing: who may reach a static host is its own firewall's affair, which deploy writes."""

    def save_ownership(self, instances: Sequence[Instance], store_id: str) -> None:
        """Do nothing: static hosts have no tags; adopt runs prepare on each, which writes the store's id there."""

    def _instances(self) -> list[Instance]:
        return [
            Instance(
                instance_id=f"static-{relay_name(self._spec.fleet, region, host.number)}",
                region=region,
                zone=region,
                state=InstanceState.RUNNING,
                status=InstanceStatus.OK,
                fleet=self._spec.fleet,
                store_id=self._store_id,
                relay=relay_name(self._spec.fleet, region, host.number),
                generation=1,
                address=host.address,
                address_v6=host.address if ":" in host.address else None,
                image="",
                instance_type="",
                subnet="",
                launched_at=ALWAYS,
                launch_token="",
                host_key=" ".join(host.host_key.split()[:2]),
                magic=self._spec.network.magic,
            )
            for region, wanted in sorted(self._spec.regions.items())
            for host in wanted.hosts
        ]

    def _refuse_unknown(self, instance: Instance) -> None:
        if instance.fleet != self._spec.fleet:
            raise CloudRefused(
                f"Host {instance.instance_id} belongs to fleet {instance.fleet}, not to {self._spec.fleet}: it is left alone.",
                next_step="Use the fleet file that lists this host.",
            )
