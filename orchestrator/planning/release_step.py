"""The step between two releases: one check for each trap. Pure; `preflight.py` is where to start.

What changed between releases is in `release_facts.py`. Each check yields what it finds, and says so where a thing that often
goes wrong is fine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from orchestrator.errors import RenderFailed
from orchestrator.planning import release_facts as facts
from orchestrator.planning.findings import Finding, Level, count
from orchestrator.rendering.releases import LEGACY_TRACING_REMOVED, NEW_TRACING, is_at_least
from orchestrator.rendering.snapshot import check_peer_snapshot
from orchestrator.rendering.tracing import LEGACY_KEYS
from orchestrator.rendering.values import NetworkFiles
from orchestrator.spec.model import FleetSpec

_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Step:
    """A step between releases, with what is asked about it more than once."""

    spec: FleetSpec
    network: NetworkFiles
    running: Mapping[str, int]
    """Release → how many relays run it, oldest first; the wanted one is left out, and there is another."""
    config: Mapping[str, object]
    """The network's config.json."""

    @property
    def wanted(self) -> str:
        """The wanted release."""
        return self.spec.release


def _check_archives(step: Step) -> Iterator[Finding]:
    """One checksum for two archives is a line copied and half changed: relays would run another release than is believed."""
    known = step.spec.releases
    builds = {(version, kind): build.sha256 for version, of in known.items() for kind, build in of.items()}
    wanted = {kind: builds[step.wanted, kind] for kind in known[step.wanted]}
    same = sorted(
        f"{version} for {kind}"
        for (version, kind), sha256 in builds.items()
        if version != step.wanted and sha256 in wanted.values()
    )
    if same or len(set(wanted.values())) < len(wanted):
        other = ", ".join(same) or "another architecture"
        text = (
            f"the fleet file gives release {step.wanted} the checksum of {other}: an archive has one release and one "
            "architecture; correct releases"
        )
        yield Finding(Level.REFUSES, "", text)
        return
    yield Finding(Level.FINE, "", f"release {step.wanted} is known, with a checksum for {_join(sorted(wanted))}")


def _check_mesh(step: Step) -> Iterator[Finding]:
    """Whoever is side by side during the rollout must have a node-to-node version in common: each old release, and the new."""
    asked = {version: facts.list_wire_versions(version) for version in (*step.running, step.wanted)}
    spoken = {version: versions for version, versions in asked.items() if versions is not None}
    apart = [(one, other) for one, other in combinations(spoken, 2) if not spoken[one] & spoken[other]]
    if apart:
        pairs = "; ".join(
            f"{one} speaks {_numbers(spoken[one])}, {other} speaks {_numbers(spoken[other])}" for one, other in apart
        )
        name = f"mesh-split:{step.wanted}"
        text = (
            f"the mesh splits during this rollout, for lack of a common node-to-node version: {pairs} "
            f"({_describe_running(step)}). Go by a release that speaks with both, or give `--confirm {name}`"
        )
        yield Finding(Level.REFUSES, name, text)
    silent = sorted(asked.keys() - spoken.keys())
    if silent:
        text = f"it is not known which node-to-node versions {_join(silent)} speaks: watch the canary's connections"
        yield Finding(Level.WARNS, "", text)
    elif not apart:
        common = frozenset.intersection(*spoken.values())
        what = f"version {_numbers(common)} is" if len(common) == 1 else f"versions {_numbers(common)} are"
        text = f"node-to-node {what} spoken by {_join(spoken)}: the mesh stays one"
        yield Finding(Level.FINE, "", text)


def _check_partners(step: Step) -> Iterator[Finding]:
    """Tell whom the step loses: what partners run is not known, but which releases could not follow is."""
    lost = facts.list_lines_lost(step.running, step.wanted)
    if not step.spec.partners or not lost:
        return
    text = (
        f"what {count(len(step.spec.partners), 'partner')} run{'s' if len(step.spec.partners) == 1 else ''} is not known: whoever "
        f"runs a release {_join(lost)} connects with the fleet now, and not with {step.wanted}; ask them before"
    )
    yield Finding(Level.WARNS, "", text)


def _check_newness(step: Step) -> Iterator[Finding]:
    if facts.is_newer_than_known(step.wanted):
        newest = ".".join(map(str, facts.NEWEST_KNOWN))
        text = f"nothing is known here about releases after {newest}: read the release notes of {step.wanted} before"
        yield Finding(Level.WARNS, "", text)
    backend = _backend(step.config)
    for fault in facts.list_faults(step.wanted, step.spec.network.name, backend):
        yield Finding(Level.WARNS, "", f"{step.wanted} {fault}")


def _check_network_folder(step: Step) -> Iterator[Finding]:
    """MinNodeVersion is a mere note to the node itself, and the one place where a config.json says whom it is for."""
    least = step.config.get("MinNodeVersion")
    if (
        isinstance(least, str)
        and _RELEASE.fullmatch(least)
        and not is_at_least(step.wanted, facts.release_numbers(least))
    ):
        text = (
            f"the network's config.json is for {least} and later (MinNodeVersion), and {step.wanted} is wanted: fetch the "
            "network folder that belongs to it"
        )
        yield Finding(Level.WARNS, "", text)


def _check_ledger_backend(step: Step) -> Iterator[Finding]:
    """The rest of config.json stays the network's own, so a backend that is no more gets as far as the node."""
    backend = _backend(step.config)
    if backend == "V1LMDB" and is_at_least(step.wanted, facts.V1_LEDGER_REMOVED):
        why = "was removed in 11.1"
    elif backend == "V2LSM" and not is_at_least(step.wanted, facts.LSM_KNOWN):
        why = "came with 10.7"
    else:
        return
    text = (
        f"the network's config.json asks for the ledger backend {backend}, which {why}: {step.wanted} would not start. Set "
        "LedgerDB.Backend to V2InMemory there; the chain is then replayed once"
    )
    yield Finding(Level.REFUSES, "", text)


