"""What a node says of itself beside what the wire shows: sentences with both sides in them, and silence where one is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.planning.budget import name_some
from orchestrator.planning.node_notes import (
    HangingCause,
    describe_replay,
    describe_span,
    list_disagreements,
    tell_hanging_apart,
)

NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
LONG_AGO = int(NOW.timestamp()) - 86_400
HANGING = Sighting(Verdict.HANDSHAKE_TIMEOUT)


def replaying(percent: float, minutes: int | None) -> NodeMetrics:
    started = None if minutes is None else int((NOW - timedelta(minutes=minutes)).timestamp())
    return NodeMetrics("new", replay_percent=percent, started_at=started)


# --- replay ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        (replaying(40, 12), "replays its chain: 40 % after 12 min, about 18 min left"),
        (replaying(25, 60), "replays its chain: 25 % after 1 h, about 3 h left"),
        (replaying(0, 12), "replays its chain: 0 % after 12 min"),
        (replaying(40, None), "replays its chain: 40 %"),
        (replaying(40, -5), "replays its chain: 40 %"),
    ],
)
def test_a_replay_is_told_with_an_estimate_of_what_is_left(metrics: NodeMetrics, text: str) -> None:
    assert describe_replay(metrics, NOW) == text


@pytest.mark.parametrize(
    "metrics",
    [
        None,
        NodeMetrics("legacy"),
        replaying(100, 12),
        replaying(99.99842, 12),
        NodeMetrics("new", replay_percent=50, tip_slot=5),  # what has a tip has replayed
    ],
)
def test_a_node_that_is_not_known_to_replay_does_not(metrics: NodeMetrics | None) -> None:
    assert describe_replay(metrics, NOW) is None


# --- no handshake ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "cause", "text"),
    [
        (NodeMetrics("new", inbound=64), HangingCause.SATURATED, "saturated: 64 of 64 connections"),
        (
            NodeMetrics("new", inbound=60),
            HangingCause.SATURATED,
            "nearly saturated: 60 of 64 connections, and it accepts slowly above 48",
        ),
        (
            NodeMetrics("legacy", inbound=3),
            HangingCause.HANGS,
            "hangs: connects, but no handshake, with 3 of 64 connections",
        ),
        (replaying(40, 12), HangingCause.REPLAYING, "replays its chain: 40 % after 12 min, about 18 min left"),
        (
            NodeMetrics("new"),
            HangingCause.UNKNOWN,
            "connects, but no handshake, and its metrics do not tell why (nothing listens)",
        ),
        (
            None,
            HangingCause.UNKNOWN,
            "connects, but no handshake, and its metrics do not tell why (nothing listens)",
        ),
    ],
)
def test_a_handshake_that_never_comes_has_a_cause(metrics: NodeMetrics | None, cause: HangingCause, text: str) -> None:
    hanging = tell_hanging_apart(metrics, NOW, hard_limit=64, soft_limit=48, missing="nothing listens")
    assert (hanging.cause, hanging.text) == (cause, text)


# --- metrics beside the wire -----------------------------------------------------------------------------------------


def disagreements(metrics: NodeMetrics | None, sighting: Sighting | None, missing: str = "") -> tuple[str, ...]:
    return list_disagreements(metrics, sighting, NOW, missing=missing, hard_limit=64, soft_limit=48)


def test_tips_a_few_blocks_apart_agree() -> None:
    assert disagreements(NodeMetrics("new", tip_slot=1_000), Sighting(Verdict.OK, tip_slot=1_120)) == ()


def test_tips_far_apart_are_named_side_by_side() -> None:
    behind = disagreements(NodeMetrics("new", tip_slot=1_000), Sighting(Verdict.OK, tip_slot=1_121))
    assert behind == ("its metrics say slot 1000, the wire shows the tip 1121: 121 slots apart",)


def test_fresh_metrics_beside_a_stale_wire_are_named() -> None:
    ahead = disagreements(NodeMetrics("new", tip_slot=9_000), Sighting(Verdict.STALE_TIP, tip_slot=1_000))
    assert ahead == ("its metrics say slot 9000, the wire shows the stale tip 1000: 8000 slots apart",)


def test_a_full_node_explains_a_handshake_that_hangs() -> None:
    metrics = NodeMetrics("new", inbound=64, started_at=LONG_AGO)
    assert disagreements(metrics, HANGING) == ("saturated: 64 of 64 connections",)
    assert disagreements(metrics, Sighting(Verdict.OK)) == ()


def test_a_node_that_started_a_moment_ago_explains_what_the_wire_says() -> None:
    metrics = NodeMetrics("new", started_at=int(NOW.timestamp()) - 40)
    assert disagreements(metrics, Sighting(Verdict.REFUSED)) == (
        "its node started 40 s ago, and the wire says refused",
    )
    assert disagreements(metrics, Sighting(Verdict.OK)) == ()


def test_a_start_that_is_yet_to_come_is_a_wrong_clock() -> None:
    metrics = NodeMetrics("new", started_at=int(NOW.timestamp()) + 600)
    (told,) = disagreements(metrics, Sighting(Verdict.OK))
    assert told == "says that it started 10 min from now: its clock or ours is wrong"


def test_a_node_that_serves_without_metrics_is_named() -> None:
    told = disagreements(None, Sighting(Verdict.OK), missing="nothing listens on 127.0.0.1:12798")
    assert told == ("answers on the wire, and tells no metrics: nothing listens on 127.0.0.1:12798",)


@pytest.mark.parametrize("sighting", [None, Sighting(Verdict.NOT_ASKED), HANGING])
def test_nobody_is_contradicted_by_what_is_not_known(sighting: Sighting | None) -> None:
    assert disagreements(None, sighting, missing="nothing listens") == ()


@pytest.mark.parametrize(("seconds", "text"), [(59, "59 s"), (60, "1 min"), (3600, "1 h"), (9000, "2 h 30 min")])
def test_spans_are_told_as_people_tell_them(seconds: int, text: str) -> None:
    assert describe_span(timedelta(seconds=seconds)) == text


def test_many_names_are_counted_and_few_are_named() -> None:
    assert name_some(["a", "b"], 5) == "a, b"
    assert name_some(["a", "b", "c", "d", "e", "f", "g"], 5) == "a, b, c, d, e and 2 more"
