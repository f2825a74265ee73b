"""The cloud-config of a new host."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from orchestrator.rendering.user_data import render_user_data

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\nZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"
VALUES: dict[str, Any] = {
    "hostname": "main-eu-central-1-01",
    "user": "admin",
    "authorized_key": 'ssh-ed25519 AAAAC3Controller operator: "x" #1',
    "one_time_private_key": PRIVATE,
    "one_time_public_key": PUBLIC,
}


def render(**changes: Any) -> tuple[str, dict[str, Any]]:
    text = render_user_data(**VALUES | changes)
    return text, yaml.safe_load(text)


def test_it_is_cloud_config() -> None:
    assert render()[0].startswith("#cloud-config\n")


def test_the_one_time_key_is_the_only_host_key() -> None:
    config = render()[1]
    assert config["ssh_keys"] == {"ed25519_private": PRIVATE, "ed25519_public": PUBLIC}
    assert config["ssh_deletekeys"] is True
    assert config["ssh_genkeytypes"] == []


def test_only_the_named_user_may_log_in_and_only_by_key() -> None:
    config = render(user="operator")[1]
    (user,) = config["users"]
    assert (user["name"], user["sudo"], user["lock_passwd"]) == ("operator", "ALL=(ALL) NOPASSWD:ALL", True)
    assert user["ssh_authorized_keys"] == [VALUES["authorized_key"]]
    assert (config["disable_root"], config["ssh_pwauth"]) == (True, False)


def test_the_host_has_the_relays_name_and_finds_itself() -> None:
    config = render()[1]
    assert (config["hostname"], config["manage_etc_hosts"]) == ("main-eu-central-1-01", "localhost")


def test_no_packages_are_fetched_at_the_first_boot() -> None:
    config = render()[1]
    assert (config["package_update"], config["package_upgrade"]) == (False, False)


def test_another_ssh_port_is_set_before_sshd_starts() -> None:
    assert "Port 2222" in render(ssh_port=2222)[1]["bootcmd"][0][2]
    assert "bootcmd" not in render()[1]


@pytest.mark.parametrize("place", ["authorized_key", "one_time_public_key"])
def test_a_private_key_in_a_public_keys_place_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="each other's place"):
        render(**{place: PRIVATE})


def test_it_fits_into_what_ec2_takes() -> None:
    assert len(render()[0].encode()) < 16384
