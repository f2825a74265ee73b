"""What can be wrong with a topology file: a code for each trap, and what the node makes of it. Start of the whole check.

Facts only, each once: findings, `topology check` and the table in docs/topologies.md all say these sentences. Where a trap is
looked for is in `topology_check.py` and its neighbours.

Sources: the parsers of ouroboros-network (`networkTopologyFromJSON`, `localRootPeersGroupFromJSON`, `RelayAccessPoint`,
`LocalRootPeers`) and of cardano-node (`TopologyP2P.hs`, `Run.hs`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from orchestrator.rendering.releases import is_at_least
from orchestrator.rendering.values import AccessPoint
from orchestrator.spec.findings import Path, render_path

OLDEST_SUPPORTED = (10, 5)
"""The oldest release that is still about; without a version, what differs between it and the newest is only noted."""

SUPPORTED = "every node from 10.5 on"

DEFAULT_KNOWN_PEERS = 150
"""TargetNumberOfKnownPeers of a node whose configuration does not say."""

LONGEST_SHOWN = 60


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
    effect: str
    """The second half of every finding's sentence."""
    by_version: bool = False
    """An error for a node of a given version that does not know it; a note where no version is given."""


def _error(effect: str, *, by_version: bool = False) -> Rule:
    return Rule(Severity.ERROR, effect, by_version)


def _note(effect: str) -> Rule:
    return Rule(Severity.NOTE, effect)


