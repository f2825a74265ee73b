"""The fleet's security group: found or made, one a VPC, and its rules put right. Safe to repeat, from many threads.

Safe without fencing: a group's name is unique in its VPC, so that two makers meet in one group; a rule exists once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Any

from orchestrator.adapters.aws_clients import Clients, ExpectedCode, tag_filter
from orchestrator.adapters.aws_requests import (
    TAG_FLEET,
    TAG_STORE,
    group_name,
    name_sources,
    pick_excess,
    pick_missing_rules,
    render_tags,
    wanted_rules,
)
from orchestrator.adapters.aws_view import parse_tags
from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.spec.model import FleetSpec

_DUPLICATE_GROUP = frozenset({"InvalidGroup.Duplicate"})
_DUPLICATE_RULE = frozenset({"InvalidPermission.Duplicate"})
_NO_SUCH_RULE = frozenset({"InvalidPermission.NotFound"})


def find_groups(clients: Clients, spec: FleetSpec, region: str) -> tuple[Mapping[str, Any], ...]:
    """List the fleet's groups in a region, one a VPC."""
    filters = [*tag_filter(fleet=spec.fleet), {"Name": "group-name", "Values": [group_name(spec.fleet)]}]
    return clients.pages(region, "describe_security_groups", "SecurityGroups", Filters=filters)


def describe_differences(spec: FleetSpec, region: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    """Say in which way a group lets in others than the fleet file says."""
    permissions = tuple(group.get("IpPermissions", ()))
    missing = [f"{rule.network} to port {rule.port}" for rule in pick_missing_rules(wanted_rules(spec), permissions)]
    excess = [source for each in pick_excess(spec, permissions) for source in name_sources(each)]
    name = f"{region}: security group {group['GroupId']}"
    closed = (f"{name} does not let in {', '.join(missing)}",) if missing else ()
    return closed + ((f"{name} opens SSH to {', '.join(excess)}, beyond ssh.allowed_from",) if excess else ())


class Access:
    """Who may connect to the relays of one fleet."""

    def __init__(self, clients: Clients, spec: FleetSpec, store_id: str) -> None:
        self._clients = clients
        self._spec = spec
        self._store_id = store_id
        self._lock = Lock()
        self._vpc_locks: dict[str, Lock] = {}

    def ensure_group(self, region: str, vpc_id: str) -> str:
        """Find or make the group, add the rules it lacks, and return its id."""
        with self._lock:
            own = self._vpc_locks.setdefault(vpc_id, Lock())
        with own:
            group = self._find(region, vpc_id) or self._make(region, vpc_id)
            self._refuse_foreign(region, group)
            self._mend(region, group, revoke=False)
            return str(group["GroupId"])

    def mend_groups(self, region: str, *, revoke: bool) -> None:
        """Add what the fleet's groups in a region lack, for `ssh.allowed_from` changed without any launch.

        `revoke` also closes SSH to everybody else. Nothing undoes that, so it is only for when the hosts themselves have
        tried the same networks: their own firewall undoes a mistake.
        """
        for group in find_groups(self._clients, self._spec, region):
            self._mend(region, group, revoke=revoke)

    def _find(self, region: str, vpc_id: str) -> Mapping[str, Any] | None:
        filters = [
            {"Name": "group-name", "Values": [group_name(self._spec.fleet)]},
            {"Name": "vpc-id", "Values": [vpc_id]},
        ]
        found = self._clients.pages(region, "describe_security_groups", "SecurityGroups", Filters=filters)
        return found[0] if found else None

    def _make(self, region: str, vpc_id: str) -> Mapping[str, Any]:
        name = group_name(self._spec.fleet)
        tags = {TAG_FLEET: self._spec.fleet, TAG_STORE: self._store_id, "Name": name}
        # A duplicate means that somebody, or our own repeated call, was quicker: it is found below.
        with suppress(ExpectedCode):
            self._clients.call(
                region,
                "create_security_group",
                expected=_DUPLICATE_GROUP,
                GroupName=name,
                Description=f"Relays of genesis-fleet {self._spec.fleet}",
                VpcId=vpc_id,
                TagSpecifications=[{"ResourceType": "security-group", "Tags": render_tags(tags)}],
            )
        made = self._clients.find_patiently(lambda: self._find(region, vpc_id))
        if made is None:
            raise CloudUnavailable(
                f"The security group {name} was made in {region} but is not visible yet.",
                next_step="The next look finds it.",
            )
        return made

    def _refuse_foreign(self, region: str, group: Mapping[str, Any]) -> None:
        if parse_tags(group).get(TAG_FLEET) != self._spec.fleet:
            raise CloudRefused(
                f"The security group {group['GroupId']} in {region} has the name {group['GroupName']} but not the tag "
                f"{TAG_FLEET}={self._spec.fleet}, so it is not this fleet's to change.",
                next_step="Rename or delete that group, or give it the tag if it is meant for this fleet.",
            )

    def _mend(self, region: str, group: Mapping[str, Any], *, revoke: bool) -> None:
        """Add before removing: an operator who narrows the networks keeps the way in that stays allowed."""
        permissions = tuple(group.get("IpPermissions", ()))
        for rule in pick_missing_rules(wanted_rules(self._spec), permissions):
            self._change(
                region, "authorize_security_group_ingress", _DUPLICATE_RULE, group["GroupId"], rule.as_permission()
            )
        for permission in pick_excess(self._spec, permissions) if revoke else ():
            self._change(region, "revoke_security_group_ingress", _NO_SUCH_RULE, group["GroupId"], permission)

    def _change(
        self, region: str, operation: str, done: frozenset[str], group_id: str, permission: Mapping[str, Any]
    ) -> None:
        """One rule a call: in a call with several, one that exists already fails them all."""
        with suppress(ExpectedCode):
            self._clients.call(region, operation, expected=done, GroupId=group_id, IpPermissions=[permission])
