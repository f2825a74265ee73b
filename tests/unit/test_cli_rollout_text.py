"""A rollout as people read it: the tree for any terminal, the lines of a plan, what changed, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.tree import Tree

from orchestrator.cli.present import plan_text, status_json
from orchestrator.cli.rollout_text import pending_orders, rollout_json, rollout_line, tell_changes, tell_unseen
from orchestrator.cli.rollout_tree import rollout_tree
from orchestrator.execution.cycle import Round
from orchestrator.fleet.observation import InFlight
from orchestrator.fleet.record import FleetRecord
from orchestrator.fleet.rollout import NO_ROLLOUT, Bundle, RolloutState
from orchestrator.planning.preflight import Finding, Level
from orchestrator.planning.rollout_view import Progress, RelayProgress, RolloutView
from tests.rollout_moments import bad_rollout, good_rollout
from tests.rollout_views import (
    AT,
    BAKES,
    NEXT,
    RELAYS,
    RESTARTS,
    UNDER_WAY,
    WAVES,
    complete_view,
    make_order,
    over_view,
    rollout_record,
    rollout_view,
    with_rollout,
)
from tests.scenarios.builders import SMALL, fleet_spec, serving_fleet

FAILED = rollout_view(
    {**UNDER_WAY, RESTARTS: RelayProgress(Progress.GOES_BACK, "no progress for 15 min: replayed 40 %")},
    RolloutState.HALTED,
    because=f"{RESTARTS} made no progress for 15 min",
    left=timedelta(),
)

FINDINGS = (
    Finding(Level.REFUSES, "unhealthy-fleet", "12 of 20 relays serve"),
    Finding(Level.WARNS, "", "10.7 cannot use the ledger state of 10.6: each relay replays"),
    Finding(Level.FINE, "", "old and new share node-to-node versions 14 and 15"),
)


@pytest.fixture(scope="module")
def serving() -> Round:
    return serving_fleet(fleet_spec(SMALL)).look()


def draw(tree: Tree, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width)
    console.print(tree)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


# --- the tree --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
def test_the_tree_reads_well(width: int, golden: Callable[[str, str], None]) -> None:
    good, bad = good_rollout(), bad_rollout()
    views = {
        "would begin": view_of(good.planned),
        "refused": view_of(good.seen["refused"]),
        "under way": view_of(good.seen["under way"]),
        "goes back": view_of(bad.seen["goes back"]),
        "halted": view_of(bad.seen["halted"]),
        "complete": view_of(good.seen["complete"]),
    }
    trees = {name: rollout_tree(view) for name, view in views.items()}
    trees["under way, with an order, on twelve lines"] = rollout_tree(views["under way"], [make_order(1)], most_rows=12)
    text = "\n".join(f"# {name}\n" + "\n".join(draw(tree, width)) + "\n" for name, tree in trees.items())
    assert max(map(cell_len, text.splitlines())) <= width
    golden(f"rollout_tree_{width}.txt", text)


def view_of(found: Round) -> RolloutView:
    assert found.plan.rollout is not None
    return found.plan.rollout


def test_what_an_apply_thinks_up_has_begun_with_it() -> None:
    view = view_of(good_rollout().planned)
    assert draw(rollout_tree(view), 120)[0].startswith("rollout to 10.6.0: would begin, 20 relays in 6 waves, about ")
    assert draw(rollout_tree(view, acting=True), 120)[0].startswith("rollout to 10.6.0: running, 0 of 20 done, about ")
    assert rollout_json(view)["begun"] is False  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"version": "11.0.1"}, "rollout to 11.0.1: "),
        ({"image": "ami-2"}, "rollout of another image on 11.0.1: "),
        (
            {"image": "ami-2", "instance_type": "large"},
            "rollout of another image and another instance type on 11.0.1: ",
        ),
        ({"document": "{}"}, "rollout of changed files on 11.0.1: "),
    ],
)
def test_a_rollout_is_named_by_what_changes(changes: dict[str, str], title: str) -> None:
    before = Bundle("good", "10.7.1" if "version" in changes else "11.0.1", "ami-1", "small", "")
    wish = replace(before, digest="wish", **changes)
    view = rollout_view(record=rollout_record(good={"eu": "good"}, wish={"eu": "wish"}))
    assert rollout_line(replace(view, bundles={"good": before, "wish": wish})).startswith(title)


def test_the_way_back_is_named_so() -> None:
    proven = Bundle("good", "11.0.1", "ami-1", "small", "")
    view = rollout_view(record=rollout_record(good={"eu": "good"}, wish={"eu": "good"}), bundles={"good": proven})
    assert rollout_line(view).startswith("rollout back to 11.0.1: ")


@pytest.mark.parametrize("height", range(2, 30))
@pytest.mark.parametrize("view", [rollout_view(), FAILED, complete_view()], ids=["under way", "halted", "complete"])
def test_a_tree_takes_no_more_lines_than_there_are(view: object, height: int) -> None:
    lines = draw(rollout_tree(view, [make_order(1)], most_rows=height), 80)  # type: ignore[arg-type]
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= 80


def test_where_lines_are_few_who_moves_is_shown_before_who_waits() -> None:
    relays = {relay: RelayProgress(Progress.NEXT, "") for relay in WAVES[1].relays}
    last = WAVES[1].relays[-1]
    relays[last] = RelayProgress(Progress.RESTARTS, "replayed 7 %")
    told = "\n".join(draw(rollout_tree(rollout_view(relays), most_rows=6), 100))
    assert "replayed 7 %" in told
    assert "2 more" in told


def test_done_waves_are_one_line_of_a_live_view() -> None:
    done = dict.fromkeys(RELAYS[:10], RelayProgress(Progress.DONE, ""))
    lines = draw(rollout_tree(rollout_view(done, open_wave=3), most_rows=20), 100)
    assert [line for line in lines if "✓" in line] == ["├── ✓ canary … wave 2: 10 relays done"]


def test_what_is_under_way_on_a_relay_stands_beside_its_step() -> None:
    lines = draw(rollout_tree(rollout_view(), in_flight={NEXT: InFlight("stage", AT)}), 120)
    assert any(NEXT in line and "is next (stage)" in line for line in lines)


def test_a_relay_that_is_not_as_its_wave_is_listed_by_itself() -> None:
    early = RELAYS[12]
    view = rollout_view({**UNDER_WAY, early: RelayProgress(Progress.RESTARTS, "was down anyway")})
    lines = draw(rollout_tree(view), 120)
    wave = next(number for number, line in enumerate(lines) if "wave 3" in line)
    assert "was down anyway" in lines[wave + 2]


def test_relays_beside_the_waves_have_a_branch_of_their_own() -> None:
    view = rollout_view({**UNDER_WAY, "demo-eu-central-1-06": RelayProgress(Progress.BAKES, "launched meanwhile")})
    lines = draw(rollout_tree(view), 120)
    assert lines[-2:] == [
        "└── · beside the waves",
        "    └── demo-eu-central-1-06    bakes     launched meanwhile",
    ]


def test_a_new_fleet_has_nothing_to_be_careful_about() -> None:
    view = rollout_view(waves=(), relays={}, open_wave=None)
    assert "no waves: nothing that served was to be disturbed" in "\n".join(draw(rollout_tree(view), 80))


def test_a_rollout_whose_waves_are_over_is_told_by_what_is_on_record() -> None:
    record = rollout_record(RolloutState.COMPLETE, since=AT + timedelta(minutes=64))
    assert draw(rollout_tree(over_view(record=record)), 80) == [
        "rollout to 11.0.1: complete",
        "20 relays in 5 waves, 64 min from 2026-11-22 12:00 UTC on",
    ]


def test_staging_on_relays_that_wait_is_counted_and_not_listed() -> None:
    in_flight = dict.fromkeys(WAVES[2].relays, InFlight("stage", AT))
    lines = draw(rollout_tree(rollout_view(), in_flight=in_flight, most_rows=20), 120)
    assert "├── · wave 2: 5 relays (stage on 5); a third of each region at most" in lines
    assert not any("waits (stage)" in line for line in lines)


def test_which_files_differ_gives_way_to_why_a_relay_waits() -> None:
    text = "/etc/a.json, release differ; 1 of 1 relays that may be out are out (x)"
    told = "\n".join(draw(rollout_tree(rollout_view({NEXT: RelayProgress(Progress.NEXT, text)})), 120))
    assert "is next  1 of 1 relays" in told
    told = "\n".join(draw(rollout_tree(rollout_view({NEXT: RelayProgress(Progress.NEXT, "release differ")})), 120))
    assert "is next  release differ" in told


def test_brackets_are_text() -> None:
    view = rollout_view({BAKES: RelayProgress(Progress.FAILED, "[Errno 28] [red]")}, because="[bold]")
    told = "\n".join(draw(rollout_tree(view), 120))
    assert "[Errno 28] [red]" in told
    assert "[bold]" in told


# --- plan and status -------------------------------------------------------------------------------------------------


def test_a_plan_shows_the_waves_and_why_and_what_was_found(golden: Callable[[str, str], None]) -> None:
    good, bad = good_rollout(), bad_rollout()
    plans = {"would begin": good.planned, "refused": good.seen["refused"], "halted": bad.seen["halted"]}
    golden("rollout_plan.txt", "\n".join(f"# {name}\n{plan_text(found)}\n" for name, found in plans.items()))


def test_why_a_rollout_stands_still_is_said_once_for_all_relays() -> None:
    text = plan_text(bad_rollout().seen["halted"])
    assert text.count("does not stay up") == 1
    assert text.count("the rollout of 10.6.0 is halted; `rollout resume`") == 1


def test_a_finding_names_the_confirmation_that_allows_it(serving: Round) -> None:
    text = plan_text(with_rollout(serving, rollout_view(findings=FINDINGS)))
    assert "✗ 12 of 20 relays serve (`--confirm unhealthy-fleet` allows it)" in text


def test_a_finding_that_names_its_confirmation_itself_does_not_name_it_twice(serving: Round) -> None:
    finding = Finding(Level.REFUSES, "x", "mend it, or give `--confirm x`")
    text = plan_text(with_rollout(serving, rollout_view(findings=(finding,))))
    assert text.count("--confirm x") == 1


def test_a_plan_says_nothing_of_a_rollout_that_is_complete_or_unknown(serving: Round) -> None:
    plain = plan_text(with_rollout(serving, None))
    assert "rollout" not in plain
    assert plan_text(with_rollout(serving, complete_view())) == plain


def test_one_line_tells_state_wave_share_and_time_left() -> None:
    assert rollout_line(rollout_view()) == (
        "rollout to 11.0.1: running (wave 1: 0 of 4), 1 of 20 done, about 42 min left, at most 2 out"
    )


def test_one_line_tells_why_it_stands_still_and_no_time_left() -> None:
    line = rollout_line(FAILED)
    assert line.endswith(f"; {RESTARTS} made no progress for 15 min")
    assert "left" not in line


# --- json ------------------------------------------------------------------------------------------------------------


def test_json_has_every_relay_under_its_wave(serving: Round) -> None:
    document = json.loads(json.dumps(rollout_json(rollout_view(record=rollout_record(), findings=FINDINGS))))
    assert document.keys() == {
        "version", "state", "because", "target", "started_at", "since", "open_wave", "begun", "left_seconds", "out_at_most",
        "waves", "beside", "findings",
    }  # fmt: skip
    assert [wave["title"] for wave in document["waves"]] == [wave.title for wave in WAVES]
    assert [relay["name"] for wave in document["waves"] for relay in wave["relays"]] == list(RELAYS)
    assert document["waves"][1]["relays"][1] == {
        "name": RESTARTS, "progress": "restarts", "text": "replayed 40 %, 2 min after it stopped",
    }  # fmt: skip
    assert (document["open_wave"], document["left_seconds"], document["out_at_most"]) == ("wave 1", 2520.0, 2)
    assert (document["target"], document["started_at"]) == ("d" * 64, AT.isoformat())
    assert document["findings"][0]["confirm"] == "unhealthy-fleet"


def test_json_of_a_status_has_the_rollout_or_null(serving: Round) -> None:
    assert status_json(with_rollout(serving, None).plan)["rollout"] is None
    assert status_json(with_rollout(serving, rollout_view()).plan)["rollout"]["version"] == "11.0.1"


# --- what changed ----------------------------------------------------------------------------------------------------


def test_the_first_look_tells_the_whole_and_who_moves() -> None:
    told = list(tell_changes(None, rollout_view()))
    assert told[0] == rollout_line(rollout_view())
    assert told[1].startswith("wave 1 opens: ")
    assert sorted(line.split()[0] for line in told[2:]) == sorted([BAKES, RESTARTS])


def test_nothing_is_told_while_nothing_changes_but_numbers() -> None:
    before = rollout_view()
    after = rollout_view({**UNDER_WAY, RESTARTS: RelayProgress(Progress.RESTARTS, "replayed 60 %")})
    assert list(tell_changes(before, after)) == []


def test_a_step_of_a_relay_is_told_with_its_reason() -> None:
    after = rollout_view({**UNDER_WAY, RESTARTS: RelayProgress(Progress.FAILED, "failed: exited with 1")})
    assert list(tell_changes(rollout_view(), after)) == [f"{RESTARTS} failed: exited with 1"]


def test_a_wave_that_ends_and_one_that_opens_are_a_line_each() -> None:
    done = dict.fromkeys(RELAYS[:5], RelayProgress(Progress.DONE, ""))
    before = rollout_view(done)
    after = rollout_view(
        {**done, **{relay: RelayProgress(Progress.NEXT, "") for relay in WAVES[2].relays}}, open_wave=2
    )
    ends, opens = tell_changes(before, after)
    (last,) = (line for line in tell_changes(after, over_view()) if "ends" in line)
    assert last == "wave 2 ends: 5 of 5 done"
    assert ends == "wave 1 ends: 4 of 4 done"
    assert opens.startswith("wave 2 opens: demo-ap-southeast-1-03, ")


def test_who_is_done_is_told_before_its_wave_ends() -> None:
    done = dict.fromkeys(RELAYS[:5], RelayProgress(Progress.DONE, ""))
    last = RELAYS[4]
    before = rollout_view({**done, last: RelayProgress(Progress.BAKES, "")})
    told = list(tell_changes(before, rollout_view(done, open_wave=2)))
    assert [line.split(":")[0] for line in told] == [f"{last} done", "wave 1 ends", "wave 2 opens"]


def test_a_change_of_state_is_told_with_why() -> None:
    (line,) = tell_changes(rollout_view(), rollout_view(state=RolloutState.PAUSED, because="anna: lunch"))
    assert line.startswith("rollout to 11.0.1: paused (wave 1: 0 of 4), ")
    assert line.endswith("; anna: lunch")


def test_another_wish_is_told_from_its_beginning() -> None:
    told = list(tell_changes(rollout_view(), replace(rollout_view(), version="11.1.0")))
    assert told[0].startswith("rollout to 11.1.0: running")
    assert told[1].startswith("wave 1 opens")


def test_nothing_is_told_of_what_no_look_found_out() -> None:
    assert list(tell_changes(rollout_view(), None)) == []


# --- what the record adds --------------------------------------------------------------------------------------------


def test_orders_are_pending_until_they_are_heard() -> None:
    record = FleetRecord("s", "demo", 42, orders=(make_order(1), make_order(2)), rollout=rollout_record(heard=1))
    assert [order.number for order in pending_orders(record)] == [2]
    assert pending_orders(replace(record, rollout=NO_ROLLOUT)) == ()


def test_a_look_that_found_nothing_out_says_what_is_on_record() -> None:
    assert tell_unseen(NO_ROLLOUT) == "no rollout is known of"
    assert tell_unseen(rollout_record(RolloutState.PAUSED, because="anna")) == (
        "rollout to 11.0.1: paused when it was last seen (anna); this look could tell nothing of it"
    )
