"""Who is in the names, under which records, and what is never touched."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from orchestrator.fleet.names import Answers, NameRecord, Routing, ZoneView
from orchestrator.fleet.observation import CloudView, Sighting, Unreachable, Verdict
from orchestrator.fleet.record import FleetRecord
from orchestrator.planning import names
from orchestrator.planning.look import Look
from orchestrator.planning.names import describe_changes, plan_names
from orchestrator.planning.plan import Health, Hold, NamesPlan, Phase, Plan, RelayView
from orchestrator.planning.reconcile import plan_fleet
from tests.scenarios.builders import MEDIUM, fleet_spec, serving_fleet, wanted
from tests.scenarios.looks import EU1, EU2, instance_of, with_attempt, with_sighting, without_instance

NAME = "relays.example.org"
PUBLISH = {"provider": "route53", "zone": "Z0123456789", "name": NAME}
EU = f"eu-central-1.{NAME}"


@cache
def serving() -> Look:
    """Eight relays in four regions, all in the names."""
    return serving_fleet(fleet_spec(MEDIUM, publish=PUBLISH)).look().look


def with_zone(look: Look, *records: NameRecord, silent: str = "") -> Look:
    return replace(look, seen=replace(look.seen, zone=ZoneView(records, silent=silent)))


def records(look: Look) -> tuple[NameRecord, ...]:
    assert look.seen.zone is not None
    return look.seen.zone.records


def without(look: Look, *gone: NameRecord) -> Look:
    return with_zone(look, *(record for record in records(look) if record not in gone))


def named(plan: Plan) -> NamesPlan:
    assert plan.names is not None
    return plan.names


def changed(plan: Plan) -> tuple[list[NameRecord], list[NameRecord]]:
    changes = named(plan).changes
    return [r for c in changes for r in c.delete], [r for c in changes for r in c.create]


def test_a_fleet_that_serves_is_in_the_names_and_a_second_look_changes_nothing() -> None:
    plan = plan_fleet(serving())
    assert named(plan).changes == ()
    found = named(plan).wanted
    assert Counter(record.routing for record in found if record.kind == "A") == {
        Routing.SIMPLE: 8,
        Routing.MULTIVALUE: 8,
        Routing.LATENCY: 4,
    }
    texts = {record.name for record in found if record.kind == "TXT"}
    assert texts == {f"_genesis-fleet.{record.name}" for record in found if record.kind != "TXT"}
    assert set(records(serving())) == set(found)


def test_the_latency_record_of_a_region_stands_for_its_relays() -> None:
    (latency,) = [r for r in named(plan_fleet(serving())).wanted if r.region == "eu-central-1"]
    assert (latency.name, latency.alias, latency.kind, latency.ttl) == (NAME, EU, "A", 0)
    relays = {r.set_id: r for r in named(plan_fleet(serving())).wanted if r.name == EU}
    assert relays.keys() == {EU1, EU2}
    assert relays[EU1].values == (instance_of(serving(), EU1).address,)
    assert relays[EU1].ttl == 60


def test_a_region_with_nobody_left_loses_its_records_and_its_latency_record_in_one_batch() -> None:
    look = with_sighting(with_sighting(serving(), EU1, Verdict.WRONG_MAGIC), EU2, Verdict.WRONG_MAGIC)
    plan = plan_fleet(look)
    (change,) = named(plan).changes
    assert not change.create
    assert {(r.name, r.set_id) for r in change.delete if r.kind == "A"} == {
        (EU, EU1),
        (EU, EU2),
        (f"{EU1}.{NAME}", ""),
        (f"{EU2}.{NAME}", ""),
        (NAME, "eu-central-1"),
    }
    assert f"out: {EU1}, {EU2}" in describe_changes(named(plan).changes)


def test_a_relay_with_an_address_of_the_newer_kind_has_both() -> None:
    cloud = serving().seen.cloud
    instances = tuple(replace(i, address_v6="2001:db8::7") if i.relay == EU1 else i for i in cloud.instances)
    look = replace(serving(), seen=replace(serving().seen, cloud=replace(cloud, instances=instances)))
    _, create = changed(plan_fleet(look))
    assert {(r.name, r.routing, r.values) for r in create} == {
        (f"{EU1}.{NAME}", Routing.SIMPLE, ("2001:db8::7",)),
        (EU, Routing.MULTIVALUE, ("2001:db8::7",)),
        (NAME, Routing.LATENCY, ()),
    }
    assert {r.kind for r in create} == {"AAAA"}


def test_a_relay_with_another_address_is_named_anew_in_one_batch() -> None:
    cloud = serving().seen.cloud
    instances = tuple(replace(i, address="203.0.113.9") if i.relay == EU1 else i for i in cloud.instances)
    plan = plan_fleet(replace(serving(), seen=replace(serving().seen, cloud=replace(cloud, instances=instances))))
    (change,) = named(plan).changes
    assert {r.values for r in change.create} == {("203.0.113.9",)}
    assert [r.key for r in change.create] == [r.key for r in change.delete]
    assert f"anew: {EU1}" in describe_changes((change,))


OTHERS = (
    NameRecord("www.example.org", "A", ("198.51.100.1",), 300),
    NameRecord(f"mail.{NAME}", "A", ("198.51.100.2",), 300),
    NameRecord(NAME, "MX", ("10 mail.example.org",), 300),
    NameRecord(EU, "A", ("198.51.100.3",), 60, Routing.MULTIVALUE, set_id="a-friend"),
    NameRecord(NAME, "A", ("198.51.100.4",), 60, Routing.LATENCY, set_id="backup", region="us-west-2"),
)


def test_records_of_others_are_never_touched_also_where_they_stand_under_our_names() -> None:
    look = with_sighting(with_zone(serving(), *records(serving()), *OTHERS), EU1, Verdict.WRONG_MAGIC)
    delete, create = changed(plan_fleet(look))
    assert not set(delete) & set(OTHERS)
    assert not create
    warnings = "\n".join(named(plan_fleet(look)).warnings)
    assert f"{EU} (A, a-friend) is not this fleet's and is left alone" in warnings
    assert "mail" not in warnings


def test_a_name_that_somebody_else_has_is_left_to_them_and_told() -> None:
    theirs = NameRecord(f"{EU1}.{NAME}", "CNAME", ("old.example.org",), 300)
    mine = [r for r in records(serving()) if f"{EU1}.{NAME}" not in r.name]
    plan = plan_fleet(with_zone(serving(), *mine, theirs))
    delete, create = changed(plan)
    assert not delete
    assert not [r for r in create if r.name == f"{EU1}.{NAME}"]
    assert any(f"{EU1}.{NAME} is not this fleet's" in warning for warning in named(plan).warnings)


def test_a_text_of_another_fleet_makes_a_name_theirs() -> None:
    (ours,) = [r for r in records(serving()) if r.name == f"_genesis-fleet.{EU}"]
    theirs = replace(ours, values=('"heritage=genesis-fleet,fleet=demo2"',))
    plan = plan_fleet(with_zone(serving(), *(r for r in records(serving()) if r != ours), theirs))
    assert not [r for r in (*changed(plan)[0], *changed(plan)[1]) if r.name == EU]
    assert any("demo2" in warning for warning in named(plan).warnings)


def test_what_was_half_written_is_completed_and_what_nobody_wants_goes() -> None:
    lost = [r for r in records(serving()) if r.set_id == EU1]
    old = NameRecord(EU, "A", ("203.0.113.77",), 60, Routing.MULTIVALUE, set_id="demo-eu-central-1-09")
    look = without(with_zone(serving(), *records(serving()), old), *lost)
    delete, create = changed(plan_fleet(look))
    assert (delete, create) == ([old], lost)


def test_a_zone_that_cannot_be_read_is_left_as_it_is_and_nobody_is_stopped_meanwhile() -> None:
    spec = fleet_spec(MEDIUM, publish=PUBLISH, release="10.6.0")
    plan = plan_fleet(replace(with_zone(serving(), silent="AccessDenied"), wanted=wanted(spec)))
    assert named(plan).changes == ()
    assert any("cannot be read" in warning and "AccessDenied" in warning for warning in plan.warnings)


def test_relays_of_a_region_of_which_the_cloud_tells_nothing_keep_their_addresses() -> None:
    silent = replace(serving().seen.cloud, silent_regions={"eu-central-1": "timeout"})
    look = replace(serving(), seen=replace(serving().seen, cloud=silent))
    assert named(plan_fleet(without_instance(without_instance(look, EU1), EU2))).changes == ()


def test_a_new_store_takes_nobody_out_whom_the_zone_has_while_most_do_not_answer() -> None:
    look = replace(serving(), record=FleetRecord(serving().record.store_id, "demo", 42))
    hosts = dict.fromkeys(look.seen.hosts, Unreachable("timed out"))
    sightings = dict.fromkeys(look.seen.sightings, Sighting(Verdict.NOT_ASKED, "no network"))
    look = replace(look, seen=replace(look.seen, hosts=hosts, sightings=sightings))
    assert changed(plan_fleet(look)) == ([], [])


def test_a_change_under_way_is_waited_for_and_a_failed_one_tried_again_later() -> None:
    look = without(serving(), next(r for r in records(serving()) if r.set_id == EU1))
    failed = with_attempt(look, "names", "publish", failures=1)
    plan = plan_fleet(failed)
    assert named(plan).changes == ()
    assert any(isinstance(hold, Hold) and hold.relay == "names" and hold.passes for hold in plan.holds)
    assert not plan.nothing_to_do or plan.holds
    assert named(plan_fleet(replace(failed, now=failed.now + timedelta(hours=1)))).changes


def answered(look: Look, **found: Answers) -> tuple[str, ...]:
    by_name = {{"fleet": NAME, "eu": EU}[key]: value for key, value in found.items()}
    return named(plan_fleet(replace(look, seen=replace(look.seen, answers=by_name)))).warnings


def test_a_resolver_that_tells_something_else_is_named() -> None:
    eu1 = str(instance_of(serving(), EU1).address)
    assert answered(serving(), eu=Answers(frozenset({eu1})), fleet=Answers(frozenset({eu1}))) == ()
    (text,) = answered(serving(), eu=Answers(frozenset({eu1, "198.51.100.9"})))
    assert text == f"{EU} is answered with 198.51.100.9, which is not published"
    (text,) = answered(serving(), fleet=Answers())
    assert text == f"{NAME} is answered with nothing, though 8 relays are published there"
    (text,) = answered(serving(), eu=Answers(trouble="SERVFAIL"))
    assert text == f"{EU} could not be asked for: SERVFAIL"


def test_what_left_the_names_not_long_ago_may_still_be_remembered() -> None:
    eu1 = str(instance_of(serving(), EU1).address)
    look = with_sighting(serving(), EU1, Verdict.WRONG_MAGIC)
    gone = {EU1: look.now - timedelta(seconds=90)}
    evidence = replace(look.record.evidence, published=look.record.evidence.published - {EU1}, withdrawn=gone)
    look = replace(look, record=replace(look.record, evidence=evidence))
    assert answered(look, eu=Answers(frozenset({eu1}))) == ()
    late = replace(look, now=look.now + timedelta(minutes=10))
    look = without(late, *(r for r in records(late) if EU1 in (r.set_id, r.name.partition(".")[0])))
    assert f"{EU} is answered with {eu1}, which is not published" in answered(look, eu=Answers(frozenset({eu1})))


def a_region_of(count: int) -> list[RelayView]:
    return [
        RelayView(
            f"demo-eu-central-1-{n:03d}",
            "eu-central-1",
            Phase.SERVING,
            Health.HEALTHY,
            "",
            address=f"10.0.{n // 250}.{n % 250}",
        )
        for n in range(count)
    ]


def names_of(count: int) -> NamesPlan:
    views = a_region_of(count)
    look = with_zone(replace(serving(), seen=replace(serving().seen, cloud=CloudView())))
    found = plan_names(views, frozenset(view.name for view in views), look)
    assert found is not None
    return found


def test_more_relays_than_one_name_can_keep_are_left_out_and_told() -> None:
    found = names_of(230)
    assert sum(1 for record in found.wanted if record.name == EU) == names.MOST_KEPT
    assert any("230 relays: 200 of them are in the names" in warning for warning in found.warnings)


def test_a_change_too_large_for_one_batch_goes_region_by_region() -> None:
    views = [
        replace(view, name=view.name.replace("eu-central-1", region), region=region)
        for region in MEDIUM
        for view in a_region_of(120)
    ]
    look = with_zone(serving())
    found = plan_names(views, frozenset(view.name for view in views), look)
    assert found is not None
    assert len(found.changes) > 1
    for change in found.changes:
        assert len(change.create) <= names.MOST_CHANGED
        assert all(
            any(other.name == record.alias and other.kind == record.kind for other in change.create)
            for record in change.create
            if record.alias
        )


@pytest.mark.parametrize("provider", ["none", "route53"])
def test_without_a_zone_the_records_are_only_told(provider: str) -> None:
    spec = fleet_spec(MEDIUM, publish={**PUBLISH, "provider": provider})
    look = replace(serving(), wanted=wanted(spec), seen=replace(serving().seen, zone=None))
    plan = plan_fleet(look)
    assert len(named(plan).wanted) == len(named(plan_fleet(serving())).wanted)
    assert plan.nothing_to_do
