"""What can be wrong with a topology file: a code for each trap, and what the node makes of it.

Facts only, each once: findings, `topology check` and the table in docs/topologies.md all say these sentences. Where a trap is
looked for is in `topology_check.py` and its neighbours.

Sources: the parsers of ouroboros-network (`networkTopologyFromJSON`, `localRootPeersGroupFromJSON`, `RelayAccessPoint`,
`LocalRootPeers`) and of cardano-node (`TopologyP2P.hs`, `Run.hs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Severity(StrEnum):
    """An error: the node refuses the file, misreads it, or silently does something else. A note: legal, hardly meant."""

    ERROR = "error"
    NOTE = "note"


class Code(StrEnum):
    """One trap each; stable, for scripts."""

    UNREADABLE = "unreadable"
    NOT_JSON = "not-json"
    NOT_A_TOPOLOGY = "not-a-topology"
    OLD_FORMAT = "old-format"
    DUPLICATE_KEY = "duplicate-key"
    MISSING_KEY = "missing-key"
    WRONG_TYPE = "wrong-type"
    UNKNOWN_KEY = "unknown-key"
    DESCRIPTIVE_KEY = "descriptive-key"
    KEY_TOO_NEW = "key-too-new"
    SRV_LOOKUP = "srv-lookup"
    SRV_TOO_NEW = "srv-too-new"
    SRV_NAME_WITH_PORT = "srv-name-with-port"
    PORT_OUT_OF_RANGE = "port-out-of-range"
    NUMBER_WITH_POINT = "number-with-point"
    UNSPECIFIED_ADDRESS = "unspecified-address"
    BAD_ADDRESS = "bad-address"
    LOCAL_ADDRESS = "local-address"
    NAMES_ITSELF = "names-itself"
    NAMED_TWICE = "named-twice"
    LISTED_TWICE = "listed-twice"
    TWO_VALENCIES = "two-valencies"
    HOT_ABOVE_WARM = "hot-above-warm"
    VALENCY_ABOVE_MEMBERS = "valency-above-members"
    GROUP_DROPPED = "group-dropped"
    NEVER_FOLLOWED = "never-followed"
    TOO_MANY_LOCAL_ROOTS = "too-many-local-roots"
    NO_TRUSTABLE_PEER = "no-trustable-peer"
    BOOTSTRAP_DROPPED = "bootstrap-dropped"
    NOBODY_LEFT = "nobody-left"
    NOBODY_TO_DIAL = "nobody-to-dial"
    SLOT_WITH_FRACTION = "slot-with-fraction"
    SLOT_OUT_OF_RANGE = "slot-out-of-range"
    GENESIS_WITHOUT_LEDGER = "genesis-without-ledger"
    GENESIS_WITHOUT_SNAPSHOT = "genesis-without-snapshot"
    SNAPSHOT_NEVER_READ = "snapshot-never-read"
    SNAPSHOT_RELATIVE = "snapshot-relative"
    SNAPSHOT_MISSING = "snapshot-missing"
    SNAPSHOT_UNREADABLE = "snapshot-unreadable"
    SNAPSHOT_FORMAT = "snapshot-format"
    SNAPSHOT_NETWORK = "snapshot-network"
    SNAPSHOT_WITHOUT_SLOT = "snapshot-without-slot"
    SNAPSHOT_TOO_EARLY = "snapshot-too-early"


@dataclass(frozen=True, slots=True)
class Rule:
    """What the node makes of one trap, and how bad that is."""

    severity: Severity
    trap: str
    """What is there, for the documents."""
    effect: str
    """The second half of every finding's sentence."""
    by_version: bool = False
    """An error for a node of a given version that does not know it; a note where no version is given."""


def _error(trap: str, effect: str, *, by_version: bool = False) -> Rule:
    return Rule(Severity.ERROR, trap, effect, by_version)


def _note(trap: str, effect: str) -> Rule:
    return Rule(Severity.NOTE, trap, effect)


