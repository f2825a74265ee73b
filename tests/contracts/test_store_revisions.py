"""Submitted revisions, and what a running controller tells: the same on every store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.adapters.store import Store
from orchestrator.adapters.store_revisions import KEPT
from orchestrator.fleet.revision import Draft, Revision, Told
from orchestrator.simulation.store import MemoryStore

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
FIRST = Draft("fleet: demo # ä\n", {"config.json": "{}", "byron.json": "{1}"})
SECOND = Draft("fleet: demo\n", {"config.json": "{}"})


def test_a_new_store_has_no_revision_and_nothing_told(store: Store | MemoryStore) -> None:
    revisions = store.revisions
    assert (revisions.newest(), revisions.newest_try(), revisions.told()) == (None, (0, 0), None)


def test_a_submitted_draft_comes_back_as_it_was(store: Store | MemoryStore) -> None:
    made = store.revisions.submit(FIRST, "ops", NOW)
    assert made == store.revisions.newest() == Revision(1, "ops", NOW, FIRST)
    assert store.revisions.newest_try() == (1, 1)


def test_another_draft_is_another_revision_also_when_it_goes_back(store: Store | MemoryStore) -> None:
    numbers = [store.revisions.submit(draft, "ops", NOW).number for draft in (FIRST, SECOND, FIRST)]
    assert numbers == [1, 2, 3]


def test_the_same_draft_again_is_one_try_more(store: Store | MemoryStore) -> None:
    store.revisions.submit(FIRST, "ops", NOW)
    again = store.revisions.submit(FIRST, "another", NOW + timedelta(minutes=1))
    assert (again.number, again.afresh, again.user) == (1, 2, "another")
    assert store.revisions.newest() == again
    assert store.revisions.newest_try() == (1, 2)


def test_only_the_newest_revisions_are_kept_and_numbers_go_on(store: Store | MemoryStore) -> None:
    for number in range(KEPT + 3):
        store.revisions.submit(Draft(f"revision {number}", {}), "ops", NOW)
    newest = store.revisions.newest()
    assert newest is not None
    assert (newest.number, newest.draft.content) == (KEPT + 3, f"revision {KEPT + 2}")


def test_what_is_told_replaces_what_was_told_before(store: Store | MemoryStore) -> None:
    store.revisions.tell(Told("loop", 1, 1, NOW, "", "{}"))
    told = Told("loop", 1, 2, NOW + timedelta(seconds=1), "converged", '{"events": []}')
    store.revisions.tell(told)
    assert store.revisions.told() == told