RULES: Mapping[Code, Rule] = MappingProxyType(
    {
        Code.UNREADABLE: _error("nothing could be checked"),
        Code.NOT_JSON: _error("the node does not start with it, and keeps what it has when told to reload"),
        Code.NOT_A_TOPOLOGY: _error("the node needs localRoots and publicRoots in it"),
        Code.OLD_FORMAT: _error("a peer-to-peer node does not read the format with Producers"),
        Code.DUPLICATE_KEY: _error("the node takes one of the two and drops the other without a word"),
        Code.MISSING_KEY: _error("the node does not read the file without it"),
        Code.WRONG_TYPE: _error("the node does not read the file, or takes something else for it"),
        Code.UNKNOWN_KEY: _error(
            "the node ignores a key it does not know without a word, so a typing error goes unseen"
        ),
        Code.DESCRIPTIVE_KEY: _note("the node ignores it, and it can be meant for nobody but people"),
        Code.KEY_TOO_NEW: _error("an older node ignores it without a word", by_version=True),
        Code.SRV_LOOKUP: _error(
            "where the port is no whole number, the node looks up an SRV record instead of connecting (before 10.6: does not"
            " read the file)"
        ),
        Code.SRV_TOO_NEW: _error("a node before 10.6 knows no SRV names and does not read the file", by_version=True),
        Code.SRV_NAME_WITH_PORT: _note("with a port the node looks up an address of that name, not its SRV record"),
        Code.PORT_OUT_OF_RANGE: _error("the node counts ports modulo 65536 and dials another one, or none"),
        Code.NUMBER_WITH_POINT: _error(
            "whether that counts as whole is up to the node's JSON reader: leave the fraction out"
        ),
        Code.UNSPECIFIED_ADDRESS: _error("it is no address to connect to, and the node does not read the file"),
        Code.BAD_ADDRESS: _error("the node takes it for a DNS name, which can never be found"),
        Code.NAMES_ITSELF: _error("it would count itself among the peers that keep it fed"),
        Code.NAMED_TWICE: _error("the node drops the second one, and clamps that group's valency without a word"),
        Code.LISTED_TWICE: _note("the node dials it once"),
        Code.TWO_VALENCIES: _error("the node takes valency and ignores hotValency without a word"),
        Code.HOT_ABOVE_WARM: _error("the node clamps hotValency to warmValency without a word"),
        Code.VALENCY_ABOVE_MEMBERS: _error("the node clamps it to the number of members without a word"),
        Code.GROUP_DROPPED: _error("the node drops the whole group without a word"),
        Code.NEVER_FOLLOWED: _note("the node connects to this group, and never takes a block from it"),
        Code.TOO_MANY_LOCAL_ROOTS: _error("the node drops all beyond TargetNumberOfKnownPeers without a word"),
        Code.NO_TRUSTABLE_PEER: _error(
            "with an empty list the node refuses to start unless a local root group with members is trustable"
        ),
        Code.BOOTSTRAP_DROPPED: _note("a node in GenesisMode warns, and goes on without them"),
        Code.NOBODY_LEFT: _error("a node in GenesisMode drops bootstrapPeers, and then has nobody to sync from"),
        Code.NOBODY_TO_DIAL: _note("the node connects to nobody by itself and waits for others to come"),
        Code.SLOT_WITH_FRACTION: _note("the node rounds it down"),
        Code.GENESIS_WITHOUT_LEDGER: _note(
            "a node in GenesisMode warns: without ledger peers it may never trust its chain"
        ),
        Code.GENESIS_WITHOUT_SNAPSHOT: _note(
            "a node in GenesisMode warns: without big ledger peers to begin with it may never get going"
        ),
        Code.SNAPSHOT_NEVER_READ: _error("the node never reads the snapshot while ledger peers are not in use"),
        Code.SNAPSHOT_RELATIVE: _error(
            "a node before 10.5 looks for it in the folder that it was started in, not beside the topology",
            by_version=True,
        ),
        Code.SNAPSHOT_MISSING: _error(
            "a node before 10.6, or in GenesisMode, does not start without the file; others go on without it",
            by_version=True,
        ),
        Code.SNAPSHOT_UNREADABLE: _error("the node goes on without it, or does not start"),
        Code.SNAPSHOT_FORMAT: _error("a node of the other kind does not start with it", by_version=True),
        Code.SNAPSHOT_NETWORK: _error("the node does not start with a snapshot of another network"),
        Code.SNAPSHOT_WITHOUT_SLOT: _error("the node does not start with a snapshot of no block"),
        Code.SNAPSHOT_TOO_EARLY: _error("the node does not start with a snapshot from before useLedgerAfterSlot"),
    }
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known about the node that is to read the file; None: not known, so only what holds for any is an error."""

    node_version: str | None = None
    consensus_mode: str | None = None
    magic: int | None = None
    known_peers: int = DEFAULT_KNOWN_PEERS
    itself: frozenset[AccessPoint] = frozenset()
    """Where the node itself can be reached."""

    @property
    def genesis(self) -> bool:
        """Whether the node is known to sync in GenesisMode."""
        return self.consensus_mode == "GenesisMode"

    def knows(self, since: tuple[int, ...]) -> bool | None:
        """Tell whether the node knows what came with `since`; None if that depends on its version."""
        if self.node_version is not None:
            return is_at_least(self.node_version, since)
        return True if since <= OLDEST_SUPPORTED else None


@dataclass(frozen=True, slots=True)
class Finding:
    """One trap in one place."""

    code: Code
    path: Path
    found: str
    """The first half of the sentence: what is there."""
    severity: Severity
    line: int | None = None

    @property
    def sentence(self) -> str:
        """Return what is there and what the node makes of it."""
        return f"{self.found}; {RULES[self.code].effect}"

    @property
    def place(self) -> str:
        """Return the place as people write it; empty for the file as a whole."""
        return render_path(self.path)


def severity_by_version(*, known: bool | None) -> Severity:
    """Return how bad it is that a node does not know something: only noted if that depends on its version."""
    return Severity.NOTE if known is None else Severity.ERROR


def find(code: Code, path: Path, found: str, severity: Severity | None = None) -> Finding:
    """Make a finding, as severe as its rule says unless told otherwise."""
    return Finding(code, path, found, severity or RULES[code].severity)


def show(value: object) -> str:
    """Return a value on one short line of plain characters, whatever it is."""
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str() if len(value) > LONGEST_SHOWN:
            return json.dumps(value[:LONGEST_SHOWN] + "...")
        case _:
            text = json.dumps(value)
            return text if len(text) <= 2 * LONGEST_SHOWN else f"a number of {len(text)} digits"
