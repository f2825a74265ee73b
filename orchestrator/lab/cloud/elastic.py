"""Elastic and automatic public addresses of one lab region: from the lab's range, within a quota, and where they say.

moto's public addresses are random, unlimited, and stay on instances that are gone.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from moto.ec2.models.elastic_ip_addresses import ElasticAddress

from .addresses import NoAddressLeftError
from .instances import LabInstance
from .region import ApiError, LabBackend


class ElasticAddresses(LabBackend):
    """Addresses that come and go while a machine runs."""

    def allocate_address(
        self,
        domain: str,  # noqa: ARG002  # there is no domain but vpc any more
        address: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> ElasticAddress:
        """Allocate within the quota, from the lab's range. moto: without limit, random."""
        if address:
            raise ApiError("InvalidAddress.NotFound", f"Address {address} not found: the lab recovers none.")
        if len(self.addresses) >= self.quota:
            raise ApiError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
        try:
            taken = self.setup.allocator.take_public()
        except NoAddressLeftError as error:
            raise ApiError("InsufficientAddressCapacity", str(error)) from error
        return super().allocate_address("vpc", str(taken), tags)

    def release_address(self, address: str | None = None, allocation_id: str | None = None) -> None:
        """Release what is free. moto also releases what an instance is using."""
        found: Any = self._find(address, allocation_id)
        if found.eni or found.instance:
            raise ApiError("InvalidIPAddress.InUse", f"Address {found.public_ip} is in use.")
        super().release_address(address, allocation_id)
        self.setup.allocator.give_back(ip_address(found.public_ip))

    def associate_address(
        self,
        instance: Any = None,  # noqa: ANN401  # moto's own signature
        eni: Any = None,  # noqa: ANN401
        address: str | None = None,
        allocation_id: str | None = None,
        reassociate: bool = False,  # noqa: FBT001, FBT002
    ) -> ElasticAddress:
        """Move an address to an instance that runs or is stopped, and take away the one that was there.

        moto also accepts what is pending or terminated, and leaves an address on its former instance.
        """
        found: Any = self._find(address, allocation_id)
        self._refuse_unless_ready(instance)
        target = eni or instance.nics[0]
        if found.eni and found.eni is not target and reassociate:
            self._take_away(found)
        for other in [each for each in self.addresses if each.eni is target and each is not found]:
            super().disassociate_address(address=other.public_ip)
        holder = target.instance
        if isinstance(holder, LabInstance) and holder.note.auto_public:
            self.take_automatic_address(holder)
        associated = super().associate_address(instance, eni, address, allocation_id, reassociate)
        self.setup.changed()
        return associated

    def disassociate_address(self, address: str | None = None, association_id: str | None = None) -> None:
        """Take an address from its instance, which gets an automatic one again if it was launched with one."""
        found = self.address_by_ip([address]) if address else self.address_by_association([str(association_id)])
        self._take_away(found[0])
        self.setup.changed()

    def _find(self, address: str | None, allocation_id: str | None) -> ElasticAddress:
        return (self.address_by_ip([address]) if address else self.address_by_allocation([str(allocation_id)]))[0]

    def _refuse_unless_ready(self, instance: object) -> None:
        if isinstance(instance, LabInstance) and instance.state not in ("running", "stopped", "stopping"):
            raise ApiError(
                "InvalidInstanceID",
                f"The {instance.state} instance '{instance.id}' is not in a valid state for this operation.",
            )

    def _take_away(self, found: Any) -> None:  # noqa: ANN401  # moto types its fields as None
        holder = found.eni.instance if found.eni else None
        super().disassociate_address(address=found.public_ip)
        if isinstance(holder, LabInstance) and holder.state == "running":
            self.give_automatic_address(holder)

    def release_elastic_addresses_of(self, instance: LabInstance) -> None:
        """Disassociate all addresses of an instance that is going; they stay allocated."""
        taken: list[Any] = [each for each in self.addresses if each.instance_id == instance.id]
        for found in taken:
            super().disassociate_address(address=found.public_ip)

    def give_automatic_address(self, instance: LabInstance) -> None:
        """Give an instance that was launched with a public address one, unless it has one."""
        nic = instance.nics.get(0)
        if nic and instance.note.auto_public and not nic.public_ip:
            nic.public_ip = str(self.setup.allocator.take_public())

    def take_automatic_address(self, instance: LabInstance) -> None:
        """Free an instance's automatic address; an elastic one stays."""
        nic = instance.nics.get(0)
        if nic and nic.public_ip and not self.address_by_ip([nic.public_ip], fail_if_not_found=False):
            self.setup.allocator.give_back(ip_address(nic.public_ip))
            nic.public_ip = None
