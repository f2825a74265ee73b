"""A machine layer in memory, for the tests of the lab's cloud: it keeps `MachinePort`'s promises and counts starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from threading import Condition

from orchestrator.lab.cloud.addresses import Address
from orchestrator.lab.cloud.instances import InstanceView, VolumeView
from orchestrator.lab.supervisor.port import MachineView


class FakeMachines:
    """Machines that start at once, unless `gate_starts` is closed."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._machines: dict[str, MachineView] = {}
        self.volumes: set[str] = set()
        self.starts: list[InstanceView] = []
        self.starting = self.most_starting = 0
        self.gate_open = True
        self.stubborn = False
        self.broken_starts = 0
        self.cuts: dict[str, frozenset[str]] = {}

    def observe(self) -> Mapping[str, MachineView]:
        with self._condition:
            return dict(self._machines)

    def observe_volumes(self) -> frozenset[str]:
        return frozenset(self.volumes)

    def open_gate(self) -> None:
        with self._condition:
            self.gate_open = True
            self._condition.notify_all()

    def wait_until_starting(self, count: int) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: self.starting >= count, timeout=10)

    def start(self, instance: InstanceView) -> None:
        with self._condition:
            self.starting += 1
            self.most_starting = max(self.most_starting, self.starting)
            self._condition.notify_all()
            self._condition.wait_for(lambda: self.gate_open)
            self.starting -= 1
            if self.broken_starts:
                self.broken_starts -= 1
                raise OSError("no space left on device")
            self.starts.append(instance)
            before = self._machines.get(instance.instance_id, MachineView(running=False))
            self._machines[instance.instance_id] = replace(
                before, running=True, addresses=frozenset(instance.addresses)
            )

    def poweroff(self, instance_id: str) -> None:
        if not self.stubborn:
            self.kill(instance_id)

    def kill(self, instance_id: str) -> None:
        self._change(instance_id, running=False)

    def delete(self, instance_id: str) -> None:
        with self._condition:
            self._machines.pop(instance_id, None)

    def attach(self, instance_id: str, volume: VolumeView) -> None:
        self.volumes.add(volume.volume_id)
        self._change(instance_id, volumes=self._machines[instance_id].volumes | {volume.volume_id})

    def detach(self, instance_id: str, volume_id: str) -> None:
        self._change(instance_id, volumes=self._machines[instance_id].volumes - {volume_id})

    def delete_volume(self, volume_id: str) -> None:
        self.volumes.discard(volume_id)

    def add_address(self, instance_id: str, address: Address) -> None:
        self._change(instance_id, addresses=self._carried(instance_id) | {address})

    def remove_address(self, instance_id: str, address: Address) -> None:
        self._change(instance_id, addresses=self._carried(instance_id) - {address})

    def isolate(self, instance_id: str) -> None:
        self._change(instance_id, isolated=True)

    def heal(self, instance_id: str) -> None:
        self._change(instance_id, isolated=False)

    def cut(self, regions: Mapping[str, Collection[str]]) -> None:
        self.cuts = {region: frozenset(ids) for region, ids in regions.items()}

    def _carried(self, instance_id: str) -> frozenset[Address]:
        return self._machines[instance_id].addresses or frozenset()

    def _change(self, instance_id: str, **changes: object) -> None:
        with self._condition:
            if instance_id in self._machines:
                self._machines[instance_id] = replace(self._machines[instance_id], **changes)  # type: ignore[arg-type]
