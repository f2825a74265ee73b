"""Deploying on a host that is a folder and a systemd that only takes notes."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.rendering.layout import CHANGE_CLASSES
from playbooks.module_utils.genesis.claim import claim
from playbooks.module_utils.genesis.deploying import Report, confirm, deploy, parse_deployment
from playbooks.module_utils.genesis.firewall import PENDING
from playbooks.module_utils.genesis.inspecting import inspect
from playbooks.module_utils.genesis.machine import (
    CURRENT,
    KNOWN,
    LOCK,
    MANIFEST,
    OWED,
    PREPARED,
    RELEASES,
    RELOAD_SIGNALLED,
    RUN,
    Machine,
    Ran,
    Refused,
)
from playbooks.module_utils.genesis.release import write_marker
from playbooks.module_utils.genesis.stopping import retire, stop

ME = pwd.getpwuid(os.geteuid()).pw_name
MY_GROUP = grp.getgrgid(os.getegid()).gr_name
UNIT = "/etc/systemd/system/cardano-node.service"
TOPOLOGY = "/etc/cardano-node/topology.json"
RULES = "/etc/nftables.d/genesis-fleet.nft"
SYSCTL = "/etc/sysctl.d/60-genesis-fleet.conf"
UNDO = "genesis-fleet-firewall-undo.timer"
SHA256 = "ab" * 32
FORGET_STARTS = "systemctl reset-failed cardano-node.service"
"""Before each start that is asked for: the unit's limit is there for crashes."""


@dataclass
class Systemd:
    """Answers as systemd and nft would, and takes down what it was asked for."""

    state: str = "active"
    loaded: str = "loaded"
    table: bool = True
    refuses: str = ""
    breaks_at: str = ""
    stale: str = "no"
    armed: bool = False
    """Whether the way back of the firewall waits for its time."""
    pid: int = 0
    journal: str = ""
    """What the node logs when it is told to reload."""
    root: Path | None = None
    """Where the unit leaves its note of a reload."""
    asked: list[str] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], *, stdin: str = "", timeout_seconds: float = 60) -> Ran:
        command = " ".join(argv)
        if self.breaks_at and self.breaks_at in command:
            raise KeyboardInterrupt(command)
        if argv[:3] == ["systemctl", "show", UNDO]:
            return Ran(0, f"ActiveState={'active' if self.armed else 'inactive'}\n\nActiveState=inactive\n", "")
        if argv[:2] == ["systemctl", "show"]:
            enabled = "LoadState=%s\nActiveState=%s\nUnitFileState=enabled\nJob=0\nNeedDaemonReload=%s\nMainPID=%s\n"
            return Ran(0, enabled % (self.loaded, self.state, self.stale, self.pid), "")
        if argv[:3] == ["nft", "list", "tables"]:
            return Ran(0, "table inet genesis_fleet\n" if self.table else "", "")
        self.asked.append(command)
        if self.refuses and self.refuses in command:
            return Ran(1, "", f"no to {stdin or command}")
        if argv[0] == "journalctl":
            return Ran(0, self.journal, "")
        if "reload" in argv and self.root is not None:
            Machine(self.root).at(RELOAD_SIGNALLED).touch()
        if argv[0] == "systemd-run" or command == f"systemctl stop {UNDO}":
            self.armed = argv[0] == "systemd-run"
        return Ran(0, "", "")

    def effects(self) -> list[str]:
        """What was asked for that changes something."""
        return [word for word in self.asked if word.startswith(("systemctl", "systemd-run", "nft --file"))]


@dataclass
class Host:
    """A host that has the release staged and runs what the first deployment wrote."""

    machine: Machine
    systemd: Systemd

    def deploy(self, *, check: bool = False, **changes: Any) -> Report:
        return deploy(self.machine, parse_deployment(wanted(**changes)), check=check)

    def files(self) -> dict[str, str]:
        """Everything of ours on the host, by path: text, or where a link points."""
        root = self.machine.root
        return {
            str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_text()
            for path in root.rglob("*")
            if path.is_symlink() or path.is_file()
        }

    def runs(self, restart: str = "restart-1", reload: str = "reload-1") -> None:
        """Play the unit's own ExecStartPre."""
        self.machine.at(RUN).mkdir(parents=True, exist_ok=True)
        (self.machine.at(RUN) / "restart.digest").write_text(f"{restart}\n")
        (self.machine.at(RUN) / "reload.digest").write_text(f"{reload}\n")


