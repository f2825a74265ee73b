"""Machines die, vanish, or never come to life, and calls are refused: each relay comes back as itself, and only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab_fleet import Ended, Fleet, names

pytestmark = pytest.mark.lab

DELETED, STOPPED, IMPAIRED = "e2e-eu-central-1-01", "e2e-eu-central-1-02", "e2e-us-east-1-01"
CONFIRMATION = "replace:2"
CHAIN = "/var/lib/cardano-node"


@dataclass(frozen=True)
class Replaced:
    """A fleet before and after it lost three of five machines."""

    before: dict[str, dict[str, Any]]
    disks_before: dict[str, list[str]]
    unconfirmed: Ended
    denied: Ended
    ended: Ended
    after: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def replaced(serving: Fleet) -> Replaced:
    """Delete one machine, kill two, forbid launches, allow them again; one new machine never boots."""
    fleet = serving
    fleet.shell(STOPPED, f"echo kept > {CHAIN}/kept-by-test; sync")
    before = fleet.relays()
    disks = {i["name"]: i["volumes"] for i in fleet.instances()}
    fleet.ask("POST", f"instances/{DELETED}/terminate")
    fleet.ask("POST", f"instances/{STOPPED}/kill", leaves="stopped")
    fleet.ask("POST", f"instances/{IMPAIRED}/kill", leaves="impaired")
    unconfirmed = fleet.apply()
    fault = fleet.fault("denied", action="RunInstances")
    denied = fleet.apply("--confirm", CONFIRMATION)
    fleet.ask("DELETE", f"faults/{fault}")
    fleet.fault("never-boots", name=DELETED, status="ok", times=1)
    fleet.fault("launch-fails", name=IMPAIRED, times=1)
    file = fleet.variant("impatient", lambda document: document["rollout"].update(boot_deadline="40s"))
    ended = fleet.converge("--confirm", CONFIRMATION, file=file)
    return Replaced(before, disks, unconfirmed, denied, ended, fleet.relays())


def test_replacing_more_than_may_be_out_is_refused_and_the_confirmation_named(replaced: Replaced) -> None:
    assert replaced.unconfirmed.code == 5
    assert f"--confirm {CONFIRMATION}" in replaced.unconfirmed.err


def test_a_launch_that_is_not_permitted_says_which_permission_lacks(replaced: Replaced) -> None:
    assert replaced.denied.code == 2
    assert "ec2:RunInstances" in replaced.denied.err


def test_dead_and_deleted_relays_are_replaced_and_serve_under_their_addresses(replaced: Replaced) -> None:
    for name in (DELETED, STOPPED, IMPAIRED):
        assert replaced.after[name]["phase"] == "serving"
        assert replaced.after[name]["address"] == replaced.before[name]["address"]
        assert replaced.after[name]["instance"] != replaced.before[name]["instance"]


def test_relays_that_were_well_keep_their_machines(replaced: Replaced) -> None:
    well = set(replaced.before) - {DELETED, STOPPED, IMPAIRED}
    assert {replaced.after[name]["instance"] for name in well} == {replaced.before[name]["instance"] for name in well}


def test_an_instance_that_never_boots_is_replaced_after_the_deadline(replaced: Replaced) -> None:
    assert f"{DELETED}: launch started" in replaced.ended.err
    assert "never answered" in replaced.ended.err


def test_the_chain_disk_is_kept_with_what_is_on_it(serving: Fleet, replaced: Replaced) -> None:
    assert serving.instance(STOPPED)["volumes"] == replaced.disks_before[STOPPED]
    assert serving.shell(STOPPED, f"cat {CHAIN}/kept-by-test") == "kept"


def test_nothing_that_died_is_left_in_the_cloud(serving: Fleet, replaced: Replaced) -> None:
    instances = serving.instances()
    assert len(names(instances)) == len(set(names(instances))) == 5
    assert {len(instance["volumes"]) for instance in instances} == {1}
