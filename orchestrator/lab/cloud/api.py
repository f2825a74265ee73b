"""EC2's requests and answers in the lab: moto's, with client tokens, real pages, status checks and true states.

What the answers are about is in `ec2`; who may ask at all is decided before, in `gate`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.responses import EC2Response
from moto.ec2.responses._base_response import EC2BaseResponse

from .ec2 import LabRegion
from .faults import DelayedVisibility
from .instances import LabInstance
from .region import ApiError

SMALLEST_PAGE, LARGEST_PAGE = 5, 1000

PAGED = {
    "DescribeInstances": "Reservations",
    "DescribeInstanceStatus": "InstanceStatuses",
    "DescribeVolumes": "Volumes",
    "DescribeSecurityGroups": "SecurityGroups",
    "DescribeSubnets": "Subnets",
    "DescribeVpcs": "Vpcs",
    "DescribeImages": "Images",
    "DescribeNetworkInterfaces": "NetworkInterfaces",
    "DescribeTags": "Tags",
}
"""What AWS gives in pages, and moto (but for instances) at once. DescribeAddresses has no pages on AWS either."""

# moto answers RunInstances with "pending" and CreateVolume with "creating" whatever the state is: a second call
# with the same token has to show the instance as it is now.
_TRUE_STATES = {
    path: transform
    for path, transform in EC2BaseResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.items()
    if path not in ("RunInstances.Reservation.Instances.Instance.State", "CreateVolumeResponse.State")
}


class LabEC2Response(EC2Response):
    """One EC2 request."""

    RESPONSE_KEY_PATH_TO_TRANSFORMER = _TRUE_STATES

    @property
    def ec2_backend(self) -> LabRegion:
        """The region that was asked; the gate lets no other region through."""
        backend = super().ec2_backend
        assert isinstance(backend, LabRegion)  # noqa: S101
        return backend

    def call_action(self) -> TYPE_RESPONSE:
        """Answer while nobody else uses the region: moto is not made for threads."""
        with self.ec2_backend.lock:
            return super().call_action()

    def serialized(self, action_result: ActionResult) -> TYPE_RESPONSE:
        """Answer in pages, and errors with their HTTP status: moto's are all 400, and clients then do not retry."""
        error = action_result.result
        key = PAGED.get(self._get_action())
        if key and isinstance(error, dict) and isinstance(error.get(key), list):
            try:
                action_result = self._page(error, key)
            except ApiError as refused:
                error, action_result = refused, ActionResult(refused)
        status, headers, body = super().serialized(action_result)
        return (error.status if isinstance(error, ApiError) else status), headers, body

    def _page(self, result: dict[str, Any], key: str) -> ActionResult:
        asked, token = self._get_param("MaxResults"), self._get_param("NextToken")
        if asked is not None and not SMALLEST_PAGE <= int(asked) <= LARGEST_PAGE:
            text = f"Value ( {asked} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000."
            raise ApiError("InvalidParameterValue", text)
        limits = [int(asked or LARGEST_PAGE), self.ec2_backend.setup.settings.page_limit or LARGEST_PAGE]
        start = _read_token(token) if token else 0
        end = start + min(limits)
        everything = result[key]
        more = _write_token(end) if end < len(everything) else None
        return ActionResult(result | {key: everything[start:end], "NextToken": more})

    def describe_instances(self) -> ActionResult:
        """List instances; the pages are cut afterwards. moto refuses tokens of its own when an instance vanished."""
        instance_ids, filters = self._get_param("InstanceIds", []), self._filters_from_querystring()
        if instance_ids and self._get_param("MaxResults"):
            text = "The parameter instancesSet cannot be used with the parameter maxResults"
            raise ApiError("InvalidParameterCombination", text)
        backend = self.ec2_backend
        found = (
            backend.get_reservations_by_instance_ids(instance_ids, filters=filters)
            if instance_ids
            else backend.describe_instances(filters=filters)
        )
        return ActionResult({"Reservations": found})

    def run_instances(self) -> ActionResult:
        """Launch, once a client token."""
        return self._once("RunInstances", super().run_instances)

    def create_volume(self) -> ActionResult:
        """Create a volume, once a client token, in a zone of this region; moto takes any zone."""
        return self._once("CreateVolume", self._create_volume)

    def _create_volume(self) -> ActionResult:
        backend, zone = self.ec2_backend, self._get_param("AvailabilityZone")
        if zone not in [known.name for known in backend.setup.place.zones]:
            raise ApiError("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
        result = super().create_volume()
        if delayed := backend.setup.faults.take(DelayedVisibility, region=backend.region_name):
            volume: Any = result.result
            backend.volume_visible_at[volume.id] = backend.setup.now() + delayed.seconds
        return result

    def _once(self, action: str, effect: Callable[[], ActionResult]) -> ActionResult:
        """Honour the client token: moto ignores it, so a launch repeated after a crash would launch twice.

        The same token with the same parameters gives what the first call made, as it is now. What failed is
        not remembered: it had no effect, and may be tried again.
        """
        token = self._get_param("ClientToken")
        if not token:
            return effect()
        tokens, asked = self.ec2_backend.tokens, self._fingerprint()
        if (action, token) in tokens:
            before, result = tokens[action, token]
            if before != asked:
                text = (
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
                )
                raise ApiError("IdempotentParameterMismatch", text)
            return ActionResult(result)
        made = effect()
        tokens[action, token] = (asked, made.result)
        return made

    def _fingerprint(self) -> str:
        parameters = {name: value for name, value in self.querystring.items() if name != "ClientToken"}
        return json.dumps(parameters, sort_keys=True, default=str)

    def terminate_instances(self) -> ActionResult:
        """Begin to terminate. moto tells "shutting-down" even of what is gone, and wakes services that nobody has."""
        self.error_on_dryrun()
        changes = self.ec2_backend.terminate_instances(self._get_param("InstanceIds", []))
        return ActionResult({"TerminatingInstances": _describe_changes(changes)})

    def stop_instances(self) -> ActionResult:
        """Begin to stop, and say the true state."""
        self.error_on_dryrun()
        changes = self.ec2_backend.stop_instances(self._get_param("InstanceIds", []))
        return ActionResult({"StoppingInstances": _describe_changes(changes)})

    def start_instances(self) -> ActionResult:
        """Begin to start, and say the true state."""
        self.error_on_dryrun()
        changes = self.ec2_backend.start_instances(self._get_param("InstanceIds", []))
        return ActionResult({"StartingInstances": _describe_changes(changes)})

    def reboot_instances(self) -> ActionResult:
        """Ask for a reboot."""
        self.error_on_dryrun()
        self.ec2_backend.reboot_instances(self._get_param("InstanceIds", []))
        return EmptyResult()

    def describe_instance_status(self) -> ActionResult:
        """Tell what the status checks find. moto's are always passed."""
        backend, filters = self.ec2_backend, self._filters_from_querystring()
        ids = self._get_param("InstanceIds", [])
        found = backend.get_multi_instances_by_id(ids) if ids else backend.all_instances()
        everything = self._get_bool_param("IncludeAllInstances", if_none=False)
        now = backend.setup.now()
        statuses = [
            _describe_status(instance, now)
            for instance in found
            if isinstance(instance, LabInstance) and (everything or instance.state == "running")
        ]
        return ActionResult({"InstanceStatuses": [each for each in statuses if _status_matches(each, filters)]})

    def _validate_block_device_mapping(self, device_mapping: dict[str, Any]) -> None:  # type: ignore[override]
        """Allow a root disk without a size: it has its image's. moto asks for the size of every disk."""
        backend = self.ec2_backend
        root = backend.amis.get(self._get_param("ImageId"))
        if root is None or device_mapping.get("DeviceName") != root.root_device_name:
            EC2Response._validate_block_device_mapping(device_mapping)  # noqa: SLF001  # what is overridden here

    def describe_account_attributes(self) -> ActionResult:
        """Tell the quota that counts. moto always says 5."""
        limit = str(self.ec2_backend.quota)
        names = ("max-elastic-ips", "vpc-max-elastic-ips")
        attributes = [{"AttributeName": name, "AttributeValues": [{"AttributeValue": limit}]} for name in names]
        return ActionResult({"AccountAttributes": attributes})


def _describe_changes(changes: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "InstanceId": instance.id,
            "CurrentState": {"Code": instance.state_code, "Name": instance.state},
            "PreviousState": previous,
        }
        for instance, previous in changes
    ]


