"""Orders to a rollout and its history, on a real SQLite store: no lab, no host and no SSH key is needed for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from rich.console import Console

from orchestrator.adapters.store import Store, open_store
from orchestrator.cli.main import PROGRAM, cli
from orchestrator.cli.rollout_orders import PROMISES
from orchestrator.cli.rollout_past import history_json, history_table, merge_history
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import NO_ROLLOUT, RolloutEvent, RolloutState, Verb
from tests.command_line import Run, make_run, on_loopback, write_fleet
from tests.rollout_views import AT, make_order, rollout_record

RELAY = "demo-europe-01"
WHY = ("--reason", "partners upgrade now")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A fleet without an SSH key: an operator's word needs none."""
    return write_fleet(tmp_path, on_loopback())


@pytest.fixture
def store(fleet: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{fleet.parent}/state/store.db", "demo")
    yield opened
    opened.close()


def begin(store: Store, state: RolloutState = RolloutState.RUNNING, **changes: object) -> None:
    assert store.save_rollout(rollout_record(state, **changes), NO_ROLLOUT, {}, [])


# --- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [verb for verb in PROMISES if verb is not Verb.RETRY])
def test_an_order_is_kept_with_who_and_why(run: Run, fleet: Path, store: Store, verb: Verb) -> None:
    begin(store, RolloutState.PAUSED if verb is Verb.RESUME else RolloutState.RUNNING)
    yes = ["--yes"] if verb in (Verb.HALT, Verb.ROLLBACK) else []
    ended = run("--fleet", fleet, "rollout", verb.value, *WHY, *yes)
    assert (ended.code, ended.out) == (0, "")
    (order,) = store.load().orders
    assert (order.number, order.verb, order.reason, order.relay) == (1, verb, "partners upgrade now", "")
    assert order.user
    assert f"order 1, by {order.user}: {verb.value}\n" in ended.err


def test_an_order_names_who_will_honour_it(run: Run, fleet: Path, store: Store) -> None:
    begin(store)
    now = datetime.now(UTC)
    store.acquire_lease("anna@control pid 7", now, now + timedelta(minutes=1), 0)
    said = run("--fleet", fleet, "rollout", "pause", *WHY).err
    assert "honoured before the next effect of whoever holds the lease: anna@control pid 7, until " in said


@pytest.mark.parametrize("ago", [timedelta(minutes=1), None])
def test_an_order_says_that_nobody_is_at_work(run: Run, fleet: Path, store: Store, ago: timedelta | None) -> None:
    begin(store)
    if ago is not None:
        then = datetime.now(UTC) - ago
        store.acquire_lease("anna", then, then + ago / 2, 0)
    said = run("--fleet", fleet, "rollout", "pause", *WHY).err
    assert "nobody is at work: the next `genesis-fleet apply` honours it" in said


@pytest.mark.parametrize("verb", ["halt", "rollback"])
def test_what_is_hard_to_undo_is_asked_about(
    run: Run, fleet: Path, store: Store, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store)
    monkeypatch.setattr("click.confirm", lambda *_args, **_options: False)
    ended = run("--fleet", fleet, "rollout", verb, *WHY)
    assert (ended.code, "nobody said yes" in ended.err) == (1, True)
    assert store.load().orders == ()


@pytest.mark.parametrize("verb", [verb.value for verb in PROMISES])
def test_an_order_without_a_reason_is_wrong_usage(run: Run, fleet: Path, store: Store, verb: str) -> None:
    begin(store)
    relay = [RELAY] if verb == "retry" else []
    assert run("--fleet", fleet, "rollout", verb, *relay).code == 64
    ended = run("--fleet", fleet, "rollout", verb, *relay, "--reason", " ")
    assert (ended.code, "say why" in ended.err) == (64, True)
    assert store.load().orders == ()


@pytest.mark.parametrize("verb", [verb.value for verb in PROMISES])
def test_without_a_rollout_there_is_nothing_to_order(run: Run, fleet: Path, store: Store, verb: str) -> None:
    relay = [RELAY] if verb == "retry" else []
    ended = run("--fleet", fleet, "rollout", verb, *relay, *WHY)
    assert ended.code == 1
    assert f"no rollout is known of: there is nothing to {verb}" in ended.err
    assert store.load().orders == ()


@pytest.mark.parametrize("verb", ["pause", "resume", "halt"])
def test_a_complete_rollout_neither_stops_nor_goes_on(run: Run, fleet: Path, store: Store, verb: str) -> None:
    begin(store, RolloutState.COMPLETE)
    ended = run("--fleet", fleet, "rollout", verb, *WHY)
    assert ended.code == 1
    assert f"the rollout to 11.0.1 is complete: `{verb}` would come to nothing" in ended.err
    assert store.load().orders == ()


def test_a_complete_rollout_may_be_taken_back_if_it_is_known_to_what(run: Run, fleet: Path, store: Store) -> None:
    begin(store, RolloutState.COMPLETE, good={})
    ended = run("--fleet", fleet, "rollout", "rollback", *WHY, "--yes")
    assert ended.code == 1
    assert "nothing is known that the fleet had proven before 11.0.1" in ended.err
    assert "genesis-fleet upgrade VERSION" in ended.err
    assert store.save_rollout(rollout_record(RolloutState.COMPLETE), store.load().rollout, {}, [])
    said = run("--fleet", fleet, "rollout", "rollback", *WHY, "--yes")
    assert (said.code, "the fleet file goes on asking for 11.0.1" in said.err) == (0, True)


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("pause", RolloutState.PAUSED),
        ("resume", RolloutState.RUNNING),
        ("halt", RolloutState.HALTED),
        ("rollback", RolloutState.ROLLED_BACK),
    ],
)
def test_what_is_so_already_is_not_asked_for_again(
    run: Run, fleet: Path, store: Store, verb: str, state: RolloutState
) -> None:
    begin(store, state, because="by anna: lunch", by="anna")
    ended = run("--fleet", fleet, "rollout", verb, *WHY)
    assert ended.code == 0
    assert f"the rollout to 11.0.1 is {state} already (by anna: lunch); nothing was asked" in ended.err
    assert store.load().orders == ()


