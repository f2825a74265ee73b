"""The lab node reads a topology as the real node does: the same refusals, the same silence."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.node.peers import Peers, WantedGroup, pick_peers
from orchestrator.lab.node.snapshot import SnapshotRefused, check_snapshot
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


KEYS = st.sampled_from(
    [
        "localRoots",
        "publicRoots",
        "accessPoints",
        "address",
        "port",
        "valency",
        "hotValency",
        "bootstrapPeers",
        "useLedgerAfterSlot",
    ]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(JSON_VALUES, JSON_VALUES)
def test_no_json_whatever_does_more_than_be_refused(local: object, public: object) -> None:
    content = json.dumps({"localRoots": local, "publicRoots": public}).encode()
    with suppress(TopologyRefused):
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


def test_a_resolver_that_never_answers_holds_up_nobody_with_an_address() -> None:
    topology = parse(localRoots=[group("unheard.example"), group("192.0.2.1")])

    async def never(_: AccessPoint) -> tuple[Target, ...]:
        await asyncio.Event().wait()
        raise AssertionError

    async def run() -> Target:
        dialled: asyncio.Queue[Target] = asyncio.Queue()

        async def follow(target: Target) -> None:
            dialled.put_nowait(target)
            await asyncio.Event().wait()

        running = asyncio.create_task(Peers(topology, follow, never).run())
        try:
            async with asyncio.timeout(5):
                return await dialled.get()
        finally:
            running.cancel()

    assert asyncio.run(run()) == Target("192.0.2.1", 3001)


def test_a_peer_that_fails_is_replaced_by_another_of_its_group() -> None:
    topology = parse(localRoots=[group("192.0.2.1", "192.0.2.2")])

    async def run() -> list[Target]:
        dialled: asyncio.Queue[Target] = asyncio.Queue()

        async def follow(target: Target) -> None:
            dialled.put_nowait(target)

        running = asyncio.create_task(Peers(topology, follow).run())
        try:
            async with asyncio.timeout(5):
                return [await dialled.get(), await dialled.get()]
        finally:
            running.cancel()

    assert asyncio.run(run()) == [Target("192.0.2.1", 3001), Target("192.0.2.2", 3001)]


OLD_SNAPSHOT = {"version": 2, "slotNo": 500, "bigLedgerPools": []}
NEW_SNAPSHOT = {"NetworkMagic": 4242, "Point": {"blockPointHash": "00", "blockPointSlot": 500}, "bigLedgerPools": []}


def judge(tmp_path: Path, version: Version, snapshot: object, after: int = 100, mode: str = "PraosMode") -> str | None:
    (tmp_path / "snapshot.json").write_text(json.dumps(snapshot))
    content = {"localRoots": [], "publicRoots": [], "useLedgerAfterSlot": after, "peerSnapshotFile": "snapshot.json"}
    topology = parse_topology(json.dumps(content).encode(), version, 150, tmp_path)
    return check_snapshot(topology, version, 4242, mode)


@pytest.mark.parametrize(("version", "snapshot"), [(Version(10, 6, 0), OLD_SNAPSHOT), (NEW, NEW_SNAPSHOT)])
def test_a_snapshot_in_the_format_of_its_release_is_taken(tmp_path: Path, version: Version, snapshot: object) -> None:
    assert judge(tmp_path, version, snapshot) is None


def test_a_snapshot_in_the_old_format_stops_a_new_release(tmp_path: Path) -> None:
    with pytest.raises(SnapshotRefused, match="Unsupported legacy peer snapshot version"):
        judge(tmp_path, NEW, OLD_SNAPSHOT)


def test_a_snapshot_that_is_older_than_the_slot_asked_for_stops_the_node(tmp_path: Path) -> None:
    with pytest.raises(SnapshotRefused, match="TooOld"):
        judge(tmp_path, NEW, NEW_SNAPSHOT, after=501)


def test_a_snapshot_of_another_network_stops_the_node(tmp_path: Path) -> None:
    with pytest.raises(SnapshotRefused, match="magic 1"):
        judge(tmp_path, NEW, {**NEW_SNAPSHOT, "NetworkMagic": 1})


def test_a_snapshot_is_not_even_read_while_ledger_peers_are_off(tmp_path: Path) -> None:
    assert "ignoring file" in (judge(tmp_path, NEW, "rubbish", after=-1) or "")


def test_an_unreadable_snapshot_is_fatal_only_in_genesis_mode_or_before_it_was_tolerated(tmp_path: Path) -> None:
    topology = parse(useLedgerAfterSlot=1, peerSnapshotFile="missing.json")
    assert "missing.json" in (check_snapshot(topology, NEW, 4242, "PraosMode") or "")
    for version, mode in ((NEW, "GenesisMode"), (Version(10, 5, 1), "PraosMode")):
        with pytest.raises(SnapshotRefused):
            check_snapshot(topology, version, 4242, mode)
