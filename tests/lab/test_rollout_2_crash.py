"""Controllers are killed in each phase of a rollout, and operators speak while another one works: the fleet gets there all the same.

One release, on its way to five relays: six controllers are killed, an operator takes it back, changes his mind, pauses it and lets
it go on. What was out is seen by probing from the outside, what was restarted by the machines' own journals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.conftest import Stage
from tests.lab_crash import TOKEN, Killed, is_stopping, kill, kill_at_work, never_stopping, stopping_slowly, thaw
from tests.lab_fleet import SMALL, Ended, Fleet, wait_for
from tests.lab_rollout import (
    Outside,
    links,
    list_starts_since,
    load_history,
    now,
    quicken_rollouts,
    releases_of,
    watching_outside,
)

pytestmark = pytest.mark.lab

LAB = "crash"
OLD, NEW = "10.6.2", "11.0.1"
LONG_BAKE, BAKE = 60, 4
SLOW_STOP_SECONDS = 6

HOST = f"""
cat {TOKEN}; readlink /opt/cardano-node/current; ls -A /opt/cardano-node/releases; find /etc/cardano-node -type f | sort | xargs sha256sum
systemctl show cardano-node.service --property=ExecMainStartTimestampMonotonic,MainPID,ActiveState
"""
"""What work on a host would change."""

OTHER = f"{LAB}-us-east-1-02"
"""Not the canary: that is the last of the region with the most relays."""

NODES = "pgrep -fc '^/usr/bin/python3 .*/cardano-node run'"


@pytest.fixture(scope="module")
def ready(stage: Stage) -> Fleet:
    """The small fleet of the rollouts, serving on the release that the one asked for here follows; nothing is staged yet."""
    fleet = stage.enter(LAB, SMALL)

    def edit(document: dict[str, Any]) -> None:
        quicken_rollouts(document)
        document["release"] = OLD

    fleet.variant("fleet", edit)
    fleet.converge()
    for instance in fleet.instances():
        fleet.shell(instance["name"], f"rm -rf /opt/cardano-node/releases/{NEW}-*")
    return fleet


def ask_for_new(fleet: Fleet, bake_seconds: int) -> None:
    """Have the fleet file ask for the new release, whose canary is to bake for so long."""

    def edit(document: dict[str, Any]) -> None:
        document["release"] = NEW
        document["rollout"]["canary_bake"] = f"{bake_seconds}s"

    fleet.variant("fleet", edit)


def order(fleet: Fleet, *words: str) -> None:
    """Say something about the rollout, as an operator elsewhere would."""
    said = fleet.run("rollout", *words, "--reason", "so the test wants it")
    assert said.code == 0, said.err


def states(said: str) -> list[str]:
    """What state the rollout was in, by what a controller told."""
    told = re.findall(rf"\* rollout to {NEW}: ([a-z ]+)", said)
    return [state.strip() for index, state in enumerate(told) if told[index - 1 : index] != [state]]


# --- killed on the way, and on the way back ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Crashes:
    """A rollout whose controllers are killed one after the other, until it was taken back."""

    began: float
    canary: str
    killed: dict[str, Killed]
    """By the phase in which each of them was."""
    staged_alone: str
    """What the host has whose controller was killed while it staged."""
    stopping_alone: bool
    """Whether the canary's node was stopping when nobody was there to see it."""
    ended: Ended
    outside: Outside
    starts: list[tuple[float, str]]
    links: dict[str, str]
    before_thaw: str
    after_thaw: str


@pytest.fixture(scope="module")
def crashes(ready: Fleet) -> Crashes:
    """Kill a controller while hosts stage, while the canary drains, is deployed, bakes and goes back; apply anew each time."""
    fleet, began, killed = ready, now(), dict[str, Killed]()
    ask_for_new(fleet, LONG_BAKE)
    with watching_outside(fleet) as outside:
        killed["staging"] = kill_at_work(fleet, fleet.start_apply(), OTHER, f"{OTHER}: stage started")
        staged = fleet.shell(OTHER, "ls /opt/cardano-node/releases")
        run = fleet.start_apply()
        canary = re.findall(r"\* (\S+) drains: ", run.wait_line(r"\* \S+ drains: "))[0]
        killed["draining"] = kill(fleet, run)
        deploys = f"{canary}: deploy started"
        killed["deploying"] = kill_at_work(fleet, fleet.start_apply(), canary, deploys, freeze=True)
        run = fleet.start_apply()
        run.wait_line(rf"\* {canary} bakes: ")
        killed["baking"] = kill(fleet, run)
        with stopping_slowly(fleet, canary, SLOW_STOP_SECONDS):
            run = fleet.start_apply()
            run.wait_line(r"\* rollout to ")
            order(fleet, "rollback", "--yes")
            killed["rolling back"] = kill_at_work(fleet, run, canary, deploys)
            stopping = is_stopping(fleet, canary)
            ended = fleet.apply()
    starts, before = list_starts_since(fleet, began), fleet.shell(canary, HOST)
    thaw(fleet, killed["deploying"])
    after = fleet.shell(canary, HOST)
    return Crashes(began, canary, killed, staged, stopping, ended, outside, starts, links(fleet), before, after)


