"""The cloud of a simulated world: launches, lists with delay, disks and addresses, and what an operator sees go wrong there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.execution.ports import Launched, LaunchRefused, LaunchResult, ServerIdentity
from orchestrator.fleet.observation import (
    CloudView,
    ElasticAddress,
    Instance,
    InstanceState,
    InstanceStatus,
    Volume,
)
from orchestrator.simulation.machines import Effect, SimulatedHost
from orchestrator.simulation.world import World
from orchestrator.spec.model import FleetSpec

LISTED_AFTER_TERMINATION = timedelta(hours=1)
"""AWS lists terminated instances for about as long."""


class SimulatedCloud:
    """A cloud whose every subnet is a zone of its own, and that never forgets a token."""

    def __init__(self, world: World, spec: FleetSpec, store_id: str) -> None:
        self._world = world
        self._spec = spec
        self._store_id = store_id
        self._check: Callable[[], None] = lambda: None
        self._zones = {
            region: tuple((subnet, f"{region}{'abc'[n % 3]}") for n, subnet in enumerate(wanted.subnets))
            for region, wanted in spec.regions.items()
        }

    def observe_cloud(self) -> CloudView:
        """List what can be seen by now: new instances appear late, terminated ones stay for a while. Lists may be old ones."""
        world, now = self._world, self._world.clock.now()
        view = self._list_all()
        if not world.faults.old_lists:
            world.lists = [(now, view)]
            return view
        world.lists = [(at, old) for at, old in world.lists if now - at <= world.faults.old_lists]
        world.lists.append((now, view))
        _, oldest = world.lists[0]
        # What the fleet file names is known by heart, and who does not answer does not answer with old lists either.
        return replace(oldest, zones=view.zones) if oldest.silent_regions == view.silent_regions else view

    def _list_all(self) -> CloudView:
        world, now = self._world, self._world.clock.now()
        silent = dict.fromkeys(sorted(world.faults.silent_regions), "simulated outage")
        return CloudView(
            instances=tuple(
                host.instance
                for host in world.hosts.values()
                if host.instance.region not in silent
                and now >= host.instance.launched_at + world.durations.unseen
                and (host.gone_at is None or now < host.gone_at + LISTED_AFTER_TERMINATION)
            ),
            volumes=tuple(
                Volume(key, region, zone, relay, self._store_id, 100, attached)
                for key, (region, zone, relay, attached) in world.volumes.items()
                if region not in silent
            ),
            addresses=tuple(
                ElasticAddress(f"eipalloc-{address}", region, address, relay, self._store_id, attached)
                for address, (region, relay, attached) in world.addresses.items()
                if region not in silent
            ),
            silent_regions=silent,
            zones=self._zones,
        )

    def render_launch(self, identity: ServerIdentity) -> str:
        """Return the request."""
        request = {
            "relay": identity.relay,
            "generation": identity.generation,
            "token": identity.token,
            "subnet": identity.subnet,
            "image": identity.image or self._spec.regions[identity.region].image or "",
            "instance_type": identity.instance_type or self._spec.regions[identity.region].instance_type or "",
        }
        return json.dumps(request, sort_keys=True)

    def start_launch(self, region: str, request_json: str) -> LaunchResult:
        """Launch, or find what this token launched before."""
        world = self._world
        request = json.loads(request_json)
        for host in world.hosts.values():
            if host.instance.launch_token == request["token"]:
                return Launched(host.instance.instance_id)
        self._reach(region)
        if region in world.faults.launches_refused:
            raise CloudRefused("simulated: VcpuLimitExceeded")
        if request["subnet"] in world.faults.no_capacity:
            return LaunchRefused("InsufficientInstanceCapacity", capacity=True)
        self._change()
        world.launches += 1
        instance = self._make_instance(region, request)
        boots = world.clock.now() + world.durations.boot
        host = SimulatedHost(instance, boots, f"ssh-ed25519 one-time-{request['token']}")
        world.witness(Effect.LAUNCH, host)
        world.hosts[instance.instance_id] = host
        world.effect_done()
        if request["relay"] in world.faults.error_after_launch:
            world.faults.error_after_launch.discard(request["relay"])
            raise CloudUnavailable("the launch was answered by InternalError")
        return Launched(instance.instance_id)

    def run_furnish(self, instance: Instance) -> str:
        """Attach disk and address, finding before making."""
        world = self._world
        self._reach(instance.region)
        if world.hosts[instance.instance_id].instance.state is not InstanceState.RUNNING:
            raise CloudUnavailable(f"{instance.instance_id} does not run")
        self._change()
        mine = [key for key, v in world.volumes.items() if v[1] == instance.zone and v[2] == instance.relay]
        free = [key for key in mine if world.volumes[key][3] in (None, instance.instance_id)]
        volume = free[0] if free else f"vol-{world.next_number():08x}"
        world.volumes[volume] = (instance.region, instance.zone, instance.relay, instance.instance_id)
        self._change()
        owned = [address for address, a in world.addresses.items() if a[1] == instance.relay]
        address = owned[0] if owned else _address(203, world.next_number())
        holder = world.hosts.get(world.addresses[address][-1] or "") if owned else None
        if holder is not None and holder.instance.instance_id != instance.instance_id:  # it gets one of its own instead
            own = _address(198, world.next_number() + 100_000)
            holder.instance = replace(holder.instance, address=own)
        world.addresses[address] = (instance.region, instance.relay, instance.instance_id)
        host = world.hosts[instance.instance_id]
        host.instance = replace(host.instance, address=address)
        world.effect_done()
        return f"{volume} and {address} attached"

    def save_host_key(self, instance: Instance, public_key: str) -> None:
        """Tag."""
        self._change()
        host = self._world.hosts[instance.instance_id]
        host.instance = replace(host.instance, host_key=public_key)
        self._world.effect_done()

    def start_retire(self, instance: Instance) -> None:
        """Terminate what is ours."""
        if instance.store_id != self._store_id:
            raise CloudRefused(f"{instance.instance_id} belongs to store {instance.store_id}")
        self._reach(instance.region)
        self._change()
        host = self._world.hosts[instance.instance_id]
        if host.gone_at is None:
            self._world.witness(Effect.TERMINATE, host)
            self._world.terminate(instance.instance_id)
        self._world.effect_done()

    def start_release(self, thing: Volume | ElasticAddress) -> None:
        """Give back what is free."""
        self._reach(thing.region)
        self._change()
        if self._is_attached(thing):
            raise CloudRefused(f"{thing} is in use")
        if isinstance(thing, Volume):
            self._world.volumes.pop(thing.volume_id, None)
        else:
            self._world.addresses.pop(thing.address, None)
        self._world.effect_done()

    def guard_changes(self, check: Callable[[], None]) -> None:
        """Call `check` before each change, as the real adapter does."""
        self._check = check

    def save_access(self, region: str, *, revoke: bool) -> None:
        """Nothing to mend."""

    def save_ownership(self, instances: Sequence[Instance], store_id: str) -> None:
        """Tag all."""
        for instance in instances:
            host = self._world.hosts[instance.instance_id]
            host.instance = replace(host.instance, store_id=store_id)

    def _is_attached(self, thing: Volume | ElasticAddress) -> bool:
        """Whether it is in use now, whatever the list said from which it was taken."""
        if isinstance(thing, Volume):
            return self._world.volumes.get(thing.volume_id, (None,))[-1] is not None
        return self._world.addresses.get(thing.address, (None,))[-1] is not None

    def _reach(self, region: str) -> None:
        if region in self._world.faults.silent_regions:
            raise CloudUnavailable(f"simulated outage of {region}")

    def _change(self) -> None:
        """Count one effect, if it may be made."""
        self._check()
        self._world.effect()

    def _make_instance(self, region: str, request: Mapping[str, str]) -> Instance:
        number = self._world.launches
        zone = dict(self._zones[region])[request["subnet"]]
        return Instance(
            instance_id=f"i-{number:08x}",
            region=region,
            zone=zone,
            state=InstanceState.RUNNING,
            status=InstanceStatus.OK,
            fleet=self._spec.fleet,
            store_id=self._store_id,
            relay=request["relay"],
            generation=int(request["generation"]),
            address=_address(198, number),
            address_v6=None,
            image=request["image"],
            instance_type=request["instance_type"],
            subnet=request["subnet"],
            launched_at=self._world.clock.now(),
            launch_token=request["token"],
            host_key=None,
            magic=self._spec.network.magic,
        )


def _address(first: int, number: int) -> str:
    return f"{first}.{number // 62_500}.{number // 250 % 250 + 1}.{number % 250 + 1}"
