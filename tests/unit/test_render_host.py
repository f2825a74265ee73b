"""Units, firewall and host settings, as the very programs judge them that will read them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.rendering import layout
from playbooks.module_utils.genesis.machine import RELOAD_SIGNALLED
from tests.rendering_builders import content, fleet_spec, rendered

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
needs_nft = pytest.mark.skipif(shutil.which("nft") is None or os.geteuid() != 0, reason="needs nft and root")
needs_sshd = pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="needs sshd")
needs_perl = pytest.mark.skipif(shutil.which("perl") is None, reason="needs perl")

UNITS = {"cardano-node.service": layout.NODE_UNIT, "genesis-fleet-firewall.service": layout.FIREWALL_UNIT_FILE}
PROGRAMS = (
    "opt/cardano-node/current/bin/cardano-node",
    "bin/cp",
    "bin/mv",
    "bin/touch",
    "bin/kill",
    "bin/sh",
    "usr/sbin/nft",
)


def unit_lines(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", re.sub(r"\\\n\s*", "", text), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder that looks enough like a host for systemd-analyze: our units, what they run, and the targets."""
    for program in PROGRAMS:
        place = tmp_path / program
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("#!/bin/true\n")
        place.chmod(0o755)
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for target in Path("/lib/systemd/system").glob("*.target"):
        (units / target.name).write_bytes(target.read_bytes())
    for path in UNITS.values():
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content(rendered(), path))
    return tmp_path


