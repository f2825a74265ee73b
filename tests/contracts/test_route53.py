"""The names' adapter against the lab's Route 53: batches are all or nothing, and nothing of others is touched."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orchestrator.adapters.resolver import ask_resolver
from orchestrator.adapters.route53 import Route53Names
from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.fleet.names import NameChange, NameRecord, Routing
from orchestrator.lab.cloud.faults import Denied, ErrorAfterEffect, Throttled
from orchestrator.lab.cloud.places import HOSTED_ZONE
from orchestrator.lab.resolver import serve_names
from orchestrator.spec.policies import ResolverSpec

from .aws_lab import SECRET, AwsLab, make_spec, session_with

NAME = "relays.testing.lab"
EU = f"eu-central-1.{NAME}"


def published(**changes: Any) -> dict[str, Any]:
    return {"provider": "route53", "zone": HOSTED_ZONE, "name": NAME, **changes}


def relay(number: int, address: str, ttl: int = 60) -> NameRecord:
    kind = "A" if ip_address(address).version == 4 else "AAAA"
    return NameRecord(EU, kind, (address,), ttl, Routing.MULTIVALUE, set_id=f"testing-eu-central-1-{number:02d}")


def latency(kind: str = "A") -> NameRecord:
    return NameRecord(NAME, kind, routing=Routing.LATENCY, set_id="eu-central-1", region="eu-central-1", alias=EU)


TEXT = NameRecord(f"_genesis-fleet.{NAME}", "TXT", ('"heritage=genesis-fleet,fleet=testing"',), 60)
ALL = (relay(1, "192.0.2.1"), relay(2, "192.0.2.2"), relay(1, "2001:db8::1"), latency(), latency("AAAA"), TEXT)


@pytest.fixture
def names(aws_lab: AwsLab) -> tuple[AwsLab, Route53Names]:
    return aws_lab, Route53Names(make_spec(publish=published()), aws_lab.clock, session_with(SECRET))


def test_what_was_put_in_is_read_back_in_the_same_words_and_can_be_taken_out(names: Any) -> None:
    _, adapter = names
    adapter.save_names(NameChange(create=ALL))
    assert set(adapter.observe_zone().records) == set(ALL)
    adapter.save_names(NameChange(delete=ALL))
    assert adapter.observe_zone().records == ()


def test_a_batch_is_made_whole_or_not_at_all(names: Any) -> None:
    _, adapter = names
    adapter.save_names(NameChange(create=ALL))
    changed = relay(2, "192.0.2.99")
    with pytest.raises(CloudUnavailable, match="already exists"):
        adapter.save_names(NameChange(create=(relay(3, "192.0.2.3"), changed)))
    with pytest.raises(CloudUnavailable, match="do not match"):
        adapter.save_names(NameChange(delete=(changed,), create=(relay(3, "192.0.2.3"),)))
    assert set(adapter.observe_zone().records) == set(ALL)
    adapter.save_names(NameChange(delete=(relay(2, "192.0.2.2"),), create=(changed,)))
    assert changed in adapter.observe_zone().records


def test_a_region_s_last_relay_leaves_with_its_latency_record_or_not_at_all(names: Any) -> None:
    _, adapter = names
    adapter.save_names(NameChange(create=ALL))
    v4 = tuple(record for record in ALL if record.kind == "A")
    with pytest.raises(CloudUnavailable, match="target was not found"):
        adapter.save_names(NameChange(delete=tuple(record for record in v4 if not record.alias)))
    adapter.save_names(NameChange(delete=v4))
    assert {record.kind for record in adapter.observe_zone().records} == {"AAAA", "TXT"}


def test_only_the_fleet_s_name_and_what_is_below_it_is_read_page_after_page(names: Any) -> None:
    lab, adapter = names
    many = tuple(NameRecord(f"r{n}.{NAME}", "A", ("192.0.2.7",), 60) for n in range(650))
    adapter.save_names(NameChange(create=(*ALL, *many)))
    lab.server.zones.change_resource_record_sets(
        HOSTED_ZONE,
        [
            {
                "Action": "CREATE",
                "ResourceRecordSet": {"Name": name, "Type": "TXT", "TTL": 5, "ResourceRecords": [{"Value": '"x"'}]},
            }
            for name in ("relays.other.lab.", "xrelays.testing.lab.", "testing.lab.", "zzz.lab.")
        ],
    )
    assert set(adapter.observe_zone().records) == {*ALL, *many}


def test_what_somebody_has_there_is_never_overwritten(names: Any) -> None:
    _, adapter = names
    adapter.save_names(NameChange(create=(NameRecord(EU, "A", ("198.51.100.1",), 300),)))
    with pytest.raises(CloudUnavailable, match="other RRSets exist"):
        adapter.save_names(NameChange(create=(relay(1, "192.0.2.1"),)))


def test_a_zone_that_is_not_there_or_may_not_be_read_is_told_and_not_raised(names: Any) -> None:
    lab, adapter = names
    other = Route53Names(make_spec(publish=published(zone="ZNOTHERE")), lab.clock, session_with(SECRET))
    assert "no hosted zone ZNOTHERE" in other.observe_zone().silent
    lab.server.control.add_fault(Denied("ListResourceRecordSets"))
    assert "route53:ListResourceRecordSets" in adapter.observe_zone().silent


def test_a_refused_change_names_the_missing_permission(names: Any) -> None:
    lab, adapter = names
    lab.server.control.add_fault(Denied("ChangeResourceRecordSets"))
    with pytest.raises(CloudRefused, match="route53:ChangeResourceRecordSets"):
        adapter.save_names(NameChange(create=ALL))


def test_a_change_whose_answer_is_lost_is_seen_by_the_next_look(names: Any) -> None:
    lab, adapter = names
    lab.server.control.add_fault(ErrorAfterEffect("ChangeResourceRecordSets"), 1)
    with pytest.raises(CloudUnavailable):
        adapter.save_names(NameChange(create=ALL))  # botocore repeats it, and finds it made
    assert set(adapter.observe_zone().records) == set(ALL)


def test_throttling_is_waited_out(names: Any) -> None:
    lab, adapter = names
    lab.server.control.add_fault(Throttled(action="ChangeResourceRecordSets"), 2)
    adapter.save_names(NameChange(create=ALL))
    assert len(adapter.observe_zone().records) == len(ALL)


def test_what_was_taken_out_fades_until_all_name_servers_know(names: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, adapter = names
    adapter.save_names(NameChange(create=ALL))
    status = ["PENDING"]
    call = adapter._clients.call
    monkeypatch.setattr(
        adapter._clients,
        "call",
        lambda region, operation, **rest: (
            {"ChangeInfo": {"Status": status[0]}} if operation == "get_change" else call(region, operation, **rest)
        ),
    )
    adapter.save_names(NameChange(delete=(relay(2, "192.0.2.2"),)))
    assert adapter.observe_zone().fading == (relay(2, "192.0.2.2"),)
    assert "testing-eu-central-1-02" in adapter.observe_zone().relays
    status[0] = "INSYNC"
    assert adapter.observe_zone().fading == ()
    assert "testing-eu-central-1-02" not in adapter.observe_zone().relays


def test_more_than_the_limit_under_one_name_is_refused_by_the_lab_as_by_route_53(names: Any) -> None:
    lab, adapter = names
    with pytest.raises(CloudUnavailable, match="limit of 200"):
        adapter.save_names(NameChange(create=tuple(relay(n, "192.0.2.1") for n in range(201))))
    client = session_with(SECRET).client("route53", region_name="us-east-1", endpoint_url=lab.server.endpoint_url)
    lab.made.append(client)
    with pytest.raises(ClientError, match="exceeded"):
        client.change_resource_record_sets(
            HostedZoneId=HOSTED_ZONE,
            ChangeBatch={
                "Changes": [
                    {
                        "Action": "UPSERT",
                        "ResourceRecordSet": {
                            "Name": NAME,
                            "Type": "A",
                            "TTL": 5,
                            "ResourceRecords": [{"Value": f"192.0.2.{n % 250}"} for n in range(501)],
                        },
                    }
                ]
            },
        )


def test_the_resolver_answers_from_the_zone_and_says_what_it_cannot(names: Any) -> None:
    lab, adapter = names
    adapter.save_names(NameChange(create=ALL))
    server = serve_names(lab.server.zones.records, "127.0.0.1")
    try:
        place = ResolverSpec(address="127.0.0.1", port=server.port)
        found = ask_resolver((NAME, EU, f"sa-east-1.{NAME}", "example.org"), place)
    finally:
        server.close()
    assert found[NAME].addresses == found[EU].addresses == {"192.0.2.1", "192.0.2.2"}
    assert (found[f"sa-east-1.{NAME}"].addresses, found[f"sa-east-1.{NAME}"].trouble) == (frozenset(), "")
    assert "REFUSED" in found["example.org"].trouble