def _describe_status(instance: LabInstance, now: float) -> dict[str, Any]:
    if instance.state != "running":
        status: dict[str, Any] = {"Status": "not-applicable"}
    else:
        health = instance.health(now)
        detail = {"ok": "passed", "impaired": "failed", "initializing": "initializing"}[health]
        status = {"Status": health, "Details": [{"Name": "reachability", "Status": detail}]}
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.availability_zone,
        "InstanceState": {"Code": instance.state_code, "Name": instance.state},
        "InstanceStatus": status,
        # The hardware of the lab is this very host, which is answering.
        "SystemStatus": {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
        if instance.state == "running"
        else {"Status": "not-applicable"},
    }


def _status_matches(status: dict[str, Any], filters: dict[str, Any]) -> bool:
    values = {
        "availability-zone": status["AvailabilityZone"],
        "instance-state-name": status["InstanceState"]["Name"],
        "instance-status.status": status["InstanceStatus"]["Status"],
        "system-status.status": status["SystemStatus"]["Status"],
    }
    for name, wanted in filters.items():
        if name not in values:
            raise ApiError("InvalidParameterValue", f"The filter '{name}' is invalid, or unknown to the lab.")
        if values[name] not in wanted:
            return False
    return True


def _write_token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"page-from:{offset}".encode()).decode()


def _read_token(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("page-from:"))
    except ValueError as error:
        raise ApiError("InvalidNextToken", f"The token '{token}' is invalid") from error
