"""EC2 of one lab region: moto's backend, corrected where it would make tests lie.

Each correction is one function and says what moto does instead. Launching and seeing instances is here; what happens
to them later is in `lifecycle`, volumes and addresses are in `storage` and `elastic`, and requests and answers in `api`. The supervisor reads `views` and reports through the `mark_…` functions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from moto.ec2.exceptions import InvalidInstanceIdError, InvalidSecurityGroupNotFoundError
from moto.ec2.models.amis import Ami
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.ec2.models.instances import Instance, Reservation
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPC
from moto.ec2.utils import filter_dict_attribute_mapping, filter_reservations

from .addresses import NoAddressLeftError
from .faults import DelayedVisibility, LaunchFails, NeverBoots, NoCapacity
from .instances import InstanceNote, InstanceView, LabInstance, adopt
from .lifecycle import Lifecycle
from .region import ApiError
from .storage import Volumes

ROOT_DISK_GIB = 8


class LabRegion(Lifecycle, Volumes):
    """One region's EC2, as the API and the supervisor use it."""

    # What exists before anybody asks

    def create_default_vpc(self) -> VPC:
        """Make the lab's VPC and subnets, with stable ids and in the lab's ranges.

        moto makes a default VPC at 172.31.0.0/16 with public addresses by chance, and all ids by chance.
        """
        place, allocator = self.setup.place, self.setup.allocator
        vpc = VPC(self, place.vpc_id, str(allocator.vpc_range), is_default=False)  # type: ignore[abstract]
        self.vpcs[vpc.id] = vpc
        self.create_route_table(vpc.id, main=True)
        self.create_network_acl(vpc.id, default=True)
        self.create_security_group("default", "default VPC security group", vpc_id=vpc.id, is_default=True)
        for offset, zone in enumerate(place.zones):
            self._make_subnet(zone.name, zone.subnet_id, self.setup.first_subnet + offset)
        return vpc

    def _make_subnet(self, zone: str, subnet_id: str, index: int) -> None:
        allocator, vpc_id = self.setup.allocator, self.setup.place.vpc_id
        v4, v6 = str(allocator.subnet_v4(index)), str(allocator.subnet_v6(index))
        known = self.get_zone_by_name(zone)
        if known is None:
            raise ValueError(f"region {self.region_name} has no zone {zone}")
        self.associate_default_network_acl_with_subnet(subnet_id, vpc_id)
        self.subnets[zone][subnet_id] = Subnet(  # type: ignore[abstract]
            self, subnet_id, vpc_id, v4, v6, known, default_for_az=False, map_public_ip_on_launch=False
        )

    def _load_amis(self) -> None:
        """Offer the lab's one image. moto offers hundreds, among them none that a lab machine could boot."""
        place = self.setup.place
        self.amis[place.image_id] = Ami(
            self,
            place.image_id,
            name="debian-12-genesis-lab",
            description="Debian 12, the image of the lab's machines",
            public=True,
            virtualization_type="hvm",
            architecture="x86_64",
            root_device_type="ebs",
            root_device_name="/dev/xvda",
        )

    # Launching

    def run_instances(
        self,
        image_id: str,
        count: int,
        user_data: Any,  # noqa: ANN401  # moto's own signature
        security_group_names: list[str],
        **kwargs: Any,  # noqa: ANN401
    ) -> Reservation:
        """Launch, after asking what AWS asks first; the instances stay pending until their machines run."""
        nics = kwargs.get("nics") or []
        subnet = self._subnet_of(kwargs.get("subnet_id"), nics)
        kwargs["placement"] = None
        self.describe_images(ami_ids=[image_id] if image_id else ["missing"])
        self._refuse_unknown_type(str(kwargs.get("instance_type")))
        self._refuse_unknown_groups(nics)
        self._refuse_without_capacity(subnet.availability_zone, str(kwargs.get("instance_type")))
        kwargs["block_device_mappings"] = _with_root_disk(
            kwargs.get("block_device_mappings") or [], str(self.amis[image_id].root_device_name)
        )
        reservation = super().run_instances(image_id, count, user_data, security_group_names, **kwargs)
        wanted_v6 = kwargs.get("ipv6_address_count") or sum(int(nic.get("Ipv6AddressCount") or 0) for nic in nics)
        try:
            for instance in reservation.instances:
                self._take_up(instance, subnet, int(wanted_v6))
        except NoAddressLeftError as error:
            for instance in reservation.instances:
                instance.terminate()
            del self.reservations[reservation.id]
            raise ApiError("InsufficientFreeAddressesInSubnet", str(error)) from error
        self.setup.changed()
        return reservation

    def _subnet_of(self, subnet_id: str | None, nics: Iterable[dict[str, Any]]) -> Subnet:
        """Find the subnet of a launch. There is no default VPC; moto would launch into EC2-Classic."""
        named = subnet_id or next((nic["SubnetId"] for nic in nics if "SubnetId" in nic), None)
        if named is None:
            raise ApiError("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
        return self.get_subnet(named)

    def _refuse_unknown_type(self, instance_type: str) -> None:
        """Refuse types that the region does not offer. moto takes any word."""
        offered = INSTANCE_TYPE_OFFERINGS["region"].get(self.region_name, [])
        if not any(offer["InstanceType"] == instance_type for offer in offered):
            raise ApiError("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")

    def _refuse_unknown_groups(self, nics: Iterable[dict[str, Any]]) -> None:
        """Refuse security groups of an interface that do not exist. moto makes them up."""
        for group_id in (group for nic in nics for group in nic.get("Groups") or []):
            if self.get_security_group_from_id(group_id) is None:
                raise InvalidSecurityGroupNotFoundError(group_id)

    def _refuse_without_capacity(self, zone: str, instance_type: str) -> None:
        """Answer InsufficientInstanceCapacity where a fault says so. moto's capacity is endless."""
        if self.setup.faults.take(NoCapacity, region=self.region_name, zone=zone, instance_type=instance_type):
            raise ApiError(
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
                f"({zone}). Our system will be working on provisioning additional capacity.",
                status=500,
            )

    def _take_up(self, launched: Instance, subnet: Subnet, v6_count: int) -> None:
        """Make what moto launched the lab's: pending, seen when it may be, on addresses of the lab."""
        faults, region = self.setup.faults, self.region_name
        wants_public = bool(launched.nics[0].public_ip_auto_assign)
        roots = frozenset({str(launched.root_device_name)})
        instance = adopt(launched, InstanceNote(auto_public=wants_public, root_devices=roots))
        if delayed := faults.take(DelayedVisibility, region=region):
            instance.note.visible_at = self.setup.now() + delayed.seconds
        if unbooted := faults.take(NeverBoots, region=region, name=instance.name_tag()):
            instance.note.never_boots = unbooted.status
        if faults.take(LaunchFails, region=region, name=instance.name_tag()):
            instance.note.launch_fails = True
        index = self.setup.subnet_index(subnet.id)
        nic = instance.nics[0]
        nic.delete_on_termination = True
        # The groups of the first interface are the instance's; moto shows none unless they were given apart.
        instance.security_groups = list(nic.group_set)
        nic.public_ip_auto_assign, nic.public_ip = False, None
        nic.ipv6_addresses = [str(self.setup.allocator.take_v6(index)) for _ in range(v6_count)]
        self.give_automatic_address(instance)

    # Who sees what

    def _is_visible(self, instance: Instance) -> bool:
        if not isinstance(instance, LabInstance):
            return True  # half launched, inside moto's run_instances
        now, gone_at = self.setup.now(), instance.note.terminated_at
        forgotten = gone_at is not None and now > gone_at + self.setup.settings.terminated_seen.total_seconds()
        return not forgotten and now >= instance.note.visible_at

    def all_reservations(self, filters: Any = None) -> list[Reservation]:  # noqa: ANN401
        """List what the API may show: not what is not visible yet, nor what is long gone.

        moto shows everything at once and for ever, and fails on the filters in EXTRA_FILTERS.
        """
        seen = []
        for reservation in self.reservations.copy().values():
            shown = copy.copy(reservation)
            shown.instances = [instance for instance in reservation.instances if self._is_visible(instance)]
            if shown.instances:
                seen.append(shown)
        return self._filter(seen, filters) if filters is not None else seen

    def get_reservations_by_instance_ids(self, instance_ids: list[str], filters: Any = None) -> list[Reservation]:  # noqa: ANN401
        """As moto does, with the filters that moto lacks."""
        found = super().get_reservations_by_instance_ids(instance_ids)
        return self._filter(found, filters) if filters is not None else found

    def _filter(self, reservations: list[Reservation], filters: dict[str, list[str]]) -> list[Reservation]:
        rest = {name: values for name, values in filters.items() if name not in EXTRA_FILTERS}
        for name in rest:
            if name not in filter_dict_attribute_mapping and not name.startswith("tag:"):
                raise ApiError("InvalidParameterValue", f"The filter '{name}' is invalid, or unknown to the lab.")
        matching = filter_reservations(reservations, rest)
        for name in filters.keys() & EXTRA_FILTERS.keys():
            for reservation in matching:
                reservation.instances = [
                    each for each in reservation.instances if EXTRA_FILTERS[name](each) & set(filters[name])
                ]
        return [reservation for reservation in matching if reservation.instances]

    def do_resources_exist(self, resource_ids: list[str]) -> bool:
        """Refuse tags for an instance that is not (or not yet) there. moto takes them for any instance id."""
        for resource_id in resource_ids:
            if resource_id.startswith("i-") and self.get_instance_by_id(resource_id) is None:
                raise InvalidInstanceIdError(resource_id)
        return super().do_resources_exist(resource_ids)

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> None:
        """Refuse to delete a group that is in use. moto deletes it under the instances."""
        if any(group_id == group.id for eni in self.enis.values() for group in eni.group_set):
            raise ApiError("DependencyViolation", f"resource {group_id} has a dependent object")
        super().delete_security_group(name, group_id)

    # What the supervisor reads and reports

    def views(self) -> tuple[InstanceView, ...]:
        """Describe every instance that ever was, seen by the API or not."""
        with self.lock:
            now = self.setup.now()
            return tuple(instance.view(now) for instance in self.lab_instances())

    def volume_ids(self) -> frozenset[str]:
        """Name every volume, root disks too."""
        with self.lock:
            return frozenset(self.volumes)


EXTRA_FILTERS: dict[str, Callable[[Instance], set[str]]] = {
    "client-token": lambda instance: {str(instance.client_token)},
    "instance-state-code": lambda instance: {str(instance.state_code)},
    "tag-key": lambda instance: {str(tag["key"]) for tag in instance.get_tags()},
}


def _with_root_disk(mappings: list[dict[str, Any]], root: str) -> list[dict[str, Any]]:
    """Complete the disks of a launch: the image's root disk is there, named or not, and has the image's size.

    moto makes no root disk once any disk is named, and asks for the size of each.
    """
    complete = copy.deepcopy(mappings)
    if not any(mapping["DeviceName"] == root for mapping in complete):
        complete.insert(0, {"DeviceName": root, "NoDevice": None, "Ebs": {"DeleteOnTermination": True}})
    for mapping in complete:
        if mapping["DeviceName"] == root:
            mapping["Ebs"]["VolumeSize"] = mapping["Ebs"].get("VolumeSize") or ROOT_DISK_GIB
            if mapping["Ebs"].get("DeleteOnTermination") is None:
                mapping["Ebs"]["DeleteOnTermination"] = True
    return complete
