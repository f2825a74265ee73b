"""The benchmark of probing measures what it says: every way gets every answer, and wrong answers stop it."""

import os
from dataclasses import replace

import pytest

from benchmarks.probing import WAYS, _relays, _take
from benchmarks.table import probing_document


@pytest.fixture(scope="module")
def port():
    with _relays(min(os.sched_getaffinity(0)), milliseconds=0) as port:
        yield port


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_way_of_asking_finds_the_points(way, port):
    seconds, processor_seconds = _take(replace(way, relays=2), port)
    assert processor_seconds > 0
    assert seconds > 0


def test_answers_that_are_missing_stop_the_benchmark(port, monkeypatch):
    monkeypatch.setattr("benchmarks.probing.POINTS", ())
    with pytest.raises(SystemExit, match="found 0 of 8 points"):
        _take(replace(WAYS[0], relays=1), port)


def test_ratios_compare_ways_with_the_same_delay():
    rows = [
        {"way": way, "delay_milliseconds": delay, "relays_a_second": speed}
        for way, delay, speed in [("ours", 0, 1000.0), ("other", 0, 100.0), ("ours", 50, 900.0), ("other", 50, 10.0)]
    ]
    assert [row["ratio"] for row in probing_document(rows)] == [1.0, 10.0, 1.0, 90.0]