def entry(path: str, content: str, change: str, validate: str) -> dict[str, str]:
    known = {"owner": ME, "group": MY_GROUP, "mode": "0644"}
    return {"path": path, "content": content, "change": change, "validate": validate, **known}


def wanted(
    *,
    topology: str = "{}",
    unit: str = "[Service]\n",
    rules: str | None = None,
    sysctl: str | None = None,
    sha256: str = SHA256,
    restart: str = "restart-1",
    reload: str = "reload-1",
    **more: Any,
) -> dict[str, Any]:
    files = [
        entry(TOPOLOGY, topology, "reload", "json"),
        entry(UNIT, unit, "restart", "systemd"),
        entry("/etc/cardano-node/restart.digest", f"{restart}\n", "none", ""),
        entry("/etc/cardano-node/reload.digest", f"{reload}\n", "none", ""),
        *([entry(SYSCTL, sysctl, "none", "")] if sysctl is not None else []),
        *([entry(RULES, rules, "none", "nft")] if rules is not None else []),
    ]
    return {
        "files": files,
        "release": {"version": "10.7.1", "sha256": sha256},
        "digest": f"{restart} {reload} {topology} {unit}",
        "restart_digest": restart,
        "reload_digest": reload,
        "token": 1,
        **more,
    }


def stage(machine: Machine, sha256: str) -> None:
    folder = machine.at(f"{RELEASES}/10.7.1-{sha256[:12]}")
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/cardano-node").write_text("node")
    (folder / "bin/cardano-node").chmod(0o755)
    write_marker(folder, sha256)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    systemd = Systemd()
    host = Host(Machine(tmp_path, systemd, pause=lambda _: None), systemd)
    stage(host.machine, SHA256)
    host.runs()
    host.deploy()
    host.runs()
    systemd.asked.clear()
    return host


def test_a_deploy_of_what_is_there_changes_nothing_and_asks_for_nothing(host: Host) -> None:
    before = host.files()
    report = host.deploy()
    assert not report.changed
    assert (host.files(), host.systemd.effects()) == (before, [])


def test_a_first_deploy_writes_all_enables_and_starts(tmp_path: Path) -> None:
    systemd = Systemd(state="inactive", loaded="not-found")
    machine = Machine(tmp_path, systemd)
    stage(machine, SHA256)
    report = deploy(machine, parse_deployment(wanted(unit="[Install]\nWantedBy=multi-user.target\n")))
    assert report.changed
    assert machine.at(CURRENT).readlink().name == f"10.7.1-{SHA256[:12]}"
    assert systemd.effects() == [
        "systemctl daemon-reload",
        "systemctl enable --quiet cardano-node.service",
        FORGET_STARTS,
        "systemctl --no-block start cardano-node.service",
    ]


def test_another_topology_reloads(host: Host) -> None:
    host.deploy(topology='{"a": 1}', reload="reload-2")
    assert host.systemd.effects() == ["systemctl --no-block reload cardano-node.service"]


def test_a_reload_is_confirmed_by_the_nodes_own_log(host: Host) -> None:
    host.systemd.root, host.systemd.journal = host.machine.root, "Local Root Groups:\n"
    report = host.deploy(topology='{"a": 1}', reload="reload-2")
    assert report.facts["reload"] == "confirmed"
    assert "node: reload, confirmed" in report.facts["summary"]


def test_a_reload_that_nothing_confirms_is_reported_and_no_failure(host: Host) -> None:
    host.systemd.root = host.machine.root
    report = host.deploy(topology='{"a": 1}', reload="reload-2")
    assert report.facts["reload"] == "signalled, not confirmed"
    assert not host.machine.at(OWED).exists()


