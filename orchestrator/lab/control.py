"""How tests and the lab's own commands reach behind the AWS API: faults, quotas, and what happens to machines.

`CloudControl` is plain Python for the process that runs the cloud; `ControlPages` is the same over HTTP for others:

    GET    /lab-control/instances                       all instances, with what their machines do
    POST   /lab-control/instances/NAME/kill             {"leaves": "stopped" | "impaired"}: the machine dies
    POST   /lab-control/instances/NAME/terminate        deleted in the cloud, behind everybody's back
    POST   /lab-control/instances/NAME/isolate | heal   alive, but unreachable; and back
    POST   /lab-control/regions/REGION/cut | heal       its machines reach one another only; and back
    GET    /lab-control/faults                          the faults that are on
    POST   /lab-control/faults                          {"kind": …, its fields, "times": n}: switch one on
    DELETE /lab-control/faults[/ID]                     switch one off, or all
    PUT    /lab-control/quotas/REGION                   {"elastic_addresses": n}
    GET    /lab-control/places                          regions, VPCs, subnets, images

NAME is an instance id, or the Name tag of an instance that is not terminated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Literal

from werkzeug.wrappers import Request, Response

from orchestrator.lab.cloud.ec2 import LabRegion
from orchestrator.lab.cloud.faults import BadFaultError, Fault, FaultBoard, parse_fault
from orchestrator.lab.cloud.gate import Environ, StartResponse
from orchestrator.lab.cloud.instances import InstanceView
from orchestrator.lab.supervisor.loop import Supervisor
from orchestrator.lab.supervisor.port import MachinePort

Remains = Literal["stopped", "impaired"]


class NoSuchInstanceError(Exception):
    """No instance has this id or name, or several have; the message says which there are."""


class CloudControl:
    """The verbs. Each may be repeated; each returns when it has happened."""

    def __init__(
        self, faults: FaultBoard, regions: Mapping[str, LabRegion], machines: MachinePort, supervisor: Supervisor
    ) -> None:
        self.faults, self.regions = faults, regions
        self._machines, self._supervisor = machines, supervisor

    def add_fault(self, fault: Fault, times: int | None = None) -> str:
        """Switch a fault on, for so many strikes or until cleared; return its id."""
        return self.faults.add(fault, times)

    def clear_faults(self, fault_id: str | None = None) -> int:
        """Switch one fault off, or all; return how many were on."""
        return self.faults.clear(fault_id)

    def set_quota(self, region: str, elastic_addresses: int) -> None:
        """Change how many elastic addresses a region allows."""
        self.regions[region].quota = elastic_addresses

    def list_instances(self) -> tuple[dict[str, Any], ...]:
        """Describe all instances and what their machines do."""
        machines = self._machines.observe()
        described = []
        for view in self.views():
            machine = machines.get(view.instance_id)
            described.append(
                {
                    "instance_id": view.instance_id,
                    "name": view.name,
                    "region": view.region,
                    "zone": view.zone,
                    "state": view.state,
                    "health": view.health,
                    "machine": "absent" if machine is None else "running" if machine.running else "stopped",
                    "isolated": view.isolated,
                    "addresses": [str(address) for address in view.addresses],
                    "volumes": [volume.volume_id for volume in view.volumes],
                    "tags": dict(view.tags),
                }
            )
        return tuple(described)

    def kill(self, name: str, leaves: Remains = "stopped") -> str:
        """Cut a machine's power; the API says stopped, or running and impaired. Return the instance's id."""
        view = self.find(name)
        if leaves == "impaired":
            self.regions[view.region].mark_broken(view.instance_id)
        self._machines.kill(view.instance_id)
        self._supervisor.look()
        return view.instance_id

    def terminate(self, name: str) -> str:
        """Terminate an instance as somebody else would, in the console."""
        view = self.find(name)
        region = self.regions[view.region]
        with region.lock:
            instance = region.lab_instance(view.instance_id)
            if instance:
                region.begin_termination(instance)
        self._supervisor.look()
        return view.instance_id

    def isolate(self, name: str) -> str:
        """Cut a machine from the network; it goes on running, and the API finds it well."""
        view = self.find(name)
        self.regions[view.region].mark_isolated(view.instance_id, isolated=True)
        self._machines.isolate(view.instance_id)
        return view.instance_id

    def heal(self, name: str) -> str:
        """Undo `isolate`."""
        view = self.find(name)
        self.regions[view.region].mark_isolated(view.instance_id, isolated=False)
        self._machines.heal(view.instance_id)
        return view.instance_id

    def cut(self, region: str) -> None:
        """Cut a region off: its machines, those to come included, reach one another and nobody else."""
        self._supervisor.cut_regions |= {region}
        self._supervisor.look()

    def heal_region(self, region: str) -> None:
        """Undo `cut`."""
        self._supervisor.cut_regions -= {region}
        self._supervisor.look()

    @property
    def cut_regions(self) -> tuple[str, ...]:
        """The regions that are cut off."""
        return tuple(sorted(self._supervisor.cut_regions))

    def find(self, name: str) -> InstanceView:
        """Find an instance by id, or by its Name tag among those that are not terminated."""
        views = self.views()
        found = [view for view in views if view.instance_id == name] or [
            view for view in views if view.name == name and view.state not in ("shutting-down", "terminated")
        ]
        if len(found) != 1:
            there = ", ".join(sorted(view.name or view.instance_id for view in views if view.state != "terminated"))
            count = "no instance" if not found else f"{len(found)} instances"
            raise NoSuchInstanceError(f"{count} of the lab called {name}; there are: {there or 'none'}")
        return found[0]

    def views(self) -> list[InstanceView]:
        """Describe every instance that ever was, as the API knows it."""
        return [view for region in self.regions.values() for view in region.views()]


class ControlPages:
    """The verbs over HTTP: a WSGI application under /lab-control/."""

    def __init__(self, control: CloudControl) -> None:
        self._control = control

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request: JSON in, JSON out, errors as {"error": …}."""
        request = Request(environ)
        try:
            document = json.loads(request.get_data() or b"{}")
            answer, status = self._answer(request.method, request.path.strip("/").split("/")[1:], document)
        except (BadFaultError, TypeError, ValueError, KeyError) as error:
            answer, status = {"error": str(error)}, 400
        except NoSuchInstanceError as error:
            answer, status = {"error": str(error)}, 404
        return Response(json.dumps(answer), status, content_type="application/json")(environ, start_response)

    def _answer(self, method: str, path: list[str], document: dict[str, Any]) -> tuple[dict[str, Any], int]:
        control = self._control
        match method, *path:
            case "GET", "instances":
                return {"instances": control.list_instances(), "cut_regions": control.cut_regions}, 200
            case "POST", "regions", region, "cut" if region in control.regions:
                control.cut(region)
                return {"region": region, "cut": True}, 200
            case "POST", "regions", region, "heal" if region in control.regions:
                control.heal_region(region)
                return {"region": region, "cut": False}, 200
            case "POST", "instances", name, verb:
                return self._do(name, verb, document)
            case "GET", "faults":
                return {"faults": control.faults.list()}, 200
            case "POST", "faults":
                return {"id": control.add_fault(*parse_fault(document))}, 201
            case "DELETE", "faults", *fault_id:
                return {"cleared": control.clear_faults(*fault_id)}, 200
            case "PUT", "quotas", region if region in control.regions:
                control.set_quota(region, int(document["elastic_addresses"]))
                return {"region": region, "elastic_addresses": control.regions[region].quota}, 200
            case "GET", "places":
                return {"places": [asdict(region.setup.place) for region in control.regions.values()]}, 200
            case _:
                return {"error": f"no {method} of /lab-control/{'/'.join(path)}"}, 404

    def _do(self, name: str, verb: str, document: dict[str, Any]) -> tuple[dict[str, Any], int]:
        control = self._control
        match verb:
            case "kill":
                leaves = document.get("leaves", "stopped")
                if leaves not in ("stopped", "impaired"):
                    return {"error": f"leaves is {leaves!r}, expected stopped or impaired"}, 400
                return {"instance_id": control.kill(name, leaves)}, 200
            case "terminate":
                return {"instance_id": control.terminate(name)}, 200
            case "isolate":
                return {"instance_id": control.isolate(name)}, 200
            case "heal":
                return {"instance_id": control.heal(name)}, 200
            case _:
                return {"error": f"no verb {verb}: kill, terminate, isolate, heal"}, 404
