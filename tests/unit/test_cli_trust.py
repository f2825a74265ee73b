"""The commands about trust, on a static fleet where nobody is at home, and on looks made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.keys import Ed25519Keys
from orchestrator.adapters.store import read_record
from orchestrator.cli.present import describe_why, summary_line
from orchestrator.cli.trust_text import side_lines
from orchestrator.cli.trusting import show_trust, trust_json
from orchestrator.execution.cycle import Round, save_evidence
from orchestrator.fleet.chain import ChainPoint, parse_point
from orchestrator.fleet.record import Pin
from orchestrator.planning.pinning import list_newly_quarantined, why_pin_refused
from orchestrator.planning.plan import Phase, Side
from orchestrator.simulation.chain import SLOTS_A_BLOCK, Branch
from orchestrator.simulation.rehearsal import Rehearsal
from tests.command_line import Ended, Run, make_run, on_loopback, write_fleet
from tests.scenarios.builders import MEDIUM, SMALL, fleet_spec, serving_fleet
from tests.scenarios.judge import host_of

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
        "relays", "partners", "agreed_tip", "pin", "quarantines", "sides", "points", "warnings",
    }  # fmt: skip
    assert "agreed tip: none" in run("--fleet", fleet, "trust", "show").out


def test_show_tells_the_agreed_tip_and_who_agrees() -> None:
    document = trust_json(serving_fleet(fleet_spec(SMALL)).look())
    assert {relay["chain"] for relay in document["relays"].values()} == {"agrees with the others"}
    assert document["agreed_tip"]
    assert {point["point"] for point in document["points"]} >= {document["agreed_tip"]}


# --- quarantines, splits, and what a pin would do --------------------------------------------------------------------

EU1, EU2, US1 = "demo-eu-central-1-01", "demo-eu-central-1-02", "demo-us-east-1-01"


def look_on(made: Rehearsal, looks: int) -> Round:
    """Look again and again, half a minute apart, and keep what was seen."""
    for _ in range(looks):
        made.world.clock.wait(30, until=lambda: False)
        found = made.look()
        save_evidence(made.store, found)
    return found


def forked_fleet(*names: str, upgraded: tuple[str, ...] = ()) -> Rehearsal:
    """Eight relays and two partners, of whom these have been on a chain of their own for three minutes."""
    made = serving_fleet(fleet_spec(MEDIUM))
    look_on(made, 8)
    since = (int(made.world.clock.now().timestamp()) // SLOTS_A_BLOCK + 1) * SLOTS_A_BLOCK
    for relay in upgraded:
        host_of(made.world, relay).release = made.wanted.spec.releases["10.6.0"]["x86_64"].sha256
    made.world.chain.branches.update({name: Branch("fork", since) for name in names})
    look_on(made, 10)
    return made


def shown(found: Round, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show_trust(found)
    return capsys.readouterr().out.splitlines()


def test_show_tells_since_when_and_on_what_evidence_a_relay_is_in_quarantine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = forked_fleet(EU1)
    (line,) = [line for line in shown(look_on(made, 1), capsys) if line.startswith("in quarantine since ")]
    since = made.store.load().evidence.quarantines[EU1].since
    assert line.startswith(f"in quarantine since {since:%Y-%m-%d %H:%M} UTC: {EU1}: forked at slot ")
    assert "agrees again" not in line
    del made.world.chain.branches[EU1]
    found = look_on(made, 2)
    (line,) = [line for line in shown(found, capsys) if line.startswith("in quarantine since ")]
    again = found.plan.evidence.quarantines[EU1].agreeing_since
    assert again is not None
    assert line.endswith(f"; agrees again since {again:%H:%M:%S} UTC")
    assert trust_json(found)["quarantines"][EU1]["agreeing_since"] == again.isoformat()


def test_show_names_a_whole_point_of_each_side_of_a_split_and_who_is_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = look_on(forked_fleet(EU1, US1, "alpha", upgraded=(EU1, US1)), 1)
    lines = shown(found, capsys)
    first = next(number for number, line in enumerate(lines) if line.startswith("relays and partners are on 2 chains"))
    ours, theirs = found.plan.sides
    assert lines[first + 1].startswith("  side 1: 6 relays on 10.5.1 (")
    assert lines[first + 1].endswith(", 1 partner (beta)")
    assert lines[first + 2] == f"    its own point: {ours.point}"
    assert lines[first + 3] == f"  side 2: 2 relays on 10.6.0 ({EU1}, {US1}), 1 partner (alpha)"
    assert lines[first + 4] == f"    its own point: {theirs.point}"
    assert theirs.point == parse_point(str(theirs.point))  # whole, and so what `trust pin` takes


def test_json_has_the_sides_of_a_split_and_none_without_one() -> None:
    made = forked_fleet(EU1, "alpha")
    sides = trust_json(look_on(made, 1))["sides"]
    assert [side["partners"] for side in sides] == [["beta"], ["alpha"]]
    assert sides[1]["relays"] == [EU1]
    assert sides[1]["releases"] == ["10.5.1"]
    assert parse_point(sides[0]["point"]) != parse_point(sides[1]["point"])
    assert trust_json(serving_fleet(fleet_spec(SMALL)).look())["sides"] == []


def test_a_side_without_a_point_of_its_own_says_so() -> None:
    plan = serving_fleet(fleet_spec(SMALL)).look().plan
    sides = (Side(("r1",), (), (), None), Side((), ("alpha",), (), ChainPoint(1, "ab" * 32)))
    lines = list(side_lines(replace(plan, sides=sides)))
    assert "  side 1: 1 relay on an unknown release (r1)" in lines
    assert "    no point of its own is known yet: look again after its next block" in lines


def pinned_look(made: Rehearsal, side: int) -> Round:
    """Look as if the point of this side were pinned already."""
    point = made.look().plan.sides[side].point
    assert point is not None
    made.store.save_pin(Pin(point, "operator", "why", made.world.clock.now()))
    return made.look()


def run_pin(run: Run, fleet: Path, found: Round, monkeypatch: pytest.MonkeyPatch, *options: str) -> Ended:
    monkeypatch.setattr("orchestrator.cli.trusting.look", lambda *_args, **_options: found)
    return run("--fleet", fleet, "trust", "pin", POINT, "--reason", "why", "--yes", *options)


def test_a_pin_that_would_quarantine_most_of_the_fleet_needs_a_word_that_yes_does_not_replace(
    run: Run, fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pinned_look(forked_fleet(EU1, "alpha"), 1)
    for options in ((), ("--confirm", "quarantine:6"), ("--confirm", "retire:7"), ("--confirm", "quarantine:")):
        ended = run_pin(run, fleet, found, monkeypatch, *options)
        assert ended.code == 5
        assert "would quarantine 7 relays more" in ended.err
        assert EU2 in ended.err
        assert "needs `--confirm quarantine:7`" in ended.err
        record = read_record(f"sqlite:///{fleet.parent / 'state' / 'store.db'}", "demo")
        assert record is None or record.pin is None
    assert run_pin(run, fleet, found, monkeypatch, "--confirm", "quarantine:7").code == 0
    assert pinned(fleet) is not None


def test_a_pin_that_quarantines_as_many_as_may_be_out_needs_no_other_word(
    run: Run, fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pinned_look(forked_fleet(EU1, "alpha"), 0)
    assert set(found.plan.evidence.quarantines) == {EU1}
    assert run_pin(run, fleet, found, monkeypatch).code == 0


def test_who_is_in_quarantine_already_is_not_counted_against_a_pin() -> None:
    found = pinned_look(forked_fleet(EU1, "alpha"), 1)
    others = sorted(found.plan.evidence.quarantines)
    assert list_newly_quarantined(found.plan, others[1:]) == (others[0],)
    assert why_pin_refused(others[:2], 2, ()) is None
    assert why_pin_refused(others[:3], 2, ()) is not None


def test_status_counts_the_quarantined_and_says_what_is_odd() -> None:
    plan = serving_fleet(fleet_spec(SMALL)).look().plan
    first, *others = plan.relays
    quarantined = replace(first, phase=Phase.QUARANTINED, published=False, reason="forked at slot 80")
    line = summary_line(replace(plan, relays=(quarantined, *others)))
    assert "1 quarantined" in line
    assert "3 published" in line
    lagging = replace(first, chain="lags by 200 slots (9 blocks)", notes=("answers slowly: 3.1 s",))
    assert describe_why(lagging) == "serves; lags by 200 slots (9 blocks); answers slowly: 3.1 s"
