"""What of a launch is forgotten when its instance is gone: private keys first, and never what may still be needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.execution.forgetting import forget_what_nobody_needs
from orchestrator.fleet.observation import CloudView, InstanceState
from orchestrator.fleet.record import LaunchIntent
from orchestrator.planning.launching import VISIBILITY
from orchestrator.planning.look import Look
from tests.rollout_looks import EU1, NOW, make_look
from tests.scenarios.builders import fleet_spec, serving_fleet
from tests.scenarios.looks import instance_of

OLD_ENOUGH = NOW - VISIBILITY - timedelta(seconds=1)
LAUNCH = LaunchIntent(EU1, "eu", 2, 0, "token", '{"secret": 1}', "public", "subnet-1", OLD_ENOUGH, instance_id="i-2")


class Kept:
    """A store that says what was written."""

    def __init__(self) -> None:
        self.intents: list[LaunchIntent] = []
        self.deleted: list[str] = []

    def save_intent(self, intent: LaunchIntent) -> None:
        self.intents.append(intent)

    def delete_instance(self, instance_id: str) -> None:
        self.deleted.append(instance_id)


def look_at(intent: LaunchIntent, *instances, silent: tuple[str, ...] = ()) -> Look:
    look = make_look()
    cloud = replace(CloudView(), instances=tuple(instances), silent_regions=frozenset(silent))
    return replace(look, seen=replace(look.seen, cloud=cloud), record=replace(look.record, intents=(intent,)))


def forgotten(look: Look) -> Kept:
    kept = Kept()
    forget_what_nobody_needs(kept, look, ())  # type: ignore[arg-type]
    return kept


FIRST = replace(instance_of(serving_fleet(fleet_spec({"eu": 1})).look().look, EU1), instance_id="i-1")


def test_the_key_of_a_successor_that_is_gone_is_forgotten_while_the_first_instance_lives() -> None:
    kept = forgotten(look_at(LAUNCH, FIRST))
    assert kept.intents == [replace(LAUNCH, request_json="")]
    assert kept.deleted == []


@pytest.mark.parametrize(
    "look",
    [
        look_at(LAUNCH),
        look_at(LAUNCH, FIRST, replace(FIRST, instance_id="i-2", generation=2)),
        look_at(LAUNCH, FIRST, silent=("eu",)),
        look_at(replace(LAUNCH, at=NOW), FIRST),
        look_at(LAUNCH, replace(FIRST, state=InstanceState.TERMINATED)),
        look_at(replace(LAUNCH, instance_id=None), FIRST),
    ],
    ids=[
        "nothing else lives",
        "it is listed",
        "its region is silent",
        "just launched",
        "the first is gone",
        "no answer",
    ],
)
def test_the_key_of_a_launch_that_may_still_count_is_kept(look: Look) -> None:
    assert forgotten(look).intents == []
