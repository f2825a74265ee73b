"""The record in memory, with the same promises as the real store; it survives a simulated controller's death."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from orchestrator.errors import LeaseHeld
from orchestrator.fleet.record import Attempt, Evidence, FleetRecord, Identity, LaunchIntent, Lease, Pin
from orchestrator.fleet.revision import Draft, Revision, Told
from orchestrator.fleet.rollout import Bundle, Order, RolloutEvent, RolloutRecord, Verb


def publish_nowhere(_names: frozenset[str]) -> None:
    """Leave it at the record."""


class MemoryRevisions:
    """A RevisionsPort without a disk."""

    def __init__(self) -> None:
        self._newest: Revision | None = None
        self._told: Told | None = None

    def submit(self, draft: Draft, user: str, at: datetime) -> Revision:
        """Keep a draft as the newest revision; the same draft again is one try more."""
        before = self._newest
        same = before is not None and before.draft == draft
        number = (before.number if before is not None else 0) + (0 if same else 1)
        self._newest = Revision(number, user, at, draft, before.afresh + 1 if before is not None and same else 1)
        return self._newest

    def newest(self) -> Revision | None:
        """Return the revision that is to be followed."""
        return self._newest

    def newest_try(self) -> tuple[int, int]:
        """Return number and tries of the newest revision."""
        return (self._newest.number, self._newest.afresh) if self._newest is not None else (0, 0)

    def tell(self, told: Told) -> None:
        """Replace what a running controller has told."""
        self._told = told

    def told(self) -> Told | None:
        """Return what a running controller has told last."""
        return self._told


class MemoryStore:
    """A StorePort without a disk. Where a fleet's names are in no zone, consumers find whom it says: `publish` tells them."""

    def __init__(
        self,
        fleet: str,
        store_id: str = "simulated",
        publish: Callable[[frozenset[str]], None] = publish_nowhere,
    ) -> None:
        self.publish = publish
        self.names_kept = False
        """Whether a zone has the names, and what is saved here tells nobody."""
        self.revisions = MemoryRevisions()
        self._record = FleetRecord(store_id, fleet, None)
        self._lease: Lease | None = None
        self._events: list[RolloutEvent] = []

    def load(self) -> FleetRecord:
        """Return the whole record."""
        return self._record

    def save_magic(self, magic: int) -> None:
        """Remember the network."""
        self._record = replace(self._record, magic=magic)

    def save_intent(self, intent: LaunchIntent) -> None:
        """Insert or replace a launch intent."""
        others = [i for i in self._record.intents if i.token != intent.token]
        ordered = sorted([*others, intent], key=lambda i: (i.relay, i.generation, i.attempt))
        self._record = replace(self._record, intents=tuple(ordered))

    def save_identity(self, identity: Identity) -> None:
        """Insert or replace a pinned key."""
        identities = {**self._record.identities, identity.instance_id: identity}
        self._record = replace(self._record, identities=identities)

    def save_attempt(self, attempt: Attempt) -> None:
        """Insert or replace a failed attempt."""
        attempts = {**self._record.attempts, (attempt.relay, attempt.intent): attempt}
        self._record = replace(self._record, attempts=attempts)

    def delete_attempts(self, relay: str, intent: str) -> None:
        """Forget failures after a success."""
        if (relay, intent) in self._record.attempts:
            attempts = {key: value for key, value in self._record.attempts.items() if key != (relay, intent)}
            self._record = replace(self._record, attempts=attempts)

    def delete_all_attempts(self) -> None:
        """Forget every failure."""
        if self._record.attempts:
            self._record = replace(self._record, attempts={})

    def save_missed(self, missed_since: Mapping[str, datetime]) -> None:
        """Replace the times at which instances were first missed."""
        self._record = replace(self._record, missed_since=dict(missed_since))

    def save_confirmations(self, names: frozenset[str]) -> None:
        """Replace the confirmations."""
        self._record = replace(self._record, confirmed_retirements=names)

    def save_evidence(self, evidence: Evidence, before: Evidence) -> bool:
        """Replace what looks have seen of the chain."""
        if self._record.evidence != before:
            return False
        self._record = replace(self._record, evidence=evidence)
        if not self.names_kept:
            self.publish(evidence.published)
        return True

    def save_pin(self, pin: Pin | None) -> None:
        """Replace the operator's word about the chain."""
        self._record = replace(self._record, pin=pin)

    def save_rollout(
        self,
        rollout: RolloutRecord,
        before: RolloutRecord,
        bundles: Mapping[str, Bundle],
        events: Sequence[RolloutEvent],
    ) -> bool:
        """Replace what is kept of the rollout, and add to its history."""
        if self._record.rollout != before:
            return False
        self._record = replace(self._record, rollout=rollout, bundles=dict(bundles))
        self._events.extend(events)
        return True

    def load_events(self, limit: int | None = None) -> tuple[RolloutEvent, ...]:
        """Return the history of rollouts."""
        return tuple(self._events if limit is None else self._events[max(len(self._events) - limit, 0) :])

    def add_order(self, verb: Verb, user: str, reason: str, at: datetime, relay: str = "") -> Order:
        """Append an operator's request."""
        order = Order(self.newest_order() + 1, verb, user, reason, at, relay)
        attempts = self._record.attempts
        if verb is Verb.RETRY:
            attempts = {key: attempt for key, attempt in attempts.items() if attempt.relay != relay}
        if verb is Verb.RESUME:
            attempts = {}
        self._record = replace(self._record, orders=(*self._record.orders, order), attempts=attempts)
        return order

    def newest_order(self) -> int:
        """Return the number of the newest order."""
        return self._record.orders[-1].number if self._record.orders else 0

    def delete_instance(self, instance_id: str) -> None:
        """Forget an instance that is gone, but not its generation."""
        record = self._record
        self._record = replace(
            record,
            identities={k: v for k, v in record.identities.items() if k != instance_id},
            missed_since={k: v for k, v in record.missed_since.items() if k != instance_id},
            intents=tuple(replace(i, request_json="") if i.instance_id == instance_id else i for i in record.intents),
        )

    def acquire_lease(self, holder: str, now: datetime, until: datetime, least_token: int) -> Lease:
        """Take or renew the lease."""
        held = self._lease is not None and self._lease.until > now
        if self._lease is not None and held and self._lease.holder != holder:
            raise _held(self._lease)
        renews = held and self._lease is not None
        token = self._lease.token if renews and self._lease else max(self._record.token, least_token) + 1
        self._lease = Lease(holder, token, until)
        if token != self._record.token:
            self._record = replace(self._record, token=token)
        return self._lease

    def check_lease(self, lease: Lease, now: datetime) -> None:
        """Raise LeaseHeld unless this very lease is still held."""
        mine = self._lease
        if mine is None or (mine.holder, mine.token) != (lease.holder, lease.token):
            raise _held(mine or lease)
        if mine.until <= now:
            raise LeaseHeld(f"the lease of {lease.holder} has run out", next_step="run the command again")

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back."""
        if self._lease is not None and (self._lease.holder, self._lease.token) == (lease.holder, lease.token):
            self._lease = None


def _held(lease: Lease) -> LeaseHeld:
    return LeaseHeld(
        f"{lease.holder} holds the lease until {lease.until:%H:%M:%S} UTC (fencing token {lease.token})",
        next_step="wait until it has ended",
    )
