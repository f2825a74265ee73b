"""Where a relay is in its life: one look in, a phase out. The table reads from the outside in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.fleet.observation import (
    InFlight,
    InstanceState,
    InstanceStatus,
    UnitState,
    Unreachable,
    Verdict,
    WrongHostKey,
)
from orchestrator.fleet.record import Identity
from orchestrator.planning.plan import Health, Phase
from orchestrator.planning.silence import why_dead
from tests.scenarios.looks import (
    EU1,
    EU2,
    instance_of,
    serving_look,
    view_in,
    with_host,
    with_instance,
    with_sighting,
    with_unit,
    without_instance,
)

SILENT = Unreachable("no answer")
LONG = timedelta(hours=2)


def missed(look, relay, since):
    return replace(look, record=replace(look.record, missed_since={instance_of(look, relay).instance_id: since}))


def later(look, by=LONG):
    return replace(look, now=look.now + by)


def unidentified(look, relay):
    """As it is before its own key was read."""
    look = with_instance(look, relay, host_key=None)
    kept = {k: v for k, v in look.record.identities.items() if v.relay != relay}
    return replace(look, record=replace(look.record, identities=kept))


@pytest.mark.parametrize(
    ("change", "phase", "health"),
    [
        (lambda look: look, Phase.SERVING, Health.HEALTHY),
        (lambda look: without_instance(look, EU1), Phase.ABSENT, Health.UNHEALTHY),
        (lambda look: with_instance(look, EU1, state=InstanceState.TERMINATED), Phase.ABSENT, Health.UNHEALTHY),
        (lambda look: with_instance(look, EU1, state=InstanceState.STOPPED), Phase.DEAD, Health.UNHEALTHY),
        (lambda look: with_instance(look, EU1, state=InstanceState.STOPPING), Phase.DEAD, Health.UNHEALTHY),
        (lambda look: with_instance(look, EU1, state=InstanceState.PENDING), Phase.LAUNCHING, Health.UNHEALTHY),
        (lambda look: with_instance(look, EU1, address=None), Phase.LAUNCHING, Health.UNHEALTHY),
        (lambda look: with_instance(look, EU1, status=InstanceStatus.IMPAIRED), Phase.SERVING, Health.HEALTHY),
        (lambda look: with_instance(look, EU1, host_key="forged"), Phase.UNKNOWN, Health.UNKNOWN),
        (lambda look: with_host(look, EU1, SILENT), Phase.UNKNOWN, Health.UNKNOWN),
        (lambda look: with_host(look, EU1, WrongHostKey("forged")), Phase.UNKNOWN, Health.UNKNOWN),
        (lambda look: with_host(unidentified(look, EU1), EU1, SILENT), Phase.LAUNCHING, Health.UNHEALTHY),
        (lambda look: with_unit(look, EU1, UnitState.INACTIVE), Phase.DEPLOYING, Health.UNHEALTHY),
        (lambda look: with_unit(look, EU1, UnitState.FAILED), Phase.DEPLOYING, Health.UNHEALTHY),
        (lambda look: with_unit(look, EU1, UnitState.DEACTIVATING), Phase.DEPLOYING, Health.UNHEALTHY),
        (lambda look: with_unit(look, EU1, UnitState.ACTIVATING), Phase.SYNCING, Health.UNHEALTHY),
        (lambda look: with_unit(look, EU1, UnitState.RELOADING), Phase.SERVING, Health.HEALTHY),
        (lambda look: with_sighting(look, EU1, Verdict.REFUSED), Phase.SYNCING, Health.UNHEALTHY),
        (lambda look: with_sighting(look, EU1, Verdict.STALE_TIP), Phase.SYNCING, Health.UNHEALTHY),
        (lambda look: with_sighting(look, EU1, Verdict.WRONG_MAGIC), Phase.QUARANTINED, Health.UNHEALTHY),
        (lambda look: with_sighting(look, EU1, Verdict.NOT_ASKED), Phase.UNKNOWN, Health.UNKNOWN),
    ],
)
def test_the_first_thing_missing_names_the_phase(change, phase, health) -> None:
    view = view_in(change(serving_look()), EU1)
    assert (view.phase, view.health) == (phase, health)


@pytest.mark.parametrize("intent", ["prepare", "stage", "deploy"])
def test_work_on_a_relay_that_is_seen_to_serve_does_not_make_it_unhealthy(intent: str) -> None:
    look = serving_look()
    seen = replace(
        look.seen,
        in_flight={EU1: InFlight(intent, look.now)},
        hosts={k: v for k, v in look.seen.hosts.items() if k != instance_of(look, EU1).instance_id},
    )
    assert view_in(replace(look, seen=seen), EU1).health is Health.HEALTHY


# --- dead ------------------------------------------------------------------------------------------------------------


def test_an_impaired_instance_that_does_not_answer_is_dead() -> None:
    look = with_instance(serving_look(), EU1, status=InstanceStatus.IMPAIRED)
    assert "impaired" in (why_dead(instance_of(look, EU1), with_host(look, EU1, SILENT)) or "")


def test_a_silent_relay_is_dead_once_it_was_missed_for_long() -> None:
    look = missed(with_host(serving_look(), EU1, SILENT), EU1, serving_look().now)
    look = with_sighting(look, EU1, Verdict.CONNECT_TIMEOUT)
    assert why_dead(instance_of(look, EU1), later(look, timedelta(minutes=30))) is None
    assert "has not answered for 31 minutes" in (
        why_dead(instance_of(look, EU1), later(look, timedelta(minutes=31))) or ""
    )


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.STALE_TIP])
def test_a_relay_that_speaks_on_the_wire_is_not_dead_for_not_answering_ssh(verdict: Verdict) -> None:
    look = with_sighting(missed(with_host(serving_look(), EU1, SILENT), EU1, serving_look().now), EU1, verdict)
    assert why_dead(instance_of(look, EU1), later(look)) is None


def test_nobody_is_dead_while_most_of_the_region_is_silent() -> None:
    look = with_sighting(missed(with_host(serving_look(), EU1, SILENT), EU1, serving_look().now), EU1, Verdict.NO_ROUTE)
    look = with_host(look, EU2, SILENT)
    assert why_dead(instance_of(look, EU1), later(look)) is None


def test_nobody_is_dead_while_no_partner_answers() -> None:
    look = with_sighting(missed(with_host(serving_look(), EU1, SILENT), EU1, serving_look().now), EU1, Verdict.NO_ROUTE)
    for partner in look.spec.partners:
        look = with_sighting(look, partner.name, Verdict.CONNECT_TIMEOUT)
    assert why_dead(instance_of(look, EU1), later(look)) is None


def test_a_wrong_key_is_never_dead() -> None:
    look = missed(with_host(serving_look(), EU1, WrongHostKey("forged")), EU1, serving_look().now)
    assert why_dead(instance_of(look, EU1), later(look)) is None


def test_a_record_that_agrees_with_the_tag_is_no_quarrel() -> None:
    look = serving_look()
    assert isinstance(look.record.identities[instance_of(look, EU1).instance_id], Identity)
    assert view_in(look, EU1).phase is Phase.SERVING