RULES: Mapping[Code, Rule] = MappingProxyType(
    {
        Code.UNREADABLE: _error("a file that is not there, is none, or may not be read", "nothing could be checked"),
        Code.NOT_JSON: _error(
            "text that is not JSON", "the node does not start with it, and keeps what it has when told to reload"
        ),
        Code.NOT_A_TOPOLOGY: _error(
            "JSON that is meant for something else", "the node needs localRoots and publicRoots in it"
        ),
        Code.OLD_FORMAT: _error(
            "`Producers`, from before peer-to-peer", "a peer-to-peer node does not read the format with Producers"
        ),
        Code.DUPLICATE_KEY: _error(
            "the same key twice in one object", "the node takes one of the two and drops the other without a word"
        ),
        Code.MISSING_KEY: _error(
            "no `localRoots`, `publicRoots`, `accessPoints`, `address`, or neither `valency` nor `hotValency`",
            "the node does not read the file without it",
        ),
        Code.WRONG_TYPE: _error(
            'text for a number, `null` for a slot, `"true"` for `true`, an object for an array',
            "the node does not read the file, or takes something else for it",
        ),
        Code.UNKNOWN_KEY: _error(
            "a key that is none of the node's: `hotvalency`, `trustible`",
            "the node ignores a key it does not know without a word, so a typing error goes unseen",
        ),
        Code.DESCRIPTIVE_KEY: _note(
            "`comment`, `description`, `location`, `name` or `pool`",
            "the node ignores it, and it can be meant for nobody but people",
        ),
        Code.KEY_TOO_NEW: _error(
            "a key that came with a later release, such as `behindFirewall` before 10.7",
            "an older node ignores it without a word",
            by_version=True,
        ),
        Code.SRV_LOOKUP: _error(
            "a port that is missing, `null`, text, or a fraction",
            "where the port is no whole number, the node looks up an SRV record instead of connecting (before 10.6: does not"
            " read the file)",
        ),
        Code.SRV_TOO_NEW: _error(
            "a name with `_cardano._tcp.` and no port",
            "a node before 10.6 knows no SRV names and does not read the file",
            by_version=True,
        ),
        Code.SRV_NAME_WITH_PORT: _note(
            "a name with `_cardano._tcp.` and a port",
            "with a port the node looks up an address of that name, not its SRV record",
        ),
        Code.PORT_OUT_OF_RANGE: _error(
            "a port below 1 or above 65535", "the node counts ports modulo 65536 and dials another one, or none"
        ),
        Code.NUMBER_WITH_POINT: _error(
            "a port or valency such as `3001.0`",
            "whether that counts as whole is up to the node's JSON reader: leave the fraction out",
        ),
        Code.UNSPECIFIED_ADDRESS: _error(
            "`0.0.0.0` or `::`", "it is no address to connect to, and the node does not read the file"
        ),
        Code.BAD_ADDRESS: _error(
            "`host:port`, a URL, brackets, `192.0.2.256`, or nothing as address",
            "the node takes it for a DNS name, which can never be found",
        ),
        Code.LOCAL_ADDRESS: _note(
            "`127.0.0.1`, `::1`, `localhost`, or a link-local address such as `169.254.0.1` or `fe80::1`",
            "it leads to the node's own host, or no further than its own link: hardly meant outside of a test",
        ),
        Code.NAMES_ITSELF: _error("the node's own address", "it would count itself among the peers that keep it fed"),
        Code.NAMED_TWICE: _error(
            "one peer twice among the local roots, in one group or in two",
            "the node drops the second one, and clamps that group's valency without a word",
        ),
        Code.LISTED_TWICE: _note(
            "one peer twice among bootstrap peers or in a group of public roots", "the node dials it once"
        ),
        Code.TWO_VALENCIES: _error(
            "`valency` and `hotValency` that differ", "the node takes valency and ignores hotValency without a word"
        ),
        Code.HOT_ABOVE_WARM: _error(
            "a hot valency above the warm one", "the node clamps hotValency to warmValency without a word"
        ),
        Code.VALENCY_ABOVE_MEMBERS: _error(
            "a valency above the number of members", "the node clamps it to the number of members without a word"
        ),
        Code.GROUP_DROPPED: _error(
            "a valency of 0 or less for a group with members", "the node drops the whole group without a word"
        ),
        Code.NEVER_FOLLOWED: _note(
            "a hot valency of 0 with warm peers", "the node connects to this group, and never takes a block from it"
        ),
        Code.TOO_MANY_LOCAL_ROOTS: _error(
            "more local roots than TargetNumberOfKnownPeers (150 unless configured)",
            "the node drops all beyond TargetNumberOfKnownPeers without a word",
        ),
        Code.NO_TRUSTABLE_PEER: _error(
            "`bootstrapPeers: []` without a trustable group that has members",
            "with an empty list the node refuses to start unless a local root group with members is trustable",
        ),
        Code.BOOTSTRAP_DROPPED: _note(
            "`bootstrapPeers` for a node in GenesisMode that has other sources",
            "a node in GenesisMode warns, and goes on without them",
        ),
        Code.NOBODY_LEFT: _error(
            "`bootstrapPeers` for a node in GenesisMode that has nothing else",
            "a node in GenesisMode drops bootstrapPeers, and then has nobody to sync from",
        ),
        Code.NOBODY_TO_DIAL: _note(
            "no peer at all, and no ledger peers from the beginning",
            "the node connects to nobody by itself and waits for others to come",
        ),
        Code.SLOT_WITH_FRACTION: _note("a `useLedgerAfterSlot` with a fraction", "the node rounds it down"),
        Code.SLOT_OUT_OF_RANGE: _error(
            "a `useLedgerAfterSlot` of 2^64 or more", "the node counts slots in 64 bits and takes another one for it"
        ),
        Code.GENESIS_WITHOUT_LEDGER: _note(
            "GenesisMode without ledger peers",
            "a node in GenesisMode warns: without ledger peers it may never trust its chain",
        ),
        Code.GENESIS_WITHOUT_SNAPSHOT: _note(
            "GenesisMode without a peer snapshot",
            "a node in GenesisMode warns: without big ledger peers to begin with it may never get going",
        ),
        Code.SNAPSHOT_NEVER_READ: _error(
            "`peerSnapshotFile` while `useLedgerAfterSlot` is negative or absent",
            "the node never reads the snapshot while ledger peers are not in use",
        ),
        Code.SNAPSHOT_RELATIVE: _error(
            "a relative path as `peerSnapshotFile`",
            "a node before 10.5 looks for it in the folder that it was started in, not beside the topology",
            by_version=True,
        ),
        Code.SNAPSHOT_MISSING: _error(
            "a peer snapshot that is not where the topology says",
            "a node before 10.6, or in GenesisMode, does not start without the file; others go on without it",
            by_version=True,
        ),
        Code.SNAPSHOT_UNREADABLE: _error(
            "a peer snapshot that is none", "the node goes on without it, or does not start"
        ),
        Code.SNAPSHOT_FORMAT: _error(
            "a peer snapshot in the format of another release (it changed with 10.7)",
            "a node of the other kind does not start with it",
            by_version=True,
        ),
        Code.SNAPSHOT_NETWORK: _error(
            "a peer snapshot with another magic", "the node does not start with a snapshot of another network"
        ),
        Code.SNAPSHOT_WITHOUT_SLOT: _error(
            "a peer snapshot at GenesisPoint, or without a slot", "the node does not start with a snapshot of no block"
        ),
        Code.SNAPSHOT_TOO_EARLY: _error(
            "a peer snapshot from before `useLedgerAfterSlot`",
            "the node does not start with a snapshot from before useLedgerAfterSlot",
        ),
    }
)
