"""What a host answers to an inspection, as the planner sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ansible_facts import parse_facts
from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.fleet.observation import HostFacts, Unreadable
from playbooks.module_utils.genesis.inspecting import inspect
from playbooks.module_utils.genesis.machine import Machine, Ran


def answer(folder: Path, **changes: Any) -> dict[str, Any]:
    """An answer of the module itself, so that both sides know the same names."""
    systemd = "LoadState=loaded\nActiveState=inactive\n"
    return inspect(Machine(folder, lambda *_, **__: Ran(0, systemd, ""))) | changes


def parsed(raw: dict[str, Any]) -> HostFacts:
    facts = parse_facts(raw)
    assert isinstance(facts, HostFacts), facts
    return facts


def test_a_node_that_does_not_run_has_no_metrics_and_says_why(tmp_path: Path) -> None:
    facts = parsed(answer(tmp_path))
    assert (facts.metrics, facts.metrics_missing) == (None, "the node does not run")
    assert (facts.peers, facts.reload_logged, facts.reloaded_seconds_ago) == (None, None, None)


def test_metrics_and_peers_and_a_reload_are_read(tmp_path: Path) -> None:
    running = {
        "metrics": "slotNum_int 5\n",
        "metrics_missing": "",
        "peers": ["10.0.0.1", "10.0.0.2"],
        "reload_logged": False,
        "reload_answer": "no such file",
        "reloaded_seconds_ago": 2,
    }
    facts = parsed(answer(tmp_path, **running))
    assert facts.metrics == NodeMetrics("unknown", tip_slot=5)
    assert facts.peers == {"10.0.0.1", "10.0.0.2"}
    assert (facts.reload_logged, facts.reloaded_seconds_ago, facts.detail) == (False, 2.0, "no such file")


def test_how_often_a_node_was_restarted_and_since_when_it_runs_are_read(tmp_path: Path) -> None:
    facts = parsed(answer(tmp_path, restarts=3, started_seconds_ago=12.5))
    assert (facts.restarts, facts.started_seconds_ago) == (3, 12.5)
    facts = parsed(answer(tmp_path, restarts=None, started_seconds_ago=None))
    assert (facts.restarts, facts.started_seconds_ago) == (None, None)


def test_a_replay_that_only_the_log_tells_of_counts_like_one_that_a_metric_tells_of(tmp_path: Path) -> None:
    known = {"metrics": "connectionManager_incomingConns 0\n", "metrics_missing": "", "replay_logged": 12.5}
    facts = parsed(answer(tmp_path, **known))
    assert facts.metrics == NodeMetrics("legacy", inbound=0, replay_percent=12.5)
    facts = parsed(answer(tmp_path, **known | {"metrics": "blockReplayProgress_real 30\n"}))
    assert facts.metrics is not None
    assert facts.metrics.replay_percent == 30


def test_a_node_without_peers_is_not_one_whose_peers_are_unknown(tmp_path: Path) -> None:
    assert parsed(answer(tmp_path, peers=[])).peers == frozenset()


@pytest.mark.parametrize("text", ["", "something_else 5\n"])
def test_metrics_of_which_none_is_known_are_none(tmp_path: Path, text: str) -> None:
    facts = parsed(answer(tmp_path, metrics=text, metrics_missing=""))
    assert facts.metrics is None
    assert "no name that is known" in facts.metrics_missing


@pytest.mark.parametrize(
    "changes", [{"peers": 5}, {"reloaded_seconds_ago": "x"}, {"restarts": "x"}, {"unit": "odd"}, {"files": None}]
)
def test_an_answer_that_makes_no_sense_is_none(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert isinstance(parse_facts(answer(tmp_path, **changes)), Unreadable)