def test_a_node_that_the_signal_would_kill_is_not_signalled_and_the_reload_stays_owed(host: Host) -> None:
    host.systemd.pid = 77
    host.machine.at("/proc/77").mkdir(parents=True)
    host.machine.at("/proc/77/status").write_text("SigCgt:\t0000000000000000\n")
    with pytest.raises(Refused, match="not ready to reload"):
        host.deploy(topology='{"a": 1}', reload="reload-2")
    assert host.systemd.effects() == []
    host.machine.at("/proc/77/status").write_text("SigCgt:\t0000000000000001\n")
    host.deploy(topology='{"a": 1}', reload="reload-2")
    assert host.systemd.effects() == ["systemctl --no-block reload cardano-node.service"]


def test_a_deploy_that_does_not_reload_says_nothing_of_a_reload(host: Host) -> None:
    assert host.deploy(unit="[Service]\nUser=other\n", restart="restart-2").facts["reload"] == ""


def test_another_unit_restarts_after_systemd_took_it_up(host: Host) -> None:
    host.deploy(unit="[Service]\nUser=other\n", restart="restart-2")
    assert host.systemd.effects() == [
        "systemctl daemon-reload",
        FORGET_STARTS,
        "systemctl --no-block restart cardano-node.service",
    ]


def test_another_release_switches_the_link_and_restarts(host: Host) -> None:
    stage(host.machine, "cd" * 32)
    host.deploy(sha256="cd" * 32, restart="restart-2")
    assert host.machine.at(CURRENT).readlink().name == "10.7.1-cdcdcdcdcdcd"
    assert host.systemd.effects() == [FORGET_STARTS, "systemctl --no-block restart cardano-node.service"]


def test_check_mode_says_the_same_and_touches_nothing(host: Host) -> None:
    before = host.files()
    changes: dict[str, Any] = {"topology": '{"a": 1}', "unit": "[Service]\nUser=x\n", "restart": "r", "reload": "l"}
    foretold = host.deploy(check=True, **changes)
    assert (host.files(), host.systemd.effects()) == (before, [])
    assert host.deploy(**changes) == foretold


def test_the_diff_shows_both_texts_of_a_file(host: Host) -> None:
    report = host.deploy(check=True, topology='{"a": 1}')
    shown = {entry["after_header"]: (entry["before"], entry["after"]) for entry in report.diff}
    assert shown[TOPOLOGY] == (f"# {ME}:{MY_GROUP} 0644\n{{}}", f'# {ME}:{MY_GROUP} 0644\n{{"a": 1}}')


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"topology": "{"}, "not JSON"),
        ({"sha256": "cd" * 32}, "not staged"),
        ({"network": {"digest": "ef" * 32}}, "network folder efefefefefef is not staged"),
        ({"unit": "[Service]\nx\n", "allowed_change": "reload"}, "would restart the node"),
        ({"rules": "table inet other {}"}, "touches more than table"),
        ({"rules": "flush ruleset\ntable inet genesis_fleet {}"}, "touches more than table"),
        ({"rules": 'table inet genesis_fleet {}\ninclude "/etc/x"'}, "touches more than table"),
    ],
)
def test_what_is_not_valid_is_refused_before_anything_is_written(
    host: Host, changes: dict[str, Any], complaint: str
) -> None:
    before = host.files()
    with pytest.raises(Refused, match=complaint):
        host.deploy(**changes)
    assert (host.files(), host.systemd.effects()) == (before, [])


@pytest.mark.parametrize("program", ["systemd-analyze", "nft --check"])
def test_what_its_own_program_refuses_is_refused_before_anything_is_written(host: Host, program: str) -> None:
    before = host.files()
    host.systemd.refuses = program
    with pytest.raises(Refused, match="refuses it"):
        host.deploy(unit="[Service]\nnew\n", rules="table inet genesis_fleet {}")
    assert (host.files(), host.systemd.effects()) == (before, [])


def test_a_restart_lost_in_a_crash_is_seen_by_inspect_and_made_up_for(host: Host) -> None:
    host.systemd.breaks_at = "daemon-reload"
    with pytest.raises(KeyboardInterrupt):
        host.deploy(unit="[Service]\nnew\n")
    host.systemd.breaks_at = ""
    assert host.machine.read_text(OWED) == "restart"
    assert inspect(host.machine)["running_restart_digest"] == "owed"
    host.deploy(unit="[Service]\nnew\n")
    assert host.systemd.effects() == [FORGET_STARTS, "systemctl --no-block restart cardano-node.service"]
    assert not host.machine.at(OWED).exists()


