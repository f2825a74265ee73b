"""All files of one relay: golden, digests, what each change asks for, and errors that name what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.errors import RenderFailed
from orchestrator.fleet.observation import FileState
from orchestrator.fleet.relay import Relay, wanted_relays
from orchestrator.rendering import layout
from orchestrator.rendering.digest import change_class_of, compare_files, file_states
from orchestrator.rendering.host import render_host_files
from orchestrator.rendering.relay import render_relay
from orchestrator.rendering.values import ChangeClass, RelayNeighbours, Templates
from tests.rendering_builders import (
    FIRST,
    NEIGHBOURS,
    TEMPLATES,
    content,
    fleet_spec,
    neighbours,
    network_files,
    rendered,
)


def test_one_relay_is_rendered_as_the_golden_files_say(golden) -> None:
    relay = rendered()
    for file in relay.files:
        golden(f"relay{file.path}", file.content)
    manifest = {
        "files": {
            file.path: f"{file.owner}:{file.group} {file.mode} {file.change.name} {file.validate}".strip()
            for file in relay.files
        },
        "digests": {"all": relay.digest, "restart": relay.restart_digest, "reload": relay.reload_digest},
    }
    golden("relay/manifest.json", json.dumps(manifest, indent=2) + "\n")


def test_rendering_twice_gives_equal_values() -> None:
    before = rendered()
    render_host_files.cache_clear()
    assert rendered() == before


def test_files_that_relays_of_a_region_share_are_rendered_once() -> None:
    render_host_files.cache_clear()
    spec = fleet_spec()
    for relay in wanted_relays(spec):
        rendered(spec, relay=relay, known=neighbours(f"192.0.2.{relay.index}"))
    assert render_host_files.cache_info().misses == 1


def test_another_neighbour_asks_for_a_reload_only() -> None:
    before, after = rendered(), rendered(known=neighbours("192.0.2.99"))
    assert (before.restart_digest, before.reload_digest == after.reload_digest) == (after.restart_digest, False)
    assert change_class_of(_differing(before, after)) is ChangeClass.RELOAD


@pytest.mark.parametrize(
    "changes",
    [
        {"ports": {"relay": 3002}},
        {"connections": {"hard_limit": 100, "soft_limit": 50}},
        {"regions": {"eu-central-1": {"count": 3, "memory_gib": 32}}},
        {"hardening": {"memory_deny_write_execute": True}},
    ],
)
def test_what_the_node_reads_only_at_its_start_asks_for_a_restart(changes) -> None:
    before, after = rendered(), rendered(fleet_spec(**changes))
    assert before.restart_digest != after.restart_digest
    assert change_class_of(_differing(before, after)) is ChangeClass.RESTART


def test_another_archive_asks_for_a_restart_though_no_other_file_differs() -> None:
    other = {"10.7.1": {"x86_64": {"url": "https://releases.example/other.tar.gz", "sha256": "ff" * 32}}}
    before, after = rendered(), rendered(fleet_spec(releases=other))
    assert _differing(before, after) == (layout.RESTART_DIGEST,)
    assert before.restart_digest != after.restart_digest


def test_ssh_from_elsewhere_disturbs_nobody() -> None:
    before, after = rendered(), rendered(fleet_spec(ssh={"allowed_from": ["203.0.113.0/24"]}))
    assert _differing(before, after) == (layout.FIREWALL,)
    assert change_class_of(_differing(before, after)) is ChangeClass.NONE
    assert (before.restart_digest, before.reload_digest) == (after.restart_digest, after.reload_digest)
    assert before.digest != after.digest


def test_digest_files_hold_the_digests_and_come_last() -> None:
    relay = rendered()
    assert [file.path for file in relay.files[-2:]] == [layout.RELOAD_DIGEST, layout.RESTART_DIGEST]
    assert content(relay, layout.RESTART_DIGEST) == f"{relay.restart_digest}\n"
    assert content(relay, layout.RELOAD_DIGEST) == f"{relay.reload_digest}\n"


def test_every_file_carries_the_change_class_of_its_path() -> None:
    assert all(file.change is change_class_of([file.path]) for file in rendered().files)


def test_a_host_that_has_every_file_differs_in_nothing() -> None:
    relay = rendered()
    assert compare_files(relay, file_states(relay.files)) == ()


def test_absent_edited_and_unreadable_files_are_named() -> None:
    relay = rendered()
    seen = file_states(relay.files)
    del seen[layout.SYSCTL]
    seen[layout.TOPOLOGY] = replace(seen[layout.TOPOLOGY], sha256="00" * 32)
    seen[layout.NODE_CONFIG] = replace(seen[layout.NODE_CONFIG], mode="0600")
    seen["/etc/motd"] = FileState("00" * 32, "root", "root", "0644")
    differing = {file.path for file in compare_files(relay, seen)}
    assert differing == {layout.SYSCTL, layout.TOPOLOGY, layout.NODE_CONFIG}


def test_an_undefined_value_names_template_and_value() -> None:
    broken = Templates(
        tuple(
            (name, text + "{{ nobody_knows }}" if name == "sysctl.conf.j2" else text) for name, text in TEMPLATES.texts
        )
    )
    with pytest.raises(RenderFailed, match=r"templates/sysctl.conf.j2.*nobody_knows"):
        render_relay(fleet_spec(), network_files(), broken, FIRST, NEIGHBOURS)


def test_a_template_that_does_not_parse_is_named_with_its_line() -> None:
    broken = Templates(
        tuple((name, "fine\n{% if %}" if name == "sshd.conf.j2" else text) for name, text in TEMPLATES.texts)
    )
    with pytest.raises(RenderFailed, match=r"templates/sshd.conf.j2:2"):
        render_relay(fleet_spec(), network_files(), broken, FIRST, NEIGHBOURS)


def test_a_missing_template_is_named() -> None:
    fewer = Templates(tuple(entry for entry in TEMPLATES.texts if entry[0] != "environment.j2"))
    with pytest.raises(RenderFailed, match=r"environment.j2 does not exist"):
        render_relay(fleet_spec(), network_files(), fewer, FIRST, NEIGHBOURS)


def test_a_release_without_archive_for_the_architecture_is_refused() -> None:
    spec = fleet_spec(regions={"eu-central-1": {"count": 1, "architecture": "aarch64"}})
    with pytest.raises(RenderFailed, match=r"10.7.1 has no archive for aarch64"):
        rendered(spec)


def test_a_static_relay_that_is_its_own_neighbour_is_refused() -> None:
    host = {"number": 1, "address": "192.0.2.7", "host_key": f"ssh-ed25519 {'A' * 68}"}
    spec = fleet_spec(cloud={"kind": "static"}, regions={"here": {"hosts": [host]}})
    with pytest.raises(RenderFailed, match=r"192.0.2.7:3001 is the relay itself"):
        rendered(spec, relay=Relay("demo-here-01", "here", 1), known=neighbours("192.0.2.7"))


def test_a_relay_that_names_one_of_its_known_addresses_is_refused() -> None:
    with pytest.raises(RenderFailed, match=r"192.0.2.12:3001 is the relay itself"):
        rendered(known=RelayNeighbours(NEIGHBOURS.own, NEIGHBOURS.partners, itself=("192.0.2.12",)))


def _differing(before, after) -> tuple[str, ...]:
    return tuple(file.path for file in compare_files(after, file_states(before.files)))
