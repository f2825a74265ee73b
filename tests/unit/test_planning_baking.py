"""What one look makes of updated relays: who has failed, who has served out its bake, of whom that cannot be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from orchestrator.fleet.observation import UnitState
from orchestrator.fleet.record import Attempt
from orchestrator.fleet.rollout import Failure, RolloutRecord, RolloutState, Settling
from orchestrator.planning.baking import judge_bakes, note_failures
from orchestrator.planning.footing import Footing
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.retries import GIVE_UP_AFTER
from orchestrator.planning.wished import Wished
from tests.rollout_looks import (
    CALM,
    EU1,
    EU2,
    EU3,
    EVERYBODY,
    MINUTE,
    NEW,
    NOW,
    OLD,
    SECOND,
    SOUND,
    US1,
    US3,
    WAVES,
    fleet,
    footing,
    make_bundle,
    make_facts,
    make_look,
    make_rollout,
    settled,
    told,
    told_of,
)

DOWN = Health.UNHEALTHY
EARLIER = "earlier-digest"


# --- who has failed ----------------------------------------------------------------------------------------------------


def crashed(name: str, runs: str = NEW) -> Footing:
    facts = make_facts(unit=UnitState.FAILED, detail="exit 1")
    return footing(name, runs, health=DOWN, phase=Phase.DEPLOYING, facts=facts)


WHY = "its node does not start: exit 1"


def failures(
    *footings: Footing,
    state: RolloutState = RolloutState.RUNNING,
    restarted: str = NEW,
    known: Mapping[str, Failure] | None = None,
    attempts: Iterable[Attempt] = (),
    **changes: object,
) -> Wished:
    record = RolloutRecord(restarts=told(*EVERYBODY, digest=restarted), failures=known or {})
    look = make_look(record, attempts=attempts, bundles=[make_bundle(EARLIER, "10.4.0")])
    wished = Wished(make_rollout(state, **changes), record)
    return note_failures(wished, fleet(*footings), CALM, look)


def test_what_a_relay_fails_on_is_told_and_kept_in_mind() -> None:
    found = failures(crashed(EU3))
    assert found.rollout.failed == {EU3: WHY}
    assert found.record.failures == {NEW: Failure(NEW, "10.6.0", EU3, WHY, NOW)}
    assert told_of(found)[0] == "failed"


@pytest.mark.parametrize(
    "changes",
    [{"waves": ()}, {"state": RolloutState.COMPLETE}, {"good": {"eu": NEW, "us": NEW}}],
    ids=["nobody was careful", "it is complete", "it is proven"],
)
def test_what_nobody_waits_to_see_proven_does_not_fail(changes) -> None:
    found = failures(crashed(EU3), **changes)
    assert (found.rollout.failed, found.record.failures, found.events) == ({}, {}, ())


def test_a_relay_that_has_failed_is_not_told_again() -> None:
    found = failures(crashed(EU3), state=RolloutState.HALTED, failed={EU3: "before"})
    assert (found.rollout.failed, found.events) == ({EU3: "before"}, ())


@pytest.mark.parametrize(("count", "halts"), [(GIVE_UP_AFTER, True), (GIVE_UP_AFTER - 1, False)])
def test_a_release_that_cannot_be_staged_halts_and_nobody_goes_back_from_it(count: int, halts: bool) -> None:
    found = failures(attempts=[Attempt(EU1, "stage", count, NOW, "404")])
    assert (found.rollout.state is RolloutState.HALTED) is halts
    assert found.rollout.failed == {}
    because = f"staging failed {count} times, last: 404"
    assert found.record.failures == ({NEW: Failure(NEW, "10.6.0", EU1, because, NOW, staging=True)} if halts else {})


@pytest.mark.parametrize(("good", "halts"), [({"eu": OLD}, False), ({}, True)], ids=["there is", "there is not"])
def test_a_new_relay_that_cannot_stage_what_was_proven_does_not_speak_against_the_wish(good, halts: bool) -> None:
    bare = footing(EU1, "", health=Health.UNHEALTHY)
    found = failures(bare, attempts=[Attempt(EU1, "stage", GIVE_UP_AFTER, NOW, "404")], good=good)
    assert (found.rollout.state is RolloutState.HALTED) is halts


def test_while_it_is_paused_nothing_is_said_of_staging() -> None:
    attempt = Attempt(EU1, "stage", GIVE_UP_AFTER, NOW, "404")
    assert failures(state=RolloutState.PAUSED, attempts=[attempt]).rollout.state is RolloutState.PAUSED


BEFORE = Failure(EARLIER, "10.4.0", EU1, "as told then", NOW - MINUTE)


@pytest.mark.parametrize(
    ("mine", "known", "found"),
    [
        (crashed(US1, EARLIER), {}, {EARLIER: Failure(EARLIER, "10.4.0", US1, WHY, NOW)}),
        (crashed(US1, EARLIER), {EARLIER: BEFORE}, {EARLIER: BEFORE}),
        (crashed(US1, OLD), {}, {}),
        (crashed(US1, NEW), {}, {}),
        (crashed(US1, ""), {}, {}),
        (footing(US1, EARLIER), {}, {}),
    ],
    ids=["it fails", "that is known", "it is proven", "it is what is wished", "nobody knows what it runs", "it serves"],
)
def test_what_a_relay_was_given_for_an_earlier_wish_and_fails_on_is_kept_in_mind(mine, known, found) -> None:
    noted = failures(mine, state=RolloutState.COMPLETE, restarted=mine.runs or EARLIER, known=known)
    assert noted.record.failures == found
    assert noted.rollout.failed == {}


def test_a_failed_digest_of_which_nothing_is_kept_has_no_version() -> None:
    noted = failures(crashed(EU1, "unheard-of"), state=RolloutState.COMPLETE, restarted="unheard-of")
    assert noted.record.failures["unheard-of"].version == ""


# --- who has served out its bake ---------------------------------------------------------------------------------------


BAKE = 10 * MINUTE
POLICY = {"canary_bake": BAKE, "bake": BAKE, "healthy_looks": 3}
DEADLINE = make_look().spec.rollout.progress_deadline
WORSE = footing(EU3, NEW, signals=replace(SOUND, tip_age_seconds=290))
LOST = footing(EU3, NEW, signals=replace(SOUND, inbound=0))
MINE = footing(EU3, NEW)


def baked(**changes: object) -> Settling:
    """A canary that has served for as long as it has to, and was not compared before this look."""
    usual = Settling(NEW, NOW - BAKE, looks=3, seen_at=NOW - SECOND)
    return replace(usual, **changes)  # type: ignore[arg-type]


def judge(
    *footings: Footing,
    settling: Settling | Mapping[str, Settling] | None = None,
    state: RolloutState = RolloutState.RUNNING,
    in_flight: Iterable[str] = (),
    there: Mapping[str, Footing] | None = None,
    waves: tuple[tuple[str, ...], ...] = WAVES,
    **changes: object,
) -> Wished:
    known = settling or baked()
    record = RolloutRecord(settling={EU3: known} if isinstance(known, Settling) else known)
    look = make_look(record, policy=POLICY, in_flight=in_flight)
    wished = Wished(make_rollout(state, waves=waves, **changes), record)
    return judge_bakes(wished, waves, there or fleet(*footings), look)


def has_settled(found: Wished, name: str = EU3) -> bool:
    return found.record.settling[name].settled


def test_who_has_served_long_enough_and_no_worse_has_settled() -> None:
    assert has_settled(judge(MINE))
    assert not has_settled(judge(MINE, settling=baked(since=NOW - BAKE + SECOND)))
    assert not has_settled(judge(MINE, settling=baked(looks=1)))


@pytest.mark.parametrize(
    "changes",
    [{"state": RolloutState.COMPLETE}, {"good": {"eu": NEW, "us": NEW}}],
    ids=["it is complete", "it is proven"],
)
def test_what_nobody_waits_to_see_proven_need_not_bake(changes) -> None:
    found = judge(WORSE, settling=baked(since=NOW), **changes)
    assert has_settled(found)
    assert found.record.settling[EU3].compared == 0


@pytest.mark.parametrize(
    ("mine", "changes"),
    [
        (MINE, {"failed": {EU3: "exit 1"}}),
        (MINE, {"in_flight": [EU3]}),
        (footing(EU3, NEW, health=Health.UNKNOWN), {}),
    ],
    ids=["it has failed", "it is worked on", "it may serve"],
)
def test_who_may_not_serve_on_with_it_does_not_settle(mine: Footing, changes) -> None:
    # It was compared in a look before, and no worse.
    measured = dict.fromkeys(("tip age", "handshake", "restarts", "inbound connections", "agreement"), 1)
    assert not has_settled(judge(mine, settling=baked(compared=1, measured=measured), **changes))


def test_who_has_settled_is_not_judged_again() -> None:
    found = judge(WORSE, settling=replace(settled(EU3)[EU3], since=NOW - 2 * BAKE))
    assert (found.rollout.state, found.events) == (RolloutState.RUNNING, ())
    assert has_settled(found)


def test_who_is_worse_than_the_others_has_failed() -> None:
    found = judge(WORSE)
    assert found.rollout.failed == {EU3: "worse than the others in tip age, in 1 of 1 looks"}
    assert not has_settled(found)


@pytest.mark.parametrize(("over", "fails"), [(0 * SECOND, False), (SECOND, True)])
def test_who_does_not_become_like_the_others_in_time_has_failed(over, fails: bool) -> None:
    found = judge(LOST, settling=baked(since=NOW - BAKE - DEADLINE - over))
    assert bool(found.rollout.failed) is fails
    assert not has_settled(found)


def test_an_operator_vouches_for_what_cannot_be_told_and_not_for_what_is_worse() -> None:
    nobody = fleet(MINE, *(footing(name, health=DOWN) for name in EVERYBODY if name != EU3))
    assert has_settled(judge(there=nobody, vouched=frozenset({EU3})))
    assert EU3 in judge(WORSE, vouched=frozenset({EU3})).rollout.failed


# --- of whom it cannot be told -----------------------------------------------------------------------------------------


DARK = fleet(MINE, *(footing(name, health=DOWN) for name in EVERYBODY if name != EU3))
"""Nobody else serves."""


def test_where_nobody_else_serves_it_is_for_an_operator_to_say() -> None:
    found = judge(there=DARK)
    assert found.rollout.state is RolloutState.PAUSED
    assert found.rollout.doubtful == {EU3}
    assert found.rollout.because == (
        f"inconclusive, {EU3}: there was nobody to compare it with; "
        "`rollout resume` accepts it, `rollout rollback` goes back"
    )


@pytest.mark.parametrize("state", [RolloutState.PAUSED, RolloutState.HALTED])
def test_an_operator_who_was_asked_is_not_asked_again(state: RolloutState) -> None:
    found = judge(there=DARK, state=state)
    assert (found.rollout.state, found.events, found.rollout.doubtful) == (state, (), frozenset())


def test_where_nothing_was_ever_proven_those_that_do_not_serve_are_no_measure() -> None:
    assert has_settled(judge(there=DARK, good={}))
    assert EU3 in judge(WORSE, good={}).rollout.failed


def test_who_is_the_only_relay_need_not_be_like_the_others() -> None:
    assert has_settled(judge(there={EU3: MINE}, waves=((EU3,),)))


def test_of_several_that_cannot_be_told_the_first_by_name_is_told() -> None:
    two = ((US3, EU3), (EU1, US1))
    there = {**DARK, US3: footing(US3, NEW)}
    found = judge(there=there, settling={name: baked() for name in (US3, EU3)}, waves=two)
    assert found.rollout.doubtful == {EU3, US3}
    assert found.rollout.because.startswith(f"inconclusive, {EU3}: ")


@pytest.mark.parametrize("first", EVERYBODY)
def test_who_is_done_does_not_wait_for_those_that_are_not(first: str) -> None:
    settling = {name: baked(since=NOW - BAKE if name == first else NOW) for name in EVERYBODY}
    found = judge(there=fleet(others=NEW), settling=settling, waves=(EVERYBODY,), vouched=frozenset(EVERYBODY))
    assert [name for name in EVERYBODY if has_settled(found, name)] == [first]


def test_those_after_the_canary_bake_as_they_are_to() -> None:
    later = judge(MINE, footing(EU1, NEW), settling={EU3: settled(EU3)[EU3], EU1: baked()})
    assert has_settled(later, EU1)
    assert EU2 not in later.record.settling
