"""What cloud-init finds in a machine's seed."""

from __future__ import annotations

import json
from ipaddress import IPv4Address

import yaml

from orchestrator.lab.machines.seed import SEED, render_identity, render_seed

RESOLVER = IPv4Address("10.99.0.1")


def test_user_data_goes_through_byte_for_byte() -> None:
    data = b"\x1f\x8b\x08 compressed, as production sends it"
    assert render_seed("i-1", "relay", data, ())[f"{SEED}/user-data"] == data


def test_no_user_data_is_an_empty_document_because_a_seed_needs_one() -> None:
    document = render_seed("i-1", "relay", b"", ())[f"{SEED}/user-data"]
    assert document.startswith(b"#cloud-config\n")
    assert yaml.safe_load(document) == {}


def test_metadata_carries_identity_and_keys() -> None:
    metadata = json.loads(render_seed("i-1", "relay", b"", ("ssh-ed25519 AAAA me",))[f"{SEED}/meta-data"])
    assert metadata["instance-id"] == "i-1"
    assert metadata["local-hostname"] == "relay"
    assert metadata["public-keys"] == ["ssh-ed25519 AAAA me"]


def test_a_machine_knows_its_own_name_without_a_resolver() -> None:
    assert b"relay-7" in render_identity("i-1", "relay-7", RESOLVER)["etc/hosts"]


def test_machine_ids_differ_by_instance_and_are_kept_by_it() -> None:
    first = render_identity("i-1", "relay", RESOLVER)["etc/machine-id"]
    assert first == render_identity("i-1", "renamed", RESOLVER)["etc/machine-id"]
    assert first != render_identity("i-2", "relay", RESOLVER)["etc/machine-id"]
    assert len(first) == len("0" * 32 + "\n")