def verify(root: Path) -> str:
    """Return what systemd has to say about both units; nothing means good."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={root}", *UNITS], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


@needs_systemd
def test_systemd_has_nothing_to_say_against_the_units(host) -> None:
    assert verify(host) == ""


@needs_systemd
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("KeyringMode=", "KeyringMood="),
        ("TimeoutStopSec=600", "TimeoutStopSec=ten minutes"),
        ("ExecStartPre=/bin/cp", "ExecStartPre=/bin/copy"),
    ],
)
def test_the_check_of_the_units_finds_mistakes(host, before, after) -> None:
    place = host / layout.NODE_UNIT.lstrip("/")
    place.write_text(place.read_text().replace(before, after))
    assert verify(host) != ""


@needs_systemd
@pytest.mark.parametrize("deny_write_execute", [False, True])
def test_the_node_is_exposed_at_most_1_1(tmp_path, deny_write_execute) -> None:
    spec = fleet_spec(hardening={"memory_deny_write_execute": deny_write_execute})
    unit = tmp_path / "cardano-node.service"
    unit.write_text(content(rendered(spec), layout.NODE_UNIT))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=11", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-200:]


def test_the_unit_stops_by_sigint_with_ten_minutes_and_reloads_by_sighup() -> None:
    unit = unit_lines(content(rendered(), layout.NODE_UNIT))
    assert (unit["KillSignal"], unit["TimeoutStopSec"]) == (["SIGINT"], ["600"])
    assert "/bin/kill -HUP $MAINPID" in unit["ExecReload"]
    assert unit["Restart"] == ["always"]


def test_the_node_is_started_with_every_place_and_port_in_words() -> None:
    (command,) = unit_lines(content(rendered(fleet_spec(ports={"relay": 3005})), layout.NODE_UNIT))["ExecStart"]
    words = command.split()
    assert words[:2] == ["/opt/cardano-node/current/bin/cardano-node", "run"]
    assert words[16:] == ["+RTS", "$CARDANO_NODE_RTS_OPTIONS", "-RTS"]
    options = dict(zip(words[2:16:2], words[3:17:2], strict=False))
    assert options == {
        "--config": "/etc/cardano-node/config.json",
        "--topology": "/etc/cardano-node/topology.json",
        "--database-path": "/var/lib/cardano-node/db",
        "--socket-path": "/run/cardano-node/node.socket",
        "--host-addr": "0.0.0.0",
        "--host-ipv6-addr": "::",
        "--port": "3005",
    }


def test_a_running_node_shows_which_digests_it_started_with_and_last_reloaded() -> None:
    unit = unit_lines(content(rendered(), layout.NODE_UNIT))
    start, _ = unit["ExecStartPre"]
    assert start.split()[1:] == [layout.RESTART_DIGEST, layout.RELOAD_DIGEST, "/run/cardano-node/"]
    taken, noted, signal, shown = unit["ExecReload"]
    assert taken.startswith("/bin/cp /etc/cardano-node/reload.digest ")
    assert noted.endswith(f" {RELOAD_SIGNALLED}")
    assert "kill -HUP" in signal
    assert shown.endswith(" /run/cardano-node/reload.digest")


@pytest.mark.parametrize(
    ("lying", "told"), [((), False), (("protocolMagicId", "clean"), False), (("protocolMagicId",), True)]
)
def test_a_unit_tells_that_it_starts_on_a_chain_that_was_not_closed_cleanly(
    tmp_path: Path, lying: tuple[str, ...], told: bool
) -> None:
    _, look = unit_lines(content(rendered(), layout.NODE_UNIT))["ExecStartPre"]
    for folder in (layout.DATABASE, layout.RUNTIME_FOLDER):
        (tmp_path / folder.lstrip("/")).mkdir(parents=True)
    for name in lying:
        (tmp_path / layout.DATABASE.lstrip("/") / name).touch()
    command = shlex.split(look)[-1]
    for folder in (layout.DATABASE, layout.RUNTIME_FOLDER):
        command = command.replace(folder, str(tmp_path / folder.lstrip("/")))
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert (tmp_path / layout.RUNTIME_FOLDER.lstrip("/") / "not-closed-cleanly").exists() is told


def test_a_bigger_host_gets_a_bigger_heap_and_a_memory_limit_above_it() -> None:
    spec = fleet_spec(regions={"eu-central-1": {"count": 1, "memory_gib": 32, "cores": 16}})
    relay = rendered(spec)
    assert "-N8 " in content(relay, layout.ENVIRONMENT)
    assert "-M24576M" in content(relay, layout.ENVIRONMENT)
    assert unit_lines(content(relay, layout.NODE_UNIT))["MemoryMax"] == ["28262M"]


def test_one_more_connection_than_usual_raises_the_limit_of_descriptors() -> None:
    spec = fleet_spec(connections={"hard_limit": 60000, "soft_limit": 50000})
    assert int(unit_lines(content(rendered(spec), layout.NODE_UNIT))["LimitNOFILE"][0]) > 60000


@needs_nft
@pytest.mark.parametrize(
    "ranges",
    [[], ["198.51.100.0/24"], ["2001:db8::/32"], ["198.51.100.0/24", "203.0.113.7/32", "2001:db8::/32"]],
)
def test_nft_takes_the_firewall_whatever_the_ranges(ranges, tmp_path) -> None:
    rules = tmp_path / "rules.nft"
    rules.write_text(content(rendered(fleet_spec(ssh={"allowed_from": ranges})), layout.FIREWALL))
    done = subprocess.run(
        ["unshare", "--net", "nft", "--check", "--file", str(rules)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_firewall_touches_its_own_table_only() -> None:
    rules = content(rendered(), layout.FIREWALL)
    assert set(re.findall(r"^.*\btable\b.*$", re.sub(r"#.*", "", rules), re.MULTILINE)) == {
        "table inet genesis_fleet",
        "delete table inet genesis_fleet",
        "table inet genesis_fleet {",
    }
    assert "flush ruleset" not in rules


def test_ssh_is_open_to_the_named_ranges_only_or_to_all_if_none_is_named() -> None:
    named = content(rendered(), layout.FIREWALL)
    assert "ip saddr { 198.51.100.0/24 } tcp dport 22 accept" in named
    assert "ip6 saddr { 2001:db8:5::/48 } tcp dport 22 accept" in named
    assert "\n        tcp dport 22 accept" not in named
    assert "\n        tcp dport 22 accept" in content(rendered(fleet_spec(ssh={"allowed_from": []})), layout.FIREWALL)


@needs_sshd
@pytest.mark.parametrize("user", ["admin", "root"])
def test_sshd_takes_its_settings_and_never_shuts_out_the_controllers_user(user, tmp_path) -> None:
    settings = tmp_path / "sshd_config"
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    settings.write_text(content(rendered(fleet_spec(ssh={"user": user})), layout.SSHD) + f"HostKey {key}\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    done = subprocess.run(["/usr/sbin/sshd", "-T", "-f", str(settings)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "passwordauthentication no" in done.stdout
    root = "permitrootlogin without-password" if user == "root" else "permitrootlogin no"
    assert root in done.stdout


@needs_perl
def test_needrestart_leaves_the_node_alone(tmp_path) -> None:
    script = tmp_path / "needrestart.conf"
    script.write_text(content(rendered(), layout.NEEDRESTART))
    asked = (
        "our %nrconf; do $ARGV[0] or die $@;"
        'for my $rule (keys %{$nrconf{override_rc}}) { print "kept" if "cardano-node.service" =~ /$rule/ }'
    )
    done = subprocess.run(["perl", "-e", asked, str(script)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("kept", "")


@pytest.mark.skipif(shutil.which("apt-config") is None, reason="needs apt")
def test_unattended_upgrades_run_and_never_reboot() -> None:
    text = content(rendered(), layout.UPGRADES)
    done = subprocess.run(
        ["apt-config", "-c", "/dev/stdin", "dump"], input=text, capture_output=True, text=True, check=True
    )
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in done.stdout
    assert 'APT::Periodic::Unattended-Upgrade "1";' in done.stdout


def test_clocks_of_a_cloud_that_has_its_own_time_source_use_it() -> None:
    static = fleet_spec(cloud={"kind": "static"})
    assert "server 169.254.169.123" in content(rendered(), layout.CHRONY)
    assert "server" not in re.sub(r"#.*", "", content(rendered(static), layout.CHRONY))
