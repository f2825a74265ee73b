"""What the parts of a lab region share: its settings, the error the API answers with, and the instances in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import RLock
from types import ModuleType

from moto.ec2 import urls
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend

from .addresses import AddressAllocator
from .faults import FaultBoard
from .instances import LabInstance
from .places import Place


class ApiError(EC2ClientError):
    """An error as the EC2 API gives it: AWS's code, a message, and the HTTP status (5xx: clients retry)."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """What differs from lab to lab and from test to test."""

    elastic_addresses: int = 5
    """The quota a region starts with, as a new account has it."""
    vcpus: int = 256
    terminated_seen: timedelta = timedelta(hours=1)
    """AWS shows a terminated instance for about an hour."""
    status_checks_after: timedelta = timedelta(seconds=1)
    """How long a running instance's checks say initializing; minutes on AWS."""
    page_limit: int | None = None
    """Never more than so many results a page, asked for or not; AWS promises no page size."""


@dataclass(frozen=True, slots=True)
class RegionSetup:
    """All that a region is given. `changed` wakes the supervisor; `now` is monotonic seconds."""

    place: Place
    first_subnet: int
    allocator: AddressAllocator
    faults: FaultBoard
    settings: CloudSettings
    now: Callable[[], float]
    changed: Callable[[], None]

    def subnet_index(self, subnet_id: str) -> int:
        """Number a subnet as the allocator does."""
        return self.first_subnet + [zone.subnet_id for zone in self.place.zones].index(subnet_id)


class LabBackend(EC2Backend):
    """moto's EC2 of one region, with what the corrections need. Callers hold `lock`: moto is not made for threads."""

    def __init__(self, region_name: str, account_id: str, setup: RegionSetup) -> None:
        self.setup = setup
        self.lock = RLock()
        self.quota = setup.settings.elastic_addresses
        self.tokens: dict[tuple[str, str], tuple[str, object]] = {}
        self.volume_visible_at: dict[str, float] = {}
        super().__init__(region_name, account_id)

    @property
    def _url_module(self) -> ModuleType:
        """Answer on moto's own paths. moto looks for them beside the module of the class, which is this one."""
        return urls

    def lab_instances(self) -> list[LabInstance]:
        """List all instances, seen by the API or not."""
        everything = [each for reservation in self.reservations.copy().values() for each in reservation.instances]
        return [each for each in everything if isinstance(each, LabInstance)]

    def lab_instance(self, instance_id: str) -> LabInstance | None:
        """Find an instance, seen by the API or not."""
        return next((each for each in self.lab_instances() if each.id == instance_id), None)
