"""The lab's AWS: one server with several regions, and a machine for every instance that it says is running.

`LabCloudServer` puts the parts together: moto behind the gate (`cloud.gate`), its EC2 corrected (`cloud.ec2`,
`cloud.api`) and its Route 53 (`cloud.zone`), the supervisor that makes machines, and the control pages. Nothing of it survives the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Any

from flask import Flask
from moto.core.utils import convert_to_flask_response
from moto.ec2.models import ec2_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.route53.models import route53_backends
from werkzeug.serving import BaseWSGIServer, make_server

from orchestrator.lab.cloud.addresses import AddressAllocator
from orchestrator.lab.cloud.api import LabEC2Response
from orchestrator.lab.cloud.ec2 import LabRegion
from orchestrator.lab.cloud.faults import FaultBoard
from orchestrator.lab.cloud.gate import ELASTIC_ADDRESSES, STANDARD_VCPUS, CloudGate
from orchestrator.lab.cloud.places import HOSTED_ZONE, LAB_REGIONS, plan_place
from orchestrator.lab.cloud.region import CloudSettings, RegionSetup
from orchestrator.lab.cloud.zone import LabRoute53Response, LabZones
from orchestrator.lab.control import CloudControl, ControlPages
from orchestrator.lab.places import LAB_KEYS, ZONE
from orchestrator.lab.supervisor.loop import Supervisor, SupervisorSettings
from orchestrator.lab.supervisor.port import MachinePort

ACCOUNT_ID = "123456789012"


class LabCloudServer:
    """An AWS endpoint on one address and port. Two in one process need two account ids: moto's state is global."""

    def __init__(
        self,
        address: str,
        port: int,
        allocator: AddressAllocator,
        machines: MachinePort,
        *,
        regions: Sequence[str] = LAB_REGIONS,
        settings: CloudSettings | None = None,
        supervisor_settings: SupervisorSettings | None = None,
        keys: Mapping[str, str] | None = None,
        account_id: str = ACCOUNT_ID,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if ec2_backends[account_id].keys():
            raise RuntimeError(f"another cloud of account {account_id} runs in this process: stop it first")
        self._account_id = account_id
        faults = FaultBoard()
        self.zones = route53_backends[account_id]["aws"] = LabZones(account_id, HOSTED_ZONE, ZONE)
        self._regions = self._make_regions(regions, allocator, faults, settings or CloudSettings(), now)
        self.supervisor = Supervisor(self._regions, machines, supervisor_settings or SupervisorSettings(), now)
        self.control = CloudControl(faults, self._regions, machines, self.supervisor)
        quotas = {name: _quota_reader(region) for name, region in self._regions.items()}
        self._gate = CloudGate(
            DomainDispatcherApplication(_create_app),
            ControlPages(self.control),
            faults,
            LAB_KEYS if keys is None else keys,
            quotas,
            account_id,
        )
        self._server: BaseWSGIServer = make_server(
            address, port, self._gate, threaded=True, request_handler=_QuietHandler
        )
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="lab-cloud", daemon=True)

    def _make_regions(
        self,
        names: Sequence[str],
        allocator: AddressAllocator,
        faults: FaultBoard,
        settings: CloudSettings,
        now: Callable[[], float],
    ) -> dict[str, LabRegion]:
        made: dict[str, LabRegion] = {}
        subnets = 0
        for name in names:
            place = plan_place(name)
            setup = RegionSetup(place, subnets, allocator, faults, settings, now, self._wake_supervisor)
            # moto finds backends in this registry, and would make an uncorrected one for what it does not find.
            made[name] = ec2_backends[self._account_id][name] = LabRegion(name, self._account_id, setup)
            subnets += len(place.zones)
        return made

    def _wake_supervisor(self) -> None:
        """Wake the supervisor, which does not exist yet while regions are being made."""
        supervisor = getattr(self, "supervisor", None)
        if supervisor is not None:
            supervisor.wake()

    @property
    def endpoint_url(self) -> str:
        """Where the API answers: AWS_ENDPOINT_URL for clients."""
        return f"http://{self._server.server_address[0]!s}:{self._server.server_port}"

    def start(self) -> None:
        """Answer requests and make machines, in threads of their own."""
        self._thread.start()
        self.supervisor.start()

    def stop(self) -> None:
        """Stop both. Machines are left as they are; what the cloud knew is gone."""
        self._gate.stop()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self.supervisor.stop()
        ec2_backends.pop(self._account_id, None)
        route53_backends.pop(self._account_id, None)


class _QuietHandler(MotoRequestHandler):
    """Logs nothing: a controller asks all day."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log no request."""


def _create_app(service: Any) -> Flask:  # noqa: ANN401  # moto's own literal of some 200 names
    """Make moto's application of a service, with the lab's answers for EC2 and Route 53."""
    app = create_backend_app(service)
    own = {"ec2": LabEC2Response, "route53": LabRoute53Response}.get(service)
    if own is not None:
        answer = convert_to_flask_response(own.dispatch)
        app.view_functions = dict.fromkeys(app.view_functions, answer)
    return app


def _quota_reader(region: LabRegion) -> Callable[[], dict[str, int]]:
    return lambda: {ELASTIC_ADDRESSES: region.quota, STANDARD_VCPUS: region.setup.settings.vcpus}
