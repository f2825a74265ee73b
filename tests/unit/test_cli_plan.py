"""What plan, status and render print: words for people, everything as JSON, and tables for any width."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from orchestrator.adapters.keys import Ed25519Keys
from orchestrator.adapters.store import open_store
from orchestrator.cli.looking import exit_code
from orchestrator.cli.naming import abbreviate_names
from orchestrator.cli.present import hold_lines, plan_json, plan_text, status_json, status_table
from orchestrator.execution.cycle import Round
from orchestrator.fleet.record import Attempt
from orchestrator.planning.plan import Health, Hold, Phase
from tests.command_line import LAB_FLEET, Run, make_run, on_loopback, write_fleet
from tests.scenarios.builders import SMALL, fleet_spec, rehearsal, serving_fleet

RELAY = "demo-eu-central-1-01"
PROMISED = {
    "name", "region", "address", "phase", "health", "reason", "release", "digest", "tip_slot", "tip_age_seconds",
}  # fmt: skip
WHY = "does not serve: 192.0.2.1 closed the connection after the handshake and before it answered the question"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


@pytest.fixture(scope="module")
def empty() -> Round:
    return rehearsal().look()


@pytest.fixture(scope="module")
def serving() -> Round:
    return serving_fleet(fleet_spec(SMALL)).look()


def draw(table: Table, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def with_reasons(found: Round, reason: str = WHY) -> Round:
    views = (replace(v, reason=reason, phase=Phase.SYNCING, health=Health.UNHEALTHY) for v in found.plan.relays)
    return replace(found, plan=replace(found.plan, relays=tuple(views)))


def with_holds(found: Round, holds: Iterable[Hold]) -> Round:
    return replace(found, plan=replace(found.plan, actions=(), holds=tuple(holds)))


def test_names_are_abbreviated_by_what_they_begin_with() -> None:
    names = ["a-eu-1-03", "a-eu-1-01", "a-eu-1-02", "a-eu-1-07", "a-us-01", "a-us-02", "alpha"]
    assert abbreviate_names(names) == ("a-eu-1-01…03,07", "a-us-01,02", "alpha")


def test_a_plan_for_many_relays_counts_them_and_lists_them_by_region(empty: Round) -> None:
    assert plan_text(empty).splitlines()[:5] == [
        "+ launch 20 relays: has no instance",
        "    demo-ap-southeast-1-01…05",
        "    demo-eu-central-1-01…05",
        "    demo-sa-east-1-01…05",
        "    demo-us-east-1-01…05",
    ]


def test_a_plan_says_how_much_is_out_at_most_and_how_long_it_takes(empty: Round) -> None:
    assert plan_text(empty).splitlines()[-1].startswith("20 actions, 0 holds; out at most 20 of 20 relays; about ")


def test_a_plan_fits_a_terminal(empty: Round) -> None:
    assert max(map(cell_len, plan_text(empty).splitlines())) <= 80


def test_relays_that_wait_for_the_same_reason_share_a_line() -> None:
    names = [f"demo-eu-central-1-{number:02d}" for number in range(1, 6)]
    holds = tuple(Hold(name, "restart", f"{name} differs; 1 of 1 relays are out (other)") for name in names)
    assert hold_lines(holds) == ["… demo-eu-central-1-01…05: restart waits: it differs; 1 of 1 relays are out (other)"]


def test_relays_that_wait_for_different_reasons_do_not() -> None:
    assert (
        len(hold_lines((Hold("a-01", "serve", "this"), Hold("a-02", "serve", "that"), Hold("a-03", "look", "this"))))
        == 3
    )


def test_a_converged_fleet_says_so(serving: Round) -> None:
    assert plan_text(serving) == "Nothing to do: everything is as the fleet file says."


def test_refusals_and_warnings_come_first(empty: Round) -> None:
    told = replace(empty, refusals=("too much",), plan=replace(empty.plan, warnings=("quota is near",)))
    assert plan_text(told).splitlines()[:2] == ["! quota is near", "✗ refused: too much"]


def test_the_exit_code_of_plan_tells_changes_from_holds_from_refusals(empty: Round, serving: Round) -> None:
    assert exit_code(serving) == 0
    assert exit_code(with_holds(serving, [Hold(RELAY, "serve", "it replays")])) == 0
    assert exit_code(empty) == 2
    assert exit_code(replace(empty, refusals=("too much",))) == 1


def test_json_names_every_relay_in_full_whatever_the_words_abbreviate(empty: Round) -> None:
    document = json.loads(json.dumps(plan_json(empty)))
    assert len({action["relay"] for action in document["actions"]}) == 20
    assert {action["action"] for action in document["actions"]} == {"launch"}
    assert document.keys() == {
        "relays", "summary", "rollout", "actions", "holds", "refusals", "out_at_most", "estimate_seconds",
        "names",
    }  # fmt: skip


def test_the_json_of_a_status_is_as_promised(serving: Round) -> None:
    document = json.loads(json.dumps(status_json(serving.plan)))
    assert document.keys() == {"relays", "summary", "rollout"}
    assert all(relay.keys() >= PROMISED for relay in document["relays"])
    assert document["summary"]["serving"] == document["summary"]["wanted"] == 4
    relay = document["relays"][0]
    assert (relay["name"], relay["phase"], relay["health"], relay["release"]) == (RELAY, "serving", "healthy", "10.5.1")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_the_reason_stays_readable_at_any_width(serving: Round, width: int) -> None:
    lines = draw(status_table(with_reasons(serving).plan, width), width)
    assert max(map(cell_len, lines)) <= width
    heading = lines[0]
    assert heading.split()[0] == "relay"
    assert width - heading.index("why") >= 28
    told = " ".join(line[heading.index("why") :].strip() for line in lines[1:])
    assert told.replace(" ", "").count(WHY.replace(" ", "")) == 4


def test_what_matters_less_makes_room_first(serving: Round) -> None:
    def titles(width: int) -> list[str]:
        return draw(status_table(with_reasons(serving).plan, width), width)[0].replace("tip age", "age").split()

    assert titles(160) == ["relay", "address", "phase", "health", "release", "age", "why"]
    assert titles(80) == ["relay", "address", "phase", "why"]


def test_a_table_of_few_words_keeps_all_its_columns(serving: Round) -> None:
    assert "tip age" in draw(status_table(serving.plan, 80), 80)[0]


def test_where_lines_are_few_those_that_just_serve_are_left_out(serving: Round) -> None:
    first, *rest = serving.plan.relays
    ailing = replace(first, health=Health.UNKNOWN, phase=Phase.UNKNOWN, reason="could not be asked")
    lines = draw(status_table(replace(serving.plan, relays=(*rest, ailing)), 80, most_rows=3), 80)
    assert len(lines) == 3
    assert "could not be asked" in lines[1]
    assert lines[2].strip() == "… 3 more"


def test_brackets_in_a_reason_are_text(serving: Round) -> None:
    lines = draw(status_table(with_reasons(serving, "failed: [Errno 28] [red]").plan, 100), 100)
    assert lines[1].rstrip().endswith("failed: [Errno 28] [red]")


def test_render_prints_every_file_with_what_a_change_of_it_asks_for(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "render", RELAY, "--offline")
    assert (ended.code, ended.err) == (0, "")
    assert "# /etc/cardano-node/topology.json  root:root 0644  on change: reload" in ended.out
    assert "# /etc/systemd/system/cardano-node.service" in ended.out


def test_render_writes_the_same_files_under_their_paths(run: Run, tmp_path: Path) -> None:
    ended = run("--fleet", LAB_FLEET, "render", RELAY, "--offline", "-o", tmp_path)
    assert (ended.code, ended.out) == (0, "")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert f"{len(written)} files of {RELAY} written" in ended.err
    printed = run("--fleet", LAB_FLEET, "render", RELAY, "--offline").out
    assert all(path.read_text() in printed for path in written)
    assert "LocalRoots" not in ended.out
    assert json.loads((tmp_path / "etc/cardano-node/topology.json").read_text())["localRoots"]


def test_render_needs_no_ssh_key_and_leaves_no_state_behind(run: Run, tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path, on_loopback())
    before = sorted(tmp_path.rglob("*"))
    assert run("--fleet", fleet, "render", "demo-europe-01").code == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_plan_names_what_failed_before_and_apply_would_try_again(run: Run, tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path, on_loopback())
    key = Ed25519Keys().make_host_key("controller")
    (tmp_path / "key").write_text(key.private)
    (tmp_path / "key.pub").write_text(key.public)
    (tmp_path / "key").chmod(0o600)
    store = open_store(f"sqlite:///{tmp_path}/state/store.db", "demo")
    store.save_attempt(Attempt("demo-europe-01", "stage", 5, datetime(2026, 1, 1, tzinfo=UTC), "404 Not Found"))
    store.close()
    ended = run("--fleet", fleet, "plan")
    assert "demo-europe-01: stage failed 5 times, and apply would try again: 404 Not Found" in ended.err
    assert sorted(file.name for file in (tmp_path / "state").glob("store.db*")) == ["store.db"]


def test_an_unknown_relay_is_answered_with_those_there_are(run: Run) -> None:
    ended = run("--fleet", LAB_FLEET, "render", "demo-mars-01", "--offline")
    assert (ended.code, ended.out) == (1, "")
    assert "demo-mars-01 is no relay of this fleet" in ended.err
    assert "demo-eu-central-1-01…05" in ended.err


def test_a_fleet_that_cannot_be_reached_is_held_and_explained(run: Run, tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path, on_loopback())
    key = Ed25519Keys().make_host_key("")
    (tmp_path / "key").write_text(key.private)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "key.pub").write_text(key.public)
    ended = run("--fleet", fleet, "plan", "--json")
    assert ended.code == 0, ended.err
    assert {relay["phase"] for relay in ended.document["relays"]} == {"unknown"}
    assert len(ended.document["holds"]) == 3
    assert ended.document["actions"] == []
    assert "looking at demo" in ended.err
