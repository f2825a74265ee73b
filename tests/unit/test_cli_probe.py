"""`probe` against relays on loopback: verdicts as exit codes, many targets, a line of JSON each."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from orchestrator.ouroboros.server import ServerSettings
from tests.command_line import Ended, Run, make_run, write_fleet
from tests.ouroboros_peers import MAGIC, a_relay

PREVIEW = 2
KEYS = {
    "target", "verdict", "detail", "rtt", "connect_rtt", "handshake_rtt", "keepalive_rtts", "version", "magic",
    "tip_slot", "tip_block", "tip_hash", "tip_age", "round_trips",
}  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def probe(run: Run, *arguments: str | Path, magic: int = MAGIC, further: tuple[str, ...] = ()) -> tuple[str, Ended]:
    async def ask() -> tuple[str, Ended]:
        async with a_relay(settings=ServerSettings(magic)) as (target, _):
            return str(target), await asyncio.to_thread(run, *arguments, str(target), *further)

    return asyncio.run(ask())


def a_closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_a_relay_that_answers_is_ok(run: Run) -> None:
    target, ended = probe(run, "probe", "--magic", str(MAGIC), "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.document.keys() == KEYS
    assert (ended.document["target"], ended.document["verdict"]) == (target, "ok")
    assert (ended.document["magic"], ended.document["tip_slot"], ended.document["tip_block"]) == (MAGIC, 20, 2)
    assert 0 < ended.document["rtt"] < 10


def test_a_relay_on_another_network_fails(run: Run) -> None:
    _, ended = probe(run, "probe", "--magic", "43", "--json")
    assert ended.code == 1
    assert ended.document["verdict"] == "wrong_magic"


def test_a_stale_tip_is_told_apart_by_the_exit_code(run: Run) -> None:
    _, ended = probe(run, "probe", "--network", "preview", "--json", magic=PREVIEW)
    assert ended.code == 2
    assert ended.document["verdict"] == "stale_tip"
    assert ended.document["tip_age"] > 300


def test_a_port_that_nobody_listens_on_fails(run: Run) -> None:
    ended = run("probe", "--magic", "42", "--json", a_closed_port())
    assert (ended.code, ended.document["verdict"]) == (1, "refused")


def test_many_targets_are_asked_at_once_and_answered_in_their_order(run: Run) -> None:
    closed = a_closed_port()
    target, ended = probe(run, "probe", "--magic", str(MAGIC), "--json", further=(closed,))
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert [(line["target"], line["verdict"]) for line in lines] == [(target, "ok"), (closed, "refused")]
    assert ended.code == 1


def test_the_count_is_of_pings(run: Run) -> None:
    _, ended = probe(run, "probe", "--magic", str(MAGIC), "--json", "--count", "3")
    assert len(ended.document["keepalive_rtts"]) == 3
    assert run("probe", "--magic", "42", "--count", "0", "127.0.0.1:1").code == 64


def test_the_table_says_the_same(run: Run) -> None:
    target, ended = probe(run, "probe", "--magic", str(MAGIC))
    heading, line = ended.out.splitlines()
    assert heading.split()[:4] == ["target", "verdict", "rtt", "version"]
    assert line.split()[:2] == [target, "ok"]


@pytest.mark.parametrize("target", ["somewhere", "192.0.2.1:0", "192.0.2.1:port", "[::1:3001", ":3001"])
def test_what_is_no_target_is_wrong_usage(run: Run, target: str) -> None:
    ended = run("probe", "--magic", "42", "127.0.0.1:1", target)
    assert (ended.code, ended.out) == (64, "")
    assert target in ended.err


def test_the_network_comes_from_the_fleet_file(run: Run, tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path)
    _, ended = probe(run, "--fleet", fleet, "probe", "--json", magic=PREVIEW)
    assert (ended.document["magic"], ended.document["verdict"]) == (PREVIEW, "stale_tip")


def test_without_any_network_the_usage_says_how_to_name_one(run: Run, tmp_path: Path) -> None:
    ended = run("--fleet", tmp_path / "none.yaml", "probe", "127.0.0.1:1")
    assert ended.code == 64
    assert "--network or --magic" in ended.err
    assert run("probe", "--network", "mainnet", "--magic", "1", "127.0.0.1:1").code == 64