def test_what_halted_by_itself_may_be_halted_by_an_operator_too(run: Run, fleet: Path, store: Store) -> None:
    begin(store, RolloutState.HALTED, because="demo-eu-01: exit 1")
    assert run("--fleet", fleet, "rollout", "halt", *WHY, "--yes").code == 0
    assert [order.verb for order in store.load().orders] == [Verb.HALT]


def test_what_one_order_may_change_the_next_one_does_not_count_on(run: Run, fleet: Path, store: Store) -> None:
    begin(store)
    assert run("--fleet", fleet, "rollout", "pause", *WHY).code == 0
    assert run("--fleet", fleet, "rollout", "resume", *WHY).code == 0
    assert [order.verb for order in store.load().orders] == [Verb.PAUSE, Verb.RESUME]


def test_a_halted_rollout_may_be_resumed_or_taken_back(run: Run, fleet: Path, store: Store) -> None:
    begin(store, RolloutState.HALTED)
    assert run("--fleet", fleet, "rollout", "resume", *WHY).code == 0
    assert run("--fleet", fleet, "rollout", "rollback", *WHY, "--yes").code == 0


def test_after_a_halt_any_relay_may_be_retried(run: Run, fleet: Path, store: Store) -> None:
    # What could not be staged fails no relay, and an apply that begins forgets the attempts.
    begin(store, RolloutState.HALTED)
    assert run("--fleet", fleet, "rollout", "retry", RELAY, *WHY).code == 0


def test_a_relay_that_failed_is_tried_again(run: Run, fleet: Path, store: Store) -> None:
    begin(store, RolloutState.HALTED, failed={RELAY: "disk full"})
    assert run("--fleet", fleet, "rollout", "retry", RELAY, *WHY).code == 0
    (order,) = store.load().orders
    assert (order.verb, order.relay) == (Verb.RETRY, RELAY)


