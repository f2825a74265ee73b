"""Where a node's logs and metrics go, in the dialect its release reads: legacy (iohk-monitoring) or new (trace dispatcher).

Both end alike: one JSON line an event to the journal, and Prometheus text on the host's loopback. Whatever else a network
silences, the two lines of a reload are printed: that the node begins, and the topology it then has. They are how a reload
is confirmed, and the second is a mere information, which the official configurations keep to themselves.
"""

from __future__ import annotations

from typing import Any

from orchestrator.rendering.releases import LEGACY_TRACING_REMOVED, NEW_TRACING, is_at_least

LEGACY_ENDPOINTS = ("hasPrometheus", "hasEKG")
LEGACY_KEYS = {
    *LEGACY_ENDPOINTS,
    "TracingVerbosity",
    "defaultBackends",
    "defaultScribes",
    "minSeverity",
    "options",
    "rotation",
    "setupBackends",
    "setupScribes",
}
NEW_KEYS_PREFIX = "TraceOption"

# Enough to see a reload confirmed and a replay advance; used where the network's config.json is silent on the matter.
DEFAULT_SEVERITIES = {"ChainDB": "Info", "Startup": "Info", "Net.PeerSelection": "Warning"}

# The lines of a reload, by the namespace of the new dialect and by the name of the legacy dialect's logger.
RELOAD_NAMESPACES = ("Startup.NetworkConfig", "Startup.NetworkConfigUpdate")
LEGACY_RELOAD_LOGGER = "cardano.node.startup"
PRINTS_INFORMATION = {"Debug", "Info"}


def overlay_tracing(document: dict[str, Any], release: str, metrics_port: int) -> dict[str, Any]:
    """Return the configuration with our endpoints, in the dialect of the release."""
    if is_at_least(release, NEW_TRACING):
        return _new_dialect(document, release, metrics_port)
    return _legacy_dialect(document, metrics_port)


def _legacy_dialect(document: dict[str, Any], metrics_port: int) -> dict[str, Any]:
    kept = {key: value for key, value in document.items() if not key.startswith(NEW_KEYS_PREFIX)}
    scribe = {"scFormat": "ScJson", "scKind": "StdoutSK", "scName": "stdout", "scRotation": None}
    defaults = {
        "TracingVerbosity": "NormalVerbosity",
        "defaultBackends": ["KatipBK"],
        "setupBackends": ["KatipBK"],
        "minSeverity": "Info",
        "options": {"mapBackends": {"cardano.node.metrics": ["EKGViewBK"], "cardano.node.resources": ["EKGViewBK"]}},
        "rotation": {"rpKeepFilesNum": 10, "rpLogLimitBytes": 5_000_000, "rpMaxAgeHours": 24},
    }
    ours = {
        "UseTraceDispatcher": False,
        "TurnOnLogMetrics": True,
        "TurnOnLogging": True,
        "defaultScribes": [["StdoutSK", "stdout"]],
        "setupScribes": [scribe],
        "hasPrometheus": ["127.0.0.1", metrics_port],
    }
    # The EKG page is another open port that nobody here reads.
    kept.pop("hasEKG", None)
    return _print_legacy_reloads({**defaults, **kept, **ours})


def _print_legacy_reloads(document: dict[str, Any]) -> dict[str, Any]:
    """Lower the two thresholds that a line has to pass: the one of all loggers, and one for this logger, if there is any.

    Configurations made for the new dialect carry a least severity that would silence everything here.
    """
    if document.get("minSeverity") not in PRINTS_INFORMATION:
        document["minSeverity"] = "Info"
    options = document.get("options")
    by_logger = options.get("mapSeverity") if isinstance(options, dict) else None
    if isinstance(options, dict) and isinstance(by_logger, dict):
        document["options"] = {**options, "mapSeverity": {**by_logger, LEGACY_RELOAD_LOGGER: "Info"}}
    return document


def _new_dialect(document: dict[str, Any], release: str, metrics_port: int) -> dict[str, Any]:
    """Take the network's namespaces, put our backends at their root.

    Between the dialects the node still reads some legacy keys at start-up; only the endpoints go, lest a port be bound twice.
    """
    gone = LEGACY_KEYS if is_at_least(release, LEGACY_TRACING_REMOVED) else set(LEGACY_ENDPOINTS)
    kept = {key: value for key, value in document.items() if key not in gone and not _is_legacy_switch(key, value)}
    options = kept.get("TraceOptions")
    namespaces = dict(options) if isinstance(options, dict) else _default_namespaces()
    root = namespaces.get("")
    namespaces[""] = {
        "severity": "Notice",
        "detail": "DNormal",
        **(root if isinstance(root, dict) else {}),
        # No Forwarder: without a tracer to take them, its queue is memory for nothing.
        "backends": ["EKGBackend", f"PrometheusSimple suffix 127.0.0.1 {metrics_port}", "Stdout MachineFormat"],
    }
    for namespace in RELOAD_NAMESPACES:
        own = namespaces.get(namespace)
        namespaces[namespace] = {**(own if isinstance(own, dict) else {}), "severity": "Info"}
    return {
        "TraceOptionMetricsPrefix": "cardano.node.metrics.",
        "TraceOptionResourceFrequency": 1000,
        **kept,
        "UseTraceDispatcher": True,
        "TurnOnLogMetrics": True,
        "TurnOnLogging": True,
        "TraceOptions": namespaces,
    }


def _default_namespaces() -> dict[str, Any]:
    return {namespace: {"severity": severity} for namespace, severity in DEFAULT_SEVERITIES.items()}


def _is_legacy_switch(key: str, value: object) -> bool:
    """Tell a legacy `TraceMempool: true` from the new dialect's objects."""
    return key.startswith("Trace") and isinstance(value, bool)
