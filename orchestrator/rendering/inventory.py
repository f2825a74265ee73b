"""Values → Ansible's dynamic inventory as JSON. How hosts are reached is in the values; known hosts are the adapter's business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

# Discovery may find a shim that does not work; Debian's own interpreter is always here.
INTERPRETER = "/usr/bin/python3"
RELAYS = "relays"


@dataclass(frozen=True, slots=True)
class InventoryHost:
    """One host as Ansible shall see it."""

    name: str
    region: str
    address: str
    user: str
    port: int
    variables: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Further host variables; they win over those of the connection."""


def render_inventory(fleet: str, hosts: Iterable[InventoryHost]) -> dict[str, Any]:
    """Build the inventory: a group for the fleet, one for each region, and `relays`; the same for any order of hosts."""
    listed = sorted(hosts, key=lambda host: host.name)
    names = [host.name for host in listed]
    fleet_group = group_name(fleet)
    groups: dict[str, dict[str, Any]] = {RELAYS: {"hosts": names}}
    if fleet_group not in {"all", "ungrouped", RELAYS}:
        groups[fleet_group] = {"hosts": names}
    for region in sorted({host.region for host in listed}):
        group = group_name(region)
        group = f"region_{group}" if group in {"all", "ungrouped", *groups} else group
        groups[group] = {"hosts": [host.name for host in listed if host.region == region]}
    return {
        "_meta": {"hostvars": {host.name: _host_variables(host) for host in listed}},
        "all": {"children": sorted(groups)},
        **groups,
    }


def group_name(name: str) -> str:
    """Return a name that Ansible takes for a group: it warns of hyphens."""
    return name.replace("-", "_")


def _host_variables(host: InventoryHost) -> dict[str, Any]:
    return {
        "ansible_host": host.address,
        "ansible_user": host.user,
        "ansible_port": host.port,
        "ansible_python_interpreter": INTERPRETER,
        **host.variables,
    }
