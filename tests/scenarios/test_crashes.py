"""A controller that dies before every effect and before every write, one run each; the next one finishes the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.errors import LeaseHeld
from orchestrator.execution.cycle import Ending
from orchestrator.simulation.machines import SimulatedDeath
from orchestrator.simulation.rehearsal import Rehearsal
from orchestrator.simulation.store import MemoryStore
from tests.scenarios.builders import SMALL, fleet_spec, rehearsal, resubmit, serving_fleet
from tests.scenarios.judge import Watch, faults_of, living

LEASE = timedelta(seconds=60)
MOST_CRASHES = 400
"""Far more than a run has effects or writes; reaching it means that runs never end."""

WRITES = (
    "save_magic",
    "save_intent",
    "save_identity",
    "save_attempt",
    "delete_attempts",
    "save_missed",
    "save_confirmations",
    "delete_instance",
    "release_lease",
)


class DyingStore(MemoryStore):
    """A store whose controller dies before its write number `die_at`."""

    writes = 0
    die_at: int | None = None

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in WRITES:
            self.writes += 1
            if self.writes == self.die_at:
                raise SimulatedDeath
        return found


@dataclass(frozen=True, slots=True)
class Course:
    """Something an operator asks for, from a world as it is before."""

    begin: Callable[[], Rehearsal]
    confirmed: frozenset[str] = frozenset()


def first_apply() -> Rehearsal:
    return rehearsal(fleet_spec(SMALL))


def new_release() -> Rehearsal:
    return resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec(SMALL, release="10.6.0"))


def retire_one_of_each_region() -> Rehearsal:
    return resubmit(serving_fleet(fleet_spec(SMALL)), fleet_spec({"eu-central-1": 1, "us-east-1": 1}))


def one_stopped() -> Rehearsal:
    made = serving_fleet(fleet_spec(SMALL))
    made.world.stop_instance("demo-eu-central-1-01")
    return made


COURSES = {
    "first apply": Course(first_apply),
    "new release": Course(new_release),
    "retire half": Course(retire_one_of_each_region, frozenset({"retire:2"})),
    "replace one": Course(one_stopped),
}

AFTERMATHS: dict[str, Callable[[Rehearsal], None]] = {
    "killed": lambda made: made.world.clock.drop(),
    "frozen": lambda made: made.world.clock.delay(LEASE * 2),
}
"""What becomes of work that the dead controller had begun: it is gone, or it goes on when another has the lease."""


def finish(made: Rehearsal) -> tuple[Ending, list[str]]:
    """Let the next controller do the rest, and as much time pass as anything frozen needs to wake up."""
    made.world.clock.wait(LEASE.total_seconds() + 1, until=lambda: False)
    ending, _ = made.run("second")
    made.world.clock.wait(600, until=lambda: False)
    return ending, faults_of(made)


@pytest.mark.parametrize("aftermath", AFTERMATHS)
@pytest.mark.parametrize("course", COURSES)
def test_whatever_effect_the_controller_dies_before_the_next_one_finishes(course: str, aftermath: str) -> None:
    wrong: dict[int, object] = {}
    for number in range(1, MOST_CRASHES):
        made = COURSES[course].begin()
        made.store.save_confirmations(COURSES[course].confirmed)
        made.world.crash_at = made.world.effects + number
        try:
            made.run("first")
        except SimulatedDeath:
            AFTERMATHS[aftermath](made)
            result = finish(made)
            if result != (Ending.CONVERGED, []):
                wrong[number] = result
            continue
        break
    else:
        pytest.fail("never got past its effects")
    assert number > 4
    assert not wrong


@pytest.mark.parametrize("course", COURSES)
def test_whatever_write_the_controller_dies_before_the_next_one_finishes(course: str) -> None:
    wrong: dict[int, object] = {}
    for number in range(1, MOST_CRASHES):
        made = COURSES[course].begin()
        made.store.save_confirmations(COURSES[course].confirmed)
        store = DyingStore("demo")
        store.__dict__.update(made.store.__dict__)
        store.die_at = number
        made.store = store
        try:
            made.run("first")
        except SimulatedDeath:
            made.world.clock.drop()
            result = finish(made)
            if result != (Ending.CONVERGED, []):
                wrong[number] = result
            continue
        break
    else:
        pytest.fail("never got past its writes")
    assert number > 4
    assert not wrong


def test_no_crash_in_a_rollout_takes_two_relays_out() -> None:
    for number in range(1, MOST_CRASHES):
        made = new_release()
        watch = Watch(made.world, made.wanted.spec).over(made)
        made.world.crash_at = made.world.effects + number
        try:
            made.run("first")
        except SimulatedDeath:
            made.world.clock.delay(LEASE * 2)
            assert finish(made) == (Ending.CONVERGED, [])
            assert (watch.most_out, watch.dark) == (1, set()), f"after a crash before effect {number}"
            continue
        break
    assert number > 4


def test_a_frozen_controller_that_wakes_up_stops_at_the_lease() -> None:
    made = first_apply()
    made.world.crash_at = 20
    with pytest.raises(SimulatedDeath):
        made.run("first")
    made.world.clock.wait(LEASE.total_seconds() + 1, until=lambda: False)
    lease = made.store.acquire_lease("second", made.world.clock.now(), made.world.clock.now() + LEASE, 0)
    effects = made.world.effects
    made.world.clock.wait(600, until=lambda: False)
    assert made.world.effects == effects
    assert lease.token == 2


def test_the_next_controller_waits_for_the_lease_of_a_dead_one() -> None:
    made = first_apply()
    made.world.crash_at = 5
    with pytest.raises(SimulatedDeath):
        made.run("first")
    with pytest.raises(LeaseHeld, match="first holds the lease"):
        made.run("second")
    assert len(living(made.world)) <= sum(SMALL.values())
