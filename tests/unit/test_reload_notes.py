"""A reload that was not taken up shows in the node's log, or in the peers it does not have."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import (
    CloudView,
    HostFacts,
    InFlight,
    Instance,
    InstanceState,
    InstanceStatus,
    Observation,
    Sighting,
    UnitState,
    Verdict,
)
from orchestrator.planning.reload_notes import find_missing_peers, find_reachable, why_reload_not_taken
from orchestrator.rendering.values import RenderedRelay
from tests.rendering_builders import fleet_spec, neighbours, rendered

NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
RELAY = rendered(known=neighbours("192.0.2.12", "192.0.2.13", "2001:db8::21", partners=("198.51.100.7", "p.example")))
REACHABLE = {"192.0.2.12": "relay-2", "192.0.2.13": "relay-3", "2001:db8::21": "relay-4", "198.51.100.7": "partner"}
ALL = frozenset(REACHABLE)


def facts(**changes: Any) -> HostFacts:
    known: dict[str, Any] = {
        "token": 1,
        "working": "",
        "host_key": "",
        "one_time_key_wiped": True,
        "prepared": "",
        "staged": frozenset(),
        "release": "",
        "files": {},
        "unit": UnitState.ACTIVE,
        "unit_enabled": True,
        "running_restart_digest": RELAY.restart_digest,
        "running_reload_digest": RELAY.reload_digest,
        "clean_marker": False,
        "peers": ALL,
        "reload_logged": True,
        "reloaded_seconds_ago": 120.0,
    }
    return HostFacts(**{**known, **changes})


def why(seen: HostFacts, reachable: dict[str, str] | None = None, relay: RenderedRelay = RELAY) -> str | None:
    return why_reload_not_taken(seen, relay, REACHABLE if reachable is None else reachable)


def test_a_reload_that_was_logged_and_shows_in_the_peers_was_taken_up() -> None:
    assert why(facts()) is None


def test_a_node_that_was_never_told_to_reload_owes_nothing() -> None:
    assert why(facts(reload_logged=None, reloaded_seconds_ago=None, peers=frozenset())) is None


def test_a_reload_that_the_log_does_not_confirm_is_named_after_a_moment() -> None:
    assert why(facts(reload_logged=False, reloaded_seconds_ago=3.0)) is None
    told = why(facts(reload_logged=False, reloaded_seconds_ago=40.0, detail="cannot read it"))
    assert told == (
        "was told to reload its topology 40 s ago, and its log does not confirm it; it says: cannot read it"
    )


def test_local_roots_that_were_passed_over_are_named_after_a_minute() -> None:
    lacking = ALL - {"192.0.2.13", "198.51.100.7"}
    assert why(facts(peers=lacking, reloaded_seconds_ago=59.0)) is None
    told = why(facts(peers=lacking, reloaded_seconds_ago=61.0))
    assert told is not None
    assert told.startswith(
        "reloaded its topology 1 min ago, which its log confirms, and has no connection with partner, "
    )
    assert "partner, relay-3, named there" in told
    assert "sensitive state" in told


@pytest.mark.parametrize(("minutes", "is_named"), [(14, True), (15, False), (3 * 24 * 60, False)])
def test_a_peer_that_is_missing_long_after_a_reload_was_lost_for_another_reason(minutes: int, is_named: bool) -> None:
    lacking = facts(peers=ALL - {"198.51.100.7"}, reloaded_seconds_ago=60.0 * minutes)
    assert (why(lacking) is not None) is is_named


def test_peers_that_nobody_can_reach_are_not_missed() -> None:
    assert why(facts(peers=frozenset()), reachable={}) is None


def test_peers_that_are_not_known_prove_nothing() -> None:
    assert why(facts(peers=None)) is None


def test_a_topology_that_is_not_the_one_it_loaded_is_no_measure_of_its_peers() -> None:
    assert why(facts(peers=frozenset(), running_reload_digest="another")) is None


def test_a_log_that_could_not_be_read_leaves_the_peers_to_judge_by() -> None:
    assert why(facts(reload_logged=None)) is None
    told = why(facts(reload_logged=None, peers=frozenset()))
    assert told is not None
    assert "its log" not in told


def test_addresses_are_compared_whatever_their_spelling() -> None:
    odd = frozenset({"::ffff:192.0.2.12", "192.0.2.13", "2001:0db8:0:0:0:0:0:21", "198.51.100.7"})
    assert find_missing_peers(RELAY, odd, REACHABLE) == ()


@pytest.mark.parametrize(("hot", "missing"), [(1, ()), (2, ("relay-3",))])
def test_a_group_that_keeps_as_many_as_it_asks_for_misses_nobody(hot: int, missing: tuple[str, ...]) -> None:
    roots = '[{"accessPoints": [{"address": "192.0.2.12", "port": 1}, {"address": "192.0.2.13", "port": 1}], '
    text = f'{{"localRoots": {roots}"hotValency": {hot}, "warmValency": 2}}]}}'
    files = tuple(replace(f, content=text) if f.path.endswith("topology.json") else f for f in RELAY.files)
    relay = replace(RELAY, files=files)
    assert find_missing_peers(relay, frozenset({"192.0.2.12"}), REACHABLE) == missing


def instance(relay: str, address: str) -> Instance:
    return Instance(
        instance_id=f"i-{relay}",
        region="eu-central-1",
        zone="a",
        state=InstanceState.RUNNING,
        status=InstanceStatus.OK,
        fleet="demo",
        store_id="s",
        relay=relay,
        generation=1,
        address=address,
        address_v6=None,
        image="",
        instance_type="",
        subnet="",
        launched_at=NOW,
        launch_token="",
        host_key=None,
    )


def test_reachable_is_who_answers_at_an_ip_address_and_has_not_just_started() -> None:
    spec = fleet_spec(
        partners=[
            {"name": "by-number", "address": "198.51.100.7"},
            {"name": "by-name", "address": "relay.partner.example"},
            {"name": "silent", "address": "198.51.100.8"},
        ]
    )
    young = facts(metrics=NodeMetrics("new", started_at=int(NOW.timestamp()) - 30))
    old = facts(metrics=NodeMetrics("new", started_at=int(NOW.timestamp()) - 3_000))
    names = ("good", "young", "stale", "by-number", "by-name")
    seen = Observation(
        CloudView((instance("good", "192.0.2.1"), instance("young", "192.0.2.2"), instance("stale", "192.0.2.3"))),
        {"i-good": old, "i-young": young, "i-stale": old},
        {name: Sighting(Verdict.STALE_TIP if name == "stale" else Verdict.OK) for name in names},
        {},
    )
    assert find_reachable(seen, spec, NOW) == {"192.0.2.1": "good", "198.51.100.7": "by-number"}


def look_at_three(*peers: frozenset[str] | None) -> Observation:
    """Three relays whose metrics cannot be read, and a partner; all answer, and tell these peers."""
    names = ("one", "two", "three")
    return Observation(
        CloudView(tuple(instance(name, f"192.0.2.{number}") for number, name in enumerate(names, start=1))),
        {f"i-{name}": facts(peers=told) for name, told in zip(names, peers, strict=True)},
        dict.fromkeys((*names, "partner"), Sighting(Verdict.OK)),
        {},
    )


PARTNER = fleet_spec(partners=[{"name": "partner", "address": "198.51.100.7"}], topology={"use_ledger_after_slot": 0})


def test_who_may_have_just_started_is_missed_only_if_another_relay_is_connected_with_it() -> None:
    seen = look_at_three(frozenset({"192.0.2.2"}), frozenset({"192.0.2.1"}), frozenset())
    assert find_reachable(seen, PARTNER, NOW) == {"192.0.2.1": "one", "192.0.2.2": "two"}
    seen = look_at_three(frozenset(), frozenset({"198.51.100.7"}), frozenset())
    assert find_reachable(seen, PARTNER, NOW) == {"198.51.100.7": "partner"}


def test_where_no_other_relay_tells_its_peers_everybody_who_answers_is_reachable() -> None:
    seen = look_at_three(frozenset(), None, None)
    assert set(find_reachable(seen, PARTNER, NOW).values()) == {"one", "two", "three", "partner"}


def test_a_relay_that_is_worked_on_is_not_missed() -> None:
    seen = look_at_three(ALL | {"192.0.2.1", "192.0.2.2"}, ALL, None)
    worked_on = replace(seen, in_flight={"two": InFlight("deploy", NOW)})
    assert set(find_reachable(seen, PARTNER, NOW).values()) - set(find_reachable(worked_on, PARTNER, NOW).values()) == {
        "two"
    }