def test_an_effect_lost_in_a_crash_is_seen_by_inspect_and_made_up_for(host: Host) -> None:
    host.systemd.breaks_at = "sysctl --quiet"
    with pytest.raises(KeyboardInterrupt):
        host.deploy(sysctl="a = 1\n")
    host.systemd.breaks_at = ""
    assert inspect(host.machine)["files"][SYSCTL]["sha256"] == "not in effect yet"
    foretold = host.deploy(check=True, sysctl="a = 1\n")
    assert {shown["after_header"] for shown in foretold.diff} == {SYSCTL}
    host.systemd.asked.clear()
    assert host.deploy(sysctl="a = 1\n") == foretold
    assert f"sysctl --quiet --load {host.machine.at(SYSCTL)}" in host.systemd.asked
    assert not host.machine.at(OWED).exists()
    assert not host.deploy(sysctl="a = 1\n").changed


def test_a_lost_effect_asks_the_node_for_nothing(host: Host) -> None:
    host.systemd.breaks_at = "sysctl --quiet"
    with pytest.raises(KeyboardInterrupt):
        host.deploy(sysctl="a = 1\n")
    facts = inspect(host.machine)
    assert (facts["running_restart_digest"], facts["running_reload_digest"]) == ("restart-1", "reload-1")


def test_a_deploy_that_could_not_write_its_files_owes_nothing_and_claims_none(host: Host) -> None:
    host.machine.at(SYSCTL).mkdir(parents=True)
    before = host.files()
    with pytest.raises(Refused, match="is a folder"):
        host.deploy(unit="[Service]\nnew\n", restart="restart-2", sysctl="a = 1\n")
    assert host.files() == before


@pytest.mark.parametrize("left", [None, "", "{}", "[", "[]"])
def test_a_lost_manifest_makes_nothing_look_different(host: Host, left: str | None) -> None:
    seen = inspect(host.machine)["files"]
    host.machine.at(MANIFEST).unlink()
    if left is not None:
        host.machine.at(MANIFEST).write_text(left)
    assert inspect(host.machine)["files"] == seen
    report = host.deploy()
    assert (report.facts["unit"], report.facts["files"]) == ("none", [])
    assert "topology.json" in host.machine.at(MANIFEST).read_text()


def test_files_of_our_names_are_not_ours_where_no_deploy_has_been(tmp_path: Path) -> None:
    machine = Machine(tmp_path, Systemd())
    machine.at(TOPOLOGY).parent.mkdir(parents=True)
    machine.at(TOPOLOGY).write_text("of the operator")
    assert inspect(machine)["files"] == {}


def test_the_names_a_host_knows_are_those_that_are_rendered() -> None:
    assert set(KNOWN) == set(CHANGE_CLASSES)


def test_the_diff_shows_the_rules_as_they_are(host: Host) -> None:
    host.deploy(rules="table inet genesis_fleet { chain c { } }")
    confirm(host.machine, parse_deployment(wanted(rules="table inet genesis_fleet { chain c { } }")))
    report = host.deploy(check=True, rules="table inet genesis_fleet { chain d { } }")
    shown = {entry["after_header"]: entry["before"] for entry in report.diff}
    assert shown[RULES] == f"# {ME}:{MY_GROUP} 0644\ntable inet genesis_fleet {{ chain c {{ }} }}"
    host.systemd.table = False
    report = host.deploy(check=True, rules="table inet genesis_fleet { chain c { } }")
    assert [shown["after_header"] for shown in report.diff] == ["table inet genesis_fleet"]


