"""topology.json: whatever fleet file and neighbours, the node could not misread it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RenderFailed
from orchestrator.rendering import layout
from orchestrator.rendering.topology import TopologyValues, find_faults, topology_document
from orchestrator.rendering.values import AccessPoint, RelayNeighbours
from tests.rendering_builders import content, document, fleet_spec, neighbours, network_files, rendered

NEW_SNAPSHOT = {"NetworkMagic": 42, "NodeToClientVersion": 23, "Point": {"blockPointSlot": 500}, "bigLedgerPools": []}
OLD_SNAPSHOT = {"version": 2, "slotNo": 500, "bigLedgerPools": []}

addresses = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str), st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True)
).filter(lambda address: address not in {"0.0.0.0", "::"})
points = st.builds(AccessPoint, addresses, st.integers(1, 65535))
groups = st.lists(points, max_size=20).map(tuple)
values = st.builds(
    TopologyValues, public_roots=groups, use_ledger_after_slot=st.integers(-1, 10**9), peer_snapshot=st.just(False)
)


@given(values=values, own=groups, partners=groups)
def test_any_topology_is_valid_json_without_a_fault(values, own, partners) -> None:
    made = topology_document(values, RelayNeighbours(own, partners))
    assert find_faults(json.loads(json.dumps(made)), frozenset()) == ()


@given(values=values, own=groups, partners=groups)
def test_every_neighbour_is_named_in_exactly_one_group_and_all_are_wanted(values, own, partners) -> None:
    made = topology_document(values, RelayNeighbours(own, partners))
    named = [(p["address"], p["port"]) for group in made["localRoots"] for p in group["accessPoints"]]
    assert len(named) == len(set(named))
    assert set(named) == {(p.address, p.port) for p in (*own, *partners)}
    assert sum(group["hotValency"] for group in made["localRoots"]) == len(named)


@given(own=groups, partners=groups, itself=points)
def test_a_relay_among_its_own_peers_is_always_found(own, partners, itself) -> None:
    made = topology_document(TopologyValues((), -1, False), RelayNeighbours((*own, itself), partners))
    assert any("the relay itself" in fault for fault in find_faults(made, frozenset({itself})))


def test_own_relays_and_partners_are_groups_of_their_own_trustable_and_not_advertised() -> None:
    topology = document(rendered(), layout.TOPOLOGY)
    own, partners = topology["localRoots"]
    assert [len(own["accessPoints"]), len(partners["accessPoints"])] == [3, 1]
    assert own["trustable"]
    assert partners["trustable"]
    assert not own["advertise"]
    assert not partners["advertise"]
    assert topology["bootstrapPeers"] is None


@pytest.mark.parametrize(
    ("group", "fault"),
    [
        ({"hotvalency": 1}, 'unknown key "hotvalency" (did you mean hotValency?)'),
        ({"hotValency": 1, "warmValency": 0}, "drops the whole group"),
        ({"hotValency": 9, "warmValency": 9}, "hotValency is 9 for 1 member"),
        ({"accessPoints": [{"address": "192.0.2.1", "port": "3001"}]}, 'the port is "3001"'),
        ({"accessPoints": [{"address": "192.0.2.1", "port": 70000}]}, "port 70000 is not between"),
        ({"accessPoints": [{"address": "::", "port": 3001}]}, "no address to connect to"),
        (
            {"accessPoints": [{"address": "a.example", "port": 1}, {"address": "a.example", "port": 1}]},
            "among the local roots already",
        ),
    ],
)
def test_what_the_node_would_misread_in_silence_is_a_fault(group, fault) -> None:
    made = topology_document(TopologyValues((), -1, False), neighbours("192.0.2.1", partners=()))
    made["localRoots"][0] |= group
    assert any(fault in found for found in find_faults(made, frozenset()))


def test_bootstrap_peers_on_our_own_relays_are_a_fault() -> None:
    made = topology_document(TopologyValues((), -1, False), neighbours("192.0.2.1"))
    made["bootstrapPeers"] = [{"address": "demo.example", "port": 3001}]
    assert find_faults(made, frozenset()) == ("bootstrapPeers must be null on our own relays",)


def test_a_neighbour_without_address_is_refused_by_name() -> None:
    with pytest.raises(RenderFailed, match=r"topology.json of demo-eu-central-1-01: .*0.0.0.0; it is no address"):
        rendered(known=neighbours("0.0.0.0"))


def spec_with_snapshot(release: str = "10.7.1", after: int = 0):
    return fleet_spec(release, topology={"peer_snapshot": "snapshot.json", "use_ledger_after_slot": after})


def test_the_snapshot_lies_beside_the_topology_when_ledger_peers_are_on() -> None:
    text = json.dumps(NEW_SNAPSHOT)
    relay = rendered(spec_with_snapshot(), network_files(text))
    assert document(relay, layout.TOPOLOGY)["peerSnapshotFile"] == "peer-snapshot.json"
    assert content(relay, layout.PEER_SNAPSHOT) == text


def test_without_ledger_peers_no_snapshot_is_written() -> None:
    relay = rendered(spec_with_snapshot(after=-1), network_files(json.dumps(NEW_SNAPSHOT)))
    assert "peerSnapshotFile" not in document(relay, layout.TOPOLOGY)
    assert layout.PEER_SNAPSHOT not in {file.path for file in relay.files}


@pytest.mark.parametrize(
    ("release", "after", "snapshot", "cause"),
    [
        ("10.7.1", 0, json.dumps(OLD_SNAPSHOT), r"for node 10.6 and earlier, and this one is 10.7.1"),
        ("10.6.1", 0, json.dumps(NEW_SNAPSHOT), r"for node 10.7 and later, and this one is 10.6.1"),
        ("10.7.1", 0, json.dumps({**NEW_SNAPSHOT, "NetworkMagic": 1}), r"magic 1, not 42"),
        ("10.7.1", 501, json.dumps(NEW_SNAPSHOT), r"of slot 500, useLedgerAfterSlot is 501"),
        ("10.7.1", 0, json.dumps({**NEW_SNAPSHOT, "Point": None}), r"says no slot"),
        ("10.7.1", 0, "{}", r"no bigLedgerPools"),
        ("10.7.1", 0, "<html>", r"is no JSON"),
        ("10.7.1", 0, None, r"did not supply the peer snapshot 'snapshot.json'"),
    ],
)
def test_a_snapshot_that_would_stop_the_node_is_refused(release, after, snapshot, cause) -> None:
    with pytest.raises(RenderFailed, match=cause):
        rendered(spec_with_snapshot(release, after), network_files(snapshot))
