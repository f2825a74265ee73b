"""Topologies of consumers: in the official shape, without a trap, read by a node as they were meant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RenderFailed
from orchestrator.lab.node.snapshot import check_snapshot
from orchestrator.lab.node.topology import AccessPoint as NodePoint
from orchestrator.lab.node.topology import parse_topology
from orchestrator.lab.node.version import parse_version
from orchestrator.rendering.consumer import (
    ConsumerInputs,
    ConsumerKind,
    Epochs,
    pick_ledger_slot,
    read_epochs,
    render_consumer_topology,
    why_no_snapshot,
)
from orchestrator.rendering.snapshot import SnapshotFile
from orchestrator.rendering.topology_check import check_topology
from orchestrator.rendering.topology_findings import Circumstances
from orchestrator.rendering.topology_rules import Code
from orchestrator.rendering.values import AccessPoint, NetworkFiles
from orchestrator.spec.model import NetworkSpec
from tests.topology_texts import MAGIC, NEW_SNAPSHOT, OLD_SNAPSHOT

KNOWN_PEERS = 150
BOOTSTRAP = (AccessPoint("backbone.example", 3001), AccessPoint("192.0.2.7", 3002))
OWN = (AccessPoint("198.51.100.1", 3001), AccessPoint("2001:db8::2", 6000))
MAINNET = Epochs(432_000, 4_492_800 % 432_000, 129_600)

# The keys of official files, in their order.
TOPOLOGY_KEYS = ["bootstrapPeers", "localRoots", "publicRoots", "useLedgerAfterSlot"]
GROUP_KEYS = ["accessPoints", "advertise", "trustable", "valency"]
EMPTY_GROUP = {"accessPoints": [], "advertise": False, "trustable": False, "valency": 1}


def inputs(version: str = "11.0.1", **changes: Any) -> ConsumerInputs:
    usual = ConsumerInputs(
        bootstrap=BOOTSTRAP,
        local_roots=(),
        agreed_slot=1000,
        epochs=Epochs(100, 0, 60),
        circumstances=Circumstances(version, "PraosMode", MAGIC),
    )
    return replace(usual, **changes)


def inputs_for(kind: ConsumerKind, **changes: Any) -> ConsumerInputs:
    return inputs(**{"local_roots": () if kind is ConsumerKind.NEW_NODE else OWN, **changes})


def rendered(kind: ConsumerKind, **changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render_consumer_topology(kind, inputs_for(kind, **changes)))
    return document


@pytest.mark.parametrize("kind", ConsumerKind)
def test_keys_and_their_order_are_those_of_official_files(kind: ConsumerKind) -> None:
    document = rendered(kind)
    assert list(document) == TOPOLOGY_KEYS
    assert [list(group) for group in document["localRoots"]] == [GROUP_KEYS]
    assert all(list(root) == ["accessPoints", "advertise"] for root in document["publicRoots"])


def test_a_snapshot_stands_between_local_and_public_roots_as_in_official_files() -> None:
    document = rendered(ConsumerKind.NEW_NODE, snapshot=json.dumps(NEW_SNAPSHOT))
    assert list(document) == [*TOPOLOGY_KEYS[:2], "peerSnapshotFile", *TOPOLOGY_KEYS[2:]]
    assert document["peerSnapshotFile"] == "peer-snapshot.json"


def test_the_text_is_laid_out_as_official_files_are() -> None:
    text = render_consumer_topology(ConsumerKind.NEW_NODE, inputs())
    assert text.startswith(
        '{\n  "bootstrapPeers": [\n    {\n      "address": "backbone.example",\n      "port": 3001\n'
    )
    assert text.endswith("\n}\n")


@pytest.mark.parametrize("kind", ConsumerKind)
@pytest.mark.parametrize("version", ["10.5.1", "10.6.2", "11.0.1"])
def test_every_kind_passes_the_check_without_a_note(kind: ConsumerKind, version: str) -> None:
    text = render_consumer_topology(kind, inputs_for(kind, version=version))
    assert check_topology(text, Circumstances(version, "PraosMode", MAGIC)) == ()


@pytest.mark.parametrize("kind", ConsumerKind)
def test_a_node_reads_every_kind_as_written_and_clamps_nothing(kind: ConsumerKind) -> None:
    given_inputs = inputs_for(kind)
    text = render_consumer_topology(kind, given_inputs)
    read = parse_topology(text.encode(), parse_version("11.0.1"), KNOWN_PEERS, Path())
    own = given_inputs.local_roots
    assert [(g.access_points, g.hot, g.warm, g.trustable) for g in read.local_roots] == (
        [(tuple(NodePoint(p.address, p.port) for p in own), len(own), len(own), True)] if own else []
    )
    names = tuple(NodePoint(point.address, point.port) for point in BOOTSTRAP)
    assert read.bootstrap_peers == (None if kind is ConsumerKind.BLOCK_PRODUCER else names)
    assert read.public_roots == (names if kind is ConsumerKind.TOOLING else ())
    assert read.use_ledger_after_slot == (900 if kind.uses_ledger else None)


@pytest.mark.parametrize(("version", "snapshot"), [("10.6.2", OLD_SNAPSHOT), ("11.0.1", NEW_SNAPSHOT)])
@pytest.mark.parametrize("kind", [ConsumerKind.NEW_NODE, ConsumerKind.RELAY])
def test_a_node_starts_with_the_snapshot_beside_its_topology(kind, version, snapshot, tmp_path: Path) -> None:
    text = render_consumer_topology(kind, inputs_for(kind, version=version, snapshot=json.dumps(snapshot)))
    (tmp_path / "peer-snapshot.json").write_text(json.dumps(snapshot))
    read = parse_topology(text.encode(), parse_version(version), KNOWN_PEERS, tmp_path)
    assert check_snapshot(read, parse_version(version), MAGIC, "PraosMode") is None
    # Taken at slot 500, long before the slot that is agreed on.
    assert read.use_ledger_after_slot == 500


@pytest.mark.parametrize("kind", [ConsumerKind.BLOCK_PRODUCER, ConsumerKind.TOOLING])
def test_who_takes_no_peers_from_the_ledger_is_given_no_snapshot(kind: ConsumerKind) -> None:
    assert "peerSnapshotFile" not in rendered(kind, snapshot=json.dumps(NEW_SNAPSHOT), agreed_slot=None)


def test_a_new_node_has_the_empty_group_of_official_files() -> None:
    assert rendered(ConsumerKind.NEW_NODE)["localRoots"] == [EMPTY_GROUP]


def test_a_tool_is_not_left_alone_once_it_has_caught_up() -> None:
    # Bootstrap peers are for the time until then, and it has no ledger peers: public roots are what is left.
    document = rendered(ConsumerKind.TOOLING, local_roots=())
    assert document["publicRoots"] == [{"accessPoints": document["bootstrapPeers"], "advertise": False}]


def test_a_block_producer_knows_nobody_but_its_own_relays() -> None:
    document = rendered(ConsumerKind.BLOCK_PRODUCER, bootstrap=(), agreed_slot=None)
    assert (document["bootstrapPeers"], document["publicRoots"]) == (None, [])
    assert document["useLedgerAfterSlot"] == -1
    assert [group["trustable"] for group in document["localRoots"]] == [True]


def test_a_block_producer_without_relays_is_refused() -> None:
    with pytest.raises(RenderFailed, match="no relays of its own"):
        rendered(ConsumerKind.BLOCK_PRODUCER, local_roots=())


@pytest.mark.parametrize("kind", [ConsumerKind.NEW_NODE, ConsumerKind.RELAY, ConsumerKind.TOOLING])
def test_nobody_is_sent_to_an_empty_list(kind: ConsumerKind) -> None:
    # An empty list is bootstrap mode without a bootstrap peer, not the absence of bootstrap mode.
    with pytest.raises(RenderFailed, match="nobody to bootstrap from"):
        rendered(kind, bootstrap=())


@pytest.mark.parametrize("kind", [ConsumerKind.NEW_NODE, ConsumerKind.RELAY])
def test_without_agreement_nothing_is_said_about_the_ledger(kind: ConsumerKind) -> None:
    with pytest.raises(RenderFailed, match="no slot that fleet and partners agree on"):
        rendered(kind, agreed_slot=None)


def test_a_node_in_genesis_mode_is_not_given_a_topology_that_leaves_it_nobody() -> None:
    genesis = Circumstances("11.0.1", "GenesisMode", MAGIC)
    with pytest.raises(RenderFailed, match="bootstrapPeers are the only peers") as refused:
        rendered(ConsumerKind.NEW_NODE, circumstances=genesis)
    assert "topology.peer_snapshot" in refused.value.next_step
    assert rendered(ConsumerKind.NEW_NODE, circumstances=genesis, snapshot=json.dumps(NEW_SNAPSHOT))


def test_names_that_are_no_names_are_refused() -> None:
    with pytest.raises(RenderFailed, match="neither an address nor a DNS name"):
        rendered(ConsumerKind.NEW_NODE, bootstrap=(AccessPoint("backbone.example:3001", 3001),))


@pytest.mark.parametrize(
    ("version", "snapshot", "cause"),
    [
        ("10.4.1", OLD_SNAPSHOT, "only nodes from 10.5 on"),
        ("10.5.1", OLD_SNAPSHOT, None),
        ("10.5.1", NEW_SNAPSHOT, "written for node 10.7 and later"),
        ("10.7.0", OLD_SNAPSHOT, "written for node 10.6 and earlier"),
        ("10.7.0", NEW_SNAPSHOT, None),
        ("11.0.1", NEW_SNAPSHOT | {"NetworkMagic": 1}, "magic 1, not 42"),
        ("11.0.1", NEW_SNAPSHOT | {"Point": {"blockPointSlot": 0}}, "of slot 0"),
        ("11.0.1", [], "no bigLedgerPools"),
    ],
)
def test_a_snapshot_that_the_node_cannot_use_is_left_out_with_a_reason(version, snapshot, cause) -> None:
    why = why_no_snapshot(json.dumps(snapshot), Circumstances(version, None, MAGIC))
    assert why is None if cause is None else why is not None and cause in why


# Mainnet's Byron epochs end at slot 4492800. In January 2026 its official files had a snapshot of slot 177899416 and 177724800 as
# the slot to use ledger peers from.
@pytest.mark.parametrize(
    ("agreed", "snapshot", "slot"),
    [
        (177_724_800 + 129_600, None, 177_724_800),
        (177_724_800 + 129_599, None, 177_724_800 - 432_000),
        (185_500_763, 177_899_416, 177_724_800),
        (177_899_416, 185_500_763, 177_724_800),
    ],
)
def test_ledger_peers_begin_with_the_epoch_of_the_newest_settled_block(agreed, snapshot, slot) -> None:
    assert pick_ledger_slot(agreed, snapshot, MAINNET) == slot


def test_on_a_young_chain_ledger_peers_begin_with_its_first_blocks_and_never_before_any() -> None:
    assert pick_ledger_slot(50, None, MAINNET) == 1


@given(agreed=st.integers(0, 10**10), snapshot=st.none() | st.integers(1, 10**10), length=st.integers(1, 10**6))
def test_the_ledger_slot_is_positive_and_above_neither_agreed_nor_snapshot_slot(agreed, snapshot, length) -> None:
    slot = pick_ledger_slot(agreed, snapshot, Epochs(length, 86_400 % length, 1000))
    assert slot >= 1
    assert slot <= max(agreed - 1000, 1)
    assert snapshot is None or slot <= snapshot


def network(**shelley: Any) -> NetworkFiles:
    return NetworkFiles('{"ShelleyGenesisFile": "s.json"}', {"s.json": json.dumps(shelley)}, None, "")


def test_epochs_are_read_from_the_shelley_genesis_and_begin_where_byron_ended() -> None:
    files = network(epochLength=432_000, securityParam=2160, activeSlotsCoeff=0.05)
    assert read_epochs(NetworkSpec(name="mainnet", magic=764824073, folder="n"), files) == MAINNET
    assert read_epochs(NetworkSpec(name="own", magic=7, folder="n"), files) == replace(MAINNET, first_start=0)


@pytest.mark.parametrize(
    "shelley", [{}, {"epochLength": 0, "securityParam": 1, "activeSlotsCoeff": 1}, {"epochLength": []}]
)
def test_a_genesis_that_says_nothing_of_epochs_is_refused(shelley) -> None:
    with pytest.raises(RenderFailed, match="does not say when epochs begin"):
        read_epochs(NetworkSpec(name="own", magic=7, folder="n"), network(**shelley))


@given(
    kind=st.sampled_from(ConsumerKind),
    agreed=st.integers(0, 10**9),
    slot=st.integers(1, 10**9),
    own=st.lists(
        st.builds(
            AccessPoint, st.ip_addresses().map(str).filter(lambda a: a not in {"0.0.0.0", "::"}), st.integers(1, 65535)
        ),
        min_size=1,
        max_size=10,
    ),
)
def test_whatever_is_asked_for_passes_the_check_with_its_snapshot(kind, agreed, slot, own) -> None:
    snapshot = json.dumps(NEW_SNAPSHOT | {"Point": {"blockPointSlot": slot}})
    wanted = inputs_for(kind, agreed_slot=agreed, snapshot=snapshot, local_roots=tuple(own))
    text = render_consumer_topology(kind, wanted)
    found = check_topology(text, wanted.circumstances, SnapshotFile(snapshot))
    assert {finding.code for finding in found} <= {Code.LOCAL_ADDRESS}  # own nodes may well be on this very host
