"""What each relay is to be, and what it is, by digest; and what a look measured of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import HostFacts, Unreachable
from orchestrator.fleet.relay import wanted_relays
from orchestrator.fleet.rollout import Restart, RolloutRecord
from orchestrator.planning.assess import assess_relay, list_slots
from orchestrator.planning.footing import Footing, combine_digest, digest_of_wish, find_footings, make_bundle
from orchestrator.planning.look import Look
from orchestrator.planning.trust import ChainVerdict, Stand
from orchestrator.rendering import layout
from orchestrator.rendering.bundle import render_bundle
from orchestrator.rendering.digest import file_states
from tests.rollout_looks import CALM
from tests.scenarios.builders import fleet_spec
from tests.scenarios.looks import with_host, with_instance, without_instance
from tests.upgrades import COUNTS, NAMES, NEW, OLD, bundle_of, change, digest_of, rendered, run, upgrading, wants

ONE = NAMES[0]


def footing(look: Look, name: str = ONE, judged=CALM) -> Footing:
    slots = list_slots(wanted_relays(look.spec), look)
    views = {view.name: view for view in (assess_relay(slot, look) for slot in slots)}
    return find_footings(slots, views, rendered(look.spec.release), judged, look)[name]


def stopped(look: Look, name: str = ONE) -> Look:
    return change(look, name, running_restart_digest="", running_reload_digest="")


# --- digests ---------------------------------------------------------------------------------------------------------


def test_a_relay_that_runs_what_is_wished_has_arrived() -> None:
    found = footing(upgrading(new=[ONE]))
    assert (found.wish, found.runs, found.arrived) == (digest_of(NEW), digest_of(NEW), True)


def test_a_relay_that_runs_what_was_wished_before_has_not() -> None:
    found = footing(upgrading())
    assert (found.wish, found.runs, found.arrived) == (digest_of(NEW), digest_of(OLD), False)


def test_what_the_node_started_with_counts_and_not_the_files_that_lie_there() -> None:
    look = change(upgrading(), ONE, files=file_states(rendered(NEW)[ONE].files))
    assert footing(look).runs == digest_of(OLD)


def test_while_the_node_is_down_the_files_that_were_last_written_count() -> None:
    assert footing(stopped(upgrading(new=[ONE]))).runs == digest_of(NEW)


def test_of_a_node_that_is_down_only_digests_that_are_kept_can_be_told() -> None:
    look = stopped(upgrading())
    assert footing(replace(look, record=replace(look.record, bundles={}))).runs == ""
    assert footing(
        replace(look, record=replace(look.record, bundles={digest_of(OLD): bundle_of(OLD)}))
    ).runs == digest_of(OLD)


def test_a_host_without_files_runs_nothing() -> None:
    assert footing(change(stopped(upgrading()), ONE, files={})).runs == ""


@pytest.mark.parametrize(
    "look",
    [with_host(upgrading(new=[ONE]), ONE, Unreachable("no answer")), without_instance(upgrading(new=[ONE]), ONE)],
    ids=["unreachable", "no instance"],
)
def test_what_cannot_be_asked_runs_nothing_that_is_known(look: Look) -> None:
    found = footing(look)
    assert (found.runs, found.facts, found.arrived) == ("", None, False)


@pytest.mark.parametrize("what", [{"image": "ami-0fedcba9876543210"}, {"instance_type": "r7a.large"}])
def test_what_the_instance_was_launched_from_is_a_part_of_the_digest(what: dict[str, str]) -> None:
    look = with_instance(upgrading(new=[ONE]), ONE, **what)
    assert not footing(look).arrived


def test_only_the_release_and_what_restarts_are_in_a_wish() -> None:
    spec = fleet_spec(COUNTS, release=NEW)
    assert digest_of_wish("files", "us-east-1", spec) != digest_of_wish("other files", "us-east-1", spec)
    assert digest_of_wish("files", "us-east-1", spec) == digest_of_wish("files", "eu-central-1", spec)


def test_a_digest_tells_its_parts_apart() -> None:
    assert len({combine_digest("a", "b", "c"), combine_digest("ab", "", "c"), combine_digest("a", "bc", "")}) == 3


def test_a_bundle_carries_what_instances_are_launched_from() -> None:
    relay = rendered(OLD)[ONE]
    bundle = make_bundle(relay, render_bundle(relay), "us-east-1", wants(OLD).spec)
    assert (bundle.digest, bundle.version) == (digest_of(OLD), OLD)
    assert (bundle.image, bundle.instance_type) == ("ami-0123456789abcdef0", "r6a.large")


def test_files_of_another_release_alone_are_another_digest() -> None:
    assert digest_of(OLD) != digest_of(NEW)
    assert layout.RESTART_DIGEST in {file.path for file in rendered(OLD)[ONE].files}


# --- signals ---------------------------------------------------------------------------------------------------------


def test_signals_are_what_wire_host_and_chain_tell() -> None:
    look = change(upgrading(), ONE, restarts=2, metrics=NodeMetrics("new", inbound=7))
    sighting = replace(look.seen.sightings[ONE], tip_age_seconds=3.0, handshake_seconds=0.25)
    record = replace(look.record, rollout=RolloutRecord(restarts={ONE: Restart(digest_of(OLD), look.now, inbound=9)}))
    look = replace(look, seen=replace(look.seen, sightings={**look.seen.sightings, ONE: sighting}), record=record)
    judged = replace(CALM, verdicts={ONE: ChainVerdict(Stand.LAGS, "lags")})
    signals = footing(look, judged=judged).signals
    assert (signals.tip_age_seconds, signals.handshake_seconds) == (3.0, 0.25)
    assert (signals.restarts, signals.inbound, signals.before, signals.stand) == (2, 7, 9, Stand.LAGS)


def test_what_nobody_told_is_not_measured() -> None:
    look = with_host(upgrading(), ONE, Unreachable("no answer"))
    look = replace(look, seen=replace(look.seen, sightings={}))
    signals = footing(look).signals
    assert (signals.tip_age_seconds, signals.handshake_seconds, signals.restarts) == (None, None, None)
    assert (signals.inbound, signals.before, signals.stand) == (None, signals.before, None)


def test_a_node_without_metrics_has_unknown_connections_and_known_restarts() -> None:
    signals = footing(change(upgrading(), ONE, metrics=None, restarts=1)).signals
    assert (signals.inbound, signals.restarts) == (None, 1)


def test_a_relay_is_found_for_each_that_is_wanted() -> None:
    look = run(upgrading(), ONE, NEW)
    slots = list_slots(wanted_relays(look.spec), look)
    views = {view.name: view for view in (assess_relay(slot, look) for slot in slots)}
    found = find_footings(slots, views, rendered(NEW), CALM, look)
    assert sorted(found) == NAMES
    assert all(isinstance(each.facts, HostFacts) for each in found.values())
