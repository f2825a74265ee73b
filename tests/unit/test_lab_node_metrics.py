"""The lab node's metrics: names in both dialects, absence, and the strict server's answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orchestrator.lab.node.metrics import Figures, TipFigures, render_metrics
from orchestrator.lab.node.prometheus import answer_strictly
from orchestrator.lab.node.version import Version

FIGURES = Figures(
    version=Version(11, 0, 1),
    revision="ab" * 20,
    started=datetime(2026, 1, 1, tzinfo=UTC),
    tip=TipFigures(slot=122573222, block=4686677, epoch=5, slot_in_epoch=7, density=0.05),
    replay_percent=100.0,
    inbound=3,
    outbound=2,
    forks=1,
)


def samples(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if not line.startswith("#") and "{" not in line]
    return dict(line.rsplit(" ", 1) for line in lines)


def test_a_tip_not_yet_known_is_absent_in_both_dialects() -> None:
    for legacy in (True, False):
        text = render_metrics(replace(FIGURES, tip=None), legacy=legacy)
        assert "slotNum" not in text
        assert "blockNum" not in text


@pytest.mark.parametrize(
    ("legacy", "names"),
    [
        (True, ("connectionManager_incomingConns", "nodeStartTime_int", "forks_int", "served_block_count_int")),
        (
            False,
            ("connectionManager_inboundConns_int", "node_start_time_int", "forks_counter", "served_block_counter"),
        ),
    ],
)
def test_names_are_those_of_the_dialect(legacy: bool, names: tuple[str, ...]) -> None:
    found = samples(render_metrics(FIGURES, legacy=legacy))
    assert {f"cardano_node_metrics_{name}" for name in (*names, "slotNum_int", "blockNum_int")} <= found.keys()
    other = samples(render_metrics(FIGURES, legacy=not legacy))
    assert not {f"cardano_node_metrics_{name}" for name in names} & other.keys()


def test_only_the_new_dialect_tells_how_far_a_replay_is() -> None:
    assert "blockReplayProgress_real" in render_metrics(FIGURES, legacy=False)
    assert "blockReplayProgress" not in render_metrics(FIGURES, legacy=True)


def test_the_version_is_told_in_labels() -> None:
    assert 'cardano_build_info{version_major="11"' in render_metrics(FIGURES, legacy=False)
    assert 'cardano_build_info {version_major="11"' in render_metrics(FIGURES, legacy=True)


def test_without_suffixes_the_kind_of_number_is_not_in_the_name() -> None:
    found = samples(render_metrics(FIGURES, legacy=False, with_suffix=False))
    assert found["cardano_node_metrics_slotNum"] == "122573222"
    assert not [name for name in found if name.endswith(("_int", "_counter", "_real"))]


def test_the_new_exposition_ends_as_openmetrics_do() -> None:
    assert render_metrics(FIGURES, legacy=False).endswith("\n# EOF\n")


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET /metrics HTTP/1.1\r\n\r\n", 200),
        ("HEAD /metrics HTTP/1.1\r\n\r\n", 200),
        ("GET /metrics HTTP/1.1\r\nAccept: text/plain\r\n\r\n", 200),
        ("GET /metrics HTTP/1.1\r\naccept: application/openmetrics-text\r\n\r\n", 200),
        ("GET /metrics HTTP/1.1\r\nAccept: application/json\r\n\r\n", 415),
        ("GET /metrics?name=x HTTP/1.1\r\n\r\n", 404),
        ("GET /metrics/ HTTP/1.1\r\n\r\n", 404),
        ("POST /metrics HTTP/1.1\r\n\r\n", 405),
        ("hello\r\n\r\n", 400),
    ],
)
def test_the_strict_server_answers_as_the_nodes_does(request_text: str, status: int) -> None:
    answer = answer_strictly(request_text.encode(), lambda: "figures\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert (body == b"figures\n") == (status == 200 and request_text.startswith("GET"))
