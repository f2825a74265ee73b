"""From the lab node's strict metrics server, through the host module that asks it, to the one vocabulary: in every dialect."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import pytest

from orchestrator.adapters.metrics import NAMES, parse_metrics
from orchestrator.fleet.metrics import NodeMetrics
from orchestrator.lab.node.metrics import Figures, TipFigures, render_metrics
from orchestrator.lab.node.prometheus import MetricsServer
from orchestrator.lab.node.version import parse_version
from playbooks.module_utils.genesis.metrics import read_metrics

FIGURES = Figures(
    version=parse_version("11.0.1"),
    revision="ab" * 20,
    started=datetime(2026, 10, 1, tzinfo=UTC),
    tip=TipFigures(slot=16_240, block=812, epoch=3, slot_in_epoch=40, density=0.05),
    replay_percent=100.0,
    inbound=14,
    outbound=6,
    resident_bytes=104_857_600,
)
READ = NodeMetrics("new", 16_240, 812, 14, 6, 0, int(FIGURES.started.timestamp()), 100.0, 104_857_600)


@contextmanager
def serving(render: Callable[[], str], *, legacy: bool) -> Iterator[int]:
    """Run the lab node's own metrics server on a free port of the loopback."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    loop = asyncio.new_event_loop()
    server = loop.create_task(MetricsServer(render, legacy=legacy).run("127.0.0.1", port, lambda _: None))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.gather(server, return_exceptions=True)))
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(server.cancel)
        thread.join()
        loop.close()


def ask(port: int) -> tuple[str, str]:
    """Ask as a look does, once the server listens."""
    for _ in range(500):
        text, missing = read_metrics(port, NAMES)
        if "nothing listens" not in missing:
            return text, missing
        threading.Event().wait(0.01)
    return text, missing


@pytest.mark.parametrize(
    ("legacy", "with_suffix", "read"),
    [
        (True, True, NodeMetrics("legacy", 16_240, 812, 14, 6, 0, READ.started_at, None, READ.memory_bytes)),
        (False, True, READ),
        (False, False, READ),
    ],
)
def test_each_dialect_comes_out_as_the_same_figures(legacy: bool, with_suffix: bool, read: NodeMetrics) -> None:
    with serving(lambda: render_metrics(FIGURES, legacy=legacy, with_suffix=with_suffix), legacy=legacy) as port:
        text, missing = ask(port)
    assert missing == ""
    assert parse_metrics(text) == read
    assert "mempool" not in text.lower()  # what nobody reads stays on the host
