"""Starts what a plan says and records what came of it. Decides nothing: every choice is in the action already.

Effects run beside the cycle, at most one a relay. Before each: the lease is checked and what must survive a crash is
saved; what takes a node out waits if an operator said something since the plan was made. After each host ends, its relay
is free again, while others of the same run go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.execution.hearing import DEFERRED, OVERTAKEN, Hearing, disturbs
from orchestrator.execution.launches import make_intent
from orchestrator.execution.ports import (
    BackgroundPort,
    ClockPort,
    CloudPort,
    HostDone,
    HostFailed,
    HostLost,
    HostResult,
    HostsPort,
    HostTarget,
    KeysPort,
    Launched,
    LaunchRefused,
    StorePort,
)
from orchestrator.execution.ports_names import NO_NAMES, NamesPort
from orchestrator.execution.targets import HostAction, accepted_host_keys, host_target, variables_of
from orchestrator.fleet.names import NameChange
from orchestrator.fleet.observation import InFlight, Instance
from orchestrator.fleet.record import Attempt, FleetRecord, Identity, LaunchIntent, Lease
from orchestrator.planning.look import Wanted
from orchestrator.planning.names import describe_changes
from orchestrator.planning.plan import (
    NAMES,
    PUBLISH,
    Action,
    Deploy,
    Furnish,
    Launch,
    Prepare,
    Release,
    Retire,
    Stage,
    Stop,
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a relay, for the live view and the log."""

    relay: str
    intent: str
    outcome: str
    """`started`, `done`, `failed`, `lost` or `deferred`."""
    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Hands:
    """What effects need."""

    cloud: CloudPort
    hosts: HostsPort
    store: StorePort
    clock: ClockPort
    keys: KeysPort
    background: BackgroundPort
    names: NamesPort = NO_NAMES


TAG = "tag"
"""What a host key that could not be tagged is recorded under."""

NO_ZONE = ""
"""The place of what was refused, but not for want of room: no zone is passed over for it, so that a permission granted or
an image corrected opens all of them at once."""

CloudAction = Launch | Furnish | Retire | Release


