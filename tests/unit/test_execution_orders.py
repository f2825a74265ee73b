"""An operator's request that came after a plan was made is honoured before the plan's next effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.execution.execute import Event, Executor, Hands
from orchestrator.execution.ports import HostDone, HostResult, HostTarget
from orchestrator.fleet.observation import Instance, InstanceState, InstanceStatus
from orchestrator.fleet.rollout import Verb
from orchestrator.planning.look import Wanted
from orchestrator.planning.plan import Action, Deploy, Retire, Stage, Stop
from orchestrator.rendering.values import ChangeClass
from orchestrator.simulation.ports import SimulatedKeys
from orchestrator.simulation.store import MemoryStore
from orchestrator.simulation.time import VirtualClock
from tests.rendering_builders import TEMPLATES, fleet_spec, network_files, rendered

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class HeldBack:
    """Background work that begins when the test says so."""

    def __init__(self) -> None:
        self._works: list[Callable[[], None]] = []

    def start(self, name: str, work: Callable[[], None]) -> None:
        self._works.append(work)

    def begin(self) -> None:
        for work in self._works:
            work()


class WillingHosts:
    """Hosts that do whatever they are told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def run_intent(
        self, intent: str, targets: Sequence[HostTarget], on_result: Callable[[HostTarget, HostResult], None]
    ) -> None:
        assert targets, "a run without hosts"
        for target in targets:
            self.told.append((intent, target.relay))
            on_result(target, HostDone(changed=True, facts={}))


class WillingCloud:
    """A cloud that ends whatever it is told to end."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def guard_changes(self, check: Callable[[], None]) -> None:
        pass

    def start_retire(self, instance: Instance) -> None:
        self.ended.append(instance.relay)


class Controller:
    """An executor with fakes all around."""

    def __init__(self) -> None:
        self.store, self.hosts, self.cloud, self.background = (
            MemoryStore("demo"),
            WillingHosts(),
            WillingCloud(),
            HeldBack(),
        )
        self.events: list[Event] = []
        clock = VirtualClock()
        hands: Any = Hands(self.cloud, self.hosts, self.store, clock, SimulatedKeys(), self.background)  # type: ignore[arg-type]
        lease = self.store.acquire_lease("me", clock.now(), clock.now() + timedelta(hours=1), 0)
        wanted = Wanted(fleet_spec(), network_files(), TEMPLATES)
        self.executor = Executor(hands, wanted, lease, "ssh-ed25519 AAAA", self.events.append)

    def say(self) -> None:
        self.store.add_order(Verb.PAUSE, "anna", "wait", NOW)

    def outcomes(self) -> list[tuple[str, str]]:
        return [(event.relay, event.outcome) for event in self.events]


def instance(relay: str) -> Instance:
    return Instance(
        instance_id=f"i-{relay}",
        region="eu-central-1",
        zone="eu-central-1a",
        state=InstanceState.RUNNING,
        status=InstanceStatus.OK,
        fleet="demo",
        store_id="simulated",
        relay=relay,
        generation=1,
        address="192.0.2.1",
        address_v6=None,
        image="ami-0123456789abcdef0",
        instance_type="r6a.large",
        subnet="subnet-00000001",
        launched_at=NOW,
        launch_token="t",
        host_key="ssh-ed25519 BBBB",
    )


def deploy(relay: str, change: ChangeClass = ChangeClass.RESTART) -> Deploy:
    return Deploy(relay, instance(relay), rendered(), change, disturbs=change >= ChangeClass.RESTART, reason="new")


def stop(relay: str) -> Stop:
    return Stop(relay, instance(relay), "retiring")


def stage(relay: str) -> Stage:
    return Stage(relay, instance(relay), rendered(), "new")


def retire(relay: str) -> Retire:
    return Retire(relay, instance(relay), "retiring")


DISTURBING = [deploy("r1"), stop("r1"), retire("r1")]


def touched(controller: Controller) -> list[str]:
    return [*(relay for _, relay in controller.hosts.told), *controller.cloud.ended]


@pytest.mark.parametrize("action", DISTURBING, ids=lambda action: type(action).__name__)
def test_an_order_that_the_plan_did_not_know_keeps_its_effect_from_starting(action: Action) -> None:
    controller = Controller()
    controller.say()
    controller.executor.start([action], heard=0)
    controller.background.begin()
    assert touched(controller) == []
    assert controller.outcomes() == [("r1", "deferred")]
    assert controller.events[0].text == "an operator's request came in; looking again"


@pytest.mark.parametrize("action", DISTURBING, ids=lambda action: type(action).__name__)
def test_an_order_between_start_and_effect_keeps_the_effect_from_happening(action: Action) -> None:
    controller = Controller()
    controller.executor.start([action], heard=0)
    controller.say()
    controller.background.begin()
    assert touched(controller) == []
    assert controller.outcomes() == [("r1", "started"), ("r1", "deferred")]
    assert not controller.store.load().attempts


@pytest.mark.parametrize("action", DISTURBING, ids=lambda action: type(action).__name__)
def test_an_order_that_the_plan_knew_stops_nothing(action: Action) -> None:
    controller = Controller()
    controller.say()
    controller.executor.start([action], heard=1)
    controller.background.begin()
    assert touched(controller) == ["r1"]
    assert controller.outcomes() == [("r1", "started"), ("r1", "done")]


def test_who_does_not_say_what_the_plan_knew_hears_what_comes_after_the_start() -> None:
    controller = Controller()
    controller.say()
    controller.executor.start([deploy("r1")])
    controller.say()
    controller.background.begin()
    assert controller.outcomes() == [("r1", "started"), ("r1", "deferred")]


@pytest.mark.parametrize("said", ["before the start", "after the start"])
def test_work_that_disturbs_nobody_goes_on(said: str) -> None:
    controller = Controller()
    if said == "before the start":
        controller.say()
    controller.executor.start([stage("r1"), deploy("r2", ChangeClass.RELOAD), deploy("r3")], heard=0)
    if said == "after the start":
        controller.say()
    controller.background.begin()
    assert controller.hosts.told == [("stage", "r1"), ("deploy", "r2")]


@pytest.mark.parametrize("said", ["before the start", "after the start"])
def test_the_relay_of_a_deferred_effect_is_free_and_the_next_look_is_called_for(said: str) -> None:
    controller = Controller()
    if said == "before the start":
        controller.say()
    ended = controller.executor.ended()
    controller.executor.start([deploy("r1")], heard=0)
    if said == "after the start":
        controller.say()
    controller.background.begin()
    assert not controller.executor.in_flight()
    assert controller.executor.ended() == ended + 1
