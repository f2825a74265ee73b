"""Where the lab's cloud takes addresses from: ranges that the caller gives, and nothing else, ever.

moto invents random public addresses; in the lab a machine really carries what the API says, so every address has
to be one that the lab owns. Addresses given back are handed out again soon, as in a real cloud: a client that
trusts an address to mean the same host is found out.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice
from threading import Lock
from typing import Protocol, TypeVar

Address = IPv4Address | IPv6Address
AnyAddress = TypeVar("AnyAddress", IPv4Address, IPv6Address)

RESERVED_IN_SUBNET = 4
"""AWS keeps the network address and the first three of every subnet for itself."""


class NoAddressLeftError(Exception):
    """A range of the lab is used up. The message names the range and its size."""


class AddressAllocator(Protocol):
    """Hands out what belongs to the cloud; `index` counts the subnets of all regions."""

    @property
    def vpc_range(self) -> IPv4Network:
        """The range of every region's VPC."""
        ...

    def subnet_v4(self, index: int) -> IPv4Network:
        """Return the private range of one subnet."""
        ...

    def subnet_v6(self, index: int) -> IPv6Network:
        """Return the IPv6 range of one subnet."""
        ...

    def take_public(self) -> IPv4Address:
        """Take a public address, for an instance or as an elastic one."""
        ...

    def take_v6(self, index: int) -> IPv6Address:
        """Take an IPv6 address of one subnet."""
        ...

    def give_back(self, address: Address) -> None:
        """Free an address."""
        ...


class RangeAllocator:
    """Divides a pair of ranges: the lower half of v4 for subnets, the upper half for public and elastic addresses.

    The v4 range has between 16 and 22 bits of prefix: AWS, and so the API, knows no VPC larger than /16.
    """

    def __init__(self, v4: IPv4Network, v6: IPv6Network, subnets: int = 16) -> None:
        if not 16 <= v4.prefixlen <= 22:
            raise ValueError(f"the cloud's IPv4 range {v4} has to be between /16 and /22")
        private, self._public_range = v4.subnets()
        bits = max(subnets - 1, 1).bit_length()
        self.vpc_range = v4
        self._v4 = tuple(islice(private.subnets(prefixlen_diff=bits), subnets))
        self._v6 = tuple(islice(v6.subnets(new_prefix=max(64, v6.prefixlen + bits)), subnets))
        self._taken: set[Address] = set()
        self._lock = Lock()

    def subnet_v4(self, index: int) -> IPv4Network:
        """Return the range of one subnet."""
        return self._v4[index]

    def subnet_v6(self, index: int) -> IPv6Network:
        """Return the IPv6 range of one subnet."""
        return self._v6[index]

    def take_public(self) -> IPv4Address:
        """Take the lowest free public address."""
        return self._take(self._public_range, iter(self._public_range.hosts()))

    def take_v6(self, index: int) -> IPv6Address:
        """Take the lowest free IPv6 address of one subnet."""
        network = self._v6[index]
        return self._take(network, islice(network.hosts(), RESERVED_IN_SUBNET, None))

    def give_back(self, address: Address) -> None:
        """Free an address; to give back what is free already changes nothing."""
        with self._lock:
            self._taken.discard(address)

    def _take(self, network: IPv4Network | IPv6Network, candidates: Iterator[AnyAddress]) -> AnyAddress:
        with self._lock:
            for address in candidates:
                if address not in self._taken:
                    self._taken.add(address)
                    return address
        raise NoAddressLeftError(f"all {network.num_addresses} addresses of {network} are taken")
