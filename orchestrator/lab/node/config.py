"""config.json and the genesis files it names → NodeConfig, refusing what the node refuses.

Read: the genesis files with their hashes, the magic, the slot clock, the limit on accepted connections, where metrics go and
in which dialect, how log lines look. Everything else that stands in the file is tolerated unread, as the node tolerates it.
Paths in the file are relative to its folder. Raises ConfigRefused; the texts follow the node's own where it has one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.spec.genesis import byron_genesis_hash, shelley_genesis_hash

from .lottery import LeaderRules
from .version import Version, knows_legacy_tracing

ERAS: tuple[tuple[str, Callable[[bytes], str]], ...] = (
    ("Byron", byron_genesis_hash),
    ("Shelley", shelley_genesis_hash),
    ("Alonzo", shelley_genesis_hash),
    ("Conway", shelley_genesis_hash),
)


class ConfigRefused(Exception):
    """The node does not start with this configuration."""


@dataclass(frozen=True, slots=True)
class ConnectionLimit:
    """AcceptedConnectionsLimit: from `soft` on accepting slows down, at `hard` it stops."""

    hard: int = 512
    soft: int = 384
    delay: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class MetricsEndpoint:
    """Where Prometheus text is served, and in which dialect."""

    address: str
    port: int
    legacy: bool
    with_suffix: bool = True


@dataclass(frozen=True, slots=True)
class LogFormat:
    """How lines look: `legacy`, `human`, `human-coloured` or `machine`; and the least severity, by namespace prefix."""

    style: str
    severities: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Genesis:
    """What the chain starts from: its name on the wire and its clock."""

    network_magic: int
    byron_magic: int
    system_start: datetime
    slot_length: timedelta
    security_parameter: int
    epoch_length: int
    leaders: LeaderRules


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """All that this program takes from config.json."""

    genesis: Genesis
    consensus_mode: str
    accepted_connections: ConnectionLimit
    metrics: MetricsEndpoint | None
    log: LogFormat
    known_peers: int


def read_config(path: Path, version: Version) -> NodeConfig:
    """Read config.json and its genesis files; raise ConfigRefused."""
    values = _read_object(path, "node configuration")
    magic_rule = values.get("RequiresNetworkMagic", "RequiresNoMagic")
    if magic_rule not in ("RequiresMagic", "RequiresNoMagic"):
        raise ConfigRefused(
            f"{path}: RequiresNetworkMagic: expected RequiresMagic or RequiresNoMagic, not {magic_rule!r}"
        )
    mode = values.get("ConsensusMode", "PraosMode")
    if mode not in ("PraosMode", "GenesisMode"):
        raise ConfigRefused(f"{path}: ConsensusMode: expected PraosMode or GenesisMode, not {mode!r}")
    try:
        return NodeConfig(
            genesis=_read_genesis(path.parent, values),
            consensus_mode=mode,
            accepted_connections=parse_connection_limit(values.get("AcceptedConnectionsLimit")),
            metrics=pick_metrics_endpoint(values, version),
            log=pick_log_format(values, version),
            known_peers=int(values.get("TargetNumberOfKnownPeers", 150)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigRefused(f"{path}: {type(error).__name__}: {error}") from error


def parse_connection_limit(value: Any) -> ConnectionLimit:  # noqa: ANN401 - straight from JSON
    """Read AcceptedConnectionsLimit; all three numbers are needed once the object stands there."""
    if value is None:
        return ConnectionLimit()
    return ConnectionLimit(int(value["hardLimit"]), int(value["softLimit"]), timedelta(seconds=float(value["delay"])))


def uses_legacy_tracing(values: Mapping[str, Any], version: Version) -> bool:
    """Tell which tracing system this configuration switches on; without a word on it, the keys that are there decide."""
    dispatcher = values.get("UseTraceDispatcher", "TraceOptions" in values)
    return not dispatcher and knows_legacy_tracing(version)


def pick_metrics_endpoint(values: Mapping[str, Any], version: Version) -> MetricsEndpoint | None:
    """Say where metrics are served, if at all: a release that dropped legacy tracing ignores the legacy keys."""
    if uses_legacy_tracing(values, version):
        legacy = values.get("hasPrometheus")
        return MetricsEndpoint(str(legacy[0]), int(legacy[1]), legacy=True) if legacy else None
    backends = _backends(values)
    if "EKGBackend" not in backends:
        return None
    for backend in backends:
        kind, *words = backend.split()
        if kind == "PrometheusSimple" and words:
            with_suffix = words[0] != "nosuffix"
            rest = words[1:] if words[0] in ("suffix", "nosuffix") else words
            address = rest[0] if len(rest) > 1 else "127.0.0.1"
            return MetricsEndpoint(address, int(rest[-1]), legacy=False, with_suffix=with_suffix)
    return None


def pick_log_format(values: Mapping[str, Any], version: Version) -> LogFormat:
    """Say how lines are printed and which are too unimportant to be."""
    if uses_legacy_tracing(values, version):
        return LogFormat("legacy", {"": str(values.get("minSeverity", "Info"))})
    styles = {"HumanFormatColoured": "human-coloured", "HumanFormatUncoloured": "human", "MachineFormat": "machine"}
    wanted = [backend.split()[1] for backend in _backends(values) if backend.startswith("Stdout ")]
    options = values.get("TraceOptions") or {}
    severities = {name: str(option["severity"]) for name, option in options.items() if "severity" in option}
    return LogFormat(styles.get(wanted[0], "human") if wanted else "silent", {"": "Info", **severities})


def _backends(values: Mapping[str, Any]) -> list[str]:
    options = values.get("TraceOptions") or {}
    return [str(backend) for backend in (options.get("") or {}).get("backends", [])]


def _read_genesis(folder: Path, values: Mapping[str, Any]) -> Genesis:
    files = {era: _read_genesis_file(folder, values, era, digest) for era, digest in ERAS}
    byron, shelley = json.loads(files["Byron"]), json.loads(files["Shelley"])
    coefficient = float(shelley["activeSlotsCoeff"])
    if not 0.0 < coefficient <= 1.0:
        raise ConfigRefused(f"activeSlotsCoeff has to be above 0 and at most 1, not {coefficient}")
    seed = bytes.fromhex(shelley_genesis_hash(files["Shelley"]))
    return Genesis(
        network_magic=int(shelley["networkMagic"]),
        byron_magic=int(byron["protocolConsts"]["protocolMagic"]),
        system_start=datetime.fromisoformat(shelley["systemStart"]).astimezone(UTC),
        slot_length=timedelta(seconds=float(shelley["slotLength"])),
        security_parameter=int(shelley["securityParam"]),
        epoch_length=int(shelley["epochLength"]),
        # A key of the lab's own: the real genesis has stake pools and their stake here.
        leaders=LeaderRules(seed, int(shelley.get("labIssuers", 1)), coefficient),
    )


def _read_genesis_file(folder: Path, values: Mapping[str, Any], era: str, digest: Callable[[bytes], str]) -> bytes:
    name = values.get(f"{era}GenesisFile")
    if name is None:
        raise ConfigRefused(f"{era}GenesisFile: the key is missing")
    path = folder / str(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigRefused(f"There was an error reading the genesis file: {path} Error: {error}") from error
    actual = digest(content)
    expected = values.get(f"{era}GenesisHash", actual)
    if actual != expected:
        raise ConfigRefused(
            f"Wrong {era} genesis file {path}: the actual hash is {actual}, but the expected "
            f"{era} genesis hash given in the node configuration file is {expected}"
        )
    return content


def _read_object(path: Path, what: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigRefused(f"{what} {path}: {error}") from error
    if not isinstance(value, dict):
        raise ConfigRefused(f"{what} {path}: expected an object, found {type(value).__name__}")
    return value
