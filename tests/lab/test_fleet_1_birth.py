"""The first apply of a fleet, in a cloud that misbehaves and by controllers that are killed at every step of it.

Each kill is followed by a new apply and nothing else; the tests then ask whether anything was doubled, lost or locked out.
"""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.lab_fleet import Ended, Fleet, names, processes_naming, recap

pytestmark = pytest.mark.lab

WITHOUT_CAPACITY = "us-east-1a"

KILLED_AT = (
    r"launch done",
    r"prepare started: its own host key is not on record",
    r"prepare done: .*made the permanent host key",
    r"prepare started: its baseline",
    r"deploy started",
)


@dataclass(frozen=True)
class Birth:
    """What was seen while the fleet came to be."""

    fleet: Fleet
    first_lines: str
    second_controller: Ended
    interrupted: Ended
    playbooks_after_interrupt: list[str]
    ended: Ended


@pytest.fixture(scope="module")
def birth(fleet: Fleet) -> Birth:
    """Apply for the first time, kill, apply again, until it is done."""
    fleet.fault("no-capacity", zone=WITHOUT_CAPACITY)
    fleet.fault("throttled", every=6)
    for action in ("RunInstances", "AllocateAddress", "CreateVolume", "AttachVolume"):
        fleet.fault("error-after-effect", action=action, times=1)
    said = []
    for point in KILLED_AT:
        run = fleet.start_apply()
        run.wait_line(point)
        said += run.send(signal.SIGKILL).err.splitlines()
    run = fleet.start_apply()
    run.wait_line(" started: ")
    second = fleet.run("apply", "--yes")
    interrupted = run.send(signal.SIGINT)
    left = processes_naming(f"{fleet.folder}/state/runs")
    ended = fleet.converge()
    fleet.clear_faults()
    return Birth(fleet, "\n".join(said), second, interrupted, left, ended)


def test_a_fleet_converges_however_often_its_controller_is_killed(birth: Birth) -> None:
    summary = birth.ended.document["summary"]
    assert (summary["serving"], summary["wanted"]) == (5, 5)


def test_no_kill_and_no_lost_answer_doubles_an_instance_a_disk_or_an_address(birth: Birth) -> None:
    instances = birth.fleet.instances()
    assert len(names(instances)) == len(set(names(instances))) == 5
    assert Counter(len(instance["volumes"]) for instance in instances) == {1: 5}
    addresses = {relay["address"] for relay in birth.fleet.relays().values()}
    assert len(addresses) == 5


def test_a_zone_without_capacity_is_reported_and_another_one_taken(birth: Birth) -> None:
    assert WITHOUT_CAPACITY in birth.first_lines
    assert "another zone is next" in birth.first_lines
    zones = {instance["zone"] for instance in birth.fleet.instances()}
    assert WITHOUT_CAPACITY not in zones


def test_a_second_controller_is_told_who_holds_the_lease(birth: Birth) -> None:
    assert birth.second_controller.code == 3
    assert "holds the lease until" in birth.second_controller.err
    assert "pid" in birth.second_controller.err


def test_an_interrupted_apply_ends_with_what_it_started(birth: Birth) -> None:
    assert birth.interrupted.code == 130
    assert "interrupted; running the command again takes up what is there" in birth.interrupted.err
    assert birth.playbooks_after_interrupt == []


def test_no_half_written_file_is_left_on_any_host(birth: Birth) -> None:
    folders = "/etc/cardano-node /etc/nftables.d /etc/systemd/system /etc/ssh /opt/cardano-node /var/lib/genesis-fleet"
    found = birth.fleet.shells(f"find {folders} -name '.*' ! -name .genesis-fleet.json -type f")
    assert len(found) == 5
    assert {name: files for name, files in found.items() if files} == {}


def test_the_one_time_keys_are_wiped_and_their_private_halves_forgotten(birth: Birth) -> None:
    assert set(birth.fleet.shells("ls /etc/ssh/ssh_host_* 2>/dev/null || true").values()) == {""}
    files = sorted((birth.fleet.folder / "state").glob("store.db*"))
    assert files
    assert [file.name for file in files if b"PRIVATE KEY" in file.read_bytes()] == []


def test_a_second_apply_plans_nothing(birth: Birth) -> None:
    planned = birth.fleet.run("plan", "--json")
    assert planned.code == 0
    assert (planned.document["actions"], planned.document["holds"]) == ([], [])
    before = {i["instance_id"] for i in birth.fleet.instances()}
    again = birth.fleet.converge()
    assert "started" not in again.err
    assert {i["instance_id"] for i in birth.fleet.instances()} == before


def test_plain_ansible_changes_nothing_on_a_converged_fleet(birth: Birth) -> None:
    done = birth.fleet.ansible("deploy")
    counts = recap(done.stdout)
    assert len(counts) == 5, done.stdout + done.stderr
    assert {(each["ok"], each["changed"]) for each in counts.values()} == {(1, 0)}