class Executor:
    """Carries out plans under one lease; keeps what is in flight, and nothing else."""

    def __init__(
        self, hands: Hands, wanted: Wanted, lease: Lease, authorized_key: str, report: Callable[[Event], None]
    ) -> None:
        self._hands = hands
        self._wanted = wanted
        self._lease = lease
        self._authorized_key = authorized_key
        self._report = report
        self._lock = threading.Lock()
        self._in_flight: dict[str, InFlight] = {}
        self._ended = 0
        hands.cloud.guard_changes(self._check_lease)

    def take_up(self, hands: Hands, wanted: Wanted) -> None:
        """Carry out another fleet file from now on, with the adapters made for it; what is under way goes on."""
        self._hands, self._wanted = hands, wanted
        hands.cloud.guard_changes(self._check_lease)

    def in_flight(self) -> Mapping[str, InFlight]:
        """Return a copy of what is under way, by relay."""
        with self._lock:
            return dict(self._in_flight)

    def ended(self) -> int:
        """Return how many works have ended so far; a change means: look again."""
        with self._lock:
            return self._ended

    def start(self, actions: Iterable[Action], heard: int | None = None) -> None:
        """Start every action, hosts with the same intent side by side in one run.

        `heard` is the number of the newest order that the plan knew of; left out, it is the newest there is.
        """
        store = self._hands.store
        hearing = Hearing(store, store.newest_order() if heard is None else heard)
        runs: dict[tuple[str, str], list[HostAction]] = {}
        for action in [action for action in actions if self._may_begin(action, hearing)]:
            self._begin(action)
            match action:
                case Launch():
                    self._in_background(action, hearing, partial(self._launch, action))
                case Furnish():
                    self._in_background(action, hearing, partial(self._hands.cloud.run_furnish, action.instance))
                case Release():
                    self._in_background(action, hearing, partial(self._release, action))
                case Retire() if self._wanted.spec.cloud.kind == "aws":
                    self._in_background(action, hearing, partial(self._terminate, action))
                case Prepare():
                    runs.setdefault(("prepare", action.step), []).append(action)
                case Stage() | Deploy() | Stop() | Retire():
                    runs.setdefault((intent_of(action), ""), []).append(action)
        for (intent, _), group in runs.items():
            self._hands.background.start(intent, partial(self._run, intent, group, hearing))

    def start_names(self, changes: Sequence[NameChange]) -> None:
        """Change the names, one batch after the other; what is refused is a failed attempt, and the next look plans anew."""
        if not changes:
            return
        text = describe_changes(changes)
        with self._lock:
            self._in_flight[NAMES] = InFlight(PUBLISH, self._hands.clock.now())
        self._report(Event(NAMES, PUBLISH, "started", text))

        def run() -> None:
            try:
                for change in changes:
                    self._check_lease()
                    self._hands.names.save_names(change)
                self._done(NAMES, PUBLISH, text, changed=True)
            except (CloudRefused, CloudUnavailable) as error:
                self._failed(NAMES, PUBLISH, error.message)
            finally:
                self._end(NAMES)

        self._hands.background.start(f"{PUBLISH} {NAMES}", run)

    # --- one relay's bookkeeping -------------------------------------------------------------------------------------

    def _begin(self, action: Action) -> None:
        intent = intent_of(action)
        with self._lock:
            self._in_flight[action.relay] = InFlight(intent, self._hands.clock.now(), disturbs=disturbs(action))
        self._report(Event(action.relay, intent, "started", action.reason))

    def _may_begin(self, action: Action, hearing: Hearing) -> bool:
        if overtaken := hearing.must_wait(action):
            self._defer(action)
        return not overtaken

    def _defer(self, action: Action) -> None:
        """Let go of an action that an operator's request overtook; the next look follows at once and plans anew."""
        self._report_deferred(action)
        self._end(action.relay)

    def _report_deferred(self, action: Action) -> None:
        self._report(Event(action.relay, intent_of(action), DEFERRED, OVERTAKEN))

    def _end(self, relay: str) -> None:
        with self._lock:
            self._in_flight.pop(relay, None)
            self._ended += 1

    def _failed(self, relay: str, intent: str, error: str, *, outcome: str = "failed") -> None:
        earlier = self._hands.store.load().attempts.get((relay, intent))
        failures = earlier.failures + 1 if earlier else 1
        self._hands.store.save_attempt(Attempt(relay, intent, failures, self._hands.clock.now(), error))
        self._report(Event(relay, intent, outcome, error))

    def _done(self, relay: str, intent: str, text: str, *, changed: bool) -> None:
        self._hands.store.delete_attempts(relay, intent)
        self._report(Event(relay, intent, "done", text, changed=changed))

    def _check_lease(self) -> None:
        """Read the lease again before an effect: whoever lost it stops here."""
        self._hands.store.check_lease(self._lease, self._hands.clock.now())

    # --- the cloud ---------------------------------------------------------------------------------------------------

    def _in_background(self, action: CloudAction, hearing: Hearing, work: Callable[[], str]) -> None:
        """Start one call to the cloud. What the cloud refuses is this relay's failed attempt; a lost lease ends all."""
        intent = intent_of(action)

        def run() -> None:
            try:
                self._check_lease()
                if hearing.must_wait(action):
                    self._report_deferred(action)
                else:
                    self._done(action.relay, intent, work(), changed=True)
            except (CloudRefused, CloudUnavailable) as error:
                self._failed(action.relay, intent, error.message)
            finally:
                self._end(action.relay)

        self._hands.background.start(f"{intent} {action.relay}", run)

    def _launch(self, action: Launch) -> str:
        """Save the whole request, then make the call: a crash between the two repeats the same call.

        The time of the last call is saved, also of a repeated one: how long an instance may be missing from the cloud's
        lists is counted from there.
        """
        store = self._hands.store
        intent = replace(self._recorded(action) or self._make(action), at=self._hands.clock.now())
        store.save_intent(intent)
        try:
            result = self._hands.cloud.start_launch(action.region, intent.request_json)
        except CloudRefused as error:  # this very request will never succeed; the next one is made anew
            store.save_intent(replace(intent, refused=error.message, request_json="", subnet=NO_ZONE))
            raise
        match result:
            case Launched(instance_id):
                store.save_intent(replace(intent, instance_id=instance_id))
                return f"{instance_id} in {action.zone or action.subnet}"
            case LaunchRefused(reason, capacity):
                subnet = intent.subnet if capacity else NO_ZONE
                store.save_intent(replace(intent, refused=reason, request_json="", subnet=subnet))
                if not capacity:
                    raise CloudRefused(reason)
                return f"{action.zone or action.subnet} refused: {reason}; another zone is next"

    def _recorded(self, action: Launch) -> LaunchIntent | None:
        if action.repeat_token is None:
            return None
        intents = self._hands.store.load().intents
        return next((intent for intent in intents if intent.token == action.repeat_token), None)

    def _make(self, action: Launch) -> LaunchIntent:
        record, now = self._hands.store.load(), self._hands.clock.now()
        return make_intent(
            action, self._wanted.spec, record, now, self._hands.cloud, self._hands.keys, self._authorized_key
        )

    def _terminate(self, action: Retire) -> str:
        self._hands.cloud.start_retire(action.instance)
        self._hands.store.delete_instance(action.instance.instance_id)
        return f"{action.instance.instance_id} is being terminated"

    def _release(self, action: Release) -> str:
        self._hands.cloud.start_release(action.what)
        return action.reason

    # --- hosts -------------------------------------------------------------------------------------------------------

    def _run(self, intent: str, group: Sequence[HostAction], hearing: Hearing) -> None:
        pending = {action.instance.instance_id: action for action in group}

        def on_result(target: HostTarget, result: HostResult) -> None:
            action = pending.pop(target.instance_id)
            try:
                self._host_ended(intent, action, result)
            finally:
                self._end(action.relay)

        try:
            self._check_lease()
            record = self._hands.store.load()
            for action in group:
                if not self._may_begin(action, hearing):
                    del pending[action.instance.instance_id]
            if targets := [self._target(action, record) for action in pending.values()]:
                self._hands.hosts.run_intent(intent, targets, on_result)
        finally:
            for action in pending.values():
                self._end(action.relay)

    def _target(self, action: HostAction, record: FleetRecord) -> HostTarget:
        claim = {"genesis_token": self._lease.token, "genesis_store_id": record.store_id}
        keys = accepted_host_keys(action.instance, record)
        return host_target(action.instance, keys, self._wanted.spec, variables_of(action, self._wanted) | claim)

    def _host_ended(self, intent: str, action: HostAction, result: HostResult) -> None:
        match result:
            case HostDone(changed, facts):
                if isinstance(action, Prepare) and action.step == "identify":
                    if not (key := facts.get("host_key")):
                        self._failed(action.relay, intent, "the host answered without naming its host key")
                        return
                    self._pin(action.instance, str(key))
                if isinstance(action, Retire):
                    self._hands.store.delete_instance(action.instance.instance_id)
                self._done(action.relay, intent, str(facts.get("summary", "done")), changed=changed)
            case HostFailed(error):
                self._failed(action.relay, intent, error)
            case HostLost(reason):
                self._failed(action.relay, intent, reason, outcome="lost")

    def _pin(self, instance: Instance, public_key: str) -> None:
        """Record first, then tag: the tag is a second witness, never the only one. A missing tag is written after a look."""
        self._hands.store.save_identity(Identity(instance.instance_id, instance.relay, public_key, confirmed=False))
        self.save_tag(instance, public_key)

    def save_tag(self, instance: Instance, public_key: str) -> None:
        """Write the recorded host key in the instance's tag. Refused, it is this relay's failure, and asked once an apply."""
        if (instance.relay, TAG) in self._hands.store.load().attempts:
            return
        try:
            self._hands.cloud.save_host_key(instance, public_key)
        except CloudUnavailable:
            return  # the record has it; the next look tags again
        except CloudRefused as error:
            self._failed(instance.relay, TAG, error.message)


def intent_of(action: Action) -> str:
    """Return the word for an action: the playbook's name where there is one."""
    return type(action).__name__.lower()
