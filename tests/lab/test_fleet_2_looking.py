"""What may be asked of a serving fleet without changing it, and what is said when the asking itself fails."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lab.cloud.places import LAB_REGIONS
from orchestrator.lab.places import api_url
from orchestrator.lab.running import start_lab, stop_lab
from tests.lab.conftest import NETWORK
from tests.lab_fleet import ROOT, Fleet, recap

pytestmark = pytest.mark.lab

ONE = "e2e-eu-central-1-01"
OTHER_LAB = "e2e-other"

# Not enforced in a lab machine, and so not looked for in the process: MemoryMax and IPAddressDeny.
SHOWN = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "PrivateUsers": "yes",
    "PrivateDevices": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictNamespaces": "yes",
    "CapabilityBoundingSet": "",
    "User": "cardano-node",
}


def test_the_running_unit_is_exposed_no_more_than_1_1(serving: Fleet) -> None:
    shown = serving.shell(ONE, "systemd-analyze security --no-pager --threshold=11 cardano-node.service")
    assert float(re.findall(r"exposure level.*?: ([0-9.]+)", shown)[0]) <= 1.1


def test_the_restrictions_hold_for_the_process_itself(serving: Fleet) -> None:
    asked = ",".join(SHOWN)
    shown = serving.shell(ONE, f"systemctl show cardano-node.service --property={asked}")
    assert dict(line.split("=", 1) for line in shown.splitlines()) == SHOWN
    pid = serving.shell(ONE, "systemctl show cardano-node.service --property=MainPID --value")
    status = dict(line.split(":\t", 1) for line in serving.shell(ONE, f"cat /proc/{pid}/status").splitlines())
    assert (status["NoNewPrivs"], status["Seccomp"], int(status["CapBnd"], 16)) == ("1", "2", 0)


def test_a_host_refuses_a_token_lower_than_the_highest_it_has_seen(serving: Fleet) -> None:
    done = serving.ansible("deploy", "--limit", ONE, "-e", json.dumps({"genesis_token": 1}))
    assert recap(done.stdout)[ONE]["failed"] == 1
    assert "stale: token 1 is lower than" in done.stdout


def test_taking_up_a_lab_that_runs_changes_nothing(serving: Fleet) -> None:
    before = serving.instances()
    assert serving.run("lab", "up", "e2e").code == 0
    assert serving.instances() == before


def test_the_lab_shows_its_machines_and_lets_one_in(serving: Fleet) -> None:
    shown = serving.run("lab", "status", "e2e", "--json").document
    assert {i["name"]: i["machine"] for i in shown["instances"] if i["name"] == ONE} == {ONE: "running"}
    assert shown["partners"] == {"alpha": True, "beta": True}
    assert ONE in serving.run("lab", "status", "e2e").out
    assert serving.run("lab", "ssh", ONE, "hostname").out == f"{ONE}\n"


def test_two_labs_do_not_meet_and_one_leaves_without_a_trace(serving: Fleet) -> None:
    stop_lab(OTHER_LAB)
    other = start_lab(OTHER_LAB, LAB_REGIONS, NETWORK, lambda _progress: None)
    try:
        address = other.lab.network.gateway_v4
        knock = f"timeout 2 bash -c '</dev/tcp/{{}}/{api_url(other.lab.network).rpartition(':')[2]}' 2>/dev/null"
        assert serving.shell(ONE, f"{knock.format(serving.plan.lab.network.gateway_v4)} && echo in || echo out") == "in"
        assert serving.shell(ONE, f"{knock.format(address)} && echo in || echo out") == "out"
    finally:
        stop_lab(OTHER_LAB)
    traces = traces_of(other.lab.network.bridge, str(other.lab.directory))
    assert traces == []
    assert {relay["phase"] for relay in serving.relays().values()} == {"serving"}


def traces_of(bridge: str, folder: str) -> list[str]:
    """Everything on this host that still bears a lab's name."""
    found = [str(path) for place in ("/run/netns", "/sys/class/net") for path in Path(place).glob(f"{bridge}*")]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/*{bridge}*")]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if folder in line or bridge in line]
    for listing in (["nft", "list", "tables"], ["losetup", "--list"], ["ps", "axww", "-o", "args"], ["ip", "rule"]):
        shown = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
        found += [line for line in shown.splitlines() if f"{folder}/" in line or bridge in line]
    return [*found, *([folder] if Path(folder).exists() else [])]


def test_revoked_credentials_are_told_as_such(serving: Fleet) -> None:
    fault = serving.fault("bad-credentials")
    ended = serving.run("plan")
    serving.ask("DELETE", f"faults/{fault}")
    assert ended.code == 1
    assert "AuthFailure" in ended.err or "credentials" in ended.err
    assert "→" in ended.err


def test_a_controller_without_credentials_says_where_it_looks_for_them(serving: Fleet, tmp_path: Path) -> None:
    file = serving.variant("real-cloud", _outside_the_lab)
    nowhere = {
        "AWS_ENDPOINT_URL": api_url(serving.plan.lab.network),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(tmp_path),
    }
    ended = serving.run("plan", file=file, environment=nowhere)
    assert ended.code == 1
    assert "credentials" in ended.err
    assert "→" in ended.err
    assert "Traceback" not in ended.err


def _outside_the_lab(document: dict[str, Any]) -> None:
    del document["lab"]
    for builds in document["releases"].values():
        for build in builds.values():
            build["url"] = build["url"].replace("http://", "https://")


def test_a_permission_that_lacks_is_named_with_the_next_step(serving: Fleet) -> None:
    fault = serving.fault("denied", action="DescribeInstances")
    ended = serving.run("plan")
    serving.ask("DELETE", f"faults/{fault}")
    assert ended.code == 1
    assert "ec2:DescribeInstances" in ended.err
    assert "→" in ended.err


@pytest.mark.parametrize("missing", ["templates", "playbooks"])
def test_a_checkout_without_its_files_says_which_are_missing(serving: Fleet, tmp_path: Path, missing: str) -> None:
    for folder in {"orchestrator", "templates", "playbooks"} - {missing}:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli.main", "--fleet", str(serving.file), "plan"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{missing} not found: {tmp_path / missing} is missing or empty" in done.stderr.replace("\n", " ")
    assert "→" in done.stderr
