"""Inspect: everything the controller wants to know about a host, in one look that writes nothing and waits for nobody.

The node itself is asked for its metrics, and given two seconds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from . import firewall, identity, release, reloading, replaying, unit
from .claim import read_holder, read_token
from .deploying import read_manifest
from .effects import read_owed
from .files import read_file
from .machine import PREPARED, STORE_ID, Machine
from .metrics import read_metrics
from .peers import read_peers


def inspect(machine: Machine, metrics_port: int = 0, metrics_names: Sequence[str] = ()) -> dict[str, Any]:
    """Return the facts, JSON-able, named as the controller's HostFacts; metrics as the node's own lines."""
    found = unit.read_unit(machine)
    files = {path: seen.describe() for path in sorted(read_manifest(machine)) if (seen := read_file(machine, path))}
    # A file whose effect is owed is as good as not written: the controller is to deploy again.
    for path in read_owed(machine).paths:
        if path in files:
            files[path]["sha256"] = "not in effect yet"
    runs = found.state in {"active", "activating", "reloading", "deactivating"}
    # A restart that is owed makes what runs stale whatever the unit wrote down when it started.
    restart = "owed" if found.owed == "restart" and runs else found.running_restart
    reload = "owed" if found.owed and runs else found.running_reload
    facts = {
        "token": read_token(machine),
        "store_id": machine.read_text(STORE_ID),
        "working": read_holder(machine),
        "host_key": identity.read_public_key(machine),
        "one_time_key_wiped": identity.is_wiped(machine),
        "prepared": machine.read_text(PREPARED),
        "staged": sorted(release.list_staged(machine)),
        "release": release.read_linked_release(machine),
        "files": files,
        "unit": found.state if found.state in _STATES else "activating",
        "unit_enabled": found.enabled,
        "running_restart_digest": restart if runs else "",
        "running_reload_digest": reload if runs else "",
        "clean_marker": unit.has_clean_marker(machine),
        "unclean_start": runs and unit.was_not_closed_cleanly(machine),
        "firewall_pending": firewall.is_pending(machine),
        "detail": unit.read_detail(machine, found),
        "restarts": found.restarts if found.state != "absent" else None,
        "started_seconds_ago": tell_age(found, time.monotonic()) if runs else None,
    }
    return facts | (ask_node(machine, found, metrics_port, metrics_names) if runs else NOT_ASKED)


def tell_age(found: unit.UnitFound, now_seconds: float) -> float | None:
    """Return how long ago the node's process was started, by the host's monotonic clock; None if none ever was."""
    return None if found.started_seconds is None else max(0.0, round(now_seconds - found.started_seconds, 3))


def ask_node(machine: Machine, found: unit.UnitFound, port: int, names: Sequence[str]) -> dict[str, Any]:
    """Return what only a running node can tell: its metrics, its peers, and whether it took up its last reload."""
    lines, missing = read_metrics(port, names) if found.state != "deactivating" else ("", "the node stops")
    facts: dict[str, Any] = {
        **NOT_ASKED,
        "metrics": lines,
        "metrics_missing": missing,
        "peers": read_peers(machine, found.pid),
    }
    if lines and not any(word in lines for word in TOLD_BY_METRICS):
        facts["replay_logged"] = replaying.read_progress(machine, found.pid)
    signalled = reloading.read_signalled(machine)
    if signalled is None:
        return facts
    answer = reloading.read_answer(machine, signalled)
    facts["reload_logged"] = answer.taken
    facts["reload_answer"] = answer.said
    facts["reloaded_seconds_ago"] = max(0.0, round(time.time() - signalled / 1e9, 3))
    return facts


NOT_ASKED = {
    "metrics": "",
    "metrics_missing": "the node does not run",
    "peers": None,
    "replay_logged": None,
    "reload_logged": None,
    "reload_answer": "",
    "reloaded_seconds_ago": None,
}
"""What is known of a node that does not run."""

TOLD_BY_METRICS = ("blockReplayProgress", "slotNum")
"""A node that shows one of these has told its progress, or is past it: its log need not be searched."""


_STATES = frozenset({"absent", "inactive", "activating", "active", "reloading", "deactivating", "failed"})
"""Those a controller knows; systemd's rarer ones (maintenance, refreshing) pass by themselves."""
