"""What every store promises: the one in memory, SQLite in a file, and PostgreSQL pass the same tests."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from orchestrator.adapters.lease import keep_lease
from orchestrator.adapters.store import Store, open_store, read_record
from orchestrator.adapters.store_schema import SCHEMA_VERSION
from orchestrator.errors import FleetError, LeaseHeld, StoreRefused
from orchestrator.execution.ports import StorePort
from orchestrator.fleet.chain import ChainPoint, ShownPoint
from orchestrator.fleet.record import (
    NO_EVIDENCE,
    Attempt,
    Evidence,
    Identity,
    LaunchIntent,
    Lease,
    Pin,
    Quarantine,
    Suspicion,
)
from orchestrator.fleet.rollout import NO_ROLLOUT, Verb
from orchestrator.simulation.store import MemoryStore

from .racing import at_once

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REPOSITORY = Path(__file__).resolve().parents[2]


def intent(token: str = "t1", **changes: object) -> LaunchIntent:
    made = LaunchIntent(
        relay="demo-eu-central-1-01",
        region="eu-central-1",
        generation=1,
        attempt=0,
        token=token,
        request_json='{"UserData": "secret"}',
        one_time_public_key="ssh-ed25519 AAAA",
        subnet="subnet-1",
        at=NOW,
    )
    return replace(made, **changes)


# --- the record ------------------------------------------------------------------------------------------------------


def test_a_new_store_has_an_id_and_nothing_else(store: StorePort) -> None:
    record = store.load()
    assert record.store_id
    assert (record.fleet, record.magic, record.intents, record.token) == ("demo", None, (), 0)
    assert not record.identities
    assert not record.attempts
    assert not record.missed_since


def test_the_id_stays(store: StorePort) -> None:
    assert store.load().store_id == store.load().store_id


def test_an_intent_comes_back_as_it_was_saved(store: StorePort) -> None:
    store.save_intent(intent())
    assert store.load().intents == (intent(),)


def test_an_intent_is_replaced_by_its_token(store: StorePort) -> None:
    store.save_intent(intent())
    store.save_intent(intent(instance_id="i-1"))
    assert store.load().intents == (intent(instance_id="i-1"),)


def test_intents_are_in_order_of_generation_and_attempt(store: StorePort) -> None:
    wanted = (intent("c"), intent("b", attempt=1), intent("a", generation=2))
    for each in reversed(wanted):
        store.save_intent(each)
    assert store.load().intents == wanted


def test_an_identity_is_replaced_by_its_instance(store: StorePort) -> None:
    identity = Identity("i-1", "demo-eu-central-1-01", "ssh-ed25519 AAAA", confirmed=False)
    store.save_identity(identity)
    store.save_identity(replace(identity, confirmed=True))
    assert dict(store.load().identities) == {"i-1": replace(identity, confirmed=True)}


def test_attempts_are_kept_by_relay_and_intent(store: StorePort) -> None:
    first = Attempt("r1", "stage", 1, NOW, "404")
    store.save_attempt(first)
    store.save_attempt(replace(first, failures=2))
    store.save_attempt(replace(first, intent="deploy"))
    assert {key: a.failures for key, a in store.load().attempts.items()} == {("r1", "stage"): 2, ("r1", "deploy"): 1}


def test_a_success_forgets_the_failures_of_its_intent_alone(store: StorePort) -> None:
    store.save_attempt(Attempt("r1", "stage", 1, NOW, "404"))
    store.save_attempt(Attempt("r1", "deploy", 1, NOW, "disk full"))
    store.delete_attempts("r1", "stage")
    assert set(store.load().attempts) == {("r1", "deploy")}


def test_an_operator_may_have_all_failures_forgotten(store: StorePort) -> None:
    store.save_attempt(Attempt("r1", "stage", 1, NOW, "404"))
    store.delete_all_attempts()
    assert not store.load().attempts


def test_missed_times_are_replaced_as_a_whole_and_keep_their_zone(store: StorePort) -> None:
    store.save_missed({"i-1": NOW, "i-2": NOW})
    store.save_missed({"i-2": NOW + MINUTE})
    assert dict(store.load().missed_since) == {"i-2": NOW + MINUTE}


def test_confirmations_are_replaced_as_a_whole(store: StorePort) -> None:
    store.save_confirmations(frozenset({"retire:10", "dark-region:eu"}))
    store.save_confirmations(frozenset({"retire:9"}))
    assert store.load().confirmed_retirements == {"retire:9"}


def test_the_magic_stays(store: StorePort) -> None:
    store.save_magic(4294967295)
    assert store.load().magic == 4294967295


def evidence() -> Evidence:
    point = ChainPoint(100, "ab" * 32)
    return Evidence(
        points=(ShownPoint(point, 7, NOW, frozenset({"alpha", "r1"})),),
        suspicions={
            "r1": Suspicion("r1", point, 7, 9, 2, ChainPoint(120, "cd" * 32), NOW),
            "r2": Suspicion("r2", None, None, 3, 1, point, NOW),
        },
        quarantines={"r3": Quarantine("r3", NOW, "forked at slot 80"), "r4": Quarantine("r4", NOW, "magic", NOW)},
        published=frozenset({"r1", "r2"}),
        withdrawn={"r3": NOW},
        named=frozenset({"r2"}),
    )


def test_evidence_comes_back_as_it_was_saved(store: StorePort) -> None:
    store.save_evidence(evidence(), NO_EVIDENCE)
    assert store.load().evidence == evidence()


def test_of_two_looks_at_once_the_first_to_end_keeps_its_evidence(store: StorePort) -> None:
    later = replace(evidence(), published=frozenset())
    assert store.save_evidence(evidence(), NO_EVIDENCE)
    assert not store.save_evidence(later, NO_EVIDENCE)
    assert store.load().evidence == evidence()
    assert store.save_evidence(later, evidence())
    assert store.load().evidence == later


def test_of_looks_that_end_at_the_same_moment_one_keeps_its_evidence_and_none_fails(
    opening: Callable[..., Store], url: str
) -> None:
    stores = [opening(url) for _ in range(6)]
    for _ in range(10):
        at_once(stores, lambda store, who: store.save_evidence(Evidence(published=frozenset({f"r{who}"})), NO_EVIDENCE))
        after = stores[0].load().evidence
        assert len(after.published) == 1
        stores[0].save_evidence(NO_EVIDENCE, after)


def test_of_two_pins_at_the_same_moment_the_later_one_is_kept_and_none_fails(
    opening: Callable[..., Store], url: str
) -> None:
    stores = [opening(url) for _ in range(6)]
    pins = [Pin(ChainPoint(number, "ab" * 32), "operator", "why", NOW) for number in range(6)]
    for _ in range(10):
        at_once(stores, lambda store, who: store.save_pin(pins[who]))
        assert stores[0].load().pin in pins


def test_a_pin_is_replaced_and_taken_back(store: StorePort) -> None:
    first = Pin(ChainPoint(100, "ab" * 32), "operator", "the explorers say so", NOW)
    second = replace(first, reason="and the partners", at=NOW + MINUTE)
    store.save_pin(first)
    store.save_pin(second)
    assert store.load().pin == second
    store.save_pin(None)
    assert store.load().pin is None


def test_a_gone_instance_leaves_its_generation_and_no_secret(store: StorePort) -> None:
    store.save_intent(intent(instance_id="i-1"))
    store.save_identity(Identity("i-1", "demo-eu-central-1-01", "ssh-ed25519 AAAA", confirmed=True))
    store.save_missed({"i-1": NOW})
    store.delete_instance("i-1")
    record = store.load()
    assert not record.identities
    assert not record.missed_since
    assert [(i.generation, i.request_json) for i in record.intents] == [(1, "")]


# --- the lease -------------------------------------------------------------------------------------------------------


def test_the_second_controller_is_told_who_holds_the_lease(store: StorePort) -> None:
    store.acquire_lease("anna", NOW, NOW + MINUTE, 0)
    with pytest.raises(LeaseHeld, match="anna holds the lease until 12:01:00 UTC"):
        store.acquire_lease("bert", NOW, NOW + MINUTE, 0)


def test_a_lease_that_has_run_out_is_free(store: StorePort) -> None:
    store.acquire_lease("anna", NOW, NOW + MINUTE, 0)
    assert store.acquire_lease("bert", NOW + MINUTE, NOW + 2 * MINUTE, 0).token == 2


def test_renewal_keeps_the_token(store: StorePort) -> None:
    first = store.acquire_lease("anna", NOW, NOW + MINUTE, 0)
    again = store.acquire_lease("anna", NOW + MINUTE / 2, NOW + 2 * MINUTE, 99)
    assert (again.token, again.until) == (first.token, NOW + 2 * MINUTE)


def test_the_old_holder_of_an_ended_lease_gets_a_new_token(store: StorePort) -> None:
    first = store.acquire_lease("anna", NOW, NOW + MINUTE, 0)
    assert store.acquire_lease("anna", NOW + 2 * MINUTE, NOW + 3 * MINUTE, 0).token > first.token


@pytest.mark.parametrize(("least", "token"), [(0, 1), (1, 2), (41, 42)])
def test_the_token_is_above_what_store_and_hosts_have_seen(store: StorePort, least: int, token: int) -> None:
    assert store.acquire_lease("anna", NOW, NOW + MINUTE, least).token == token
    assert store.load().token == token


def test_tokens_grow_across_release(store: StorePort) -> None:
    first = store.acquire_lease("anna", NOW, NOW + MINUTE, 7)
    store.release_lease(first)
    assert store.acquire_lease("bert", NOW, NOW + MINUTE, 0).token == first.token + 1


def test_a_stranger_releases_nothing(store: StorePort) -> None:
    held = store.acquire_lease("anna", NOW, NOW + MINUTE, 0)
    store.release_lease(Lease("bert", held.token, NOW + MINUTE))
    store.release_lease(replace(held, token=held.token - 1))
    store.check_lease(held, NOW)


def test_a_held_lease_passes_the_check_until_its_end(store: StorePort) -> None:
    held = store.acquire_lease("anna", NOW, NOW + MINUTE, 0)
    store.check_lease(held, NOW + MINUTE - timedelta(microseconds=1))
    with pytest.raises(LeaseHeld, match="has run out"):
        store.check_lease(held, NOW + MINUTE)


def test_a_renewed_lease_is_checked_by_its_new_end(store: StorePort) -> None:
    held = store.acquire_lease("anna", NOW, NOW + MINUTE, 0)
    store.acquire_lease("anna", NOW, NOW + 5 * MINUTE, 0)
    store.check_lease(held, NOW + 4 * MINUTE)


def test_who_lost_the_lease_is_told_to_whom(store: StorePort) -> None:
    lost = store.acquire_lease("anna", NOW, NOW + MINUTE, 0)
    store.acquire_lease("bert", NOW + MINUTE, NOW + 2 * MINUTE, 0)
    with pytest.raises(LeaseHeld, match="bert"):
        store.check_lease(lost, NOW + MINUTE)


def test_a_released_lease_passes_no_check(store: StorePort) -> None:
    held = store.acquire_lease("anna", NOW, NOW + MINUTE, 0)
    store.release_lease(held)
    with pytest.raises(LeaseHeld):
        store.check_lease(held, NOW)


@pytest.mark.parametrize("before", ["nobody", "a holder whose lease ran out", "a holder who gave it back"])
def test_of_many_controllers_exactly_one_gets_the_lease(opening: Callable[..., Store], url: str, before: str) -> None:
    stores = [opening(url) for _ in range(8)]
    if before != "nobody":
        old = stores[0].acquire_lease("old", NOW - MINUTE, NOW, 0)
        if before == "a holder who gave it back":
            stores[0].release_lease(old)
    together = threading.Barrier(len(stores))

    def take(number: int) -> bool:
        together.wait()
        try:
            stores[number].acquire_lease(f"controller {number}", NOW, NOW + MINUTE, 0)
        except LeaseHeld:
            return False
        return True

    with ThreadPoolExecutor(len(stores)) as pool:
        assert sum(pool.map(take, range(len(stores)))) == 1


TAKE_LEASE = """
import sys
from datetime import datetime, timedelta
from orchestrator.adapters.store import open_store
from orchestrator.errors import LeaseHeld
url, holder, now = sys.argv[1:]
store, now = open_store(url, "demo"), datetime.fromisoformat(now)
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
try:
    store.acquire_lease(holder, now, now + timedelta(minutes=1), 0)
    print("won", flush=True)
