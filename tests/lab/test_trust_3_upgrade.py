"""A release goes through twenty relays under a hundred consumers, and nobody notices; without draining and budget they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.lab.cloud.places import LAB_REGIONS
from tests.lab_crowd import crowding, slow_starts
from tests.lab_fleet import Fleet, wait_for
from tests.lab_watch import Watch

pytestmark = pytest.mark.lab

CONSUMERS = 100
RELAYS = 20
MOST_OUT = 4
BLOCKS = 1000

REPLAY_SECONDS = 4
"""How long a node takes over its chain when it starts, with and without care: seconds in place of the real one's minutes."""

CAREFUL = {"drain_deadline": "6s"}
"""Beside the lab's own policy: 20 % and one a region, a canary, draining for 5 s, until names are forgotten."""

CARELESS = {
    "max_unavailable": "100%",
    "max_unavailable_per_region": "100%",
    "wave_share": "100%",
    "canaries": 0,
    "canary_bake": None,
    "bake": None,
    "drain_time": None,
}
"""The same without draining, and with a budget and waves that hold nobody back."""


@pytest.fixture(scope="module")
def slow(wide: Fleet) -> Iterator[Fleet]:
    """The fleet with nodes that take their time to start."""
    with slow_starts(wide, REPLAY_SECONDS):
        yield wide


def wish(release: str, policy: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Return the edit of the fleet file that asks for a release, to be rolled out so."""

    def edit(document: dict[str, Any]) -> None:
        document["release"] = release
        document["rollout"].update(policy)

    return edit


def test_a_hundred_consumers_do_not_notice_an_upgrade_of_twenty_relays(
    slow: Fleet, watch: Watch, tell: Callable[[str], None]
) -> None:
    began = watch.looks
    file = slow.variant("careful", wish("10.6.2", CAREFUL))
    with crowding(slow, CONSUMERS) as crowd, slow.sampling() as samples:
        ended = slow.converge(file=file)
    tell(f"{CONSUMERS} consumers during an upgrade: {crowd.words}; relays serving: {min(samples)} or more")
    assert crowd.saw["failed"] == 0, crowd.reasons
    assert crowd.saw["bootstrapped"] >= CONSUMERS
    assert min(samples) >= RELAYS - MOST_OUT
    relays = ended.document["relays"]
    assert [(relay["phase"], relay["release"]) for relay in relays] == [("serving", "10.6.2")] * RELAYS
    assert watch.looks > began
    assert watch.accused(since_look=began) == set()


def test_without_draining_and_budget_consumers_fail(slow: Fleet, tell: Callable[[str], None]) -> None:
    file = slow.variant("careless", wish("11.0.1", CARELESS))
    confirmed = [word for region in LAB_REGIONS for word in ("--confirm", f"dark-region:{region}")]
    with crowding(slow, CONSUMERS) as crowd, slow.sampling() as samples:
        slow.converge(*confirmed, file=file)
    tell(f"{CONSUMERS} consumers without draining and budget: {crowd.words}; relays serving: {min(samples)} or more")
    assert crowd.saw["failed"] > 0
    assert min(samples) < RELAYS - MOST_OUT


def test_in_a_thousand_blocks_with_slot_battles_and_upgrades_no_healthy_relay_is_accused(watch: Watch) -> None:
    wait_for(lambda: watch.blocks >= BLOCKS or watch.failures, seconds=900)
    watch.end()
    assert watch.count_battles() > 10
    assert watch.accused() <= watch.guilty
