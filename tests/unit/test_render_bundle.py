"""What is kept of a relay to be made again: its text, today's topology, snapshots that belong to a release."""

from __future__ import annotations

import json

import pytest

from orchestrator.errors import StoreRefused
from orchestrator.rendering import layout
from orchestrator.rendering.bundle import apply_bundle, parse_bundle, render_bundle
from orchestrator.rendering.digest import compare_files, digest_of_files, file_states
from orchestrator.rendering.values import ChangeClass, RenderedRelay
from tests.rendering_builders import content, document, fleet_spec, neighbours, network_files, rendered

SNAPSHOT = json.dumps({"NetworkMagic": 42, "Point": {"blockPointSlot": 5}, "bigLedgerPools": []})
LEDGER_PEERS = {"use_ledger_after_slot": 0, "peer_snapshot": "peer-snapshot.json"}

TODAY = neighbours("192.0.2.77", "192.0.2.78")


def old(*, snapshot: bool = False, **changes) -> RenderedRelay:
    """What was wanted before, on yesterday's neighbours."""
    network = network_files(SNAPSHOT if snapshot else None, **changes)
    topology = {"topology": LEDGER_PEERS} if snapshot else {}
    return rendered(fleet_spec("10.7.0", **topology), network)


def new(*, snapshot: bool = False) -> RenderedRelay:
    """What is wanted today, on today's neighbours."""
    network = network_files(SNAPSHOT if snapshot else None, SomethingNew={"kept": "otherwise"})
    topology = {"topology": LEDGER_PEERS} if snapshot else {}
    return rendered(fleet_spec("10.7.1", **topology), network, known=TODAY)


def gone_back(wanted: RenderedRelay, kept: RenderedRelay) -> RenderedRelay:
    return apply_bundle(wanted, render_bundle(kept))


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_relay_that_is_made_again_is_the_same(snapshot: bool) -> None:
    relay = old(snapshot=snapshot)
    again = gone_back(relay, relay)
    assert file_states(again.files) == file_states(relay.files)
    assert (again.relay, again.release, again.digest) == (relay.relay, relay.release, relay.digest)
    assert (again.restart_digest, again.reload_digest) == (relay.restart_digest, relay.reload_digest)
    assert again.network_digest == relay.network_digest


def test_a_document_says_the_same_for_relays_that_differ_in_their_neighbours_alone() -> None:
    assert render_bundle(rendered(known=TODAY)) == render_bundle(rendered())


def test_relays_that_differ_in_a_file_are_kept_apart() -> None:
    assert render_bundle(old()) != render_bundle(old(SomethingNew={"kept": False}))


def test_files_and_release_are_those_that_were_kept() -> None:
    back = gone_back(new(), old())
    assert back.release == old().release
    assert content(back, layout.NODE_CONFIG) == content(old(), layout.NODE_CONFIG)
    assert content(back, layout.RESTART_DIGEST) == f"{old().restart_digest}\n"
    assert back.restart_digest == old().restart_digest != new().restart_digest


def test_the_topology_is_always_todays() -> None:
    back = gone_back(new(), old())
    assert content(back, layout.TOPOLOGY) == content(new(), layout.TOPOLOGY)
    assert "192.0.2.77" in content(back, layout.TOPOLOGY)
    assert back.reload_digest == new().reload_digest
    assert content(back, layout.RELOAD_DIGEST) == f"{back.reload_digest}\n"


def test_firewall_and_ssh_are_always_todays() -> None:
    wanted = rendered(fleet_spec("10.7.1", ssh={"allowed_from": ["203.0.113.0/24"]}))
    back = gone_back(wanted, old())
    for path in (layout.FIREWALL, layout.SSHD, layout.CHRONY):
        assert content(back, path) == content(wanted, path)
    assert "203.0.113.0/24" in content(back, layout.FIREWALL)
    assert back.restart_digest == old().restart_digest


def test_a_document_says_the_same_whoever_may_log_in() -> None:
    assert render_bundle(rendered(fleet_spec(ssh={"allowed_from": ["203.0.113.0/24"]}))) == render_bundle(rendered())


def test_digests_tell_of_the_files_that_are_there() -> None:
    back = gone_back(new(snapshot=True), old())
    reloads = [file for file in back.files if file.change is ChangeClass.RELOAD]
    assert back.reload_digest == digest_of_files(file_states(reloads))
    assert back.digest == digest_of_files(file_states(back.files), back.release.sha256, back.network_digest)


def test_the_digests_are_written_last() -> None:
    assert [file.path for file in gone_back(new(), old()).files[-2:]] == [layout.RELOAD_DIGEST, layout.RESTART_DIGEST]


def test_no_path_is_written_twice() -> None:
    paths = [file.path for file in gone_back(new(snapshot=True), old(snapshot=True)).files]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("was", [False, True])
@pytest.mark.parametrize("will_be", [False, True])
def test_a_topology_names_a_peer_snapshot_only_if_one_belongs_to_what_was_kept(was: bool, will_be: bool) -> None:
    back = gone_back(new(snapshot=will_be), old(snapshot=was))
    assert ("peerSnapshotFile" in document(back, layout.TOPOLOGY)) is was
    assert (layout.PEER_SNAPSHOT in file_states(back.files)) is was
    if was:
        assert (
            document(back, layout.TOPOLOGY)["peerSnapshotFile"]
            == document(old(snapshot=True), layout.TOPOLOGY)["peerSnapshotFile"]
        )
        assert content(back, layout.PEER_SNAPSHOT) == SNAPSHOT


def test_going_back_and_forth_ends_where_it_began() -> None:
    forth = gone_back(gone_back(new(), old()), new())
    assert compare_files(forth, file_states(new().files)) == ()
    assert forth.digest == new().digest


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"files": [{}], "release": {}}', '{"files": [], "release": {"version": "1"}}'],
)
def test_a_document_that_cannot_be_read_whole_is_refused(text: str) -> None:
    with pytest.raises(StoreRefused, match="cannot be read"):
        parse_bundle(text)


def test_a_file_with_something_else_in_it_is_refused() -> None:
    values = json.loads(render_bundle(old()))
    values["files"][0]["surprise"] = 1
    with pytest.raises(StoreRefused, match="surprise"):
        parse_bundle(json.dumps(values))


def test_a_change_class_that_nobody_knows_is_refused() -> None:
    values = json.loads(render_bundle(old()))
    values["files"][0]["change"] = 9
    with pytest.raises(StoreRefused):
        parse_bundle(json.dumps(values))