except LeaseHeld:
    print("lost", flush=True)
sys.stdin.readline()
"""


def start_controller(url: str, holder: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TAKE_LEASE, url, holder, NOW.isoformat()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_of_two_processes_that_make_a_store_at_once_exactly_one_gets_the_lease(url: str) -> None:
    processes = [start_controller(url, f"process {number}") for number in range(2)]
    try:
        assert [answer(process) for process in processes] == ["ready", "ready"]
        for process in processes:
            tell(process, "go\n")
        assert sorted(answer(process) for process in processes) == ["lost", "won"]
    finally:
        for process in processes:
            end(process)


def test_a_killed_controller_leaves_its_lease_until_it_runs_out(opening: Callable[..., Store], url: str) -> None:
    process = start_controller(url, "killed")
    try:
        assert answer(process) == "ready"
        tell(process, "go\n")
        assert answer(process) == "won"
        process.send_signal(signal.SIGKILL)
        process.wait()
    finally:
        end(process)
    store = opening(url)
    with pytest.raises(LeaseHeld, match="killed"):
        store.acquire_lease("next", NOW, NOW + MINUTE, 0)
    assert store.acquire_lease("next", NOW + MINUTE, NOW + 2 * MINUTE, 0).token == 2


WRITE_ON_AND_ON = """
import sys
from datetime import UTC, datetime
from itertools import count
from orchestrator.adapters.store import open_store
from orchestrator.fleet.record import Attempt
store = open_store(sys.argv[1], "demo")
for number in count(1):
    store.save_attempt(Attempt("r1", "stage", number, datetime.now(UTC), "x" * 5000))
    print(number, flush=True)
