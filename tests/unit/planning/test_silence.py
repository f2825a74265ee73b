"""What the silence of a host, of many hosts, and of those around them is taken for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.observation import (
    HostView,
    InstanceState,
    InstanceStatus,
    Unreachable,
    Verdict,
    WrongHostKey,
)
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Health, Phase, RelayView
from orchestrator.planning.silence import (
    is_identified,
    is_missed_briefly,
    is_mostly_unknown,
    why_dead,
    why_keys_disagree,
)
from tests.scenarios.builders import MEDIUM, fleet_spec, wanted
from tests.scenarios.looks import (
    EU1,
    EU2,
    instance_of,
    serving_look,
    with_facts,
    with_host,
    with_instance,
    with_sighting,
    without_instance,
)

LOOK = serving_look()
SHIP = instance_of(LOOK, EU1)
SILENT = Unreachable("no answer")
WRONG = WrongHostKey("another key")
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
PATIENCE = LOOK.spec.rollout.replace_after
BOOT = LOOK.spec.rollout.boot_deadline


def missed(look: Look = LOOK, host: HostView = SILENT, *, since: timedelta = PATIENCE + MINUTE) -> Look:
    """EU1 does not answer, for so long; all others do."""
    look = with_sighting(with_host(look, EU1, host), EU1, Verdict.CONNECT_TIMEOUT)
    return replace(look, record=replace(look.record, missed_since={SHIP.instance_id: look.now - since}))


def unknown(look: Look) -> Look:
    """Its key was never seen."""
    known = {key: value for key, value in look.record.identities.items() if key != SHIP.instance_id}
    return replace(with_instance(look, EU1, host_key=None), record=replace(look.record, identities=known))


def death(look: Look) -> str | None:
    return why_dead(instance_of(look, EU1), look)


def unseen(look: Look, *names: str) -> Look:
    """Nobody looked at these on the wire."""
    kept = {name: sighting for name, sighting in look.seen.sightings.items() if name not in names}
    return replace(look, seen=replace(look.seen, sightings=kept))


LOST = f"{SHIP.instance_id} has not answered for {(PATIENCE + MINUTE).total_seconds() / 60:.0f} minutes while others do"
YOUNG = f"{SHIP.instance_id} never answered in the {(BOOT + MINUTE).total_seconds() / 60:.0f} minutes since its launch"


# --- one instance ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [InstanceState.STOPPING, InstanceState.STOPPED, InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED],
)
def test_what_the_cloud_says_is_gone_is_dead_though_it_still_answers(state):
    assert death(with_instance(LOOK, EU1, state=state)) == f"the cloud says {SHIP.instance_id} is {state.value}"


def test_who_has_not_answered_for_long_is_dead_while_others_answer():
    assert death(missed()) == LOST
    assert death(missed(since=PATIENCE)) is None
    assert death(replace(missed(), record=LOOK.record)) is None


def test_who_answers_is_not_dead_however_long_it_was_missed():
    assert death(with_host(missed(), EU1, LOOK.seen.hosts[SHIP.instance_id])) is None


@pytest.mark.parametrize(
    ("verdict", "dead"), [(Verdict.OK, False), (Verdict.STALE_TIP, False), (Verdict.REFUSED, True)]
)
def test_whose_node_answers_is_not_dead(verdict, dead):
    assert (death(with_sighting(missed(), EU1, verdict)) is not None) is dead


def test_whose_wire_was_not_looked_at_is_dead_by_its_silence():
    assert death(unseen(missed(), EU1)) == LOST


def test_a_wrong_key_is_no_silence_where_the_right_one_is_known():
    assert death(missed(host=WRONG)) is None
    assert death(unknown(missed(host=WRONG))) == LOST


def test_a_host_that_answers_is_not_dead_because_its_key_is_not_known_yet():
    look = unknown(with_instance(LOOK, EU1, launched_at=LOOK.now - 2 * BOOT))
    assert death(with_sighting(look, EU1, Verdict.REFUSED)) is None


@pytest.mark.parametrize(("over", "dead"), [(timedelta(), None), (MINUTE, YOUNG)])
def test_who_never_answered_is_dead_after_the_boot_deadline(over, dead):
    look = unknown(replace(missed(), record=LOOK.record))
    assert death(with_instance(look, EU1, launched_at=LOOK.now - BOOT - over)) == dead


def test_who_has_answered_once_is_given_its_time_however_long_ago_it_was_launched():
    assert death(with_instance(missed(since=PATIENCE), EU1, launched_at=LOOK.now - 2 * BOOT)) is None


def test_who_is_impaired_and_silent_is_dead_at_once():
    look = with_instance(missed(since=SECOND), EU1, status=InstanceStatus.IMPAIRED)
    assert death(look) == f"the cloud says {SHIP.instance_id} is impaired, and it does not answer"
    assert death(with_instance(LOOK, EU1, status=InstanceStatus.IMPAIRED)) is None


def dark(look: Look) -> Look:
    """Nobody in the region answers us, nor anybody elsewhere."""
    look = with_sighting(with_host(look, EU2, SILENT), EU2, Verdict.CONNECT_TIMEOUT)
    for instance in look.seen.cloud.instances:
        if instance.relay not in (EU1, EU2):
            look = with_facts(look, instance.relay, peers=frozenset({"198.51.100.1"}))
    assert look.by.dark_regions == {"eu-central-1"}
    return look


def test_in_a_region_that_is_gone_as_a_whole_only_what_the_cloud_calls_impaired_is_dead():
    look = dark(missed())
    assert death(look) is None
    assert "is impaired" in (death(with_instance(look, EU1, status=InstanceStatus.IMPAIRED)) or "")


# --- whether others answer -----------------------------------------------------------------------------------------------


def alone(look: Look) -> Look:
    """EU1 has no other relay in its region."""
    return without_instance(look, EU2)


def elsewhere(look: Look, silent: int) -> Look:
    """So many of the relays elsewhere do not answer either."""
    others = sorted(i.relay for i in look.seen.cloud.instances if i.region != "eu-central-1")
    for name in others[:silent]:
        look = with_host(look, name, SILENT)
    return look


def test_silence_proves_nothing_where_no_partner_answers():
    assert death(with_sighting(missed(), "alpha", Verdict.REFUSED)) == LOST
    assert death(unseen(missed(), "alpha")) == LOST
    none = with_sighting(with_sighting(missed(), "alpha", Verdict.REFUSED), "beta", Verdict.REFUSED)
    assert death(none) is None
    assert death(with_sighting(none, "beta", Verdict.STALE_TIP)) == LOST


def test_without_partners_other_hosts_are_asked_alone():
    nobody = wanted(fleet_spec(MEDIUM, partners=()))
    assert death(replace(missed(), wanted=nobody)) == LOST


def test_silence_proves_nothing_where_the_others_of_the_region_are_silent_too():
    assert death(with_host(missed(), EU2, SILENT)) is None
    assert death(elsewhere(missed(), silent=6)) == LOST


def test_of_two_others_both_have_to_answer():
    third = replace(instance_of(LOOK, EU2), instance_id="i-third", relay="demo-eu-central-1-03")
    look = missed()
    seen = replace(look.seen, cloud=replace(look.seen.cloud, instances=(*look.seen.cloud.instances, third)))
    assert death(replace(look, seen=replace(seen, hosts={**seen.hosts, "i-third": SILENT}))) is None
    assert death(replace(look, seen=replace(seen, hosts={**seen.hosts, "i-third": WRONG}))) is None
    assert death(replace(look, seen=replace(seen, hosts={**seen.hosts, "i-third": seen.hosts["i-00000004"]}))) == LOST


@pytest.mark.parametrize(("silent", "dead"), [(0, LOST), (2, LOST), (3, None), (6, None)])
def test_who_is_alone_in_its_region_is_measured_by_all_others(silent, dead):
    assert death(elsewhere(alone(missed()), silent)) == dead


def test_who_is_alone_in_the_fleet_is_never_dead_by_its_silence():
    look = alone(missed())
    for instance in look.seen.cloud.instances:
        if instance.relay != EU1:
            look = without_instance(look, instance.relay)
    assert death(look) is None


# --- keys ----------------------------------------------------------------------------------------------------------------


def test_a_key_is_known_by_the_record_or_by_the_tag():
    look = with_instance(LOOK, EU1, host_key=None)
    assert is_identified(instance_of(look, EU1), LOOK.record)
    nothing = replace(LOOK.record, identities={})
    tagged = with_instance(LOOK, EU1, host_key="ssh-ed25519 tagged")
    assert is_identified(instance_of(tagged, EU1), nothing)
    assert not is_identified(instance_of(look, EU1), nothing)


def test_a_host_whose_record_and_tag_name_different_keys_is_not_talked_to():
    own = LOOK.record.identities[SHIP.instance_id].public_key
    quarrel = why_keys_disagree(replace(SHIP, host_key="ssh-ed25519 other"), LOOK.record)
    assert quarrel == (
        f"the record pins {SHIP.instance_id} to {own}, its tag says ssh-ed25519 other: "
        "not talked to until an operator has found out which is true"
    )
    assert why_keys_disagree(replace(SHIP, host_key=own), LOOK.record) is None
    assert why_keys_disagree(replace(SHIP, host_key=None), LOOK.record) is None
    nothing = replace(LOOK.record, identities={})
    assert why_keys_disagree(replace(SHIP, host_key="ssh-ed25519 other"), nothing) is None


# --- for a moment ----------------------------------------------------------------------------------------------------------


RETRY = LOOK.spec.rollout.retry_after


@pytest.mark.parametrize(
    ("look", "briefly"),
    [
        (missed(since=RETRY - SECOND), True),
        (missed(since=RETRY), False),
        (replace(missed(), record=LOOK.record), True),
        (missed(host=WRONG, since=SECOND), False),
        (with_host(missed(since=SECOND), EU1, LOOK.seen.hosts[SHIP.instance_id]), False),
    ],
    ids=["just now", "for a pause", "for the first time", "it shows a wrong key", "it answers"],
)
def test_a_host_may_be_back_by_itself_if_it_was_missed_for_less_than_a_pause(look, briefly):
    assert is_missed_briefly(instance_of(look, EU1), look) is briefly


def test_where_there_is_no_instance_none_comes_back_by_itself():
    assert is_missed_briefly(None, LOOK) is False


# --- many ------------------------------------------------------------------------------------------------------------------


def view(phase: Phase = Phase.SERVING, **changes: object) -> RelayView:
    """A relay with an instance that runs, and whose key is known."""
    ship = replace(SHIP, state=InstanceState.RUNNING, status=InstanceStatus.OK)
    return replace(RelayView(EU1, "eu-central-1", phase, Health.UNKNOWN, "", instance=ship), **changes)  # type: ignore[arg-type]


SERVES, LOST_TOUCH, DEAD = view(), view(Phase.UNKNOWN), view(Phase.DEAD)


def of_kind(**changes: object) -> RelayView:
    """A dead relay whose instance is as told."""
    assert DEAD.instance is not None
    return replace(DEAD, instance=replace(DEAD.instance, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("views", "cut_off"),
    [
        ([LOST_TOUCH, SERVES, SERVES], False),
        ([LOST_TOUCH, LOST_TOUCH, SERVES, SERVES, SERVES], True),
        ([LOST_TOUCH, LOST_TOUCH, *[SERVES] * 4], False),
        ([LOST_TOUCH, SERVES], True),
        ([DEAD, SERVES], True),
        ([replace(LOST_TOUCH, instance=None), SERVES], True),
        ([LOST_TOUCH, SERVES, *[view(Phase.ABSENT, instance=None)] * 3], True),
        ([of_kind(status=InstanceStatus.IMPAIRED), SERVES], False),
        ([of_kind(state=InstanceState.STOPPED), SERVES], False),
        ([of_kind(instance_id="i-never", host_key=None), SERVES], False),
        ([replace(DEAD, instance=None), SERVES], False),
        ([], False),
    ],
    ids=[
        "one in three",
        "two in five",
        "two in six",
        "one in two",
        "one of two fell silent",
        "the cloud is silent for one of two",
        "those that are not there count for nothing",
        "one of two is impaired",
        "one of two was stopped",
        "one of two never answered",
        "one of two has no instance",
        "nobody",
    ],
)
def test_when_more_than_a_third_is_not_known_the_controller_is_cut_off(views, cut_off):
    assert is_mostly_unknown(views, LOOK) is cut_off
