"""Topologies for tests of the check: one that is right, to be broken a key at a time, and one example of every trap."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from orchestrator.rendering.snapshot import SnapshotFile
from orchestrator.rendering.topology_findings import Circumstances
from orchestrator.rendering.topology_rules import Code
from orchestrator.rendering.values import AccessPoint

MAGIC = 42
OLD_SNAPSHOT: dict[str, Any] = {"version": 2, "slotNo": 500, "bigLedgerPools": []}
NEW_SNAPSHOT: dict[str, Any] = {
    "NetworkMagic": MAGIC,
    "NodeToClientVersion": 23,
    "Point": {"blockPointHash": "ab" * 32, "blockPointSlot": 500},
    "bigLedgerPools": [],
}

LEFT_OUT = object()
"""As the value of a member: it is not there."""


def point(address: object = "relay.example", port: object = 3001) -> dict[str, Any]:
    return without_left_out({"address": address, "port": port})


def group(*points: object, **members: object) -> dict[str, Any]:
    listed = list(points) or [point("192.0.2.1"), point("192.0.2.2")]
    return without_left_out({"accessPoints": listed, "valency": len(listed), **members})


def topology(**members: object) -> dict[str, Any]:
    return without_left_out(
        {
            "bootstrapPeers": [point("bootstrap.example")],
            "localRoots": [group(trustable=True, advertise=False)],
            "publicRoots": [{"accessPoints": [], "advertise": False}],
            "useLedgerAfterSlot": 100,
            **members,
        }
    )


def without_left_out(members: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not LEFT_OUT}


def with_point(address: object = "relay.example", port: object = 3001) -> dict[str, Any]:
    """Return a topology whose first local root is this one."""
    return topology(localRoots=[group(point(address, port))])


def with_group(**members: object) -> dict[str, Any]:
    """Return a topology with one group of two members."""
    return topology(localRoots=[group(**members)])


def with_snapshot(**members: object) -> dict[str, Any]:
    return topology(peerSnapshotFile="peer-snapshot.json", **members)


ANY = Circumstances()
OLD = Circumstances("10.5.1", magic=MAGIC)
NEW = Circumstances("11.0.1", magic=MAGIC)
GENESIS = Circumstances(consensus_mode="GenesisMode")


@dataclass(frozen=True)
class Trap:
    """A topology that is wrong in one way, and what the check must say of it."""

    code: Code
    place: str
    written: object
    """The document, or its text."""
    circumstances: Circumstances = ANY
    snapshot: object = None
    """The snapshot beside it, if it was looked for: its document, or a SnapshotFile."""

    @property
    def text(self) -> str | bytes:
        return self.written if isinstance(self.written, str | bytes) else json.dumps(self.written, indent=2)

    @property
    def snapshot_file(self) -> SnapshotFile | None:
        if self.snapshot is None or isinstance(self.snapshot, SnapshotFile):
            return self.snapshot
        return SnapshotFile(json.dumps(self.snapshot))


FIRST = "localRoots[0]"
POINT = f"{FIRST}.accessPoints[0]"

ERRORS = (
    Trap(Code.NOT_JSON, "", b"\xff\xfe"),
    Trap(Code.NOT_JSON, "", '{"localRoots": [],}'),
    Trap(Code.NOT_JSON, "", '{"useLedgerAfterSlot": NaN}'),
    Trap(Code.NOT_JSON, "", "[" * 100_000),
    Trap(Code.NOT_A_TOPOLOGY, "", "[]"),
    Trap(Code.NOT_A_TOPOLOGY, "", {"ByronGenesisFile": "byron-genesis.json"}),
    Trap(Code.OLD_FORMAT, "Producers", {"Producers": [{"addr": "relay.example", "port": 3001, "valency": 1}]}),
    Trap(Code.DUPLICATE_KEY, "useLedgerAfterSlot", json.dumps(topology())[:-1] + ', "useLedgerAfterSlot": 100}'),
    Trap(Code.MISSING_KEY, "localRoots", topology(localRoots=LEFT_OUT)),
    Trap(Code.MISSING_KEY, "publicRoots", topology(publicRoots=LEFT_OUT)),
    Trap(Code.MISSING_KEY, f"{FIRST}.accessPoints", with_group(accessPoints=LEFT_OUT)),
    Trap(Code.MISSING_KEY, f"{FIRST}.hotValency", with_group(valency=LEFT_OUT)),
    Trap(Code.MISSING_KEY, f"{POINT}.address", with_point(LEFT_OUT)),
    Trap(Code.WRONG_TYPE, "localRoots", topology(localRoots={})),
    Trap(Code.WRONG_TYPE, "localRoots", topology(localRoots=None)),
    Trap(Code.WRONG_TYPE, FIRST, topology(localRoots=["relay.example"])),
    Trap(Code.WRONG_TYPE, "publicRoots", topology(publicRoots=None)),
    Trap(Code.WRONG_TYPE, "publicRoots[0]", topology(publicRoots=[[]])),
    Trap(Code.WRONG_TYPE, "publicRoots[0].accessPoints", topology(publicRoots=[{"accessPoints": None}])),
    Trap(Code.WRONG_TYPE, "bootstrapPeers", topology(bootstrapPeers="bootstrap.example:3001")),
    Trap(Code.WRONG_TYPE, "bootstrapPeers[0]", topology(bootstrapPeers=["bootstrap.example:3001"])),
    Trap(Code.WRONG_TYPE, f"{FIRST}.trustable", with_group(trustable="true")),
    Trap(Code.WRONG_TYPE, f"{FIRST}.valency", with_group(valency="2")),
    Trap(Code.WRONG_TYPE, f"{FIRST}.valency", with_group(valency=None, hotValency=2)),
    Trap(Code.WRONG_TYPE, f"{FIRST}.warmValency", with_group(warmValency=1.5)),
    Trap(Code.WRONG_TYPE, f"{FIRST}.diffusionMode", with_group(diffusionMode="initiatorOnly")),
    Trap(Code.WRONG_TYPE, f"{POINT}.address", with_point(192)),
    Trap(Code.WRONG_TYPE, "useLedgerAfterSlot", topology(useLedgerAfterSlot=None)),
    Trap(Code.WRONG_TYPE, "useLedgerAfterSlot", topology(useLedgerAfterSlot="100")),
    Trap(Code.WRONG_TYPE, "useLedgerAfterSlot", topology(useLedgerAfterSlot=True)),
    Trap(Code.WRONG_TYPE, "peerSnapshotFile", topology(peerSnapshotFile=["a"])),
    Trap(Code.UNKNOWN_KEY, f"{FIRST}.hotvalency", with_group(hotvalency=2)),
    Trap(Code.UNKNOWN_KEY, f"{FIRST}.trustible", with_group(trustible=True)),
    Trap(Code.UNKNOWN_KEY, "bootstrapPeer", topology(bootstrapPeer=[])),
    Trap(Code.UNKNOWN_KEY, "publicRoots[0].trustable", topology(publicRoots=[{"accessPoints": [], "trustable": True}])),
    Trap(Code.UNKNOWN_KEY, f"{POINT}.valency", topology(localRoots=[group(point() | {"valency": 1})])),
    Trap(Code.KEY_TOO_NEW, f"{FIRST}.behindFirewall", with_group(behindFirewall=True), Circumstances("10.6.2")),
    Trap(
        Code.KEY_TOO_NEW, f"{FIRST}.diffusionMode", with_group(diffusionMode="InitiatorOnly"), Circumstances("10.1.4")
    ),
    Trap(Code.KEY_TOO_NEW, "peerSnapshotFile", topology(peerSnapshotFile="/etc/s.json"), Circumstances("10.1.4")),
    Trap(Code.KEY_TOO_NEW, "bootstrapPeers", topology(localRoots=[group()]), Circumstances("8.8.0")),
    Trap(Code.KEY_TOO_NEW, f"{FIRST}.trustable", topology(bootstrapPeers=LEFT_OUT), Circumstances("8.8.0")),
    Trap(
        Code.KEY_TOO_NEW,
        f"{FIRST}.warmValency",
        topology(bootstrapPeers=LEFT_OUT, localRoots=[group(warmValency=2)]),
        Circumstances("8.1.2"),
    ),
    Trap(Code.SRV_LOOKUP, f"{POINT}.port", with_point(port=LEFT_OUT)),
    Trap(Code.SRV_LOOKUP, f"{POINT}.port", with_point(port=None)),
    Trap(Code.SRV_LOOKUP, f"{POINT}.port", with_point(port="3001")),
    Trap(Code.SRV_LOOKUP, f"{POINT}.port", with_point(port=3001.5)),
    Trap(Code.SRV_LOOKUP, f"{POINT}.port", with_point("_cardano._tcp.relay.example", "3001")),
    Trap(Code.SRV_LOOKUP, "bootstrapPeers[0].port", topology(bootstrapPeers=[point(port="3001")])),
    Trap(
        Code.SRV_LOOKUP,
        "publicRoots[0].accessPoints[0].port",
        topology(publicRoots=[group(point(port=None), valency=LEFT_OUT)]),
    ),
    Trap(Code.SRV_TOO_NEW, POINT, with_point("_cardano._tcp.relay.example", LEFT_OUT), Circumstances("10.5.1")),
    Trap(Code.PORT_OUT_OF_RANGE, f"{POINT}.port", with_point(port=0)),
    Trap(Code.PORT_OUT_OF_RANGE, f"{POINT}.port", with_point(port=-1)),
    Trap(Code.PORT_OUT_OF_RANGE, f"{POINT}.port", with_point(port=68537)),
    Trap(Code.NUMBER_WITH_POINT, f"{POINT}.port", with_point(port=3001.0)),
    Trap(Code.NUMBER_WITH_POINT, f"{FIRST}.valency", with_group(valency=2.0)),
    Trap(Code.UNSPECIFIED_ADDRESS, f"{POINT}.address", with_point("0.0.0.0")),
    Trap(Code.UNSPECIFIED_ADDRESS, f"{POINT}.address", with_point("0:0:0:0:0:0:0:0")),
    Trap(Code.BAD_ADDRESS, f"{POINT}.address", with_point("")),
    Trap(Code.BAD_ADDRESS, f"{POINT}.address", with_point("relay.example:3001")),
    Trap(Code.BAD_ADDRESS, f"{POINT}.address", with_point("192.0.2.256")),
    Trap(Code.BAD_ADDRESS, f"{POINT}.address", with_point("[2001:db8::1]")),
    Trap(Code.BAD_ADDRESS, f"{POINT}.address", with_point("fe80::1%eth0")),
    Trap(Code.BAD_ADDRESS, f"{POINT}.address", with_point("relay.example\n")),
    Trap(
        Code.NAMES_ITSELF,
        POINT,
        with_point("2001:db8:0::7"),
        Circumstances(itself=frozenset({AccessPoint("2001:db8::7", 3001)})),
    ),
    Trap(
        Code.NAMES_ITSELF,
        "bootstrapPeers[0]",
        topology(),
        Circumstances(itself=frozenset({AccessPoint("bootstrap.example", 3001)})),
    ),
    Trap(
        Code.NAMED_TWICE,
        f"{FIRST}.accessPoints[1]",
        topology(localRoots=[group(point(), point("Relay.example."), valency=1)]),
    ),
    Trap(Code.NAMED_TWICE, "localRoots[1].accessPoints[0]", topology(localRoots=[group(point()), group(point())])),
    Trap(Code.TWO_VALENCIES, f"{FIRST}.hotValency", with_group(hotValency=1)),
    Trap(Code.HOT_ABOVE_WARM, f"{FIRST}.valency", with_group(warmValency=1)),
    Trap(Code.VALENCY_ABOVE_MEMBERS, f"{FIRST}.valency", with_group(valency=3)),
    Trap(Code.VALENCY_ABOVE_MEMBERS, f"{FIRST}.warmValency", with_group(warmValency=3)),
    Trap(Code.VALENCY_ABOVE_MEMBERS, f"{FIRST}.valency", topology(localRoots=[group(accessPoints=[], valency=2)])),
    Trap(Code.GROUP_DROPPED, FIRST, with_group(valency=0)),
    Trap(Code.GROUP_DROPPED, FIRST, with_group(valency=-1)),
    Trap(Code.TOO_MANY_LOCAL_ROOTS, "localRoots", with_group(), Circumstances(known_peers=1)),
    Trap(
        Code.TOO_MANY_LOCAL_ROOTS,
        "localRoots",
        topology(localRoots=[group(*(point(f"192.0.2.{n}") for n in range(1, 152)))]),
    ),
    Trap(Code.NO_TRUSTABLE_PEER, "bootstrapPeers", topology(bootstrapPeers=[], localRoots=[group()])),
    Trap(
        Code.NO_TRUSTABLE_PEER,
        "bootstrapPeers",
        topology(bootstrapPeers=[], localRoots=[group(accessPoints=[], valency=1, trustable=True), group()]),
    ),
    Trap(Code.SLOT_OUT_OF_RANGE, "useLedgerAfterSlot", topology(useLedgerAfterSlot=2**64)),
    Trap(Code.SLOT_OUT_OF_RANGE, "useLedgerAfterSlot", topology(useLedgerAfterSlot=1e25)),
    Trap(Code.SNAPSHOT_NEVER_READ, "peerSnapshotFile", with_snapshot(useLedgerAfterSlot=-1)),
    Trap(Code.SNAPSHOT_NEVER_READ, "peerSnapshotFile", with_snapshot(useLedgerAfterSlot=LEFT_OUT)),
    Trap(Code.SNAPSHOT_RELATIVE, "peerSnapshotFile", with_snapshot(), Circumstances("10.4.1")),
    Trap(
        Code.SNAPSHOT_MISSING, "peerSnapshotFile", with_snapshot(), OLD, SnapshotFile(None, "no such file or directory")
    ),
    Trap(Code.SNAPSHOT_UNREADABLE, "peerSnapshotFile", with_snapshot(), ANY, SnapshotFile("<html>")),
    Trap(Code.SNAPSHOT_UNREADABLE, "peerSnapshotFile", with_snapshot(), ANY, {}),
    Trap(Code.SNAPSHOT_UNREADABLE, "peerSnapshotFile", with_snapshot(), NEW, NEW_SNAPSHOT | {"NetworkMagic": "42"}),
    Trap(Code.SNAPSHOT_FORMAT, "peerSnapshotFile", with_snapshot(), NEW, OLD_SNAPSHOT),
    Trap(Code.SNAPSHOT_FORMAT, "peerSnapshotFile", with_snapshot(), OLD, NEW_SNAPSHOT),
    Trap(Code.SNAPSHOT_NETWORK, "peerSnapshotFile", with_snapshot(), NEW, NEW_SNAPSHOT | {"NetworkMagic": 1}),
    Trap(
        Code.SNAPSHOT_WITHOUT_SLOT, "peerSnapshotFile", with_snapshot(), NEW, NEW_SNAPSHOT | {"Point": "GenesisPoint"}
    ),
    Trap(Code.SNAPSHOT_WITHOUT_SLOT, "peerSnapshotFile", with_snapshot(), OLD, OLD_SNAPSHOT | {"slotNo": None}),
    Trap(Code.SNAPSHOT_TOO_EARLY, "peerSnapshotFile", with_snapshot(useLedgerAfterSlot=501), NEW, NEW_SNAPSHOT),
    Trap(Code.SNAPSHOT_TOO_EARLY, "peerSnapshotFile", with_snapshot(useLedgerAfterSlot=501), OLD, OLD_SNAPSHOT),
)

EMPTY = [group(accessPoints=[], valency=1)]

NOTES = (
    Trap(Code.DESCRIPTIVE_KEY, f"{POINT}.description", topology(localRoots=[group(point() | {"description": "ours"})])),
    Trap(Code.KEY_TOO_NEW, f"{FIRST}.behindFirewall", with_group(behindFirewall=True)),
    Trap(Code.SRV_TOO_NEW, POINT, with_point("_cardano._tcp.relay.example", LEFT_OUT)),
    Trap(Code.SRV_NAME_WITH_PORT, f"{POINT}.port", with_point("_cardano._tcp.relay.example")),
    *(
        Trap(Code.LOCAL_ADDRESS, f"{POINT}.address", with_point(address))
        for address in (
            "127.0.0.1",
            "127.1.2.3",
            "::1",
            "::ffff:127.0.0.1",
            "localhost",
            "a.LocalHost.",
            "169.254.0.1",
            "fe80::1",
        )
    ),
    Trap(Code.LOCAL_ADDRESS, "bootstrapPeers[0].address", topology(bootstrapPeers=[point("127.0.0.1")])),
    Trap(
        Code.LOCAL_ADDRESS,
        "publicRoots[0].accessPoints[0].address",
        topology(publicRoots=[{"accessPoints": [point("::1")]}]),
    ),
    Trap(Code.LISTED_TWICE, "bootstrapPeers[1]", topology(bootstrapPeers=[point("a.example"), point("a.example")])),
    Trap(Code.NEVER_FOLLOWED, f"{FIRST}.valency", with_group(valency=0, warmValency=2)),
    Trap(Code.BOOTSTRAP_DROPPED, "bootstrapPeers", topology(peerSnapshotFile="/etc/s.json"), GENESIS),
    Trap(Code.NOBODY_TO_DIAL, "", topology(bootstrapPeers=None, localRoots=[])),
    Trap(Code.SLOT_WITH_FRACTION, "useLedgerAfterSlot", topology(useLedgerAfterSlot=100.5)),
    Trap(
        Code.GENESIS_WITHOUT_LEDGER,
        "useLedgerAfterSlot",
        topology(bootstrapPeers=None, useLedgerAfterSlot=-1),
        GENESIS,
    ),
    Trap(Code.GENESIS_WITHOUT_SNAPSHOT, "", topology(bootstrapPeers=None), GENESIS),
    Trap(Code.SNAPSHOT_MISSING, "peerSnapshotFile", with_snapshot(), NEW, SnapshotFile(None, "no such file")),
    Trap(Code.SNAPSHOT_FORMAT, "peerSnapshotFile", with_snapshot(), ANY, OLD_SNAPSHOT),
    Trap(Code.SNAPSHOT_FORMAT, "peerSnapshotFile", with_snapshot(), ANY, NEW_SNAPSHOT),
)

SEVERAL = (
    Trap(
        Code.NOBODY_LEFT,
        "bootstrapPeers",
        topology(localRoots=EMPTY, useLedgerAfterSlot=-1),
        GENESIS,
    ),
)
"""Errors that never come alone."""
