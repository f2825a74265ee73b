"""The handshake (protocol 0), versions 13 to 15: codec, and the decision of both sides.

Versions outside that range are skipped when they are seen in a table (16 is experimental and has a
longer version data), never offered. When to give up waiting is left to the ends.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .cbor import U32_MAXIMUM, Encodable, Reader, encode

KNOWN_VERSIONS = (13, 14, 15)
# The protocol's limit, both for one message and for what is sent ahead: 4 segments of 1440 bytes.
MESSAGE_LIMIT = 5760
UNREAD_LIMIT = 5760


@dataclass(frozen=True, slots=True)
class VersionData:
    """What goes with each version."""

    network_magic: int
    initiator_only: bool
    peer_sharing: bool
    query: bool = False


@dataclass(frozen=True, slots=True)
class ProposeVersions:
    """The initiator's offer, versions ascending; `skipped` are numbers not known here."""

    versions: Mapping[int, VersionData]
    skipped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AcceptVersion:
    """The responder's choice, with what both have in common."""

    version: int
    data: VersionData


@dataclass(frozen=True, slots=True)
class VersionMismatch:
    """None of the offered versions is spoken; here are those that are."""

    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UndecodableVersion:
    """The data of that version could not be read."""

    version: int
    text: str


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """The version is spoken, its data is not acceptable (another network, usually)."""

    version: int
    text: str


RefuseReason: TypeAlias = VersionMismatch | UndecodableVersion | RefusedVersion


@dataclass(frozen=True, slots=True)
class Refuse:
    """The responder does not want to talk."""

    reason: RefuseReason


@dataclass(frozen=True, slots=True)
class QueryReply:
    """All that the responder speaks, for an offer that only asked."""

    versions: Mapping[int, VersionData]
    skipped: tuple[int, ...] = field(default=())


HandshakeReply: TypeAlias = AcceptVersion | Refuse | QueryReply
HandshakeMessage: TypeAlias = ProposeVersions | HandshakeReply


def offer(versions: tuple[int, ...], data: VersionData) -> Mapping[int, VersionData]:
    """Build a version table with the same data for each version; refuse versions not known here."""
    unknown = set(versions).difference(KNOWN_VERSIONS)
    if unknown or not versions:
        raise ValueError(f"cannot offer versions {sorted(versions)}: known are {KNOWN_VERSIONS}")
    return dict.fromkeys(sorted(versions), data)


def encode_handshake(message: HandshakeMessage) -> bytes:
    """Write a message; version tables are definite maps with ascending keys, as the node demands."""
    match message:
        case ProposeVersions(versions):
            return encode([0, _table_items(versions)])
        case AcceptVersion(version, data):
            return encode([1, version, _data_items(data)])
        case Refuse(VersionMismatch(versions)):
            return encode([2, [0, list(versions)]])
        case Refuse(UndecodableVersion(version, text)):
            return encode([2, [1, version, text]])
        case Refuse(RefusedVersion(version, text)):
            return encode([2, [2, version, text]])
        case QueryReply(versions):
            return encode([3, _table_items(versions)])
        case _:
            raise AssertionError(message)


def _table_items(versions: Mapping[int, VersionData]) -> Encodable:
    return {version: _data_items(versions[version]) for version in sorted(versions)}


def _data_items(data: VersionData) -> Encodable:
    return [data.network_magic, data.initiator_only, int(data.peer_sharing), data.query]


def decode_proposal(data: bytes) -> ProposeVersions:
    """Read what an initiator sends first."""
    reader = Reader(data, "handshake proposal")
    reader.array("message", 2)
    key = reader.unsigned("message key")
    if key != 0:
        raise reader.refuse(f"message key {key}, only a proposal (0) is allowed here")
    versions, skipped = _read_table(reader)
    reader.end()
    return ProposeVersions(versions, skipped)


def decode_reply(data: bytes) -> HandshakeReply:
    """Read what a responder answers."""
    reader = Reader(data, "handshake reply")
    length = reader.array("message", 2, 3)
    key = reader.unsigned("message key")
    message: HandshakeReply
    match key, length:
        case 1, 3:
            message = _read_accepted(reader)
        case 2, 2:
            message = Refuse(_read_reason(reader))
        case 3, 2:
            message = QueryReply(*_read_table(reader))
        case _:
            raise reader.refuse(f"message key {key} in a list of {length}")
    reader.end()
    return message


