"""Where a node's logs and metrics go, in the dialect its release reads: legacy (iohk-monitoring) or new (trace dispatcher).

Both end alike: one JSON line an event to the journal, and Prometheus text on the host's loopback.
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
    return {**defaults, **kept, **ours}


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
