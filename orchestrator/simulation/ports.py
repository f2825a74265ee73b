"""Hosts, wire and keys of a simulated world: what execution asks is answered from virtual time. The cloud is in `cloud.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from orchestrator.errors import AnsibleNeverRan, CloudUnavailable
from orchestrator.execution.ports import (
    HostDone,
    HostFailed,
    HostLost,
    HostResult,
    HostTarget,
    KeyPair,
    ProbeTarget,
)
from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.names import NO_ANSWERS, Answers, NameChange, Routing, ZoneView
from orchestrator.fleet.observation import (
    HostView,
    Sighting,
    UnitState,
    Unreachable,
    Unreadable,
    Verdict,
    WrongHostKey,
)
from orchestrator.rendering import layout
from orchestrator.rendering.digest import file_state
from orchestrator.simulation.machines import Effect, SimulatedHost
from orchestrator.simulation.world import SLOW_TO_ANSWER, World


class SimulatedKeys:
    """Keys that are made from their purpose, so that a run repeats."""

    def make_host_key(self, purpose: str) -> KeyPair:
        """Return texts that look like nothing but themselves."""
        return KeyPair(f"-----BEGIN SIMULATED PRIVATE KEY-----\n{purpose}\n", f"ssh-ed25519 one-time-{purpose}")


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
        if self._world.faults.ansible_never_runs:
            raise AnsibleNeverRan("simulated: ansible-playbook ended before it named a host")
        for target in targets:
            if target.instance_id in self._world.hosts:
                self._world.hosts[target.instance_id].working = ""
            view = self._inspect(target)
            if isinstance(view, Unreachable | WrongHostKey | Unreadable):
                on_result(target, HostLost(view.reason, wrong_key=isinstance(view, WrongHostKey)))
                continue
            self._world.effect()
            if (intent, target.relay) in self._world.faults.lost_during:
                self._world.faults.lost_during.discard((intent, target.relay))
                on_result(target, HostLost("simulated: the connection broke"))
                continue
            result = self._work(intent, self._world.hosts[target.instance_id], target)
            self._world.effect_done()
            on_result(target, result)

    def _inspect(self, target: HostTarget) -> HostView:
        host = self._world.hosts.get(target.instance_id)
        deaf = self._world.faults.unreachable_by_ssh
        if host is None or not self._world.is_up(host) or target.relay in deaf:
            return Unreachable("simulated: no answer")
        presents = host.own_key if host.one_time_wiped else host.one_time_key
        if presents not in target.host_keys or host.instance.relay in self._world.faults.wrong_key:
            return WrongHostKey(f"the host presents {presents[:24]}…")
        if host.instance.relay in self._world.faults.unreadable:
            return Unreadable("simulated: the inspection ended without a word")
        return self._world.facts(host)

    def _work(self, intent: str, host: SimulatedHost, target: HostTarget) -> HostResult:
        variables = target.variables
        if variables["genesis_token"] < host.token:
            return HostFailed(f"token {variables['genesis_token']} is older than {host.token}")
        host.token = variables["genesis_token"]
        self._world.witness(Effect.WORK, host)
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
        if release["sha256"] in self._world.faults.unverifiable:
            return HostFailed("simulated: checksum mismatch")
        if release["sha256"] in self._world.faults.mislabelled:
            return HostFailed(f"simulated: release {release['version']} reports another version")
        host.staged |= {release["sha256"], network["digest"]}
        return HostDone(changed=True, facts={})

    def _deploy(self, host: SimulatedHost, variables: Mapping[str, object]) -> HostResult:
        release, files = variables["genesis_release"], variables["genesis_files"]
        assert isinstance(release, Mapping)  # noqa: S101 - rendered by ourselves
        assert isinstance(files, Sequence)  # noqa: S101 - rendered by ourselves
        digest = str(variables["genesis_restart_digest"])
        restarts = host.running_restart != digest or self._world.unit_state(host) is not UnitState.ACTIVE
        if restarts and variables["genesis_allowed_change"] != "restart":
            return HostFailed("simulated: this deploy would restart the node, and that was not planned; look again")
        host.files = {f["path"]: file_state(f["content"], f["owner"], f["group"], f["mode"]) for f in files}
        host.named = _named_addresses(next(f["content"] for f in files if f["path"] == layout.TOPOLOGY))
        host.release = release["sha256"]
        host.settings = _soft_limit(next(f["content"] for f in files if f["path"] == layout.NODE_CONFIG))
        host.written_restart = digest
        host.written_reload = str(variables["genesis_reload_digest"])
        if restarts:
            self._world.witness(Effect.DEPLOY, host)
            self._world.stop_node(host, then_start=True)
        elif host.running_reload != host.written_reload:
            host.running_reload, host.reloaded_at = host.written_reload, self._world.clock.now()
        return HostDone(changed=True, facts={})


class SimulatedWire:
    """Relays and partners as a probe sees them."""

    def __init__(self, world: World, partners: Sequence[str], magic: int, max_tip_age: timedelta) -> None:
        self._world = world
        self._partners = partners
        self._magic = magic
        self._max_tip_age = max_tip_age
        self._shown: dict[Any, Sighting] = {}
        """What was shown in the round under way: whoever has the same chain shows the same."""

    def observe_wire(self, targets: Sequence[ProbeTarget], points: Sequence[ChainPoint] = ()) -> Mapping[str, Sighting]:
        """Probe."""
        self._shown = {}
        return {target.name: self._tell(target, points) for target in targets}

    def _tell(self, target: ProbeTarget, points: Sequence[ChainPoint]) -> Sighting:
        """Answer truthfully, unless this probe lies or is missing."""
        told = self._world.faults.told_by_probe.get(target.name)
        if told is Verdict.OK:
            return self._show_tip(target.name, points)
        return self._probe(target, points) if told is None else Sighting(told, "simulated")

    def _probe(self, target: ProbeTarget, points: Sequence[ChainPoint]) -> Sighting:
        if target.name in self._partners:
            return self._answer(target.name, points)
        for host in self._world.hosts.values():
            if host.instance.relay == target.name and host.instance.address == target.address:
                if self._world.serves(host):
                    if self._world.is_of_other_network(host):
                        return self._refuse_magic()
                    return self._answer(target.name, points)
                if self._world.is_up(host) and self._world.hangs(host):
                    return Sighting(Verdict.HANDSHAKE_TIMEOUT, "simulated: no handshake")
                return Sighting(Verdict.REFUSED if self._world.is_up(host) else Verdict.CONNECT_TIMEOUT, "simulated")
        return Sighting(Verdict.NO_ROUTE, "simulated")

    def _answer(self, name: str, points: Sequence[ChainPoint]) -> Sighting:
        faults = self._world.faults
        if name in faults.saturated or name in faults.hanging:
            return Sighting(Verdict.HANDSHAKE_TIMEOUT, "simulated: no handshake")
        if name in faults.other_network:
            return self._refuse_magic()
        return self._show_tip(name, points)

    def _refuse_magic(self) -> Sighting:
        return Sighting(Verdict.WRONG_MAGIC, f"the peer is of the network with magic {self._magic + 1}")

    def _show_tip(self, name: str, points: Sequence[ChainPoint]) -> Sighting:
        chain, faults = self._world.chain, self._world.faults
        told = () if name in faults.tells_no_points else points
        slow = name in faults.slow_to_answer
        key = (chain.view_of(name), told == (), slow)
        if key not in self._shown:
            self._shown[key] = self._make_sighting(name, told, slow=slow)
        return self._shown[key]

    def _make_sighting(self, name: str, told: Sequence[ChainPoint], *, slow: bool) -> Sighting:
        chain = self._world.chain
        slot = int(self._world.clock.now().timestamp())
        tip, block = chain.tip_of(name, slot)
        age, usual = float(slot - tip.slot), self._world.durations.handshake.total_seconds()
        stale = age > self._max_tip_age.total_seconds()
        return Sighting(
            verdict=Verdict.STALE_TIP if stale else Verdict.OK,
            detail=f"tip at slot {tip.slot}",
            tip_slot=tip.slot,
            tip_block=block,
            tip_hash=tip.hash,
            tip_age_seconds=age,
            round_trip_seconds=0.02,
            handshake_seconds=usual * SLOW_TO_ANSWER if slow else usual,
            asked=frozenset(told),
            has=chain.select_known(name, slot, told),
        )


@lru_cache(maxsize=512)
def _soft_limit(config: str) -> str:
    return str(json.loads(config)["AcceptedConnectionsLimit"]["softLimit"])


@lru_cache(maxsize=8192)
def _named_addresses(topology: str) -> frozenset[str]:
    groups = json.loads(topology)["localRoots"]
    return frozenset(point["address"] for group in groups for point in group["accessPoints"])


class SimulatedNames:
    """The zone of a simulated world. Consumers find whom it has; without a provider they find whom the record publishes."""

    def __init__(self, world: World, publish: Callable[[frozenset[str]], None], *, kept: bool) -> None:
        self._world = world
        self._publish = publish
        self._kept = kept

    def observe_zone(self) -> ZoneView | None:
        """Read the zone."""
        if not self._kept:
            return None
        if self._world.faults.zone_silent:
            return ZoneView(silent="simulated outage")
        return ZoneView(tuple(self._world.zone[key] for key in sorted(self._world.zone)))

    def observe_answers(self) -> Mapping[str, Answers]:
        """Ask nobody: what a resolver remembers is not simulated."""
        return NO_ANSWERS

    def save_names(self, change: NameChange) -> None:
        """Make a change, all of it or nothing."""
        world = self._world
        if world.faults.zone_refuses:
            raise CloudUnavailable("simulated: the zone cannot be changed")
        zone = world.zone
        wrong = [r for r in change.delete if zone.get(r.key) != r]
        after = {key: record for key, record in zone.items() if record not in change.delete}
        wrong += [record for record in change.create if record.key in after]
        if wrong:
            raise CloudUnavailable(f"simulated: {wrong[0].key} is not as it was seen")
        world.zone = after | {record.key: record for record in change.create}
        found = (record.set_id for record in world.zone.values() if record.routing is Routing.MULTIVALUE)
        self._publish(frozenset(found))
