"""Real machines: what production relies on is tried inside them, and nothing of them may be left afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines import disks, network
from orchestrator.lab.machines.host import why_no_lab
from orchestrator.lab.machines.image import find_or_build_image
from orchestrator.lab.machines.layout import Lab
from orchestrator.lab.machines.machine import (
    MachineSpec,
    MachineState,
    delete_lab,
    delete_machine,
    find_first_process,
    kill_machine,
    observe_machine,
    poweroff_machine,
    read_console,
    reboot_machine,
    run_in_machine,
    start_machine,
)

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(os.geteuid()) or bool(why_no_lab()), reason="this host cannot run a lab"),
]

# Generous: a machine answers after a second or two on an idle host, but hosts of tests are rarely idle.
PATIENCE_SECONDS = 60

# Every restriction that the relay's unit carries, on a program that needs none of what it takes away.
HARDENED_UNIT = """\
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "$(id -un) ran" > /var/lib/hardened/proof'
User=hardened
StateDirectory=hardened
CapabilityBoundingSet=
AmbientCapabilities=
DeviceAllow=
DevicePolicy=closed
IPAddressDeny=any
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateIPC=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
UMask=0077
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """A login key and a host key, as files."""

    login: Path
    host: Path

    def public(self, which: Path) -> str:
        return which.with_suffix(".pub").read_text().strip()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("login", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return Keys(folder / "login", folder / "host")


def make_lab(name: str, directory: Path) -> Lab:
    image = find_or_build_image()
    ranges = network.pick_network(name, network.observe_taken_ranges(name))
    network.start_network(ranges)
    return Lab(directory, ranges, image)


def traces_of(lab: Lab) -> list[str]:
    """Everything on this host that still bears this lab's name."""
    prefix, folder = lab.network.bridge, str(lab.directory)
    found = [str(path) for path in Path("/run/netns").glob(f"{prefix}*")]
    found += [str(path) for path in Path("/sys/class/net").glob(f"{prefix}*")]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{lab.cgroup}")]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if folder in line or prefix in line]
    for listing in (["nft", "list", "tables"], ["losetup", "--list"], ["ps", "axww", "-o", "args"]):
        shown = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
        found += [line for line in shown.splitlines() if folder in line or f" {prefix}" in line]
    return [*found, *([folder] if lab.directory.exists() else [])]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = make_lab(f"test-{os.getpid()}", tmp_path_factory.mktemp("lab") / "lab")
    try:
        yield lab
    finally:
        delete_lab(lab)
    assert traces_of(lab) == []


def user_data(keys: Keys, more: str = "") -> bytes:
    """What production sends: a one-time host key, and a login key."""
    private = keys.host.read_text().replace("\n", "\n    ")
    return (
        f"#cloud-config\nssh_keys:\n  ed25519_private: |\n    {private}\n"
        f"  ed25519_public: {keys.public(keys.host)}\n"
        f"ssh_authorized_keys: ['{keys.public(keys.login)}']\n{more}"
    ).encode()


def spec_of(lab: Lab, number: int, keys: Keys, more: str = "") -> MachineSpec:
    addresses = (lab.network.v4[256 + number], lab.network.v6[256 + number])
    return MachineSpec(f"i-{number:017x}", f"relay-{number}", addresses, user_data(keys, more))


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"did not come true within {PATIENCE_SECONDS} s"
        time.sleep(0.05)


def ssh(spec: MachineSpec, keys: Keys, command: str, *, login: str = "admin", timeout: int = 2) -> str | None:
    """Run a command by ssh, believing the one-time host key only; None if that did not work."""
    known = keys.login.with_name("known_hosts")
    known.write_text(f"* {keys.public(keys.host)}\n")
    options = ["-F", "none", "-i", str(keys.login), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"]
    options += ["-o", "StrictHostKeyChecking=yes", "-o", f"ConnectTimeout={timeout}", "-o", "IdentitiesOnly=yes"]
    outcome = subprocess.run(
        ["ssh", *options, f"{login}@{spec.addresses[0]}", command], capture_output=True, text=True, check=False
    )
    return outcome.stdout if outcome.returncode == 0 else None


def inside(lab: Lab, spec: MachineSpec, script: str) -> str:
    outcome = run_in_machine(lab, spec.instance_id, ["sh", "-c", script])
    assert outcome.returncode == 0, f"{script}: {outcome.stdout}{outcome.stderr}"
    return outcome.stdout.strip()


def boot(lab: Lab, spec: MachineSpec, keys: Keys) -> MachineSpec:
    start_machine(lab, spec)
    wait_for(lambda: ssh(spec, keys, "true") is not None)
    return spec


@pytest.fixture(scope="module")
def first(lab: Lab, keys: Keys) -> MachineSpec:
    more = "write_files: [{path: /etc/written, content: by user data}]\nruncmd: [touch /etc/command-ran]\n"
    return boot(lab, spec_of(lab, 1, keys, more), keys)


@pytest.fixture(scope="module")
def second(lab: Lab, keys: Keys) -> MachineSpec:
    return boot(lab, spec_of(lab, 2, keys), keys)


def test_admin_logs_in_past_the_one_time_host_key_and_becomes_root(first: MachineSpec, keys: Keys) -> None:
    assert ssh(first, keys, "sudo -n id -un; hostname") == "root\nrelay-1\n"


def test_root_is_refused(first: MachineSpec, keys: Keys) -> None:
    assert ssh(first, keys, "true", login="root") is None


def test_passwords_are_refused(lab: Lab, first: MachineSpec) -> None:
    settings = inside(lab, first, "sshd -T")
    assert "passwordauthentication no" in settings
    assert "permitrootlogin no" in settings


def test_cloud_init_follows_the_whole_user_data(lab: Lab, first: MachineSpec) -> None:
    inside(lab, first, "cloud-init status --wait")
    assert inside(lab, first, "cat /etc/written; ls /etc/command-ran") == "by user data/etc/command-ran"


def test_no_unit_of_a_fresh_machine_has_failed(lab: Lab, first: MachineSpec) -> None:
    inside(lab, first, "cloud-init status --wait")
    wait_for(lambda: inside(lab, first, "systemctl list-jobs --no-legend") == "")
    assert inside(lab, first, "systemctl list-units --failed --no-legend") == ""
    assert inside(lab, first, "systemctl is-system-running") == "running"


def test_starting_again_takes_up_the_machine_that_runs(lab: Lab, first: MachineSpec) -> None:
    before = find_first_process(lab, first.instance_id)
    start_machine(lab, first)
    assert find_first_process(lab, first.instance_id) == before


def test_the_console_says_what_booted(lab: Lab, first: MachineSpec) -> None:
    assert "ssh.service" in read_console(lab, first.instance_id)


def test_a_unit_with_every_restriction_runs_and_scores_at_most_1_1(lab: Lab, first: MachineSpec) -> None:
    unit = HARDENED_UNIT.replace("'", "'\\''")
    inside(lab, first, "id hardened 2>/dev/null || useradd --system hardened")
    inside(lab, first, f"printf '%s' '{unit}' > /etc/systemd/system/hardened.service; systemctl daemon-reload")
    inside(lab, first, "systemctl start hardened.service")
    assert inside(lab, first, "cat /var/lib/hardened/proof") == "hardened ran"
    inside(lab, first, "systemd-analyze security --threshold=11 --no-pager hardened.service")


def test_a_firewall_without_connection_tracking_loads(lab: Lab, first: MachineSpec) -> None:
    rules = (
        "table inet probe {\n"
        "chain raw { type filter hook prerouting priority raw; tcp dport 3001 notrack; }\n"
        "chain input { type filter hook input priority 0; policy accept; ct state established accept; }\n}"
    )
    inside(lab, first, f"echo '{rules}' | nft -f - && nft list table inet probe && nft delete table inet probe")


def test_transient_timers_fire(lab: Lab, first: MachineSpec) -> None:
    inside(lab, first, "systemd-run --on-active=100ms --timer-property=AccuracySec=10ms touch /run/timer-fired")
    wait_for(lambda: run_in_machine(lab, first.instance_id, ["test", "-e", "/run/timer-fired"]).returncode == 0)


def test_the_journal_keeps_what_services_say(lab: Lab, first: MachineSpec) -> None:
    inside(lab, first, "systemd-run --wait --unit=speaker echo a word to remember")
    wait_for(lambda: "a word to remember" in inside(lab, first, "journalctl --unit speaker --output cat"))


def test_network_settings_of_a_machine_are_its_own(lab: Lab, first: MachineSpec) -> None:
    here = Path("/proc/sys/net/ipv4/tcp_syn_retries").read_text()
    inside(lab, first, "sysctl -w net.ipv4.tcp_syn_retries=3")
    assert Path("/proc/sys/net/ipv4/tcp_syn_retries").read_text() == here


def test_chrony_runs_without_touching_the_clock(lab: Lab, first: MachineSpec) -> None:
    wait_for(lambda: run_in_machine(lab, first.instance_id, ["systemctl", "is-active", "chrony"]).returncode == 0)
    assert "-x" in inside(lab, first, "cat /proc/$(pidof -s chronyd)/cmdline | tr '\\0' ' '")


def test_a_reboot_keeps_the_root_and_comes_back(lab: Lab, second: MachineSpec, keys: Keys) -> None:
    inside(lab, second, "echo kept > /etc/kept")
    before = find_first_process(lab, second.instance_id)
    reboot_machine(lab, second.instance_id)
    wait_for(lambda: find_first_process(lab, second.instance_id) not in {before, None})
    wait_for(lambda: ssh(second, keys, "cat /etc/kept") == "kept\n")


def test_a_machine_that_was_powered_off_starts_from_the_root_it_had(lab: Lab, second: MachineSpec, keys: Keys) -> None:
    inside(lab, second, "echo kept > /etc/kept-by-poweroff")
    poweroff_machine(lab, second.instance_id)
    poweroff_machine(lab, second.instance_id)
    wait_for(lambda: observe_machine(lab, second.instance_id) is MachineState.STOPPED)
    boot(lab, second, keys)
    assert ssh(second, keys, "cat /etc/kept-by-poweroff") == "kept\n"


def test_a_power_cut_leaves_no_process_and_no_mount(lab: Lab, second: MachineSpec, keys: Keys) -> None:
    kill_machine(lab, second.instance_id)
    kill_machine(lab, second.instance_id)
    assert observe_machine(lab, second.instance_id) is MachineState.STOPPED
    assert str(lab.machine(second.instance_id)) not in Path("/proc/mounts").read_text()
    assert ssh(second, keys, "true") is None
    boot(lab, second, keys)


def test_a_volume_keeps_its_content_when_its_machine_goes(
    lab: Lab, first: MachineSpec, second: MachineSpec, keys: Keys
) -> None:
    link = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0a"
    disks.create_volume(lab, "vol-0a", 64 * 1024 * 1024)
    assert disks.attach_volume(lab, "vol-0a", second.instance_id).device == "nvme1n1"
    assert disks.attach_volume(lab, "vol-0a", second.instance_id).device == "nvme1n1"
    inside(
        lab, second, f"readlink -f {link}; mkfs.ext4 -q {link} && mount {link} /mnt && echo chain > /mnt/block; sync"
    )
    with pytest.raises(LabUnavailable, match="attached to"):
        disks.attach_volume(lab, "vol-0a", first.instance_id)
    reboot_machine(lab, second.instance_id)
    wait_for(lambda: ssh(second, keys, f"! mountpoint -q /mnt && test -b {link} && echo there") == "there\n")
    delete_machine(lab, second.instance_id)
    disks.attach_volume(lab, "vol-0a", first.instance_id)
    assert inside(lab, first, f"mount {link} /mnt && cat /mnt/block && umount /mnt") == "chain"
    disks.delete_volume(lab, "vol-0a")
    assert run_in_machine(lab, first.instance_id, ["test", "-e", link]).returncode != 0
    boot(lab, second, keys)


def test_an_isolated_machine_lives_on_unreachable(
    lab: Lab, first: MachineSpec, second: MachineSpec, keys: Keys
) -> None:
    reach_first = ["bash", "-c", f"timeout 1 bash -c '</dev/tcp/{first.addresses[0]}/22'"]
    assert run_in_machine(lab, second.instance_id, reach_first).returncode == 0
    network.isolate(lab.network, first.instance_id)
    network.isolate(lab.network, first.instance_id)
    assert network.is_isolated(lab.network, first.instance_id)
    assert ssh(first, keys, "true", timeout=1) is None
    assert run_in_machine(lab, second.instance_id, reach_first).returncode != 0
    assert inside(lab, first, "echo alive") == "alive"
    network.heal(lab.network, first.instance_id)
    network.heal(lab.network, first.instance_id)
    assert ssh(first, keys, "echo back") == "back\n"


def test_an_elastic_address_comes_and_goes_while_the_machine_runs(lab: Lab, first: MachineSpec, keys: Keys) -> None:
    elastic = lab.network.v4[4096]
    moved = replace(first, addresses=(elastic,))
    network.add_address(lab.network, first.instance_id, elastic)
    network.add_address(lab.network, first.instance_id, elastic)
    assert ssh(moved, keys, "echo here") == "here\n"
    pid = find_first_process(lab, first.instance_id)
    assert pid is not None
    assert network.observe_addresses(lab.network, pid) == {*first.addresses, elastic}
    way_out = f"ip route get {lab.network.gateway_v4}"
    assert f"src {elastic}" in inside(lab, first, way_out)
    network.remove_address(lab.network, first.instance_id, elastic)
    network.remove_address(lab.network, first.instance_id, elastic)
    assert network.observe_addresses(lab.network, pid) == set(first.addresses)
    assert f"src {first.addresses[0]}" in inside(lab, first, way_out)


def test_machines_reach_their_lab_and_nothing_beyond(lab: Lab, first: MachineSpec, tmp_path: Path) -> None:
    other = make_lab(f"other-{os.getpid()}", tmp_path / "other")
    try:
        neighbour = other.network.v4[256]
        network.connect(other.network, "neighbour", [neighbour])
        assert answers_ping(lab, first, lab.network.gateway_v4)
        assert answers_ping(lab, first, lab.network.gateway_v6)
        for beyond in (neighbour, other.network.gateway_v4, other.network.gateway_v6, *addresses_of_host()):
            assert not answers_ping(lab, first, beyond), beyond
    finally:
        delete_lab(other)
    assert traces_of(other) == []


def answers_ping(lab: Lab, spec: MachineSpec, address: object) -> bool:
    ping = ["ping", "-q", "-c1", "-W1", str(address)]
    return run_in_machine(lab, spec.instance_id, ping).returncode == 0


def addresses_of_host() -> list[str]:
    shown = subprocess.run(["ip", "-j", "addr", "show", "scope", "global"], capture_output=True, check=True)
    cards = [card for card in json.loads(shown.stdout) if not card.get("ifname", "gf-").startswith("gf-")]
    return [address["local"] for card in cards for address in card["addr_info"] if "local" in address]


def test_deleting_a_machine_twice_leaves_nothing_of_it(lab: Lab, keys: Keys) -> None:
    spec = boot(lab, spec_of(lab, 3, keys), keys)
    delete_machine(lab, spec.instance_id)
    delete_machine(lab, spec.instance_id)
    assert observe_machine(lab, spec.instance_id) is MachineState.ABSENT
    assert [trace for trace in traces_of(lab) if spec.instance_id in trace] == []