def _read_accepted(reader: Reader) -> AcceptVersion:
    version = reader.unsigned("version", U32_MAXIMUM)
    if version not in KNOWN_VERSIONS:
        raise reader.refuse(f"version {version} accepted, which was never offered")
    return AcceptVersion(version, _read_data(reader))


def _read_table(reader: Reader) -> tuple[Mapping[int, VersionData], tuple[int, ...]]:
    versions: dict[int, VersionData] = {}
    skipped: list[int] = []
    previous = -1
    for _ in range(reader.map_length("version table")):
        version = reader.unsigned("version", U32_MAXIMUM)
        if version <= previous:
            raise reader.refuse(f"version {version} after {previous}, versions must ascend")
        previous = version
        if version in KNOWN_VERSIONS:
            versions[version] = _read_data(reader)
        else:
            reader.skip(f"the data of version {version}")
            skipped.append(version)
    return versions, tuple(skipped)


def _read_data(reader: Reader) -> VersionData:
    reader.array("version data", 4)
    return VersionData(
        network_magic=reader.unsigned("network magic", U32_MAXIMUM),
        initiator_only=reader.boolean("initiator-only flag"),
        peer_sharing=reader.unsigned("peer sharing", 1) == 1,
        query=reader.boolean("query flag"),
    )


def _read_reason(reader: Reader) -> RefuseReason:
    length = reader.array("refuse reason", 2, 3)
    key = reader.unsigned("refuse reason key")
    match key, length:
        case 0, 2:
            return VersionMismatch(_read_versions(reader))
        case 1, 3:
            return UndecodableVersion(reader.unsigned("version", U32_MAXIMUM), reader.text("reason"))
        case 2, 3:
            return RefusedVersion(reader.unsigned("version", U32_MAXIMUM), reader.text("reason"))
        case _:
            raise reader.refuse(f"refuse reason key {key} in a list of {length}")


def _read_versions(reader: Reader) -> tuple[int, ...]:
    versions: list[int] = []
    length = reader.open_list("versions")
    while reader.more(length, len(versions)):
        versions.append(reader.unsigned("version", U32_MAXIMUM))
    return tuple(versions)


def negotiate(proposal: ProposeVersions, own: Mapping[int, VersionData]) -> HandshakeReply:
    """Decide as the node does: the highest common version, if both name the same network.

    The weaker of both sides counts for initiator-only and peer sharing; a query is answered with all
    that is spoken here.
    """
    common = own.keys() & proposal.versions.keys()
    if not common:
        return Refuse(VersionMismatch(tuple(sorted(own))))
    version = max(common)
    here, there = own[version], proposal.versions[version]
    if here.network_magic != there.network_magic:
        return Refuse(RefusedVersion(version, _mismatch_text(here, there)))
    if there.query:
        return QueryReply(own)
    agreed = VersionData(
        network_magic=here.network_magic,
        initiator_only=here.initiator_only or there.initiator_only,
        peer_sharing=here.peer_sharing and there.peer_sharing,
        query=False,
    )
    return AcceptVersion(version, agreed)


def _mismatch_text(here: VersionData, there: VersionData) -> str:
    # The shape that real nodes send, because tools (this one too) look for the number in it.
    shown = (
        f"NodeToNodeVersionData {{networkMagic = NetworkMagic {{unNetworkMagic = {data.network_magic}}}}}"
        for data in (here, there)
    )
    return "version data mismatch: " + " /= ".join(shown)


def magic_in_refusal(reason: RefuseReason) -> int | None:
    """Return the network magic that a refusing peer names as its own, if its words tell."""
    named = _magics_in(reason)
    return named[0] if named else None


def is_about_magic(reason: RefuseReason) -> bool:
    """Say whether a refusal is for another network's magic: only its words can tell.

    The node shows both sides' version data, its own first; if both have the same magic, it is about
    something else.
    """
    if not isinstance(reason, RefusedVersion) or "magic" not in reason.text.lower():
        return False
    named = _magics_in(reason)
    return len(named) < 2 or len(set(named)) > 1


def _magics_in(reason: RefuseReason) -> tuple[int, ...]:
    if not isinstance(reason, RefusedVersion):
        return ()
    return tuple(int(number) for number in re.findall(r"unNetworkMagic = (\d{1,10})", reason.text))
