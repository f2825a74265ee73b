"""Where to connect: parsing "host:port" in its three shapes. Looking names up is left to the client."""

import ipaddress
import re
from dataclasses import dataclass

LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
LONGEST_NAME = 253
HIGHEST_PORT = 65535


class BadTarget(ValueError):
    """What was given is not HOST:PORT."""

    def __init__(self, text: str, cause: str) -> None:
        super().__init__(f"bad target {text!r}: {cause}; give name:port, 192.0.2.1:port or [2001:db8::1]:port")


@dataclass(frozen=True, slots=True)
class Target:
    """An address (v4, v6 without brackets, or a name) and a port."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def parse_target(text: str) -> Target:
    """Read "name:port", "192.0.2.1:port" or "[2001:db8::1]:port"; raise BadTarget (a ValueError)."""
    bracketed = re.fullmatch(r"\[([^\[\]]*)\]:(.*)", text, re.DOTALL)
    if bracketed:
        address, port = bracketed.groups()
        return Target(_v6_address(text, address), _port(text, port))
    address, separator, port = text.rpartition(":")
    if not separator:
        raise BadTarget(text, "no port")
    if ":" in address:
        raise BadTarget(text, "an IPv6 address needs brackets")
    return Target(_v4_or_name(text, address), _port(text, port))


def _port(text: str, port: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= HIGHEST_PORT:
        raise BadTarget(text, f"port {port!r} is not a number from 1 to {HIGHEST_PORT}")
    return int(port)


def _v6_address(text: str, address: str) -> str:
    try:
        return str(ipaddress.IPv6Address(address))
    except ValueError:
        raise BadTarget(text, f"{address!r} is not an IPv6 address") from None


def _v4_or_name(text: str, address: str) -> str:
    # All digits and dots can only be meant as an address; the resolver would read "1.2.3" as 1.2.0.3.
    if re.fullmatch(r"[0-9.]+", address):
        try:
            return str(ipaddress.IPv4Address(address))
        except ValueError:
            raise BadTarget(text, f"{address!r} is not an IPv4 address") from None
    name = address.removesuffix(".")
    if len(name) > LONGEST_NAME or not all(LABEL.fullmatch(label) for label in name.split(".")):
        raise BadTarget(text, f"{address!r} is neither an address nor a host name")
    return address