def _check_snapshot(step: Step) -> Iterator[Finding]:
    """Across 10.7 no peer snapshot suits both sides: one suits the wanted release, and not who still runs or goes back."""
    topology, snapshot = step.spec.topology, step.network.peer_snapshot
    if snapshot is None or topology.use_ledger_after_slot < 0:
        return
    fault = _why_unreadable(step, snapshot, step.wanted)
    if fault is not None:
        yield Finding(Level.REFUSES, "", f"{fault} Otherwise {step.wanted} does not start")
        return
    unread = [version for version in step.running if _why_unreadable(step, snapshot, version) is not None]
    if not unread:
        text = f"the peer snapshot is read by {_join((*step.running, step.wanted))}"
        yield Finding(Level.FINE, "", text)
        return
    name = f"peer-snapshot:{step.wanted}"
    text = (
        f"the peer snapshot {topology.peer_snapshot} suits {step.wanted}, and not {_join(unread)}, which "
        f"{count(sum(step.running[version] for version in unread), 'relay')} run and would go back to: its format changed "
        f"at 10.7. Take topology.peer_snapshot out until the rollout is complete, or give `--confirm {name}`"
    )
    yield Finding(Level.REFUSES, name, text)


def _why_unreadable(step: Step, snapshot: str, version: str) -> str | None:
    topology = step.spec.topology
    try:
        check_peer_snapshot(snapshot, version, step.spec.network.magic, topology.use_ledger_after_slot)
    except RenderFailed as error:
        return f"{error.message}. {error.next_step}"
    return None


def _check_tracing(step: Step) -> Iterator[Finding]:
    """Rendering writes the dialect of each release; what others read from the relays changes nevertheless."""
    if any(facts.crosses(version, step.wanted, NEW_TRACING) for version in step.running):
        text = (
            "metrics change their names between 10.5 and 10.6 (another tracing system): this controller reads both, alerts "
            "and dashboards of your own may not, such as those on nodeStartTime_int"
        )
        yield Finding(Level.FINE, "", text)
    keys = sorted(LEGACY_KEYS & step.config.keys())
    if keys and is_at_least(step.wanted, LEGACY_TRACING_REMOVED):
        text = (
            f"legacy tracing was removed in 11.1: {', '.join(keys)} in the network's config.json "
            f"{'is' if len(keys) == 1 else 'are'} left out of what relays get, and metrics are served by the new system"
        )
        yield Finding(Level.FINE, "", text)


def _check_way_back(step: Step) -> Iterator[Finding]:
    """Say it before it starts: a release that is left for ever, and one that is wanted and cannot be had."""
    for version, relays in step.running.items():
        back = facts.is_back(version, step.wanted)
        old, new = (step.wanted, version) if back else (version, step.wanted)
        cause = facts.why_no_way_back(old, new)
        if cause is None:
            continue
        if back:
            name = f"no-way-back:{step.wanted}"
            text = f"{count(relays, 'relay')} cannot go back from {version} to {step.wanted}: {cause}"
            yield Finding(Level.REFUSES, name, f"{text}. Give `--confirm {name}` if that is done")
        else:
            text = f"{count(relays, 'relay')} cannot go back from {step.wanted} to {version} if it fails: {cause}"
            yield Finding(Level.WARNS, "", text)


def _check_hard_fork(step: Step) -> Iterator[Finding]:
    crossing = [v for v in step.running if facts.crosses(v, step.wanted, facts.PROTOCOL_VERSION_11)]
    if not crossing:
        return
    versions = _join(crossing)
    if any(facts.is_back(version, step.wanted) for version in crossing):
        text = (
            f"{step.wanted} does not know protocol version 11, which {versions} knows: once the network has forked to it, no "
            "relay follows the chain with the older release. Make sure that it has not"
        )
        yield Finding(Level.WARNS, "", text)
        return
    text = f"{step.wanted} knows protocol version 11: until the network forks to it relays can go back to {versions}, not after"
    yield Finding(Level.FINE, "", text)


def _check_replays(step: Step) -> Iterator[Finding]:
    """A replay needs nothing from anybody but time, so it is fine, and better known before."""
    for version, relays in step.running.items():
        cause = facts.why_replays(version, step.wanted)
        if cause is not None:
            text = (
                f"{count(relays, 'relay')} will replay the chain on the way from {version} to {step.wanted}, and on the way back "
                f"too, which takes hours on mainnet: {cause}. Progress is waited for"
            )
            yield Finding(Level.FINE, "", text)


CHECKS = (
    _check_archives,
    _check_mesh,
    _check_partners,
    _check_newness,
    _check_network_folder,
    _check_ledger_backend,
    _check_snapshot,
    _check_tracing,
    _check_way_back,
    _check_hard_fork,
    _check_replays,
)
"""In the order in which findings of the same weight are shown."""


def _backend(config: Mapping[str, object]) -> str:
    """Return the ledger backend that a config.json asks for; empty if it leaves that to the node."""
    ledger = config.get("LedgerDB")
    backend = ledger.get("Backend") if isinstance(ledger, dict) else None
    return backend if isinstance(backend, str) else ""


def _describe_running(step: Step) -> str:
    return _join(f"{count(relays, 'relay')} on {version}" for version, relays in step.running.items())


def _join(words: Iterable[str]) -> str:
    """Return words as people list them."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _numbers(versions: Iterable[int]) -> str:
    return _join(str(version) for version in sorted(versions))