def test_a_failed_attempt_is_tried_again_even_without_a_rollout(run: Run, fleet: Path, store: Store) -> None:
    store.save_attempt(Attempt(RELAY, "stage", 5, AT, "404 Not Found"))
    assert run("--fleet", fleet, "rollout", "retry", RELAY, *WHY).code == 0
    assert store.load().attempts == {}


def test_a_relay_on_which_nothing_failed_is_not_retried(run: Run, fleet: Path, store: Store) -> None:
    begin(store)
    ended = run("--fleet", fleet, "rollout", "retry", RELAY, *WHY)
    assert (ended.code, f"nothing is known to have failed on {RELAY}" in ended.err) == (1, True)


def test_an_unknown_relay_is_answered_with_those_there_are(run: Run, fleet: Path, store: Store) -> None:
    begin(store)
    ended = run("--fleet", fleet, "rollout", "retry", "demo-mars-01", *WHY)
    assert ended.code == 1
    assert "demo-mars-01 is no relay of this fleet" in ended.err
    assert "demo-europe-01,02" in ended.err


def test_relays_are_completed(fleet: Path) -> None:
    completed = ShellComplete(cli, {}, PROGRAM, "_COMPLETE")
    found = completed.get_completions(["--fleet", str(fleet), "rollout", "retry"], "demo-e")
    assert [item.value for item in found] == ["demo-europe-01", "demo-europe-02"]


# --- history ---------------------------------------------------------------------------------------------------------


def event(minutes: int, what: str, user: str = "") -> RolloutEvent:
    return RolloutEvent(AT + timedelta(minutes=minutes), "d" * 64, "11.0.1", what, f"it {what}", user)


def test_events_and_orders_are_one_history_by_time(run: Run, fleet: Path, store: Store) -> None:
    events = [event(0, "started"), event(50, "wave done")]
    assert store.save_rollout(rollout_record(), NO_ROLLOUT, {}, events)
    store.add_order(Verb.PAUSE, "anna", "partners upgrade now", AT + timedelta(minutes=20))
    document = json.loads(run("--fleet", fleet, "rollout", "history", "--json").out)
    assert [(entry["kind"], entry["what"]) for entry in document] == [
        ("event", "started"),
        ("order", "pause asked"),
        ("event", "wave done"),
    ]
    table = run("--fleet", fleet, "rollout", "history").out.splitlines()
    assert table[0].split() == ["at", "(UTC)", "release", "what", "who", "why"]
    assert table[2].split(maxsplit=5) == [
        "2026-11-22", "12:20:00", "–", "pause", "asked", "anna  partners upgrade now",
    ]  # fmt: skip


def test_of_a_long_history_the_newest_are_shown() -> None:
    entries = merge_history([event(0, "started"), event(9, "complete")], [make_order(5)], 2)
    assert [entry.what for entry in entries] == ["pause asked", "complete"]


def test_an_order_stands_before_what_it_led_to() -> None:
    entries = merge_history([event(5, "paused", "anna")], [make_order(5)], 9)
    assert [entry.what for entry in entries] == ["pause asked", "paused"]


def test_a_history_fits_a_narrow_terminal() -> None:
    console = Console(file=StringIO(), width=60)
    entries = merge_history([event(0, "started")], [make_order(5, Verb.RETRY, RELAY)], 9)
    console.print(history_table(entries, 60))
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert RELAY in " ".join(lines)


def test_the_json_of_a_history_names_relay_and_user() -> None:
    (entry,) = history_json(merge_history([], [make_order(1, Verb.RETRY, RELAY)], 9))
    assert (entry["relay"], entry["user"], entry["release"], entry["target"]) == (RELAY, "anna", None, None)


def test_without_a_history_it_says_so(run: Run, fleet: Path) -> None:
    ended = run("--fleet", fleet, "rollout", "history")
    assert (ended.code, ended.out, ended.err) == (0, "", "no rollout is known of\n")
    assert run("--fleet", fleet, "rollout", "history", "--json").out == "[]\n"
