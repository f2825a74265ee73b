"""What every store promises about rollouts: the one in memory, SQLite and PostgreSQL pass the same tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, text

from orchestrator.adapters.store import Store
from orchestrator.adapters.store_rollout import parse_rollout, render_rollout
from orchestrator.errors import StoreRefused
from orchestrator.execution.ports import StorePort
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import (
    NO_ROLLOUT,
    Bundle,
    Failure,
    Restart,
    Rollout,
    RolloutEvent,
    RolloutRecord,
    RolloutState,
    Settling,
    Verb,
)

from .racing import at_once

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

HALTED = RolloutRecord(
    current=Rollout(
        target="t1",
        version="10.6.0",
        started_at=NOW,
        state=RolloutState.HALTED,
        because="r1 does not start",
        since=NOW + MINUTE,
        wish={"eu-central-1": "d1"},
        good={"eu-central-1": "d0"},
        waves=(("r1",), ("r2", "r3")),
        canaries=1,
        failed={"r1": "does not start"},
        vouched=frozenset({"r2", "r3"}),
        heard=3,
    ),
    settling={"r2": Settling("d1", NOW, 3, 2, {"lag": 2}, {"lag": 1}, settled=True)},
    restarts={"r1": Restart("d1", NOW, 12, "replaying 40%", NOW + MINUTE, NOW + 2 * MINUTE), "r2": Restart("d1", NOW)},
    draining={"r3": NOW},
    failures={"d1": Failure("d1", "10.6.0", "r1", "does not start", NOW)},
    durations=(12.5, 0.1),
)


def bundle(digest: str = "d1", document: str = "{}") -> Bundle:
    return Bundle(digest, "10.6.0", "ami-0123456789abcdef0", "r6a.large", document)


def happening(number: int, what: str = "started") -> RolloutEvent:
    return RolloutEvent(NOW + number * MINUTE, "t1", "10.6.0", what, f"event {number}", "anna")


# --- the rollout -----------------------------------------------------------------------------------------------------


def test_a_new_store_knows_no_rollout(store: StorePort) -> None:
    record = store.load()
    assert (record.rollout, record.orders, dict(record.bundles)) == (NO_ROLLOUT, (), {})
    assert (store.load_events(), store.newest_order()) == ((), 0)


def test_a_rollout_comes_back_as_it_was_saved(store: StorePort) -> None:
    assert store.save_rollout(HALTED, NO_ROLLOUT, {"d1": bundle()}, [happening(1)])
    assert store.load().rollout == HALTED
    assert dict(store.load().bundles) == {"d1": bundle()}
    assert store.load_events() == (happening(1),)


def test_a_rollout_is_replaced_by_who_knows_it(store: StorePort) -> None:
    later = replace(HALTED, draining={})
    store.save_rollout(HALTED, NO_ROLLOUT, {}, [])
    assert store.save_rollout(later, HALTED, {}, [])
    assert store.load().rollout == later


def test_who_started_from_another_rollout_changes_nothing(store: StorePort) -> None:
    store.save_rollout(HALTED, NO_ROLLOUT, {"d1": bundle()}, [happening(1)])
    assert not store.save_rollout(RolloutRecord(durations=(1.0,)), NO_ROLLOUT, {"d2": bundle("d2")}, [happening(2)])
    assert store.load().rollout == HALTED
    assert set(store.load().bundles) == {"d1"}
    assert store.load_events() == (happening(1),)


def test_bundles_are_replaced_as_a_whole(store: StorePort) -> None:
    store.save_rollout(HALTED, NO_ROLLOUT, {"d0": bundle("d0"), "d1": bundle("d1"), "d2": bundle("d2")}, [])
    wanted = {"d1": bundle("d1"), "d2": bundle("d2", "another"), "d3": bundle("d3")}
    store.save_rollout(HALTED, HALTED, wanted, [])
    assert dict(store.load().bundles) == wanted


def save_own(before: RolloutRecord, number: int, store: Store, who: int) -> bool:
    return store.save_rollout(RolloutRecord(durations=(float(number), float(who))), before, {}, [happening(who)])


def test_of_controllers_that_save_at_the_same_moment_one_does_and_the_others_know_it(
    opening: Callable[..., Store], url: str
) -> None:
    stores = [opening(url) for _ in range(6)]
    before = NO_ROLLOUT
    for number in range(5):
        saved = at_once(stores, partial(save_own, before, number))
        before = stores[0].load().rollout
        assert [before.durations] == [(number, who) for who, done in enumerate(saved) if done]
    assert len(stores[0].load_events()) == 5


def test_bundles_that_are_there_are_not_written_again(opening: Callable[..., Store], url: str) -> None:
    store = opening(url)
    store.save_rollout(HALTED, NO_ROLLOUT, {"d1": bundle("d1")}, [])
    written: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda *call: written.append(call[2]))
    store.save_rollout(HALTED, HALTED, {"d1": bundle("d1"), "d2": bundle("d2")}, [])
    assert sum("INSERT INTO bundles" in statement for statement in written) == 1
    assert not any("DELETE FROM bundles" in statement for statement in written)


def test_a_rollout_is_read_with_the_bundles_that_belong_to_it(
    opening: Callable[..., Store], postgres: Callable[[], str]
) -> None:
    url = postgres()  # SQLite lets nobody write while somebody reads
    reader, writer = opening(url), opening(url)
    writer.save_rollout(HALTED, NO_ROLLOUT, {"d1": bundle("d1")}, [])
    meanwhile = [lambda: writer.save_rollout(NO_ROLLOUT, HALTED, {}, [])]

    def interfere(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM bundles" in statement and meanwhile:
            assert meanwhile.pop()()

    event.listen(reader._engine, "before_cursor_execute", interfere)
    record = reader.load()
    assert not meanwhile
    assert (record.rollout, set(record.bundles)) == (HALTED, {"d1"})


def break_document(url: str, document: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE rollouts SET document = :document"), {"document": document})
    engine.dispose()


def test_a_rollout_that_cannot_be_read_is_never_taken_for_none(opening: Callable[..., Store], url: str) -> None:
    store = opening(url)
    store.save_rollout(HALTED, NO_ROLLOUT, {}, [])
    break_document(url, render_rollout(HALTED)[:-7])
    with pytest.raises(StoreRefused, match="what the store keeps of the rollout cannot be read") as refused:
        store.load()
    assert "table rollouts" in (refused.value.next_step or "")
    with pytest.raises(StoreRefused):
        store.save_rollout(NO_ROLLOUT, NO_ROLLOUT, {}, [])


# --- orders ----------------------------------------------------------------------------------------------------------


def test_orders_are_numbered_in_the_order_they_come(store: StorePort) -> None:
    first = store.add_order(Verb.PAUSE, "anna", "a partner is out", NOW)
    second = store.add_order(Verb.RETRY, "bert", "the disk is mended", NOW + MINUTE, "r1")
    assert (first.number, second.number, store.newest_order()) == (1, 2, 2)
    assert store.load().orders == (first, second)
    assert (second.verb, second.user, second.relay, second.at) == (Verb.RETRY, "bert", "r1", NOW + MINUTE)


def test_of_orders_at_the_same_moment_each_has_a_number(opening: Callable[..., Store], url: str) -> None:
    stores = [opening(url) for _ in range(6)]
    at_once(stores, lambda store, who: store.add_order(Verb.HALT, f"operator {who}", "why", NOW))
    orders = stores[0].load().orders
    assert [order.number for order in orders] == [1, 2, 3, 4, 5, 6]
    assert len({order.user for order in orders}) == 6


def test_a_retry_forgets_what_failed_on_its_relay_alone(store: StorePort) -> None:
    for relay, intent in (("r1", "stage"), ("r1", "deploy"), ("r2", "stage")):
        store.save_attempt(Attempt(relay, intent, 4, NOW, "disk full"))
    store.add_order(Verb.RETRY, "anna", "mended", NOW, "r1")
    assert set(store.load().attempts) == {("r2", "stage")}


def test_who_resumes_has_all_that_failed_forgotten(store: StorePort) -> None:
    for relay in ("r1", "r2"):
        store.save_attempt(Attempt(relay, "stage", 4, NOW, "the disk is full"))
    store.add_order(Verb.RESUME, "anna", "mended", NOW)
    assert store.load().attempts == {}


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb not in (Verb.RETRY, Verb.RESUME)])
def test_no_other_order_forgets_failures(store: StorePort, verb: Verb) -> None:
    store.save_attempt(Attempt("", "stage", 4, NOW, "disk full"))
    store.add_order(verb, "anna", "why", NOW)
    assert set(store.load().attempts) == {("", "stage")}


def test_an_order_that_nobody_knows_is_refused(opening: Callable[..., Store], url: str) -> None:
    store = opening(url)
    store.add_order(Verb.PAUSE, "anna", "why", NOW)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE orders SET verb = 'dance'"))
    engine.dispose()
    with pytest.raises(StoreRefused, match="order 1 in the store asks for something that is not known: dance"):
        store.load()


# --- history ---------------------------------------------------------------------------------------------------------


def test_history_is_told_in_the_order_in_which_it_happened(store: StorePort) -> None:
    store.save_rollout(NO_ROLLOUT, NO_ROLLOUT, {}, [happening(9), happening(1, "paused")])
    store.save_rollout(NO_ROLLOUT, NO_ROLLOUT, {}, [happening(2, "resumed")])
    assert store.load_events() == (happening(9), happening(1, "paused"), happening(2, "resumed"))


@pytest.mark.parametrize(("limit", "numbers"), [(0, []), (1, [3]), (2, [2, 3]), (9, [1, 2, 3])])
def test_of_a_long_history_the_newest_part_is_told(store: StorePort, limit: int, numbers: list[int]) -> None:
    store.save_rollout(NO_ROLLOUT, NO_ROLLOUT, {}, [happening(1), happening(2), happening(3)])
    assert store.load_events(limit) == tuple(happening(number) for number in numbers)


# --- the document ----------------------------------------------------------------------------------------------------

moments = st.datetimes(timezones=st.just(UTC))
words = st.text(max_size=8)
seconds = st.floats(allow_nan=False, allow_infinity=False)
records = st.builds(
    RolloutRecord,
    current=st.none()
    | st.builds(
        Rollout,
        started_at=moments,
        since=st.none() | moments,
        wish=st.dictionaries(words, words, max_size=3),
        good=st.dictionaries(words, words, max_size=3),
        waves=st.lists(st.lists(words, max_size=3).map(tuple), max_size=3).map(tuple),
        failed=st.dictionaries(words, words, max_size=3),
        vouched=st.frozensets(words, max_size=3),
    ),
    settling=st.dictionaries(
        words,
        st.builds(
            Settling,
            since=moments,
            measured=st.dictionaries(words, st.integers(), max_size=2),
            worse=st.dictionaries(words, st.integers(), max_size=2),
        ),
        max_size=2,
    ),
    restarts=st.dictionaries(
        words,
        st.builds(Restart, at=moments, marked_at=st.none() | moments, served_at=st.none() | moments),
        max_size=2,
    ),
    draining=st.dictionaries(words, moments, max_size=2),
    failures=st.dictionaries(words, st.builds(Failure, at=moments), max_size=2),
    durations=st.lists(seconds, max_size=3).map(tuple),
)


@given(records)
def test_any_rollout_comes_back_from_its_document(rollout: RolloutRecord) -> None:
    assert parse_rollout(render_rollout(rollout)) == rollout


def test_the_same_rollout_has_the_same_document() -> None:
    assert HALTED.current is not None
    turned = replace(HALTED.current, vouched=frozenset({"r3", "r2"}), wish=dict(HALTED.current.wish))
    other = replace(HALTED, current=turned, restarts=dict(reversed(list(HALTED.restarts.items()))))
    assert render_rollout(other) == render_rollout(HALTED)


WHOLE = json.loads(render_rollout(HALTED))


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        ("", "Expecting value"),
        ("null", "the whole: "),
        ("{}", "does not say which rollout is the current one"),
        (json.dumps(WHOLE | {"current": WHOLE["current"] | {"state": "asleep"}}), r"current\.state: Input should be"),
        (json.dumps(WHOLE | {"current": {"target": "t1"}}), r"current\.version: Field required"),
        (json.dumps(WHOLE | {"novel": 1}), "a key that this version does not know: novel"),
        (json.dumps(WHOLE | {"current": WHOLE["current"] | {"novel": 1}}), r"does not know: current\.novel"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_what_is_no_document_is_refused_with_its_cause(document: str, cause: str) -> None:
    with pytest.raises(StoreRefused, match=cause):
        parse_rollout(document)


def test_a_document_from_before_a_field_was_added_is_read_with_its_default() -> None:
    older = {key: value for key, value in WHOLE.items() if key != "durations"}
    assert parse_rollout(json.dumps(older)) == replace(HALTED, durations=())
