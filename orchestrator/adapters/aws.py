"""AWS as the cloud port: all regions side by side, each call safe to repeat. How each part works is in `aws_…`.

Decides nothing. What keeps each effect safe even without a fencing token is written where the effect is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TypeVar

import boto3

from orchestrator.adapters.aws_access import Access
from orchestrator.adapters.aws_clients import Clients, ExpectedCode, tag_filter
from orchestrator.adapters.aws_furnish import Furnisher, furnish
from orchestrator.adapters.aws_launch import launch_once
from orchestrator.adapters.aws_observe import (
    AddressQuota,
    RegionLook,
    find_subnets,
    list_instances,
    observe_region,
)
from orchestrator.adapters.aws_release import release_thing
from orchestrator.adapters.aws_requests import (
    TAG_FLEET,
    TAG_HOST_KEY,
    TAG_STORE,
    Image,
    Subnet,
    render_run_instances,
)
from orchestrator.adapters.aws_view import GONE, parse_image, parse_tags
from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.execution.ports import ClockPort, LaunchResult, ServerIdentity
from orchestrator.fleet.observation import CloudView, ElasticAddress, Instance, Volume
from orchestrator.spec.model import FleetSpec

MOST_REGIONS_AT_ONCE = 16
TAG_BATCH = 200
"""CreateTags takes up to 1000 resources and is advised to be given fewer."""
_NO_SUCH_IMAGE = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable"})
_NO_SUCH_INSTANCE = frozenset({"InvalidInstanceID.NotFound"})

Answer = TypeVar("Answer")


class AwsCloud:
    """CloudPort by boto3. Credentials and endpoints come from where every AWS tool takes them."""

    def __init__(
        self,
        spec: FleetSpec,
        store_id: str,
        clock: ClockPort,
        session: boto3.Session | None = None,
        *,
        former_regions: frozenset[str] = frozenset(),
    ) -> None:
        """Speak for one fleet. `former_regions` are looked at as well: what was launched there before may still be."""
        self._spec = spec
        self._regions = sorted({*spec.regions, *former_regions})
        self._store_id = store_id
        self._clients = Clients(spec.cloud.profile, clock, session)
        self._quota = AddressQuota(self._clients)
        self._access = Access(self._clients, spec, store_id)
        self._images: dict[tuple[str, str], Image] = {}

    def observe_cloud(self) -> CloudView:
        """List everything that carries this fleet's tag; a region that does not answer is named with the reason."""
        regions = self._regions
        looks = dict(zip(regions, self._side_by_side(regions, self._look), strict=True))
        seen = {region: look for region, look in looks.items() if isinstance(look, RegionLook)}
        refusal = next((look for look in looks.values() if isinstance(look, CloudRefused)), None)
        # Where others answer, one region's refusal (it is not enabled, a policy leaves it out) blinds nobody to those.
        if refusal is not None and not seen:
            raise refusal
        return CloudView(
            instances=tuple(each for look in seen.values() for each in look.instances),
            volumes=tuple(each for look in seen.values() for each in look.volumes),
            addresses=tuple(each for look in seen.values() for each in look.addresses),
            silent_regions=MappingProxyType(
                {region: look.message for region, look in looks.items() if not isinstance(look, RegionLook)}
            ),
            zones=MappingProxyType({region: look.zones for region, look in seen.items()}),
            free_addresses=MappingProxyType(
                {region: look.free_addresses for region, look in seen.items() if look.free_addresses is not None}
            ),
            warnings=tuple(each for look in seen.values() for each in look.warnings),
            other_access=frozenset(region for region, look in seen.items() if look.other_access),
        )

    def render_launch(self, identity: ServerIdentity) -> str:
        """Return the complete launch request as canonical JSON. Finds or makes the security group that it names."""
        subnet = self._subnet(identity)
        image = self._image(identity.region, identity.image)
        group_id = self._access.ensure_group(identity.region, subnet.vpc_id)
        return render_run_instances(self._spec, self._store_id, identity, subnet, image, group_id)

    def guard_changes(self, check: Callable[[], None]) -> None:
        """Call `check` before each single call that changes something, in every thread."""
        self._clients.guard_changes(check)

    def save_access(self, region: str, *, revoke: bool) -> None:
        """Put the rules of the region's security groups right, without a launch; makes no group."""
        self._access.mend_groups(region, revoke=revoke)

    def start_launch(self, region: str, request_json: str) -> LaunchResult:
        """Make the instance of a recorded request, unless it exists already."""
        return launch_once(self._clients, region, request_json)

    def run_furnish(self, instance: Instance) -> str:
        """Give a running instance its elastic address and its chain disk, as far as they lack."""
        return furnish(Furnisher(self._clients, self._quota, self._spec, self._store_id), instance)

    def save_host_key(self, instance: Instance, public_key: str) -> None:
        """Tag the instance with its public host key (type and key; a comment may hold what tags may not)."""
        self._refuse_foreign(instance)
        key = " ".join(public_key.split()[:2])
        try:
            self._tag(instance.region, [instance.instance_id], TAG_HOST_KEY, key, expected=_NO_SUCH_INSTANCE)
        except ExpectedCode as refusal:
            raise CloudUnavailable(
                f"{instance.instance_id} of {instance.relay} cannot be tagged: {refusal}",
                next_step="If it is only not visible yet, the next look tags it; if it is gone, nothing is to be done.",
            ) from refusal

    def start_retire(self, instance: Instance) -> None:
        """Terminate one instance, after reading its tags again. Safe without fencing: ids are never used twice."""
        if self._refuse_foreign(instance) in GONE:
            return
        try:
            self._clients.call(
                instance.region,
                "terminate_instances",
                expected=_NO_SUCH_INSTANCE,
                InstanceIds=[instance.instance_id],
            )
        except ExpectedCode:
            return

    def start_release(self, thing: Volume | ElasticAddress) -> None:
        """Give back a free chain disk or elastic address of this store; refuses what is in use or somebody else's."""
        release_thing(self._clients, self._spec, self._store_id, thing)

    def save_ownership(self, instances: Sequence[Instance], store_id: str) -> None:
        """Tag what the fleet has with another store's id; the instances last, so that a crash leaves them to be adopted."""
        regions = sorted({each.region for each in instances} | set(self._regions))

        def adopt(region: str) -> None:
            own = [each.instance_id for each in instances if each.region == region]
            for start in range(0, len(things := self._things(region)), TAG_BATCH):
                self._tag(region, things[start : start + TAG_BATCH], TAG_STORE, store_id)
            for start in range(0, len(own), TAG_BATCH):
                self._tag(region, own[start : start + TAG_BATCH], TAG_STORE, store_id)

        self._side_by_side(regions, adopt)

    def close(self) -> None:
        """Close the connections to AWS."""
        self._clients.close()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _side_by_side(self, regions: Sequence[str], work: Callable[[str], Answer]) -> list[Answer]:
        with ThreadPoolExecutor(max_workers=min(len(regions), MOST_REGIONS_AT_ONCE) or 1) as pool:
            return list(pool.map(work, regions))

    def _look(self, region: str) -> RegionLook | CloudRefused | CloudUnavailable:
        try:
            return observe_region(self._clients, self._quota, self._spec, region)
        except (CloudRefused, CloudUnavailable) as error:
            return error

    def _subnet(self, identity: ServerIdentity) -> Subnet:
        found = find_subnets(self._clients, identity.region, (identity.subnet,))
        if identity.subnet not in found:
            raise CloudRefused(
                f"{identity.relay} cannot be launched: there is no subnet {identity.subnet} in {identity.region}.",
                next_step=f"Correct regions.{identity.region}.subnets in the fleet file; `aws ec2 describe-subnets` lists them.",
            )
        return found[identity.subnet]

    def _image(self, region: str, named: str) -> Image:
        """Look an image up once: an image id means the same bytes for ever."""
        image_id = named or self._spec.regions[region].image or ""
        if (region, image_id) not in self._images:
            self._images[region, image_id] = self._find_image(region, image_id)
        return self._images[region, image_id]

    def _find_image(self, region: str, image_id: str) -> Image:
        step = f"Correct regions.{region}.image in the fleet file; images have a different id in each region."
        try:
            found = self._clients.call(region, "describe_images", expected=_NO_SUCH_IMAGE, ImageIds=[image_id])[
                "Images"
            ]
        except ExpectedCode:
            found = ()
        if not found:
            raise CloudRefused(
                f"There is no image {image_id} in {region} that this account may launch.", next_step=step
            )
        image = parse_image(found[0])
        wanted = {"aarch64": "arm64"}.get(self._spec.regions[region].architecture, "x86_64")
        if image.architecture and image.architecture != wanted:
            raise CloudRefused(
                f"Image {image_id} in {region} is for {image.architecture}, the fleet file says "
                f"{self._spec.regions[region].architecture}.",
                next_step=step,
            )
        return image

    def _refuse_foreign(self, instance: Instance) -> str:
        """Read an instance's tags now, and return its state. Raises CloudRefused if it is not this store's."""
        found = list_instances(
            self._clients, instance.region, [{"Name": "instance-id", "Values": [instance.instance_id]}]
        )
        if not found:
            return "terminated"
        tags, what = parse_tags(found[0]), f"{instance.instance_id} in {instance.region}"
        if tags.get(TAG_FLEET) != self._spec.fleet:
            raise CloudRefused(
                f"{what} does not carry the tag {TAG_FLEET}={self._spec.fleet}: it is left alone.",
                next_step="If it is this fleet's, give it its tags back; else nothing is to be done.",
            )
        if tags.get(TAG_STORE) != self._store_id:
            raise CloudRefused(
                f"{what} belongs to store {tags.get(TAG_STORE, 'none')}, this store is {self._store_id}: it is left alone.",
                next_step="Run `genesis-fleet adopt` if this controller takes over, else use the controller with that store.",
            )
        return str(found[0]["State"]["Name"])

    def _things(self, region: str) -> list[str]:
        """List disks, addresses, interfaces and groups with the fleet's tag."""
        ours = tag_filter(fleet=self._spec.fleet)
        volumes = self._clients.pages(region, "describe_volumes", "Volumes", Filters=ours)
        addresses = self._clients.call(region, "describe_addresses", Filters=ours).get("Addresses", ())
        interfaces = self._clients.pages(region, "describe_network_interfaces", "NetworkInterfaces", Filters=ours)
        groups = self._clients.pages(region, "describe_security_groups", "SecurityGroups", Filters=ours)
        return [
            *(str(each["VolumeId"]) for each in volumes),
            *(str(each["AllocationId"]) for each in addresses),
            *(str(each["NetworkInterfaceId"]) for each in interfaces),
            *(str(each["GroupId"]) for each in groups),
        ]

    def _tag(
        self,
        region: str,
        resources: Sequence[str],
        key: str,
        value: str,
        expected: frozenset[str] = frozenset(),
    ) -> None:
        tags = [{"Key": key, "Value": value}]
        self._clients.call(region, "create_tags", expected=expected, Resources=list(resources), Tags=tags)