def test_all_that_counts_as_a_change_has_a_line_in_the_diff(host: Host) -> None:
    installed = "[Install]\nWantedBy=multi-user.target\n"
    host.deploy(unit=installed)
    report = host.deploy(check=True, unit=installed)
    assert [shown["after_header"] for shown in report.diff] == ["cardano-node.service at boot"]
    host.deploy()
    host.systemd.stale = "yes"
    assert [shown["after_header"] for shown in host.deploy(check=True).diff] == ["systemd's units"]
    host.systemd.stale = "no"
    host.machine.at(MANIFEST).write_text(f'{{"files": ["/etc/gone", "{TOPOLOGY}"]}}')
    shown = host.deploy(check=True).diff
    assert [each["after_header"] for each in shown] == [MANIFEST]
    assert shown[0]["before"] == f"{TOPOLOGY}\n/etc/gone\n"
    assert not set(host.deploy(check=True).facts["files"])


def test_a_file_no_longer_wanted_is_removed_and_others_are_left_alone(host: Host) -> None:
    host.machine.at("/etc/cardano-node/mine").write_text("of the operator")
    host.deploy(rules="table inet genesis_fleet {}")
    confirm(host.machine, parse_deployment(wanted(rules="table inet genesis_fleet {}")))
    assert host.machine.at(RULES).exists()
    host.deploy()
    assert not host.machine.at(RULES).exists()
    assert host.machine.at("/etc/cardano-node/mine").read_text() == "of the operator"


def test_new_rules_are_tried_with_the_way_back_armed_first_and_kept_only_when_confirmed(host: Host) -> None:
    rules = "table inet genesis_fleet { chain c { } }"
    report = host.deploy(rules=rules)
    assert report.facts["firewall"] == "pending"
    effects = host.systemd.effects()
    assert next(i for i, word in enumerate(effects) if word.startswith("systemd-run")) < effects.index("nft --file -")
    assert not host.machine.at(RULES).exists()
    assert inspect(host.machine)["firewall_pending"]
    assert confirm(host.machine, parse_deployment(wanted(rules=rules))).facts["firewall"] == "kept"
    assert host.machine.at(RULES).read_text() == rules
    assert not inspect(host.machine)["firewall_pending"]


def test_rules_that_were_undone_meanwhile_cannot_be_confirmed(host: Host) -> None:
    rules = "table inet genesis_fleet { chain c { } }"
    host.deploy(rules=rules)
    host.machine.at(f"{PENDING}/new.nft").unlink()
    with pytest.raises(Refused, match="were undone"):
        confirm(host.machine, parse_deployment(wanted(rules=rules)))
    assert not host.machine.at(RULES).exists()


@pytest.mark.parametrize("refused", ["systemd-run", "nft --file -"])
def test_rules_that_could_not_be_tried_are_not_pending(host: Host, refused: str) -> None:
    host.systemd.refuses = refused
    with pytest.raises(Refused):
        host.deploy(rules="table inet genesis_fleet { chain c { } }")
    assert not host.machine.at(f"{PENDING}/new.nft").exists()
    assert not host.systemd.armed
    assert not inspect(host.machine)["firewall_pending"]


def test_rules_whose_way_back_is_not_armed_are_not_pending(host: Host) -> None:
    host.deploy(rules="table inet genesis_fleet { chain c { } }")
    assert inspect(host.machine)["firewall_pending"]
    host.systemd.armed = False
    assert not inspect(host.machine)["firewall_pending"]


def test_nothing_is_pending_when_a_crash_comes_before_the_way_back_is_armed(host: Host) -> None:
    host.systemd.breaks_at = "systemd-run"
    with pytest.raises(KeyboardInterrupt):
        host.deploy(rules="table inet genesis_fleet { chain c { } }")
    assert not host.machine.at(f"{PENDING}/new.nft").exists()


@pytest.mark.parametrize("code", [0, 1])
def test_the_way_back_ends_the_trial_whatever_nft_says(host: Host, tmp_path: Path, code: int) -> None:
    host.deploy(rules="table inet genesis_fleet { chain c { } }")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nft").write_text(f"#!/bin/sh\nexit {code}\n")
    (programs / "nft").chmod(0o755)
    pending = host.machine.at(PENDING)
    script = (pending / "undo").read_text().replace(PENDING, str(pending)).replace(LOCK, str(host.machine.at(LOCK)))
    path = {"PATH": f"{programs}:/usr/bin:/bin"}
    assert subprocess.run(["/bin/sh", "-c", script], env=path, check=False).returncode == code
    assert not (pending / "new.nft").exists()


