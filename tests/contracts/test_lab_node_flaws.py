"""Bad releases as processes on loopback: each does wrong what it is made for, as the fleet's probes see it, and nothing else."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.error
from collections.abc import Callable
from datetime import timedelta

import pytest

from orchestrator.lab.node.faults import Slow
from orchestrator.lab.node.flaws import (
    ExitsAtStart,
    Flaw,
    Forks,
    GoesStale,
    Hangs,
    NeverListens,
    OtherNetwork,
    ReplaysAlways,
    render_flaw,
)
from orchestrator.ouroboros.client import ProbeTimeouts
from orchestrator.ouroboros.verdicts import Verdict
from tests.lab_node_process import METRICS_PORT, LabNode, start_forger_and_follower, until

SHORT = ProbeTimeouts(handshake=timedelta(seconds=0.5))


def with_flaw(node: LabNode, flaw: Flaw | None) -> LabNode:
    node.environment["GENESIS_LAB_FLAW"] = json.dumps(None if flaw is None else render_flaw(flaw))
    return node


def replace_release(node: LabNode, flaw: Flaw | None) -> LabNode:
    """Stop a node, and start another release of it over the same database."""
    assert node.stop() == 0
    return with_flaw(node, flaw).start()


def metrics_or_nothing(node: LabNode) -> str:
    try:
        return node.metrics()
    except (urllib.error.URLError, ConnectionError):
        return ""


def test_a_release_that_exits_says_why_and_leaves_the_database_as_it_was(make_node: Callable[..., LabNode]) -> None:
    _, node = start_forger_and_follower(make_node)
    assert node.stop() == 0
    with_flaw(node, ExitsAtStart()).start()
    assert node.process is not None
    assert node.process.wait(timeout=20) == 1
    assert "this release ends at each start" in node.output("err")
    assert node.marker(), "what it never opened is still clean"


def test_a_release_that_never_listens_runs_shows_metrics_and_stops_on_request(
    make_node: Callable[..., LabNode],
) -> None:
    node = with_flaw(make_node(), NeverListens()).start()
    until(lambda: "blockReplayProgress_real 100" in metrics_or_nothing(node), "it has replayed")
    assert node.probe().verdict is Verdict.REFUSED
    assert "RunServer" not in node.output()
    assert node.stop() == 0


def test_a_release_that_hangs_follows_the_chain_and_answers_nobody(make_node: Callable[..., LabNode]) -> None:
    _, node = start_forger_and_follower(make_node)
    replace_release(node, Hangs())
    until(lambda: node.probe(timeouts=SHORT).verdict is Verdict.HANDSHAKE_TIMEOUT, "it hangs")
    until(lambda: "slotNum_int" in node.metrics(), "its chain grows")


def test_a_release_of_another_network_is_told_as_such_from_the_start(make_node: Callable[..., LabNode]) -> None:
    node = with_flaw(make_node(), OtherNetwork()).start()
    until(lambda: node.probe().verdict is Verdict.WRONG_MAGIC, "it is of another network")


def test_a_release_that_goes_stale_first_follows_then_keeps_its_tip_and_goes_on_answering(
    make_node: Callable[..., LabNode],
) -> None:
    forger, node = start_forger_and_follower(make_node)
    replace_release(node, GoesStale(1.0))
    until(lambda: "stall:" in node.output(), "it has served for a second")
    kept = node.block()
    assert kept > 2, "it followed until then"
    until(lambda: forger.block() > kept + 10, "the others go on")
    assert node.block() == kept
    assert node.serves()


def test_a_release_that_forks_serves_first_then_makes_a_chain_that_the_next_release_gives_up(
    make_node: Callable[..., LabNode],
) -> None:
    forger, node = start_forger_and_follower(make_node)
    replace_release(node, Forks(1.0))
    until(node.serves, "it answers")
    assert forger.has_tip_of(node), "it does right at first"
    until(lambda: "fork:" in node.output(), "it has served for a second")
    forked_at = node.block()
    until(lambda: node.block() > forked_at + 8, "its own chain grows")
    assert not forger.has_tip_of(node)
    replace_release(node, None)
    until(node.serves, "a good release answers")
    until(lambda: forger.has_tip_of(node) and node.block() > forked_at, "and follows the others again")


@pytest.mark.parametrize("version", ["10.5.1", "10.6.2"])
def test_a_release_that_always_replays_does_so_over_a_clean_database_and_tells_how_far_it_is(
    make_node: Callable[..., LabNode], version: str
) -> None:
    _, node = start_forger_and_follower(make_node)
    node.version = version
    if version == "10.5.1":
        node.change_file(
            "config.json",
            TraceOptions=None,
            UseTraceDispatcher=False,
            hasPrometheus=[node.address, METRICS_PORT],
            minSeverity="Info",
        )
    replace_release(node, ReplaysAlways(3600))
    until(lambda: "ChainDB is not clean" in node.output(), "it takes the database for unclean")
    until(lambda: len(progress_lines(node)) >= 2, "the log tells how far it is")
    assert progress_lines(node) == sorted(progress_lines(node))
    assert ("blockReplayProgress" in node.metrics()) == (version == "10.6.2"), "the legacy dialect has no such metric"
    assert node.probe().verdict is Verdict.REFUSED
    assert node.stop(signal.SIGINT) == 0
    assert node.marker(), "stopped while starting: the marker stays as it was"


def progress_lines(node: LabNode) -> list[float]:
    return [
        float(percent)
        for percent in re.findall(r"Replayed block: slot \d+ out of \d+\. Progress: (\d+\.\d+)%", node.output())
    ]


def test_after_its_replay_a_release_that_always_replays_serves(make_node: Callable[..., LabNode]) -> None:
    _, node = start_forger_and_follower(make_node)
    assert node.stop() == 0
    began = time.monotonic()
    with_flaw(node, ReplaysAlways(1.5)).start()
    until(node.serves, "it answers")
    assert time.monotonic() - began >= 1.5
    until(lambda: node.block() > 3, "its chain grows")


def test_what_the_lab_asks_for_counts_before_what_the_release_does(make_node: Callable[..., LabNode]) -> None:
    node = with_flaw(make_node(), OtherNetwork()).start()
    until(lambda: node.probe().verdict is Verdict.WRONG_MAGIC, "it is of another network")
    node.tell(Slow(0.01))
    until(node.serves, "it is only slow")
    node.tell(None)
    until(lambda: node.probe().verdict is Verdict.WRONG_MAGIC, "it is of another network again")