"""


def test_whatever_was_saved_before_kill_9_is_there_after_it(opening: Callable[..., Store], url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_ON_AND_ON, url], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdout is not None
    while int(process.stdout.readline()) < 20:
        pass
    process.kill()
    reported = [20, *(int(line) for line in process.stdout.read().split("\n")[:-1])]
    process.communicate()
    failures = opening(url).load().attempts["r1", "stage"].failures
    assert failures in (reported[-1], reported[-1] + 1)


# --- keeping the lease -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class CountingStore:
    """A store whose answers a test chooses; tells when it was asked to renew."""

    inner: MemoryStore
    answers: list[FleetError | None]
    asked: threading.Semaphore

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def check_lease(self, lease: Lease, now: datetime) -> None:
        failure = self.answers.pop(0) if self.answers else None
        self.asked.release()
        if failure is not None:
            raise failure
        self.inner.check_lease(lease, now)


@dataclass(frozen=True, slots=True)
class StandingClock:
    def now(self) -> datetime:
        return NOW

    def wait(self, seconds: float, until: Callable[[], bool]) -> None:
        raise AssertionError("nobody waits here")


def test_a_lease_is_renewed_also_after_the_store_did_not_answer_once() -> None:
    store = CountingStore(MemoryStore("demo"), [StoreRefused("no answer")], threading.Semaphore(0))
    lease = store.inner.acquire_lease("anna", NOW, NOW + timedelta(seconds=1), 0)
    with keep_lease(store, StandingClock(), lease, timedelta(milliseconds=30)):  # type: ignore[arg-type]
        for _ in range(3):
            assert store.asked.acquire(timeout=10)
        assert store.inner._lease is not None
        assert store.inner._lease.token == lease.token
        assert store.inner._lease.until == NOW + timedelta(milliseconds=30)
    assert store.inner._lease is None


def test_a_lost_lease_is_not_taken_back() -> None:
    store = CountingStore(MemoryStore("demo"), [], threading.Semaphore(0))
    lost = store.inner.acquire_lease("anna", NOW - 2 * MINUTE, NOW - MINUTE, 0)
    theirs = store.inner.acquire_lease("bert", NOW, NOW + MINUTE, 0)
    with keep_lease(store, StandingClock(), lost, timedelta(milliseconds=30)):  # type: ignore[arg-type]
        assert store.asked.acquire(timeout=10)
    assert store.inner._lease == theirs


# --- what is refused -------------------------------------------------------------------------------------------------


def test_the_record_is_there_when_the_store_is_opened_again(opening: Callable[..., Store], url: str) -> None:
    first = opening(url)
    first.save_intent(intent())
    assert opening(url).load() == first.load()


def test_another_fleets_store_is_refused(opening: Callable[..., Store], url: str) -> None:
    opening(url, "demo")
    with pytest.raises(StoreRefused, match="belongs to fleet demo, the fleet file is for other"):
        opening(url, "other")


def test_a_newer_schema_is_refused(opening: Callable[..., Store], url: str) -> None:
    opening(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE about SET schema_version = {SCHEMA_VERSION + 1}"))
    engine.dispose()
    with pytest.raises(StoreRefused, match=f"schema version {SCHEMA_VERSION + 1}, this program knows {SCHEMA_VERSION}"):
        opening(url)


ADDED_BY_VERSION = {
    2: ("evidence", "pins"),
    3: ("rollouts", "bundles", "orders", "rollout_events"),
    4: ("revisions", "told"),
}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_store_of_an_older_version_is_given_what_it_lacks(
    opening: Callable[..., Store], url: str, version: int
) -> None:
    older = opening(url, "demo")
    older.save_magic(42)
    older.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        for newer in range(version + 1, SCHEMA_VERSION + 1):
            for table in ADDED_BY_VERSION[newer]:
                connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text(f"UPDATE about SET schema_version = {version}"))
    engine.dispose()
    assert read_record(url, "demo") is not None
    store = opening(url, "demo")
    store.save_evidence(evidence(), NO_EVIDENCE)
    assert (store.load().magic, store.load().evidence) == (42, evidence())
    assert store.load().rollout == NO_ROLLOUT
    assert store.add_order(Verb.PAUSE, "anna", "wait", NOW).number == 1


def test_evidence_that_cannot_be_read_is_as_good_as_none(opening: Callable[..., Store], url: str) -> None:
    store = opening(url, "demo")
    store.save_evidence(evidence(), NO_EVIDENCE)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE evidence SET document = 'half a docu'"))
    engine.dispose()
    assert store.load().evidence == NO_EVIDENCE


def test_a_database_of_something_else_is_refused(opening: Callable[..., Store], url: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE about (colour TEXT)"))
    engine.dispose()
    with pytest.raises(StoreRefused, match="cannot be used"):
        opening(url)


def test_a_file_that_is_no_database_is_refused(opening: Callable[..., Store], tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_bytes(b"this is a shopping list, not a database" * 100)
    with pytest.raises(StoreRefused, match=r"store\.db cannot be used: file is not a database"):
        opening(f"sqlite:///{file}")


def test_a_damaged_database_is_refused(opening: Callable[..., Store], tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    opening(f"sqlite:///{file}").close()
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    with pytest.raises(StoreRefused, match="cannot be used"):
        opening(f"sqlite:///{file}")


def test_a_database_that_breaks_later_is_refused_in_words(opening: Callable[..., Store], tmp_path: Path) -> None:
    store = opening(f"sqlite:///{tmp_path}/store.db")
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("DROP TABLE attempts")
    connection.commit()
    connection.close()
    with pytest.raises(StoreRefused, match="no such table: attempts"):
        store.load()


@pytest.mark.parametrize("url", ["shopping list", "oracle+nothing://host/name", "nonsense://host/name"])
def test_what_is_no_store_url_is_refused(opening: Callable[..., Store], url: str) -> None:
    with pytest.raises(StoreRefused, match="is not an SQLAlchemy URL"):
        opening(url)


def test_a_folder_that_cannot_be_made_is_refused(opening: Callable[..., Store], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreRefused, match="cannot be made"):
        opening(f"sqlite:///{tmp_path}/file/store.db")


def test_the_password_of_a_store_is_not_shown(opening: Callable[..., Store], tmp_path: Path) -> None:
    with pytest.raises(StoreRefused) as refused:
        opening(f"postgresql+psycopg://anna:hunter2@/demo?host={tmp_path}")
    assert "hunter2" not in str(refused.value)


def test_the_file_of_a_store_is_its_owners_alone(opening: Callable[..., Store], tmp_path: Path) -> None:
    store = opening(f"sqlite:///{tmp_path}/state/store.db")
    store.save_intent(intent())
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert modes["store.db"] == 0o600
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_store_file_that_others_could_read_is_closed_to_them(opening: Callable[..., Store], tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.touch()
    file.chmod(0o644)
    opening(f"sqlite:///{file}")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_private_key_that_was_forgotten_is_in_none_of_the_files(tmp_path: Path) -> None:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", "demo")
    key = "PRIVATE KEY " + "x" * 20_000
    opened.save_intent(intent(request_json=key))
    assert any(b"PRIVATE KEY" in file.read_bytes() for file in tmp_path.iterdir())
    opened.save_intent(intent(request_json=""))
    left = [file.name for file in tmp_path.iterdir() if b"PRIVATE KEY" in file.read_bytes()]
    opened.close()
    assert left == []


def test_a_closed_store_is_one_file(tmp_path: Path) -> None:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", "demo")
    opened.save_magic(42)
    opened.close()
    assert [file.name for file in tmp_path.iterdir()] == ["store.db"]


def test_reading_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    assert read_record(f"sqlite:///{tmp_path}/store.db", "demo") is None
    assert list(tmp_path.iterdir()) == []


def test_a_record_is_read_as_it_was_saved(url: str, opening: Callable[..., Store]) -> None:
    store = opening(url)
    store.save_intent(intent())
    assert read_record(url, "demo") == store.load()
