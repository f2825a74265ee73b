"""A good release reaches a whole fleet, canary first and one relay at a time; each bad one ends at staging or at the canary.

What was out is seen by probing from the outside, what was restarted by the machines' own journals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from orchestrator.lab.node.flaws import Flaw, Forks, GoesStale
from orchestrator.lab.releases.bad import KINDS
from tests.lab_fleet import Ended, Fleet
from tests.lab_rollout import Outside, links, list_starts_since, load_history, now, releases_of, watching_outside

pytestmark = pytest.mark.lab

OLD, NEW = "10.5.1", "10.6.2"
CANARY_BAKES_SECONDS = 12


# --- a good release --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upgrade:
    """A good release on its way through the fleet."""

    ended: Ended
    outside: Outside
    starts: list[tuple[float, str]]
    waves: list[list[str]]
    links: dict[str, str]


@pytest.fixture(scope="module")
def upgrade(rolling: Fleet) -> Upgrade:
    """From the last release of one metrics dialect to the first of the other, which speaks another wire version as well."""
    rolling.variant("fleet", lambda document: document.update(release=NEW))
    planned = rolling.run("plan", "--json").document["rollout"]
    waves = [[relay["name"] for relay in wave["relays"]] for wave in planned["waves"]]
    began = now()
    with watching_outside(rolling) as outside:
        ended = rolling.apply()
    return Upgrade(ended, outside, list_starts_since(rolling, began), waves, links(rolling))


def test_a_good_release_reaches_everybody_and_all_are_published_again(upgrade: Upgrade) -> None:
    assert upgrade.ended.code == 0, upgrade.ended.err
    assert releases_of(upgrade.ended.document) == {NEW}
    assert {link.partition("-")[0] for link in upgrade.links.values()} == {NEW}
    assert upgrade.ended.document["rollout"]["state"] == "complete"


def test_every_node_is_started_once_in_the_order_of_the_waves(upgrade: Upgrade) -> None:
    started = [name for _, name in upgrade.starts]
    waves = upgrade.waves
    assert [len(wave) for wave in waves] == [1, 2, 2]
    assert [started[:1], sorted(started[1:3]), sorted(started[3:])] == [sorted(wave) for wave in waves]


def test_the_others_wait_until_the_canary_has_baked(upgrade: Upgrade) -> None:
    (canary_started, _), (next_started, _) = upgrade.starts[:2]
    assert next_started - canary_started >= CANARY_BAKES_SECONDS


def test_from_the_outside_no_more_than_one_relay_is_ever_out(upgrade: Upgrade) -> None:
    assert upgrade.outside.ever_out, "a watch that sees nobody restart sees nothing"
    assert upgrade.outside.most_out == 1


def test_a_relay_leaves_the_names_before_its_node_is_stopped(upgrade: Upgrade) -> None:
    lines = upgrade.ended.err
    for _, name in upgrade.starts:
        assert -1 < lines.find(f"{name} drains: ") < lines.find(f"{name}: deploy started"), name


# --- bad releases ----------------------------------------------------------------------------------------------------

STAGING = "staging failed 4 times, last: "
SINCE_UPDATED = "shows no progress for "

CAUSES: dict[str, tuple[str, ...]] = {
    "wrong-checksum": (STAGING, "checksum mismatch"),
    "exits": ("this release ends at each start",),
    "never-listens": (SINCE_UPDATED, "its port is not open"),
    "hangs": (SINCE_UPDATED, "connects, but no handshake"),
    "wrong-magic": ("is on another network", "magic 4243, not 4242"),
    "other-version": (STAGING, "says 10.5.4, the fleet file calls it 10.6.906"),
    "forks": ("it is on another chain than alpha, beta and 4 of our relays",),
    "goes-stale": ("worse than the others in tip age|its tip is stale",),
    "long-replay": ("times as long as",),
}
"""Kind → patterns that its cause has to match."""

BEFORE_ANYBODY_IS_DISTURBED = ("wrong-checksum", "other-version")

SOONER: dict[str, Flaw] = {"forks": Forks(1.0), "goes-stale": GoesStale(1.0)}
"""Flaws that show so soon that a canary need not bake for a minute here."""


@dataclass(frozen=True)
class Tried:
    """A bad release that was asked for, twice."""

    kind: str
    first: Ended
    outside: Outside
    canary: str
    starts: list[tuple[float, str]]
    links: dict[str, str]
    again: Ended
    starts_again: list[tuple[float, str]]

    @property
    def because(self) -> str:
        """What the rollout has come to, in words."""
        return str(self.first.document["rollout"]["because"])


@pytest.fixture(scope="module", params=list(KINDS))
def tried(rolling: Fleet, upgrade: Upgrade, request: pytest.FixtureRequest) -> Tried:
    """Ask for one bad release after another on the same fleet: each takes the place of the one before."""
    kind: str = request.param
    file = rolling.bad_variant(kind, flaw=SOONER.get(kind))
    began = now()
    with watching_outside(rolling) as outside:
        first = rolling.apply(file=file)
    stopped, starts = now(), list_starts_since(rolling, began)
    again = rolling.apply(file=file)
    canary = first.document["rollout"]["waves"][0]["relays"][0]["name"]
    return Tried(kind, first, outside, canary, starts, links(rolling), again, list_starts_since(rolling, stopped))


def test_a_bad_release_halts_the_rollout_for_the_cause_that_is_true(tried: Tried) -> None:
    assert tried.first.code == 2
    assert tried.first.document["rollout"]["state"] == "halted"
    assert [words for words in CAUSES[tried.kind] if not re.search(words, tried.because)] == [], tried.because
    told_again = re.search(rf"rollout to .*: halted .*; {tried.canary}: ", tried.again.err)
    assert told_again or tried.kind in BEFORE_ANYBODY_IS_DISTURBED, tried.again.err


def test_only_the_canary_ever_runs_a_bad_release(tried: Tried) -> None:
    restarted = {name for _, name in tried.starts}
    assert restarted == (set() if tried.kind in BEFORE_ANYBODY_IS_DISTURBED else {tried.canary})


def test_at_most_one_relay_is_out_because_of_a_bad_release(tried: Tried) -> None:
    assert tried.outside.ever_out <= {tried.canary}
    assert tried.outside.ever_out or tried.kind in (*BEFORE_ANYBODY_IS_DISTURBED, "forks")


def test_all_serve_the_release_before_again(tried: Tried) -> None:
    document = tried.first.document
    assert releases_of(document) == {NEW}
    assert {link.partition("-")[0] for link in tried.links.values()} == {NEW}


def test_another_apply_does_not_try_again(tried: Tried) -> None:
    assert tried.again.code == 2
    # Staging disturbs nobody, so an operator's new apply may try it again: room may have been made, an address mended.
    allowed = tried.kind in BEFORE_ANYBODY_IS_DISTURBED
    begun = [line for line in tried.again.err.splitlines() if " started: " in line]
    assert all(allowed and " stage started: " in line for line in begun)
    assert tried.starts_again == []
    cause = tried.again.document["rollout"]["because"]
    if allowed:  # of several hosts the first to give up is named, and that may be another one
        assert [words for words in CAUSES[tried.kind] if not re.search(words, cause)] == [], cause
    else:
        assert cause == tried.because


def test_the_history_tells_each_of_them_once(rolling: Fleet, tried: Tried) -> None:
    version = tried.first.document["rollout"]["version"]
    told = [event.what for event in load_history(rolling) if event.version == version]
    staged_twice = tried.kind in BEFORE_ANYBODY_IS_DISTURBED
    assert told.count("started") == 1
    assert told.count("halted") == (2 if staged_twice else 1)
    assert set(told) <= {"superseded", "started", "failed", "halted", *({"retried"} if staged_twice else set())}
