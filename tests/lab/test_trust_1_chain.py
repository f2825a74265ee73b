"""Twenty relays on a chain with slot battles: faults are named, forks are put aside, regions may go, and nobody else suffers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.fleet.observation import Verdict
from orchestrator.lab.cloud.places import LAB_REGIONS
from tests.lab_fleet import Fleet, wait_for
from tests.lab_watch import Watch

pytestmark = pytest.mark.lab

TOPOLOGY = "/etc/cardano-node/topology.json"
STARTED = "systemctl show cardano-node.service --property=ExecMainStartTimestampMonotonic"
FORK_DEPTH = 5

FORKED, STALLED, HANGING, SATURATED, ELSEWHERE, SLOW = (
    f"wide-{region}-0{number}"
    for region, number in zip((*LAB_REGIONS, *LAB_REGIONS[:2]), (1, 1, 1, 1, 2, 2), strict=True)
)


def tell(wide: Fleet, watch: Watch, faults: Mapping[str, str]) -> None:
    """Tell relays to do wrong, all at the same time; a fault that is in force already stays, and `clear` ends it."""
    watch.guilty |= faults.keys()
    telling = [wide.start("lab", "fault", relay, kind, "--lab", "wide") for relay, kind in faults.items()]
    assert [ended.err for each in telling if (ended := each.end()).code != 0] == []


def status(wide: Fleet) -> dict[str, Any]:
    ended = wide.run("status", "--json")
    assert ended.code == 0, ended.err
    return ended.document


def relays(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {relay["name"]: relay for relay in document["relays"]}


def settle(wide: Fleet) -> None:
    """Let the fleet agree again: who comes back is the word of an apply."""
    wait_for(lambda: wide.apply().code == 0)


def block_of(watch: Watch, name: str) -> int:
    return watch.sightings[name].tip_block or 0


def who_names(relay: str, wide: Fleet, addresses: Mapping[str, str]) -> set[str]:
    """The relays whose topologies name a relay, read on their machines."""
    return {name for name, text in wide.shells(f"cat {TOPOLOGY}").items() if addresses[relay] in _named_in(text)}


def _named_in(topology: str) -> set[str]:
    groups = json.loads(topology)["localRoots"]
    return {point["address"] for group in groups for point in group["accessPoints"]}


def test_twenty_relays_serve_agree_and_are_published(wide: Fleet, watch: Watch) -> None:
    document = status(wide)
    assert len(document["relays"]) == 20
    assert {relay["phase"] for relay in document["relays"]} == {"serving"}
    assert {relay["chain"] for relay in document["relays"]} == {"agrees with the others"}
    assert document["summary"]["published"] == 20
    assert document["summary"]["agreed_tip"]
    assert document["summary"]["warnings"] == []
    assert watch.guilty == set()


FAULTS = {
    FORKED: "fork",
    STALLED: "stall",
    HANGING: "hang",
    SATURATED: "saturate",
    ELSEWHERE: "wrong-magic",
    SLOW: "slow",
}

EXPECTED = {
    FORKED: ("forked at slot", "depth"),
    STALLED: ("stale", "lags by"),
    HANGING: ("hangs: connects, but no handshake",),
    SATURATED: ("saturated: ",),
    ELSEWHERE: ("another network",),
    SLOW: ("answers slowly: ",),
}


def told_of(relay: dict[str, Any]) -> str:
    return "; ".join((relay["reason"], relay["chain"], *relay["notes"]))


def is_true(watch: Watch, relay: str, block_before: int) -> bool:
    """Whether a fault shows on the wire by now."""
    seen = watch.sightings[relay]
    if relay == FORKED:
        return (seen.tip_block or 0) > block_before + FORK_DEPTH
    wanted = {
        STALLED: Verdict.STALE_TIP,
        HANGING: Verdict.HANDSHAKE_TIMEOUT,
        SATURATED: Verdict.HANDSHAKE_TIMEOUT,
        ELSEWHERE: Verdict.WRONG_MAGIC,
        SLOW: Verdict.OK,
    }
    return seen.verdict is wanted[relay] and (relay != SLOW or (seen.handshake_seconds or 0) > 2)


def test_each_fault_is_told_apart_and_named_by_the_first_status_after_it_shows(wide: Fleet, watch: Watch) -> None:
    before = block_of(watch, FORKED)
    tell(wide, watch, FAULTS)
    late: dict[str, str] = {}
    named: set[str] = set()

    def look() -> Mapping[str, dict[str, Any]] | None:
        shown = {relay for relay in EXPECTED if is_true(watch, relay, before)}
        found = relays(status(wide))
        for relay in EXPECTED.keys() - named:
            if all(word in told_of(found[relay]) for word in EXPECTED[relay]):
                named.add(relay)
            elif relay in shown:
                late[relay] = told_of(found[relay])
        return found if named == EXPECTED.keys() else None

    found = wait_for(look)
    assert not late
    assert {relay["phase"] for name, relay in found.items() if name not in EXPECTED} == {"serving"}
    tell(wide, watch, dict.fromkeys(EXPECTED.keys() - {FORKED}, "clear"))


def test_a_forked_relay_is_quarantined_while_nineteen_serve_and_its_neighbours_drop_it(
    wide: Fleet, watch: Watch
) -> None:
    tell(wide, watch, {FORKED: "fork"})
    phases = dict.fromkeys(wide.relays(), "serving") | {FORKED: "quarantined"}
    shown = wait_for(lambda: _if_in(phases, wide.relays()))
    addresses = {name: relay["address"] for name, relay in shown.items()}
    started = wide.shells(STARTED)
    neighbours = who_names(FORKED, wide, addresses)
    assert neighbours
    with wide.sampling() as samples:
        ended = wide.apply()
    assert ended.code == 2, ended.err
    found = relays(ended.document)
    assert found[FORKED]["phase"] == "quarantined"
    assert "forked at slot" in found[FORKED]["reason"]
    assert [name for name, relay in found.items() if not relay["published"]] == [FORKED]
    assert [name for name, relay in found.items() if relay["phase"] != "serving"] == [FORKED]
    assert min(samples) >= 19
    assert not who_names(FORKED, wide, addresses)
    assert wide.shells(STARTED) == started
    tell(wide, watch, {FORKED: "clear"})
    settle(wide)
    assert who_names(FORKED, wide, addresses) == neighbours


def _if_in(phases: Mapping[str, str], shown: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]] | None:
    return shown if {name: relay["phase"] for name, relay in shown.items()} == phases else None


def test_a_cut_region_leaves_the_rest_connected_and_following(wide: Fleet, watch: Watch) -> None:
    region = LAB_REGIONS[1]
    gone = {name for name in wide.relays() if f"-{region}-" in name}
    watch.guilty |= gone
    assert wide.run("lab", "cut", region, "--lab", "wide").code == 0
    try:
        before = {name: block_of(watch, name) for name in watch.sightings if name not in gone}
        wait_for(lambda: all(block_of(watch, name) > block + 20 for name, block in before.items()))
        document = wait_for(lambda: _dark(status(wide), region))
        found = relays(document)
        assert {relay["phase"] for name, relay in found.items() if name not in gone} == {"serving"}
        assert {relay["phase"] for name, relay in found.items() if name in gone} == {"unknown"}
        assert not any(found[name]["published"] for name in gone)
    finally:
        assert wide.run("lab", "heal", region, "--lab", "wide").code == 0
    settle(wide)


def _dark(document: dict[str, Any], region: str) -> dict[str, Any] | None:
    """The status, once it says that the region is dark: connections that were cut take a while to be given up."""
    return document if any(f"{region} is dark" in warning for warning in document["summary"]["warnings"]) else None


def test_a_joining_relay_reloads_the_few_whose_files_change_and_restarts_nobody(wide: Fleet) -> None:
    started, files = wide.shells(STARTED), wide.shells(f"cat {TOPOLOGY}")
    began = int(time.time())
    wide.ask("PUT", f"quotas/{LAB_REGIONS[0]}", elastic_addresses=6)
    file = wide.variant("joined", lambda document: document["regions"][LAB_REGIONS[0]].update(count=6))
    ended = wide.converge(file=file)
    assert len(relays(ended.document)) == 21
    now = wide.shells(f"cat {TOPOLOGY}", started)
    changed = {name for name in started if now[name] != files[name]}
    assert changed
    assert len(changed) <= 15
    assert wide.shells(STARTED, started) == started
    since = f"journalctl -q -u cardano-node.service -o cat --since @{began}"
    count = f"{since} | grep -c 'Performing topology configuration update' || true"
    told = {name for name, times in wide.shells(count, started).items() if int(times) > 0}
    assert told == changed
    retired = wide.converge("--confirm", "retire:1")
    assert len(relays(retired.document)) == 20
