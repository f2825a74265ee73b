"""The playbooks on real machines, over SSH, with what production renders: a relay's whole life as Ansible sees it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible import AnsibleHosts
from orchestrator.adapters.assets import load_templates
from orchestrator.execution.ports import HostDone, HostFailed, HostResult, HostTarget
from orchestrator.fleet.observation import HostFacts, UnitState, WrongHostKey
from orchestrator.fleet.relay import Relay
from orchestrator.lab.machines import disks, network
from orchestrator.lab.machines.host import why_no_lab
from orchestrator.lab.machines.image import find_or_build_image
from orchestrator.lab.machines.layout import Lab
from orchestrator.lab.machines.machine import MachineSpec, delete_lab, run_in_machine, start_machine
from orchestrator.lab.releases.bad import bad_version, build_bad_releases
from orchestrator.lab.releases.server import ReleaseServer, serve_releases
from orchestrator.lab.releases.tarball import build_release
from orchestrator.rendering.relay import render_relay
from orchestrator.rendering.values import AccessPoint, NetworkFiles, RelayNeighbours, RenderedRelay
from orchestrator.rendering.variables import (
    baseline_digest,
    deploy_variables,
    inspect_variables,
    prepare_variables,
    stage_variables,
)
from orchestrator.spec.model import FleetSpec
from orchestrator.spec.network import load_network

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60
UNIT = "/etc/systemd/system/cardano-node.service"
TOPOLOGY = "/etc/cardano-node/topology.json"
LEGACY, NEW = "10.5.1", "10.7.1"
"""Releases whose logs and metrics are in the one dialect and in the other."""

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(os.geteuid()) or bool(why_no_lab()), reason="this host cannot run a lab"),
]


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"did not come true within {PATIENCE_SECONDS} s"
        time.sleep(0.1)


@dataclass(frozen=True)
class World:
    """One machine, and all that is needed to work on it."""

    lab: Lab
    machine: MachineSpec
    hosts: AnsibleHosts
    one_time_key: str
    spec: FleetSpec
    network: NetworkFiles
    server: ReleaseServer

    def inside(self, script: str) -> str:
        outcome = run_in_machine(self.lab, self.machine.instance_id, ["sh", "-c", script])
        assert outcome.returncode == 0, f"{script}: {outcome.stdout}{outcome.stderr}"
        return outcome.stdout.strip()

    def permanent_key(self) -> str:
        return " ".join(self.inside("cat /etc/ssh/genesis_fleet_host_ed25519_key.pub").split()[:2])

    def target(self, variables: Mapping[str, Any], *keys: str, token: int = 1) -> HostTarget:
        address = str(self.machine.addresses[0])
        accepted = keys or (self.one_time_key, self.permanent_key())
        known = {"genesis_token": token, "genesis_store_id": "store-1", **variables}
        return HostTarget("relay", self.machine.instance_id, "r1", address, "admin", 22, accepted, known)

    def run(self, intent: str, variables: Mapping[str, Any], *keys: str, token: int = 1) -> HostResult:
        results: list[HostResult] = []
        target = self.target({**variables, "genesis_token": token}, *keys)
        self.hosts.run_intent(intent, [target], lambda _, result: results.append(result))
        assert len(results) == 1
        return results[0]

    def facts(self, *keys: str) -> HostFacts:
        target = self.target(inspect_variables(self.spec), *keys)
        view = self.hosts.observe_hosts([target])[self.machine.instance_id]
        assert isinstance(view, HostFacts), view
        return view

    def render(self, partner: str = "10.0.0.9", release: str = NEW) -> RenderedRelay:
        relay = Relay("demo-r1-01", "eu-central-1", 1)
        neighbours = RelayNeighbours(own=(AccessPoint("10.0.0.8", 3001),), partners=(AccessPoint(partner, 3001),))
        spec = self.spec.model_copy(update={"release": release})
        return render_relay(spec, self.network, load_templates(ROOT / "templates"), relay, neighbours)


def make_spec(archives: Mapping[str, Mapping[str, str]], gateway: str) -> FleetSpec:
    magic = json.loads((ROOT / "inventory/lab/network/shelley-genesis.json").read_text())["networkMagic"]
    document = {
        "fleet": "demo",
        "network": {"name": "lab", "magic": magic, "folder": "network"},
        "releases": {version: {"x86_64": archive} for version, archive in archives.items()},
        "release": NEW,
        "cloud": {"kind": "aws"},
        "regions": {"eu-central-1": {"count": 1, "memory_gib": 1}},
        "ssh": {"allowed_from": [f"{gateway}/32"]},
    }
    return FleetSpec.model_validate_json(json.dumps(document))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("playbooks")
    for name in ("login", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    name = f"play-{os.getpid()}"
    ranges = network.pick_network(name, network.observe_taken_ranges(name))
    network.start_network(ranges)
    lab = Lab(folder / "lab", ranges, find_or_build_image())
    releases = folder / "releases"
    releases.mkdir()
    good = [build_release(version, releases) for version in (LEGACY, NEW)]
    built = [*good, *build_bad_releases(releases).values()]
    one_time = " ".join((folder / "host.pub").read_text().split()[:2])
    machine = MachineSpec("i-00000000000000001", "relay-1", (ranges.v4[257], ranges.v6[257]), user_data(folder))
    try:
        with serve_releases(releases, str(ranges.gateway_v4)) as server:
            archives = {r.version: {"url": f"{server.url}/{r.file_name}", "sha256": r.sha256} for r in built}
            spec = make_spec(archives, str(ranges.gateway_v4))
            hosts = AnsibleHosts(ROOT / "playbooks", folder / "state", folder / "login")
            start_machine(lab, machine)
            files = load_network(spec, ROOT / "inventory/lab")
            world = World(lab, machine, hosts, one_time, spec, files, server)
            wait_for(lambda: isinstance(look(world, one_time), HostFacts))
            yield world
    finally:
        delete_lab(lab)


def look(world: World, *keys: str) -> object:
    return world.hosts.observe_hosts([world.target({}, *keys)])[world.machine.instance_id]


def user_data(folder: Path) -> bytes:
    private = (folder / "host").read_text().replace("\n", "\n    ")
    return (
        f"#cloud-config\nssh_keys:\n  ed25519_private: |\n    {private}\n"
        f"  ed25519_public: {(folder / 'host.pub').read_text().strip()}\n"
        f"ssh_authorized_keys: ['{(folder / 'login.pub').read_text().strip()}']\n"
    ).encode()


def done(result: HostResult) -> HostDone:
    assert isinstance(result, HostDone), result
    return result


def prepared(world: World) -> World:
    """A host that went through both steps; safe to ask for again."""
    if world.inside("cat /var/lib/genesis-fleet/prepared || true") != baseline_digest(world.spec):
        disks.create_volume(world.lab, "vol-0c", 64 * 1024 * 1024)
        disks.attach_volume(world.lab, "vol-0c", world.machine.instance_id)
        world.inside("cloud-init status --wait || true")
        done(world.run("prepare", prepare_variables(world.spec, "identify", "vol-0c"), world.one_time_key))
        settle = prepare_variables(world.spec, "settle", "vol-0c")
        done(world.run("prepare", settle, world.one_time_key, world.permanent_key()))
    return world


def deployed(world: World, rendered: RenderedRelay | None = None) -> World:
    """A host that is staged and deployed."""
    prepared(world)
    wanted = rendered or world.render()
    done(world.run("stage", stage_variables(wanted, world.network, allow_http=True)))
    if done(world.run("deploy", deploy_variables(wanted))).changed:
        wait_for(lambda: runs(world.facts(), wanted))
    return world


def runs(facts: HostFacts, wanted: RenderedRelay) -> bool:
    """Whether the node is up that a deploy has started, and not the one before."""
    started = facts.unit is UnitState.ACTIVE and facts.running_restart_digest == wanted.restart_digest
    return started and facts.metrics is not None


def test_a_fresh_host_is_prepared_and_then_shows_its_own_key_only(world: World) -> None:
    before = world.facts(world.one_time_key)
    assert (before.prepared, before.host_key, before.one_time_key_wiped) == ("", "", False)
    prepared(world)
    after = world.facts(world.permanent_key())
    assert after.prepared == baseline_digest(world.spec)
    assert after.host_key == world.permanent_key()
    assert after.one_time_key_wiped
    # Another set of accepted keys: connections that are still open under the first set do not count.
    assert isinstance(
        look(world, world.one_time_key, world.hosts.private_key.with_suffix(".pub").read_text()), WrongHostKey
    )
    assert world.inside("findmnt -no FSTYPE /var/lib/cardano-node") == "ext4"
    assert world.inside("grep -rl 'PRIVATE KEY' /var/lib/cloud /run/cloud-init /etc || true").split() == [
        "/etc/ssh/genesis_fleet_host_ed25519_key"
    ]
    again = done(world.run("prepare", prepare_variables(world.spec, "settle", "vol-0c")))
    assert not again.changed


def test_a_deploy_of_what_is_not_staged_changes_nothing(world: World) -> None:
    prepared(world)
    result = world.run("deploy", deploy_variables(world.render()))
    assert isinstance(result, HostFailed)
    assert "not staged" in result.error
    assert world.facts().files == {}


def test_a_wrong_checksum_leaves_the_host_as_it_was(world: World) -> None:
    prepared(world)
    before = world.inside("find /opt/cardano-node | sort")
    variables = stage_variables(world.render(), world.network, allow_http=True)
    variables["genesis_release"] = {**variables["genesis_release"], "sha256": "ab" * 32}
    variables["genesis_network"] = {}
    result = world.run("stage", variables)
    assert isinstance(result, HostFailed)
    assert "checksum mismatch" in result.error
    assert world.inside("find /opt/cardano-node | sort") == before


REFUSED = {
    "wrong-checksum": "checksum mismatch",
    "other-version": f"says 10.5.4, the fleet file calls it {bad_version('other-version')}",
}
"""Kinds of bad releases that staging refuses, and for what; the others, of which one is tried, are bad only once they run."""


@pytest.mark.parametrize("kind", [*REFUSED, "hangs"])
def test_a_bad_release_is_refused_for_the_right_reason_or_staged(world: World, kind: str) -> None:
    prepared(world)
    wanted = world.render(release=bad_version(kind))
    result = world.run("stage", stage_variables(wanted, world.network, allow_http=True))
    if kind in REFUSED:
        assert isinstance(result, HostFailed)
        assert REFUSED[kind] in result.error
    else:
        done(result)
    assert (wanted.release.sha256 in world.facts().staged) == (kind not in REFUSED)


def test_a_release_that_exits_is_seen_at_once_and_the_next_one_begins_anew(world: World) -> None:
    prepared(world)
    bad = world.render(release=bad_version("exits"))
    done(world.run("stage", stage_variables(bad, world.network, allow_http=True)))
    done(world.run("deploy", deploy_variables(bad)))
    wait_for(lambda: world.facts().restarts)
    seen = world.facts()
    assert seen.unit is UnitState.ACTIVATING
    assert "this release ends at each start" in seen.detail
    deployed(world)
    healed = world.facts()
    assert healed.restarts == 0
    assert healed.started_seconds_ago is not None
    assert healed.started_seconds_ago < PATIENCE_SECONDS


def test_plain_http_is_refused_outside_the_lab(world: World) -> None:
    result = world.run("stage", stage_variables(world.render(), world.network))
    assert isinstance(result, HostFailed)
    assert "only https" in result.error


def test_a_deployed_relay_is_what_was_rendered_and_a_second_deploy_changes_nothing(world: World) -> None:
    rendered = world.render()
    deployed(world, rendered)
    facts = world.facts()
    assert facts.unit is UnitState.ACTIVE
    assert facts.unit_enabled
    assert {file.path: file.sha256 for file in rendered.files} == {p: f.sha256 for p, f in facts.files.items()}
    assert facts.release == rendered.release.sha256
    assert {rendered.release.sha256, world.network.digest} <= facts.staged
    assert facts.running_restart_digest == rendered.restart_digest
    assert facts.running_reload_digest == rendered.reload_digest
    assert not facts.firewall_pending
    pid = world.inside("systemctl show -P MainPID cardano-node")
    again = done(world.run("deploy", deploy_variables(rendered)))
    assert not again.changed, again.facts
    assert not done(world.run("stage", stage_variables(rendered, world.network, allow_http=True))).changed
    assert world.inside("systemctl show -P MainPID cardano-node") == pid


@pytest.mark.parametrize(("release", "dialect"), [(LEGACY, "legacy"), (NEW, "new")])
def test_a_look_brings_the_nodes_metrics_in_either_dialect_and_its_peers(
    world: World, release: str, dialect: str
) -> None:
    deployed(world, world.render(release=release))
    with socket.create_connection((str(world.machine.addresses[0]), 3001)) as caller:
        facts = world.facts()
        caller_address = caller.getsockname()[0]
    assert facts.metrics is not None
    assert facts.metrics_missing == ""
    assert facts.metrics.dialect == dialect
    assert facts.metrics.tip_slot is None  # nobody makes blocks here, and absent is not 0
    assert facts.metrics.inbound == 1
    assert facts.metrics.outbound == 0
    assert abs(time.time() - (facts.metrics.started_at or 0)) < 600
    assert facts.metrics.replay_percent == (None if dialect == "legacy" else 100)
    assert facts.peers == {caller_address}
    assert (facts.reload_logged, facts.reloaded_seconds_ago) == (None, None)


@pytest.mark.parametrize("release", [LEGACY, NEW])
def test_another_topology_reloads_without_a_restart_and_the_nodes_log_confirms_it(world: World, release: str) -> None:
    deployed(world, world.render(release=release))
    pid = world.inside("systemctl show -P MainPID cardano-node")
    other = world.render(partner="10.0.0.10", release=release)
    result = done(world.run("deploy", deploy_variables(other)))
    assert (result.facts["unit"], result.facts["reload"]) == ("reload", "confirmed")
    facts = world.facts()
    assert facts.running_reload_digest == other.reload_digest
    assert facts.reload_logged
    assert facts.reloaded_seconds_ago is not None
    assert facts.reloaded_seconds_ago < PATIENCE_SECONDS
    assert world.inside("systemctl show -P MainPID cardano-node") == pid


@pytest.mark.parametrize("release", [LEGACY, NEW])
def test_a_topology_that_the_node_did_not_take_up_is_reported_with_its_words(world: World, release: str) -> None:
    deployed(world, world.render(release=release))
    world.inside(f"echo '{{' > {TOPOLOGY}; systemctl reload cardano-node")
    wait_for(lambda: world.facts().detail)
    facts = world.facts()
    assert facts.reload_logged is False
    assert "readTopologyFile" in facts.detail
    mended = done(world.run("deploy", deploy_variables(world.render(release=release))))
    assert (mended.facts["unit"], mended.facts["reload"]) == ("reload", "confirmed")
    assert world.facts().reload_logged


def test_a_node_that_is_deaf_to_the_signal_is_reported_and_asked_about_until_it_answers(world: World) -> None:
    deployed(world)
    world.inside("systemctl kill --kill-whom=main --signal=STOP cardano-node")
    try:
        result = done(world.run("deploy", deploy_variables(world.render(partner="10.0.0.11"))))
        facts = world.facts()
    finally:
        world.inside("systemctl kill --kill-whom=main --signal=CONT cardano-node")
    assert result.facts["reload"] == "signalled, not confirmed"
    assert facts.reload_logged is False
    assert (facts.metrics, facts.metrics_missing) == (None, "127.0.0.1:12798 did not answer within 2 s")
    wait_for(lambda: world.facts().reload_logged)


def test_a_restart_that_was_not_planned_for_is_refused_before_anything_is_written(world: World) -> None:
    deployed(world)
    world.inside(f"echo '# by hand' >> {UNIT}")
    variables = {**deploy_variables(world.render()), "genesis_allowed_change": "reload"}
    result = world.run("deploy", variables)
    assert isinstance(result, HostFailed)
    assert "restart" in result.error
    assert world.inside(f"tail -n1 {UNIT}") == "# by hand"


def test_a_unit_edited_by_hand_is_mended_and_the_node_restarted(world: World) -> None:
    deployed(world)
    pid = world.inside("systemctl show -P MainPID cardano-node")
    world.inside(f"echo '# by hand' >> {UNIT}")
    result = done(world.run("deploy", deploy_variables(world.render())))
    assert result.facts["unit"] == "restart"
    wait_for(lambda: world.inside("systemctl show -P MainPID cardano-node") not in {pid, "0"})
    wait_for(lambda: world.facts().unit is UnitState.ACTIVE)


def test_a_stale_token_is_refused(world: World) -> None:
    deployed(world)
    done(world.run("deploy", deploy_variables(world.render()), token=7))
    result = world.run("deploy", deploy_variables(world.render()), token=6)
    world.inside("echo 1 > /var/lib/genesis-fleet/token")
    assert isinstance(result, HostFailed)
    assert "stale" in result.error


def test_a_host_of_another_store_is_refused(world: World) -> None:
    prepared(world)
    result = world.run("stop", {"genesis_store_id": "store-2"})
    assert isinstance(result, HostFailed)
    assert "store-1" in result.error


def test_a_firewall_that_lets_nobody_in_undoes_itself(world: World) -> None:
    deployed(world)
    variables = deploy_variables(world.render())
    shut = [
        {**file, "content": file["content"].replace("tcp dport 22 accept", "tcp dport 2222 accept")}
        for file in variables["genesis_files"]
    ]
    assert shut != variables["genesis_files"]
    before = world.inside("sha256sum /etc/nftables.d/genesis-fleet.nft")
    # Kept connections are "established"; only a new one tells.
    result = world.run("deploy", {**variables, "genesis_files": shut, "genesis_firewall_seconds": 20})
    assert not isinstance(result, HostDone)
    wait_for(lambda: "dport 2222" not in world.inside("nft list table inet genesis_fleet"))
    assert world.inside("sha256sum /etc/nftables.d/genesis-fleet.nft") == before
    assert not world.facts().firewall_pending


def test_a_restart_that_a_crash_cut_off_is_seen_and_made_up_for(world: World) -> None:
    deployed(world)
    pid = world.inside("systemctl show -P MainPID cardano-node")
    world.inside("echo restart > /var/lib/genesis-fleet/owed")
    assert world.facts().running_restart_digest == "owed"
    assert done(world.run("deploy", deploy_variables(world.render()))).facts["unit"] == "restart"
    wait_for(lambda: world.inside("systemctl show -P MainPID cardano-node") not in {pid, "0"})


def test_check_mode_tells_the_truth_and_touches_nothing(world: World, tmp_path: Path) -> None:
    deployed(world)
    world.inside(f"echo '{{}}' > {TOPOLOGY}")
    inventory = world.hosts.render_inventory([world.target(deploy_variables(world.render()))], tmp_path)
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    shown = subprocess.run(
        [
            ROOT / ".venv/bin/ansible-playbook",
            "-i",
            tmp_path / "hosts.json",
            "playbooks/deploy.yml",
            "--check",
            "--diff",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "changed=1" in shown.stdout, shown.stdout + shown.stderr
    assert f"+++ after: {TOPOLOGY}" in shown.stdout
    assert world.inside(f"cat {TOPOLOGY}") == "{}"
    assert done(world.run("deploy", deploy_variables(world.render()))).facts["files"] == [TOPOLOGY]


def test_a_stop_is_asked_for_and_a_retired_host_keeps_its_chain_and_nothing_else_of_ours(world: World) -> None:
    deployed(world)
    refused = world.run("retire", {})
    assert isinstance(refused, HostFailed)
    done(world.run("stop", {}))
    wait_for(lambda: world.facts().unit is UnitState.INACTIVE)
    assert world.facts().clean_marker
    done(world.run("retire", {}))
    facts = world.facts()
    assert (facts.unit, facts.files, facts.prepared, facts.token) == (UnitState.ABSENT, {}, "", 0)
    assert world.inside("ls /var/lib/cardano-node/db/clean")
    assert replace(facts).staged == frozenset()