def test_a_host_stages_on_without_its_controller_and_the_next_one_takes_that_up(crashes: Crashes) -> None:
    assert f"{NEW}-" in crashes.staged_alone
    assert f"{OTHER}: stage" not in crashes.killed["draining"].said


def test_a_host_goes_back_without_its_controller_and_the_next_one_takes_that_up(crashes: Crashes) -> None:
    assert crashes.stopping_alone
    assert "deploy started" not in crashes.ended.err
    assert crashes.ended.document["rollout"]["state"] == "rolled back"
    assert releases_of(crashes.ended.document) == {OLD}


def test_a_node_is_restarted_once_to_go_and_once_to_come_back_however_many_controllers_tried(crashes: Crashes) -> None:
    assert [name for _, name in crashes.starts] == [crashes.canary] * 2


def test_each_controller_has_a_higher_token_than_the_one_before(crashes: Crashes) -> None:
    tokens = [killed.token for killed in crashes.killed.values()]
    assert tokens == sorted(set(tokens))


def test_what_an_earlier_controller_wanted_is_refused_after_a_later_one_was_there(crashes: Crashes) -> None:
    lately = int(crashes.before_thaw.splitlines()[0])
    assert lately >= crashes.killed["rolling back"].token > crashes.killed["deploying"].token
    assert crashes.after_thaw == crashes.before_thaw
    assert {link.partition("-")[0] for link in crashes.links.values()} == {OLD}


def test_nobody_but_the_canary_is_ever_out(crashes: Crashes) -> None:
    assert crashes.outside.ever_out == {crashes.canary}


# --- and on ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Onward:
    """The same rollout, which is to go on after all."""

    stopping_alone: bool
    ended: Ended
    outside: Outside
    starts: list[tuple[float, str]]
    links: dict[str, str]
    nodes: set[str]
    history: list[str]


@pytest.fixture(scope="module")
def onward(ready: Fleet, crashes: Crashes) -> Onward:
    """Kill one more between stop and start of the canary; pause and resume the next one while a relay of a wave stops."""
    fleet, began = ready, now()
    ask_for_new(fleet, BAKE)
    order(fleet, "resume")
    with watching_outside(fleet) as outside:
        with stopping_slowly(fleet, crashes.canary, SLOW_STOP_SECONDS):
            kill_at_work(fleet, fleet.start_apply(), crashes.canary, f"{crashes.canary}: deploy started")
            stopping = is_stopping(fleet, crashes.canary)
            run = fleet.start_apply()
            first = re.findall(r"\* (\S+) drains: ", run.wait_line(r"\* \S+ drains: "))[0]
        with stopping_slowly(fleet, first, SLOW_STOP_SECONDS):
            run.wait_line(f"{first}: deploy started")
            with never_stopping(fleet, first):
                order(fleet, "pause")
                run.wait_line(rf"\* rollout to {NEW}: paused")
                order(fleet, "resume")
                wait_for(lambda: states(run.said) == ["running", "paused", "running"])
            ended = run.end()
    nodes = {fleet.shell(instance["name"], NODES) for instance in fleet.instances()}
    history = [
        event.what for event in load_history(fleet) if event.version == NEW and event.at.timestamp() > crashes.began
    ]
    return Onward(stopping, ended, outside, list_starts_since(fleet, began), links(fleet), nodes, history)


def test_a_rollout_gets_there_though_its_controller_died_between_stop_and_start(onward: Onward) -> None:
    assert onward.stopping_alone
    assert onward.ended.code == 0, onward.ended.err
    assert releases_of(onward.ended.document) == {NEW}
    assert {link.partition("-")[0] for link in onward.links.values()} == {NEW}
    assert onward.nodes == {"1"}


def test_every_node_is_started_once_the_canary_first(onward: Onward, crashes: Crashes) -> None:
    started = [name for _, name in onward.starts]
    assert started[0] == crashes.canary
    assert len(started) == len(set(started)) == 5


def test_the_bake_of_a_canary_whose_controller_died_is_served_out(onward: Onward) -> None:
    (canary_started, _), (next_started, _) = onward.starts[:2]
    assert next_started - canary_started >= BAKE


def test_pause_and_resume_are_heard_by_a_controller_that_is_at_work(onward: Onward) -> None:
    assert states(onward.ended.err) == ["running", "paused", "running", "complete"]


def test_never_is_more_than_one_out(onward: Onward) -> None:
    assert onward.outside.most_out == 1


def test_the_history_tells_everything_once(onward: Onward) -> None:
    once = ("started", "rolling back", "paused", "complete")
    assert {what: onward.history.count(what) for what in once} == dict.fromkeys(once, 1)