def test_a_second_trial_falls_back_to_what_was_before_the_first(host: Host) -> None:
    host.deploy(rules="table inet genesis_fleet { chain c { } }")
    host.machine.at(f"{PENDING}/before.nft").write_text("known to let us in")
    host.deploy(rules="table inet genesis_fleet { chain d { } }")
    assert host.machine.at(f"{PENDING}/before.nft").read_text() == "known to let us in"


def test_rules_the_kernel_lost_are_loaded_again_though_the_file_is_right(host: Host) -> None:
    rules = "table inet genesis_fleet { chain c { } }"
    host.deploy(rules=rules)
    confirm(host.machine, parse_deployment(wanted(rules=rules)))
    assert host.deploy(rules=rules).facts["firewall"] == ""
    host.systemd.table = False
    assert host.deploy(rules=rules).facts["firewall"] == "pending"


def test_inspect_tells_who_is_at_work_and_writes_nothing(host: Host) -> None:
    with claim(host.machine, "stage", 1):
        before = host.files()
        assert inspect(host.machine)["working"] == "stage"
        assert host.files() == before


def test_inspect_tells_files_as_they_are(host: Host) -> None:
    host.machine.at(TOPOLOGY).unlink()
    host.machine.at(UNIT).write_text("edited")
    files = inspect(host.machine)["files"]
    assert TOPOLOGY not in files
    assert files[UNIT]["sha256"] != ""
    assert set(files) == {UNIT, "/etc/cardano-node/restart.digest", "/etc/cardano-node/reload.digest"}


def test_a_stop_is_asked_for_and_not_awaited(host: Host) -> None:
    assert stop(host.machine, 1, "")[0]
    assert host.systemd.effects() == ["systemctl --no-block stop cardano-node.service"]


def test_a_host_whose_node_still_runs_is_not_retired(host: Host) -> None:
    before = host.files()
    with pytest.raises(Refused, match="still active"):
        retire(host.machine, 1, "")
    assert host.files().keys() == before.keys()


def test_a_retired_host_keeps_nothing_of_ours(host: Host) -> None:
    host.machine.at("/var/lib/cardano-node/db").mkdir(parents=True)
    host.machine.at("/var/lib/cardano-node/db/clean").write_text("")
    host.systemd.state = "inactive"
    retire(host.machine, 1, "")
    kept = {path for path in host.files() if not path.startswith("run/")}
    assert kept == {"var/lib/cardano-node/db/clean", "var/lib/genesis-fleet/lock"}
    assert not host.machine.at(MANIFEST).exists()


def test_check_mode_of_a_retirement_says_what_it_would_remove_and_removes_nothing(host: Host) -> None:
    host.systemd.state = "inactive"
    before = host.files()
    foretold = retire(host.machine, 1, "", check=True)
    assert (host.files(), host.systemd.effects()) == (before, [])
    assert retire(host.machine, 1, "") == foretold
    assert foretold[0]
    assert {TOPOLOGY, "/opt/cardano-node", "table inet genesis_fleet", MANIFEST} <= set(foretold[1]["removed"])


def test_a_host_retired_before_has_nothing_to_remove(host: Host) -> None:
    host.systemd.state = "inactive"
    retire(host.machine, 1, "")
    host.systemd.table = False
    for check in (True, False):
        assert retire(host.machine, 1, "", check=check) == (False, {"removed": [], "summary": "nothing to do"})


def test_a_host_that_was_only_prepared_has_something_to_remove(tmp_path: Path) -> None:
    machine = Machine(tmp_path, Systemd(state="inactive", loaded="not-found", table=False))
    machine.at(PREPARED).parent.mkdir(parents=True)
    machine.at(PREPARED).write_text("digest")
    assert retire(machine, 1, "", check=True) == (True, {"removed": [PREPARED], "summary": "released"})
    assert retire(machine, 1, "")[0]


def test_check_mode_refuses_to_retire_a_host_whose_node_runs(host: Host) -> None:
    with pytest.raises(Refused, match="still active"):
        retire(host.machine, 1, "", check=True)
