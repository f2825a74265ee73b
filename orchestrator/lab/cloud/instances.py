"""One instance of the lab's cloud: moto's, with a life of its own.

moto's instances run the moment they are asked for and are gone the moment they are terminated. Here an instance
is pending until a machine runs and shutting down until the machine is gone; the supervisor says when.
Which instances may be launched, and who sees them, is decided in `ec2`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Literal

from moto.ec2.models.instances import Instance, StateReason

Health = Literal["ok", "impaired", "initializing"]

STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

USER_SHUTDOWN = ("Client.UserInitiatedShutdown", "User initiated shutdown")
INSTANCE_SHUTDOWN = ("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
INTERNAL_ERROR = ("Server.InternalError", "Internal error on launch")


@dataclass(frozen=True, slots=True)
class VolumeView:
    """A volume as it should be plugged into a machine; `settled` once the machine has it (or no longer has it)."""

    volume_id: str
    device: str
    size_gib: int
    wanted: bool
    settled: bool


@dataclass(frozen=True, slots=True)
class InstanceView:
    """What the API says about one instance, for whoever makes it true."""

    instance_id: str
    region: str
    zone: str
    state: str
    name: str
    image_id: str
    instance_type: str
    user_data: bytes
    addresses: tuple[IPv4Address | IPv6Address, ...]
    volumes: tuple[VolumeView, ...]
    machine_wanted: bool
    launch_fails: bool
    isolated: bool
    reboot_asked: bool
    health: Health
    tags: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class InstanceNote:
    """What the lab knows about an instance beyond what AWS has words for."""

    visible_at: float = 0.0
    checks_at: float = 0.0
    terminated_at: float | None = None
    auto_public: bool = False
    never_boots: str | None = None
    launch_fails: bool = False
    broken: bool = False
    isolated: bool = False
    reboot_asked: bool = False
    root_devices: frozenset[str] = field(default_factory=frozenset)


class LabInstance(Instance):
    """A moto instance whose state follows a machine. Made by `adopt` from what moto launched."""

    note: InstanceNote

    @property
    def private_ip(self) -> str | None:
        """The private address; a terminated instance has none (moto: an exception)."""
        return self.nics[0].private_ip_address if self.nics else None

    @property
    def private_ip_address(self) -> str | None:
        """The name that the API's answers use for the private address."""
        return self.private_ip

    @property
    def private_dns_name(self) -> str:
        """The private name, empty once there is no private address."""
        return super().private_dns_name if self.nics else ""

    @property
    def public_ip(self) -> str | None:
        """The public address: automatic or elastic."""
        return self.nics[0].public_ip if self.nics else None

    @property
    def public_ip_address(self) -> str | None:
        """The name that the API's answers use for the public address."""
        return self.public_ip

    @property
    def ipv6_address(self) -> str | None:
        """The first IPv6 address; moto shows them only on the interface."""
        addresses = self.nics[0].ipv6_addresses if self.nics else []
        return addresses[0] if addresses else None

    def enter(self, state: str, reason: tuple[str, str] | None = None) -> None:
        """Go to a state; the reason is a code and a text, as AWS gives it."""
        self._state.name, self._state.code = state, STATES[state]
        code, text = reason or ("", "")
        self._reason = text
        self.state_reason = StateReason(f"{code}: {text}" if code else "", code)

    def health(self, now: float) -> Health:
        """Say what the status checks of a running instance find."""
        if self.note.broken or self.note.never_boots == "impaired":
            return "impaired"
        if self.note.never_boots or now < self.note.checks_at:
            return "initializing"
        return "ok"

    def name_tag(self) -> str:
        """Return the Name tag, or nothing."""
        return next((str(tag["value"]) for tag in self.get_tags() if tag["key"] == "Name"), "")

    def view(self, now: float) -> InstanceView:
        """Describe this instance for the supervisor."""
        tags = tuple(sorted((str(tag["key"]), str(tag["value"])) for tag in self.get_tags()))
        return InstanceView(
            instance_id=self.id,
            region=self.region_name,
            zone=str(self.availability_zone),
            state=self.state,
            name=self.name_tag(),
            image_id=str(self.image_id),
            instance_type=self.instance_type,
            user_data=base64.b64decode(str(self.user_data)) if self.user_data else b"",
            addresses=self._addresses(),
            volumes=self._volumes(),
            machine_wanted=not (self.note.broken or self.note.never_boots or self.note.launch_fails),
            launch_fails=self.note.launch_fails,
            isolated=self.note.isolated,
            reboot_asked=self.note.reboot_asked,
            health=self.health(now),
            tags=tags,
        )

    def _addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """All that the machine carries: private, public, IPv6, in this order."""
        nic = self.nics.get(0)
        if nic is None:
            return ()
        named = [nic.private_ip_address, nic.public_ip, *nic.ipv6_addresses]
        return tuple(ip_address(address) for address in named if address)

    def _volumes(self) -> tuple[VolumeView, ...]:
        """The data volumes; the root disk comes from the image and is the machine's own affair."""
        return tuple(
            _view_volume(self.ec2_backend.volumes[block.volume_id], device)
            for device, block in self.get_block_device_mapping
            if device not in self.note.root_devices
        )


def _view_volume(volume: Any, device: str) -> VolumeView:  # noqa: ANN401  # moto's Volume; its type is private to moto
    status = volume.attachment.status if volume.attachment else "detached"
    return VolumeView(
        volume_id=volume.id,
        device=device,
        size_gib=int(volume.size),
        wanted=status in ("attaching", "attached"),
        settled=status == "attached",
    )


def adopt(instance: Instance, note: InstanceNote) -> LabInstance:
    """Turn what moto has just launched into an instance of the lab.

    moto names its Instance class inside run_instances and offers no way to give another; changing the class of
    the finished object is the one seam that leaves moto itself untouched.
    """
    instance.__class__ = LabInstance  # type: ignore[type-abstract]
    assert isinstance(instance, LabInstance)  # noqa: S101  # tells mypy what the line above did
    instance.note = note
    instance.enter("pending")
    return instance
