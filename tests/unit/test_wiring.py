"""Which regions are looked at, and who a controller says it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.adapters.keys import Ed25519Keys
from orchestrator.cli.inventory import fleet_inventory
from orchestrator.cli.wiring import Controller, list_former_regions, wire_controller
from orchestrator.fleet.record import FleetRecord, Identity, LaunchIntent
from tests.command_line import on_loopback, write_fleet

UNANSWERED = LaunchIntent(
    "demo-eu-west-1-01", "eu-west-1", 1, 0, "t", "{}", "ssh-ed25519 A", "subnet-1", datetime(2026, 1, 1, tzinfo=UTC)
)


def record_of(*intents: LaunchIntent) -> FleetRecord:
    return FleetRecord("store", "demo", 42, intents)


def wire(folder: Path) -> Controller:
    key = Ed25519Keys().make_host_key("controller")
    fleet = write_fleet(folder, on_loopback())
    (folder / "key").write_text(key.private)
    (folder / "key.pub").write_text(key.public)
    return wire_controller(fleet)


def test_a_region_where_a_launch_was_never_answered_is_looked_at() -> None:
    assert list_former_regions(record_of(UNANSWERED)) == {"eu-west-1"}


def test_a_region_where_every_launch_was_refused_is_not() -> None:
    assert list_former_regions(record_of(replace(UNANSWERED, refused="no capacity"))) == frozenset()


def test_two_controllers_of_one_process_are_told_apart(tmp_path: Path) -> None:
    first, second = wire(tmp_path), wire(tmp_path)
    first.store.close()
    second.store.close()
    assert first.holder != second.holder


def test_a_host_whose_record_and_tag_disagree_is_left_out_of_the_inventory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    controller = wire(tmp_path)
    name = "demo-europe-01"
    controller.store.save_identity(Identity(f"static-{name}", name, "ssh-ed25519 another", confirmed=True))
    hosts = fleet_inventory(controller)["_meta"]["hostvars"]
    controller.store.close()
    assert name not in hosts
    assert "demo-europe-02" in hosts
    assert f"! {name} is left out: the record pins" in capsys.readouterr().err
