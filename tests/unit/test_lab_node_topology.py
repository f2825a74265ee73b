"""The lab node reads a topology as the real node does: the same refusals, the same silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.lab.node.peers import WantedGroup, pick_peers
from orchestrator.lab.node.startup import describe_topology
from orchestrator.lab.node.topology import AccessPoint, LocalRootGroup, Topology, TopologyRefused, parse_topology
from orchestrator.lab.node.version import Version
from orchestrator.ouroboros.targets import Target

NEW = Version(11, 0, 1)


def parse(version: Version = NEW, known_peers: int = 150, **values: object) -> Topology:
    content = json.dumps({"localRoots": [], "publicRoots": [], **values})
    return parse_topology(content.encode(), version, known_peers, Path("/etc/node"))


def point(name: str, port: object = 3001) -> dict[str, object]:
    return {"address": name, "port": port}


def group(*names: str, **values: object) -> dict[str, object]:
    return {"accessPoints": [point(name) for name in names], "valency": 1, **values}


def test_what_is_absent_has_the_nodes_defaults() -> None:
    topology = parse(localRoots=[group("a")])
    assert topology.local_roots == (LocalRootGroup((AccessPoint("a", 3001),), hot=1, warm=1),)
    assert topology.bootstrap_peers is None
    assert topology.use_ledger_after_slot is None


def test_unknown_keys_are_not_looked_at() -> None:
    assert (
        parse(localRoots=[group("a", trustible=True, description="ours")], comment="x").local_roots[0].trustable
        is False
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"localRoots": []}',
        b'{"publicRoots": []}',
        b'{"localRoots": [{"accessPoints": []}], "publicRoots": []}',
        b'{"localRoots": [{"accessPoints": [], "valency": "1"}], "publicRoots": []}',
        b'{"localRoots": [], "publicRoots": [], "useLedgerAfterSlot": null}',
        b'{"localRoots": [], "publicRoots": [], "useLedgerAfterSlot": "0"}',
        b'{"localRoots": [], "publicRoots": [], "useLedgerAfterSlot": 1e999}',
        b'{"localRoots": [{"accessPoints": [], "valency": 1, "diffusionMode": "Both"}], "publicRoots": []}',
    ],
)
def test_what_the_node_cannot_read_is_refused_with_its_hint(content: bytes) -> None:
    with pytest.raises(TopologyRefused, match="Is your topology file formatted correctly"):
        parse_topology(content, NEW, 150, Path())


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_no_address_at_all_is_no_destination(address: str) -> None:
    with pytest.raises(TopologyRefused, match="not a valid destination address"):
        parse(localRoots=[group(address)])


@pytest.mark.parametrize("port", [None, "3001", 3001.5])
def test_a_port_that_is_no_number_is_silently_an_srv_name(port: object) -> None:
    topology = parse(publicRoots=[{"accessPoints": [point("relays.example", port)]}])
    assert topology.public_roots == (AccessPoint("relays.example", None),)


def test_before_srv_names_a_port_that_is_no_number_is_refused() -> None:
    with pytest.raises(TopologyRefused):
        parse(Version(10, 5, 1), publicRoots=[{"accessPoints": [point("relays.example", "3001")]}])


def test_a_port_beyond_16_bits_wraps() -> None:
    assert parse(publicRoots=[{"accessPoints": [point("a", 65536 + 3001)]}]).public_roots == (AccessPoint("a", 3001),)


def test_valency_wins_over_hot_valency_unless_it_is_no_number() -> None:
    both = group("a", "b", "c", hotValency=3, warmValency=3)
    assert parse(localRoots=[both]).local_roots[0].hot == 1
    assert parse(localRoots=[{**both, "valency": "1"}]).local_roots[0].hot == 3


def test_valencies_are_clamped_to_the_group_and_hot_to_warm() -> None:
    topology = parse(localRoots=[group("a", "b", valency=9, warmValency=1)])
    assert (topology.local_roots[0].hot, topology.local_roots[0].warm) == (1, 1)


def test_a_group_without_members_is_dropped() -> None:
    assert parse(localRoots=[group(valency=1)]).local_roots == ()


def test_a_peer_of_two_groups_counts_in_the_first() -> None:
    topology = parse(localRoots=[group("a", "b"), group("b", "c")])
    assert [p.address for p in topology.local_roots[1].access_points] == ["c"]


def test_all_groups_together_stay_below_the_target_of_known_peers() -> None:
    topology = parse(known_peers=3, localRoots=[group("a", "b"), group("c", "d"), group("e")])
    assert [[p.address for p in g.access_points] for g in topology.local_roots] == [["a", "b"], ["c"]]


def test_bootstrap_mode_without_anybody_to_trust_is_refused() -> None:
    with pytest.raises(TopologyRefused, match="not configured any trustable peers"):
        parse(bootstrapPeers=[], localRoots=[group("a"), group(trustable=True)])


@pytest.mark.parametrize(
    "values",
    [
        {"bootstrapPeers": None},
        {"bootstrapPeers": [point("b")]},
        {"bootstrapPeers": [], "localRoots": [group("a", trustable=True)]},
    ],
)
def test_bootstrap_mode_with_somebody_to_trust_is_taken(values: dict[str, object]) -> None:
    assert isinstance(parse(**values), Topology)


def test_behind_firewall_is_read_from_the_release_on_that_knows_it() -> None:
    roots = [group("a", behindFirewall=True)]
    assert parse(Version(10, 7, 0), localRoots=roots).local_roots[0].behind_firewall
    assert not parse(Version(10, 6, 0), localRoots=roots).local_roots[0].behind_firewall


@pytest.mark.parametrize(
    ("slot", "text"),
    [(-1, "Don't use ledger"), (0, "Use ledger peers in any slot"), (7, "from the ledger after slot 7")],
)
def test_the_log_tells_how_ledger_peers_are_used(slot: int, text: str) -> None:
    assert text in describe_topology(parse(useLedgerAfterSlot=slot))


def targets(*names: str) -> tuple[Target, ...]:
    return tuple(Target(name, 3001) for name in names)


def test_peers_are_picked_up_to_the_valency_keeping_who_is_connected() -> None:
    groups = [WantedGroup(targets("a", "b", "c"), 2)]
    assert pick_peers(groups, set(), set()) == set(targets("a", "b"))
    assert pick_peers(groups, set(targets("c")), set()) == set(targets("c", "a"))


def test_a_resting_peer_is_passed_over_for_another() -> None:
    assert pick_peers([WantedGroup(targets("a", "b"), 1)], set(), set(targets("a"))) == set(targets("b"))
