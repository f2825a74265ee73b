"""Where everything of a lab answers and with which keys: what can be named before the lab runs, and without loading it.

Pure: from the lab's ranges alone. The cloud's allocator hands out the rest of the ranges (see `cloud.addresses`).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from orchestrator.lab.machines.network import LabNetwork

API_PORT = 4566
RELEASES_PORT = 8080
RELAY_PORT = 3001
NAMES_PORT = 53
"""Where the lab's resolver answers: the usual port, since a machine's resolv.conf can name no other."""

ZONE = "lab"
"""All names of the lab's fleets end in it."""

LAB_KEYS = {"AKIALAB0000000000000": "lab-secret-that-opens-nothing-else"}
"""Key id and secret that the lab accepts. They are no secret: they open nothing but a lab on this machine."""

PARTNER_NAMES = ("alpha", "beta")

FIRST_PARTNER = 10
"""Offset of the first partner's address; the cloud's own ranges begin in the upper half."""


@dataclass(frozen=True, slots=True)
class PartnerPlace:
    """A partner's node: another organisation's relay, which also makes blocks here."""

    name: str
    address: IPv4Address
    number: int


def partner_places(network: LabNetwork) -> tuple[PartnerPlace, ...]:
    """Return where the lab's partners answer."""
    first = network.v4.network_address + FIRST_PARTNER
    return tuple(PartnerPlace(name, first + number, number) for number, name in enumerate(PARTNER_NAMES))


def api_url(network: LabNetwork) -> str:
    """Return the endpoint of the lab's AWS API."""
    return f"http://{network.gateway_v4}:{API_PORT}"


def releases_url(network: LabNetwork) -> str:
    """Return where the lab's releases are downloaded."""
    return f"http://{network.gateway_v4}:{RELEASES_PORT}"


def relays_name(fleet: str, region: str | None = None) -> str:
    """Return the name that consumers of a fleet ask for: of all its relays, or of those in a region."""
    return f"{f'{region}.' if region else ''}relays.{fleet}.{ZONE}."
