"""The fleet as an Ansible inventory, so that plain `ansible-playbook` does what the controller would do."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.adapters.ansible import AnsibleHosts
from orchestrator.cli.wiring import STATE, Controller
from orchestrator.execution.targets import accepted_host_keys, host_target
from orchestrator.fleet.observation import Instance, InstanceState, Observation
from orchestrator.fleet.record import FleetRecord
from orchestrator.planning.mesh import render_fleet
from orchestrator.planning.silence import why_keys_disagree
from orchestrator.rendering.inventory import InventoryHost, render_inventory
from orchestrator.rendering.values import RenderedRelay
from orchestrator.rendering.variables import deploy_variables, inspect_variables, prepare_variables, stage_variables

PLAIN = "plain-ansible"
"""Folder in the controller's state with the known hosts of the last inventory."""


def fleet_inventory(controller: Controller) -> dict[str, Any]:
    """Look at the cloud and return the inventory document: each relay's newest instance whose key is known."""
    cloud = controller.eyes.cloud.observe_cloud()
    record = controller.store.load()
    rendered = render_fleet(controller.wanted, Observation(cloud, {}, {}, {}), frozenset(record.evidence.quarantines))
    newest: dict[str, Instance] = {}
    for instance in sorted(cloud.instances, key=lambda i: i.generation):
        reachable = instance.state is InstanceState.RUNNING and instance.address is not None
        if not reachable or instance.relay not in rendered or not accepted_host_keys(instance, record):
            continue
        if (quarrel := why_keys_disagree(instance, record)) is not None:
            click.echo(f"! {instance.relay} is left out: {quarrel}", err=True)
            newest.pop(instance.relay, None)
        else:
            newest[instance.relay] = instance
    volumes = {volume.attached_to: volume.volume_id for volume in cloud.volumes}
    targets = [
        host_target(
            instance,
            accepted_host_keys(instance, record),
            controller.spec,
            _variables(controller, record, rendered[name], volumes.get(instance.instance_id)),
        )
        for name, instance in sorted(newest.items())
    ]
    folder = controller.fleet.base / STATE / PLAIN
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    hosts = controller.eyes.hosts
    assert isinstance(hosts, AnsibleHosts)  # noqa: S101 - the wiring makes no other
    connections = hosts.render_inventory(targets, folder)["all"]["hosts"]
    return render_inventory(
        controller.spec.fleet,
        [InventoryHost(t.relay, t.region, t.address, t.user, t.port, connections[t.instance_id]) for t in targets],
    )


def _variables(
    controller: Controller, record: FleetRecord, rendered: RenderedRelay, volume_id: str | None
) -> dict[str, Any]:
    """Return every variable that any playbook reads, under the store's present fencing token."""
    spec = controller.spec
    return {
        **inspect_variables(spec),
        **prepare_variables(spec, "settle", volume_id, token=record.token),
        **stage_variables(rendered, controller.wanted.network, allow_http=spec.lab is not None, token=record.token),
        **deploy_variables(rendered, token=record.token),
        "genesis_network": stage_variables(rendered, controller.wanted.network)["genesis_network"],
        "genesis_store_id": record.store_id,
    }
