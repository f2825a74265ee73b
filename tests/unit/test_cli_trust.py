"""The commands about trust, on a static fleet where nobody is at home, and on looks made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.keys import Ed25519Keys
from orchestrator.adapters.store import read_record
from orchestrator.cli.present import describe_why, summary_line
from orchestrator.cli.trusting import trust_json
from orchestrator.fleet.record import Pin
from orchestrator.planning.plan import Phase
from tests.command_line import Run, make_run, on_loopback, write_fleet
from tests.scenarios.builders import SMALL, fleet_spec, serving_fleet

POINT = f"1200.{'0e' * 32}"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    keys = Ed25519Keys().make_host_key("tests")
    (tmp_path / "key").write_text(keys.private)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "key.pub").write_text(keys.public)
    return write_fleet(tmp_path, on_loopback())


def pinned(fleet: Path) -> Pin | None:
    record = read_record(f"sqlite:///{fleet.parent / 'state' / 'store.db'}", "demo")
    assert record is not None
    return record.pin


def test_a_pin_is_kept_with_who_and_why_and_taken_back(run: Run, fleet: Path) -> None:
    assert run("--fleet", fleet, "trust", "pin", POINT, "--reason", "the explorers agree", "--yes").code == 0
    pin = pinned(fleet)
    assert pin is not None
    assert (str(pin.point), pin.reason) == (POINT, "the explorers agree")
    assert pin.user
    assert POINT in run("--fleet", fleet, "trust", "unpin").err
    assert pinned(fleet) is None


def test_unpinning_nothing_says_so(run: Run, fleet: Path) -> None:
    ended = run("--fleet", fleet, "trust", "unpin")
    assert (ended.code, "nothing was pinned" in ended.err) == (0, True)


@pytest.mark.parametrize("text", ["1200", "1200.0e", f"-1.{'0e' * 32}", f"1200.{'zz' * 32}", ""])
def test_what_is_no_point_is_refused_and_nothing_is_pinned(run: Run, fleet: Path, text: str) -> None:
    ended = run("--fleet", fleet, "trust", "pin", "--reason", "why", "--yes", "--", text)
    assert ended.code == 1
    assert "expected SLOT.HASH" in ended.err
    assert "trust show" in ended.err


def test_a_pin_without_a_yes_changes_nothing(run: Run, fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.confirm", lambda *_args, **_options: False)
    ended = run("--fleet", fleet, "trust", "pin", POINT, "--reason", "why")
    assert ended.code == 1
    assert "nobody said yes" in ended.err
    assert pinned(fleet) is None


def test_show_names_everybody_where_nobody_answers(run: Run, fleet: Path) -> None:
    ended = run("--fleet", fleet, "trust", "show", "--json")
    assert ended.code == 0
    assert ended.document["agreed_tip"] is None
    assert set(ended.document) == {
        "relays", "partners", "agreed_tip", "pin", "quarantines", "points", "warnings",
    }  # fmt: skip
    assert "agreed tip: none" in run("--fleet", fleet, "trust", "show").out


def test_show_tells_the_agreed_tip_and_who_agrees() -> None:
    document = trust_json(serving_fleet(fleet_spec(SMALL)).look())
    assert {relay["chain"] for relay in document["relays"].values()} == {"agrees with the others"}
    assert document["agreed_tip"]
    assert {point["point"] for point in document["points"]} >= {document["agreed_tip"]}


def test_status_counts_the_quarantined_and_says_what_is_odd() -> None:
    plan = serving_fleet(fleet_spec(SMALL)).look().plan
    first, *others = plan.relays
    quarantined = replace(first, phase=Phase.QUARANTINED, published=False, reason="forked at slot 80")
    line = summary_line(replace(plan, relays=(quarantined, *others)))
    assert "1 quarantined" in line
    assert "3 published" in line
    lagging = replace(first, chain="lags by 200 slots (9 blocks)", notes=("answers slowly: 3.1 s",))
    assert describe_why(lagging) == "serves; lags by 200 slots (9 blocks); answers slowly: 3.1 s"
