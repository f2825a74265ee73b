"""`drain` and `undrain`: a word in the store, told in full, and refused where it would come to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.adapters.store import read_record
from orchestrator.fleet.rollout import Verb
from tests.command_line import Run, make_run, write_fleet

RELAY = "demo-eu-central-1-01"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return write_fleet(tmp_path)


def orders(fleet: Path) -> list[tuple[Verb, str, str]]:
    record = read_record(f"sqlite:///{fleet.parent / 'state' / 'store.db'}", "demo")
    assert record is not None
    return [(order.verb, order.relay, order.reason) for order in record.orders]


def test_both_are_kept_with_relay_and_reason_and_say_what_follows(run: Run, fleet: Path) -> None:
    ended = run("--fleet", fleet, "drain", RELAY, "--reason", "its host moves")
    assert (ended.code, ended.out) == (0, "")
    assert "stays out until `genesis-fleet undrain`" in ended.err
    assert "the next `genesis-fleet apply` honours it" in ended.err
    assert run("--fleet", fleet, "undrain", RELAY, "--reason", "it has moved").code == 0
    assert orders(fleet) == [(Verb.DRAIN, RELAY, "its host moves"), (Verb.UNDRAIN, RELAY, "it has moved")]


def test_what_is_so_already_is_not_asked_again(run: Run, fleet: Path) -> None:
    assert "not drained already" in run("--fleet", fleet, "undrain", RELAY, "--reason", "x").err
    run("--fleet", fleet, "drain", RELAY, "--reason", "its host moves")
    ended = run("--fleet", fleet, "drain", RELAY, "--reason", "again")
    assert ended.code == 0
    assert "is drained already, by " in ended.err
    assert ": its host moves; nothing was asked" in ended.err
    assert len(orders(fleet)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("drain", "demo-mars-1-01", "--reason", "x"), 1, "is no relay of this fleet"),
        (("drain", RELAY), 64, "--reason"),
        (("drain", RELAY, "--reason", "  "), 64, "say why"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, fleet: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    ended = run("--fleet", fleet, *arguments)
    assert ended.code == code
    assert said in ended.err
