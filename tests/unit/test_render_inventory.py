"""Inventory and variables: what Ansible is told, as JSON and under names that playbooks know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.adapters.assets import assets, load_templates
from orchestrator.errors import AssetsMissing
from orchestrator.rendering.inventory import InventoryHost, render_inventory
from orchestrator.rendering.variables import (
    baseline_digest,
    deploy_variables,
    prepare_variables,
    stage_variables,
)
from tests.rendering_builders import ARCHIVE, fleet_spec, network_files, rendered


def host(name: str = "demo-eu-central-1-01", region: str = "eu-central-1", **variables) -> InventoryHost:
    return InventoryHost(name, region, "192.0.2.1", "admin", 22, variables)


def test_hosts_stand_in_the_groups_of_fleet_region_and_relays() -> None:
    east = host("demo-us-east-2-01", "us-east-2")
    inventory = render_inventory("demo", [east, host()])
    both = {"hosts": ["demo-eu-central-1-01", "demo-us-east-2-01"]}
    assert inventory["relays"] == inventory["demo"] == both
    assert inventory["eu_central_1"] == {"hosts": ["demo-eu-central-1-01"]}
    assert inventory["us_east_2"] == {"hosts": ["demo-us-east-2-01"]}
    assert inventory["all"]["children"] == ["demo", "eu_central_1", "relays", "us_east_2"]


def test_the_order_of_hosts_does_not_matter() -> None:
    hosts = [host(), host("demo-us-east-2-01", "us-east-2")]
    assert json.dumps(render_inventory("demo", hosts)) == json.dumps(render_inventory("demo", hosts[::-1]))


def test_the_interpreter_is_pinned_and_own_variables_are_added() -> None:
    variables = render_inventory("demo", [host(genesis_token=7)])["_meta"]["hostvars"]["demo-eu-central-1-01"]
    assert variables == {
        "ansible_host": "192.0.2.1",
        "ansible_user": "admin",
        "ansible_port": 22,
        "ansible_python_interpreter": "/usr/bin/python3",
        "genesis_token": 7,
    }


@pytest.mark.parametrize("region", ["all", "relays", "demo"])
def test_a_region_named_like_another_group_stays_a_group_of_its_own(region) -> None:
    hosts = [host(region=region), host("demo-us-east-2-01", "us-east-2")]
    assert render_inventory("demo", hosts)[f"region_{region}"] == {"hosts": ["demo-eu-central-1-01"]}


def test_deploy_variables_spell_out_every_file_and_the_digests() -> None:
    relay = rendered()
    variables = json.loads(json.dumps(deploy_variables(relay, token=5)))
    assert [file["path"] for file in variables["genesis_files"]] == [file.path for file in relay.files]
    assert {file["change"] for file in variables["genesis_files"]} == {"none", "reload", "restart"}
    assert variables["genesis_files"][0].keys() == {"path", "content", "owner", "group", "mode", "change", "validate"}
    assert variables["genesis_release"] == {"version": "10.7.1", "architecture": "x86_64", **ARCHIVE}
    assert variables["genesis_digest"] == relay.digest
    assert variables["genesis_restart_digest"] == relay.restart_digest
    assert variables["genesis_reload_digest"] == relay.reload_digest
    assert variables["genesis_network"] == {"digest": "d1" * 32, "files": {}}
    assert variables["genesis_token"] == 5


def test_stage_variables_carry_release_and_genesis_files_and_http_is_off_unless_asked_for() -> None:
    network = network_files()
    variables = stage_variables(rendered(), network)
    assert variables["genesis_network"] == {"digest": network.digest, "files": dict(network.genesis)}
    assert variables["genesis_release"]["sha256"] == ARCHIVE["sha256"]
    assert variables["genesis_allow_http"] is False
    assert "genesis_files" not in variables


def test_prepare_variables_name_the_step_and_the_disk() -> None:
    variables = json.loads(json.dumps(prepare_variables(fleet_spec(), "settle", "vol-1", token=3)))
    asked = variables["genesis_prepare"]
    assert (asked["step"], asked["volume_id"], asked["user"]) == ("settle", "vol-1", "cardano-node")
    assert "chrony" in asked["packages"]
    assert asked["baseline_digest"] == baseline_digest(fleet_spec())
    assert variables["genesis_token"] == 3


def test_a_host_whose_key_is_pinned_in_the_fleet_file_keeps_it() -> None:
    static = fleet_spec(cloud={"kind": "static"})
    assert prepare_variables(static, "identify")["genesis_prepare"]["keep_identity"] is True
    assert prepare_variables(fleet_spec(), "identify")["genesis_prepare"]["keep_identity"] is False


def test_no_setting_of_the_node_asks_for_preparing_hosts_again() -> None:
    assert baseline_digest(fleet_spec()) == baseline_digest(fleet_spec("11.1.0", ports={"relay": 3009}))


def checkout(root: Path) -> Path:
    """Make a package folder with playbooks and templates beside it."""
    (root / "orchestrator").mkdir()
    (root / "playbooks").mkdir()
    (root / "templates").mkdir()
    (root / "templates/some.j2").write_text("beside")
    return root / "orchestrator"


def test_a_checkout_uses_what_lies_beside_the_package(tmp_path) -> None:
    found = assets(checkout(tmp_path))
    assert found.templates.text("some.j2") == "beside"
    assert found.playbooks == tmp_path / "playbooks"


def test_an_installation_uses_what_it_carries(tmp_path) -> None:
    package = checkout(tmp_path)
    (package / "_assets/templates").mkdir(parents=True)
    (package / "_assets/playbooks").mkdir()
    (package / "_assets/templates/some.j2").write_text("carried")
    found = assets(package)
    assert found.templates.text("some.j2") == "carried"
    assert found.playbooks == package / "_assets/playbooks"


def test_this_checkout_has_playbooks_and_templates() -> None:
    assert "cardano-node.service.j2" in dict(assets().templates.texts)


@pytest.mark.parametrize("missing", ["playbooks", "templates"])
def test_what_is_missing_is_named_with_the_place_and_the_next_step(tmp_path, missing) -> None:
    package = checkout(tmp_path)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(AssetsMissing, match=rf"{missing} not found: {tmp_path}/{missing} .*\n.*git checkout"):
        assets(package)


def test_a_template_that_is_not_utf8_is_reported(tmp_path) -> None:
    (tmp_path / "bad.j2").write_bytes(b"\xff")
    with pytest.raises(AssetsMissing, match="cannot be read"):
        load_templates(tmp_path)
