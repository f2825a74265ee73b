"""An operator drains a relay: it leaves the names and stays out, within the budget, whatever else goes on, until it is let back."""

from __future__ import annotations

import pytest

from orchestrator.execution.cycle import Ending
from orchestrator.fleet.observation import UnitState
from orchestrator.fleet.rollout import Verb
from orchestrator.planning.plan import Phase
from orchestrator.simulation.machines import Effect, SimulatedDeath, SimulatedHost
from orchestrator.simulation.rehearsal import Rehearsal
from tests.scenarios.builders import MEDIUM, fleet_spec, resubmit, serving_fleet
from tests.scenarios.looks import EU1, EU2
from tests.scenarios.test_names import PUBLISH, QUICK, in_the_names

US1 = "demo-us-east-1-01"


def fleet(**changes: object) -> Rehearsal:
    return serving_fleet(fleet_spec(MEDIUM, publish=PUBLISH, rollout={**QUICK, **changes}))


def say(made: Rehearsal, verb: Verb, relay: str = EU1) -> None:
    made.store.add_order(verb, "ops", "its host moves", made.world.clock.now(), relay)


def stops(made: Rehearsal) -> list[str]:
    found: list[str] = []

    def witness(effect: Effect, host: SimulatedHost) -> None:
        if effect is Effect.STOP:
            found.append(host.instance.relay)

    made.world.witness = witness
    return found


def test_a_drained_relay_leaves_the_names_runs_on_and_comes_back() -> None:
    made = fleet()
    stopped = stops(made)
    say(made, Verb.DRAIN)
    ending, last = made.run()
    assert (ending, stopped) == (Ending.HELD, [])
    assert in_the_names(made) == {view.name for view in last.plan.relays} - {EU1}
    view = next(view for view in last.plan.relays if view.name == EU1)
    assert (view.phase, view.published) == (Phase.DRAINING, False)
    assert view.reason == f"drained by ops: its host moves; `genesis-fleet undrain {EU1}` lets it back"
    say(made, Verb.UNDRAIN)
    assert made.run()[0] is Ending.CONVERGED
    assert len(in_the_names(made)) == 8
    assert stopped == []


def test_it_stays_drained_though_nobody_looks_for_a_day_and_another_controller_comes() -> None:
    made = fleet()
    say(made, Verb.DRAIN)
    made.run()
    made.world.clock.wait(86_400, until=lambda: False)
    assert made.run("another")[0] is Ending.HELD
    assert EU1 not in in_the_names(made)


def test_of_several_words_about_one_relay_the_last_counts() -> None:
    made = fleet()
    for verb in (Verb.DRAIN, Verb.UNDRAIN, Verb.DRAIN, Verb.UNDRAIN):
        say(made, verb)
    assert made.run()[0] is Ending.CONVERGED
    assert len(in_the_names(made)) == 8


def test_a_second_one_waits_for_the_budget() -> None:
    made = fleet()
    say(made, Verb.DRAIN)
    say(made, Verb.DRAIN, US1)
    _, last = made.run()
    assert len(in_the_names(made)) == 7
    (waiting,) = [hold for hold in last.plan.holds if hold.wanted == "stop"]
    assert "1 of 1 relays that may be out" in waiting.because
    assert not waiting.passes


def test_an_upgrade_reaches_it_too_without_letting_it_back_and_counts_it_as_out() -> None:
    counts, policy = {**MEDIUM, "eu-central-1": 3}, {**QUICK, "max_unavailable": 2, "max_unavailable_per_region": 2}
    made = serving_fleet(fleet_spec(counts, publish=PUBLISH, rollout=policy))
    say(made, Verb.DRAIN)
    made.run()
    upgraded = resubmit(made, fleet_spec(counts, publish=PUBLISH, rollout=policy, release="10.6.0"))
    stopped = stops(upgraded)
    out: list[int] = []
    report = upgraded.report

    def watch(found: object, in_flight: object) -> None:
        out.append(9 - len(in_the_names(upgraded)))
        report(found, in_flight)  # type: ignore[arg-type]

    upgraded.report = watch
    assert upgraded.run()[0] is Ending.HELD
    assert sorted(stopped) == sorted({view.name for view in upgraded.look().plan.relays})
    assert max(out) <= 2
    assert in_the_names(upgraded) == {view.name for view in upgraded.look().plan.relays} - {EU1}


def test_an_upgrade_leaves_the_other_relay_of_its_region_alone_meanwhile() -> None:
    made = fleet(max_unavailable=2)
    say(made, Verb.DRAIN)
    made.run()
    policy = {**QUICK, "max_unavailable": 2}
    upgraded = resubmit(made, fleet_spec(MEDIUM, publish=PUBLISH, rollout=policy, release="10.6.0"))
    stopped = stops(upgraded)
    assert upgraded.run()[0] is Ending.HELD
    assert EU2 not in stopped
    assert EU1 in stopped


def test_the_last_relay_of_a_region_is_not_drained_unasked() -> None:
    made = fleet(max_unavailable=3, max_unavailable_per_region=2)
    say(made, Verb.DRAIN)
    say(made, Verb.DRAIN, EU2)
    _, last = made.run()
    assert len(in_the_names(made) & {EU1, EU2}) == 1
    assert any("dark-region:eu-central-1" in hold.because for hold in last.plan.holds)


def test_a_relay_that_does_not_serve_is_not_let_in_when_it_does() -> None:
    made = fleet()
    host = next(host for host in made.world.hosts.values() if host.instance.relay == EU1)
    made.world.stop_node(host, then_start=False)
    made.world.clock.wait(120, until=lambda: False)
    say(made, Verb.DRAIN)
    made.run()
    assert made.world.unit_state(host) is UnitState.ACTIVE
    assert EU1 not in in_the_names(made)


@pytest.mark.parametrize("effect", range(1, 4))
def test_a_controller_that_dies_meanwhile_changes_nothing_of_it(effect: int) -> None:
    made = fleet()
    say(made, Verb.DRAIN)
    made.world.clock.wait(5, until=lambda: False)
    real = made.store.save_rollout
    count = 0

    def die(*arguments: object) -> bool:
        nonlocal count
        count += 1
        if count == effect:
            raise SimulatedDeath
        return real(*arguments)  # type: ignore[arg-type]

    made.store.save_rollout = die  # type: ignore[method-assign]
    with pytest.raises(SimulatedDeath):
        made.run()
    made.store.save_rollout = real  # type: ignore[method-assign]
    made.world.clock.drop()
    made.world.clock.wait(120, until=lambda: False)
    assert made.run("next")[0] is Ending.HELD
    assert EU1 not in in_the_names(made)
