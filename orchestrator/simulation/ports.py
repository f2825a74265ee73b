"""The ports of a simulated world: what execution asks is answered from virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.execution.ports import (
    HostDone,
    HostFailed,
    HostLost,
    HostResult,
    HostTarget,
    KeyPair,
    Launched,
    LaunchRefused,
    LaunchResult,
    ProbeTarget,
    ServerIdentity,
)
from orchestrator.fleet.observation import (
    CloudView,
    ElasticAddress,
    FileState,
    HostView,
    Instance,
    InstanceState,
    InstanceStatus,
    Sighting,
    UnitState,
    Unreachable,
    Verdict,
    Volume,
    WrongHostKey,
)
from orchestrator.simulation.world import SimulatedHost, World
from orchestrator.spec.model import FleetSpec

FRESH_SECONDS = 5.0


class SimulatedKeys:
    """Keys that are made from their purpose, so that a run repeats."""

    def make_host_key(self, purpose: str) -> KeyPair:
        """Return texts that look like nothing but themselves."""
        return KeyPair(f"-----BEGIN SIMULATED PRIVATE KEY-----\n{purpose}\n", f"ssh-ed25519 one-time-{purpose}")


class SimulatedCloud:
    """A cloud with two zones a region, that never forgets a token."""

    def __init__(self, world: World, spec: FleetSpec, store_id: str) -> None:
        self._world = world
        self._spec = spec
        self._store_id = store_id

    def observe_cloud(self) -> CloudView:
        """List what there is."""
        world = self._world
        silent = dict.fromkeys(world.faults.silent_regions, "simulated outage")
        return CloudView(
            instances=tuple(h.instance for h in world.hosts.values() if h.instance.region not in silent),
            volumes=tuple(
                Volume(key, region, zone, relay, self._store_id, 100, attached)
                for key, (region, zone, relay, attached) in world.volumes.items()
            ),
            addresses=tuple(
                ElasticAddress(f"eipalloc-{address}", region, address, relay, self._store_id, attached)
                for address, (region, relay, attached) in world.addresses.items()
            ),
            silent_regions=silent,
            zones={
                region: tuple((subnet, f"{region}{'abc'[n % 3]}") for n, subnet in enumerate(wanted.subnets))
                for region, wanted in self._spec.regions.items()
            },
        )

    def render_launch(self, identity: ServerIdentity) -> str:
        """Return the request."""
        request = {
            "relay": identity.relay,
            "generation": identity.generation,
            "token": identity.token,
            "subnet": identity.subnet,
        }
        return json.dumps(request, sort_keys=True)

    def start_launch(self, region: str, request_json: str) -> LaunchResult:
        """Launch, or find what this token launched before."""
        world = self._world
        request = json.loads(request_json)
        for host in world.hosts.values():
            if host.instance.launch_token == request["token"]:
                return Launched(host.instance.instance_id)
        if request["subnet"] in world.faults.no_capacity:
            return LaunchRefused("InsufficientInstanceCapacity", capacity=True)
        world.effect()
        world.launches += 1
        instance = self._make_instance(region, request)
        boots = world.clock.now() + world.durations.boot
        world.hosts[instance.instance_id] = SimulatedHost(instance, boots, f"ssh-ed25519 one-time-{request['token']}")
        if request["relay"] in world.faults.error_after_launch:
            world.faults.error_after_launch.discard(request["relay"])
            raise CloudUnavailable("the launch was answered by InternalError")
        return Launched(instance.instance_id)

    def run_furnish(self, instance: Instance) -> str:
        """Attach disk and address, finding before making."""
        world = self._world
        world.effect()
        mine = [key for key, v in world.volumes.items() if v[1] == instance.zone and v[2] == instance.relay]
        volume = mine[0] if mine else f"vol-{len(world.volumes) + 1:08x}"
        holder = world.volumes[volume][3] if mine else None
        if holder is not None and holder in world.hosts and world.hosts[holder].instance.state is InstanceState.RUNNING:
            volume = f"vol-{len(world.volumes) + 1:08x}"
        world.volumes[volume] = (instance.region, instance.zone, instance.relay, instance.instance_id)
        world.effect()
        owned = [address for address, a in world.addresses.items() if a[1] == instance.relay]
        address = owned[0] if owned else f"203.0.113.{len(world.addresses) + 1}"
        world.addresses[address] = (instance.region, instance.relay, instance.instance_id)
        host = world.hosts[instance.instance_id]
        host.instance = replace(host.instance, address=address)
        return f"{volume} and {address} attached"

    def save_host_key(self, instance: Instance, public_key: str) -> None:
        """Tag."""
        self._world.effect()
        host = self._world.hosts[instance.instance_id]
        host.instance = replace(host.instance, host_key=public_key)

    def start_retire(self, instance: Instance) -> None:
        """Terminate what is ours."""
        if instance.store_id != self._store_id:
            raise CloudRefused(f"{instance.instance_id} belongs to store {instance.store_id}")
        self._world.effect()
        del self._world.hosts[instance.instance_id]
        for key, (region, zone, relay, attached) in list(self._world.volumes.items()):
            if attached == instance.instance_id:
                self._world.volumes[key] = (region, zone, relay, None)
        for address, (region, relay, attached) in list(self._world.addresses.items()):
            if attached == instance.instance_id:
                self._world.addresses[address] = (region, relay, None)

    def start_release(self, thing: Volume | ElasticAddress) -> None:
        """Give back what is free."""
        self._world.effect()
        if isinstance(thing, Volume):
            self._world.volumes.pop(thing.volume_id, None)
        else:
            self._world.addresses.pop(thing.address, None)

    def save_access(self, region: str) -> None:
        """Nothing to mend."""

    def save_ownership(self, instances: Sequence[Instance], store_id: str) -> None:
        """Tag all."""
        for instance in instances:
            host = self._world.hosts[instance.instance_id]
            host.instance = replace(host.instance, store_id=store_id)

    def _make_instance(self, region: str, request: Mapping[str, str]) -> Instance:
        number = self._world.launches
        zone = dict(self.observe_cloud().zones[region])[request["subnet"]]
        wanted = self._spec.regions[region]
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
            address=f"198.51.100.{number % 250 + 1}",
            address_v6=None,
            image=wanted.image or "",
            instance_type=wanted.instance_type or "",
            subnet=request["subnet"],
            launched_at=self._world.clock.now(),
            launch_token=request["token"],
            host_key=None,
            magic=self._spec.network.magic,
        )


class SimulatedHosts:
    """Hosts behind Ansible."""

    def __init__(self, world: World) -> None:
        self._world = world

    def observe_hosts(self, targets: Sequence[HostTarget]) -> Mapping[str, HostView]:
        """Inspect."""
        return {target.instance_id: self._inspect(target) for target in targets}

    def run_intent(
        self, intent: str, targets: Sequence[HostTarget], on_result: Callable[[HostTarget, HostResult], None]
    ) -> None:
        """Work on each target in turn."""
        for target in targets:
            view = self._inspect(target)
            if isinstance(view, Unreachable | WrongHostKey):
                on_result(target, HostLost(view.reason, wrong_key=isinstance(view, WrongHostKey)))
                continue
            self._world.effect()
            on_result(target, self._work(intent, self._world.hosts[target.instance_id], target))

    def _inspect(self, target: HostTarget) -> HostView:
        host = self._world.hosts.get(target.instance_id)
        if host is None or not self._world.is_up(host):
            return Unreachable("simulated: no answer")
        presents = host.own_key if host.one_time_wiped else host.one_time_key
        if presents not in target.host_keys or host.instance.relay in self._world.faults.wrong_key:
            return WrongHostKey(f"the host presents {presents[:24]}…")
        return self._world.facts(host)

    def _work(self, intent: str, host: SimulatedHost, target: HostTarget) -> HostResult:
        variables = target.variables
        if variables["genesis_token"] < host.token:
            return HostFailed(f"token {variables['genesis_token']} is older than {host.token}")
        host.token = variables["genesis_token"]
        match intent:
            case "prepare":
                return self._prepare(host, variables)
            case "stage":
                return self._stage(host, variables)
            case "deploy":
                return self._deploy(host, variables)
            case "stop" | "retire":
                self._world.stop_node(host, then_start=False)
                return HostDone(changed=True, facts={})
            case _:
                return HostFailed(f"no playbook for {intent}")

    def _prepare(self, host: SimulatedHost, variables: Mapping[str, object]) -> HostResult:
        host.own_key = host.own_key or f"ssh-ed25519 own-{host.instance.instance_id}"
        preparation = variables["genesis_prepare"]
        assert isinstance(preparation, Mapping)  # noqa: S101 - rendered by ourselves
        if preparation["step"] == "settle":
            host.one_time_wiped = True
            host.prepared = preparation["baseline_digest"]
        return HostDone(changed=True, facts={"host_key": host.own_key})

    def _stage(self, host: SimulatedHost, variables: Mapping[str, object]) -> HostResult:
        if host.instance.relay in self._world.faults.stage_fails:
            return HostFailed("simulated: checksum mismatch")
        release, network = variables["genesis_release"], variables["genesis_network"]
        assert isinstance(release, Mapping)  # noqa: S101 - rendered by ourselves
        assert isinstance(network, Mapping)  # noqa: S101 - rendered by ourselves
        host.staged |= {release["sha256"], network["digest"]}
        return HostDone(changed=True, facts={})

    def _deploy(self, host: SimulatedHost, variables: Mapping[str, object]) -> HostResult:
        release, files = variables["genesis_release"], variables["genesis_files"]
        assert isinstance(release, Mapping)  # noqa: S101 - rendered by ourselves
        assert isinstance(files, Sequence)  # noqa: S101 - rendered by ourselves
        host.files = {f["path"]: _file_state(f) for f in files}
        host.release = release["sha256"]
        host.written_restart = str(variables["genesis_restart_digest"])
        host.written_reload = str(variables["genesis_reload_digest"])
        if host.running_restart != host.written_restart or self._world.unit_state(host) is UnitState.INACTIVE:
            self._world.stop_node(host, then_start=True)
        host.running_reload = host.written_reload
        return HostDone(changed=True, facts={})


class SimulatedWire:
    """Relays and partners as a probe sees them."""

    def __init__(self, world: World, partners: Sequence[str]) -> None:
        self._world = world
        self._partners = partners

    def observe_wire(self, targets: Sequence[ProbeTarget]) -> Mapping[str, Sighting]:
        """Probe."""
        return {target.name: self._probe(target) for target in targets}

    def _probe(self, target: ProbeTarget) -> Sighting:
        slot = int(self._world.clock.now().timestamp())
        if target.name in self._partners:
            return Sighting(Verdict.OK, "", slot, slot, "00", FRESH_SECONDS)
        for host in self._world.hosts.values():
            if host.instance.relay == target.name and host.instance.address == target.address:
                if self._world.serves(host):
                    return Sighting(Verdict.OK, "", slot, slot, "00", FRESH_SECONDS)
                return Sighting(Verdict.REFUSED if self._world.is_up(host) else Verdict.CONNECT_TIMEOUT, "simulated")
        return Sighting(Verdict.NO_ROUTE, "simulated")


def _file_state(file: Mapping[str, str]) -> FileState:
    import hashlib

    return FileState(hashlib.sha256(file["content"].encode()).hexdigest(), file["owner"], file["group"], file["mode"])
