"""Route 53 as the zone of a fleet's names. Reads what stands at the fleet's name and below; changes it in whole batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3

from orchestrator.adapters.aws_clients import Clients, ExpectedCode
from orchestrator.adapters.resolver import ask_resolver
from orchestrator.errors import CloudRefused, CloudUnavailable
from orchestrator.execution.ports import ClockPort
from orchestrator.fleet.names import Answers, NameChange, NameRecord, Routing, ZoneView
from orchestrator.planning.names import list_names
from orchestrator.spec.model import FleetSpec

REGION = "us-east-1"
"""Route 53 is one service for the world; its requests are signed for this region."""

_CONFLICT = frozenset({"InvalidChangeBatch"})
_NO_ZONE = frozenset({"NoSuchHostedZone"})
_BUSY = frozenset({"PriorRequestNotComplete"})


class Route53Names:
    """NamesPort by boto3. Credentials and endpoint come from where every AWS tool takes them."""

    def __init__(self, spec: FleetSpec, clock: ClockPort, session: boto3.Session | None = None) -> None:
        self._spec = spec
        self._clients = Clients(spec.cloud.profile, clock, session)
        self._under_way: tuple[str, tuple[NameRecord, ...]] | None = None
        """Id of the last change, and what it took out, until all name servers have it."""

    def guard_changes(self, check: Callable[[], None]) -> None:
        """Call `check` before each change."""
        self._clients.guard_changes(check)

    def observe_zone(self) -> ZoneView:
        """Read all record sets at the fleet's name and below."""
        try:
            records = tuple(self._read())
            return ZoneView(records, self._fading())
        except (CloudRefused, CloudUnavailable) as error:
            return ZoneView(silent=error.message)

    def observe_answers(self) -> Mapping[str, Answers]:
        """Ask the resolver what consumers would be told."""
        return ask_resolver(list_names(self._spec), self._spec.publish.resolver)

    def save_names(self, change: NameChange) -> None:
        """Make a change in one batch."""
        batch = [
            *({"Action": "DELETE", "ResourceRecordSet": self._render(record)} for record in change.delete),
            *({"Action": "CREATE", "ResourceRecordSet": self._render(record)} for record in change.create),
        ]
        try:
            answer = self._clients.call(
                REGION,
                "change_resource_record_sets",
                service="route53",
                expected=_CONFLICT | _NO_ZONE | _BUSY,
                HostedZoneId=self._zone,
                ChangeBatch={"Comment": f"genesis-fleet {self._spec.fleet}", "Changes": batch},
            )
        except ExpectedCode as refusal:
            raise self._translate(refusal) from refusal
        self._under_way = str(answer["ChangeInfo"]["Id"]), change.delete

    # --- parts -------------------------------------------------------------------------------------------------------

    @property
    def _zone(self) -> str:
        return str(self._spec.publish.zone)

    def _read(self) -> Iterator[NameRecord]:
        """Read page after page, from the fleet's name until names no longer end in it: Route 53 lists by labels from the right."""
        name = str(self._spec.publish.name)
        start: dict[str, str] = {"StartRecordName": name}
        while True:
            try:
                answer = self._clients.call(
                    REGION,
                    "list_resource_record_sets",
                    service="route53",
                    expected=_NO_ZONE,
                    HostedZoneId=self._zone,
                    **start,
                )
            except ExpectedCode as refusal:
                raise self._translate(refusal) from refusal
            for found in answer["ResourceRecordSets"]:
                record = _parse(found)
                if record.name != name and not record.name.endswith(f".{name}"):
                    return
                yield record
            if not answer["IsTruncated"]:
                return
            named = ("NextRecordName", "NextRecordType", "NextRecordIdentifier")
            start = {key.replace("Next", "Start"): str(answer[key]) for key in named if answer.get(key)}

    def _fading(self) -> tuple[NameRecord, ...]:
        """Return what the last change took out, while some name servers may still answer with it."""
        if self._under_way is None:
            return ()
        change_id, taken_out = self._under_way
        status = self._clients.call(REGION, "get_change", service="route53", Id=change_id)["ChangeInfo"]["Status"]
        if status == "INSYNC":
            self._under_way = None
            return ()
        return taken_out

    def _render(self, record: NameRecord) -> dict[str, Any]:
        """Write a record set as Route 53 takes it."""
        made: dict[str, Any] = {"Name": f"{record.name}.", "Type": record.kind}
        if record.set_id:
            made["SetIdentifier"] = record.set_id
        if record.routing is Routing.MULTIVALUE:
            made["MultiValueAnswer"] = True
        if record.routing is Routing.LATENCY:
            made["Region"] = record.region
        if record.alias:
            target = {"HostedZoneId": self._zone, "DNSName": f"{record.alias}.", "EvaluateTargetHealth": False}
            return made | {"AliasTarget": target}
        return made | {"TTL": record.ttl, "ResourceRecords": [{"Value": value} for value in record.values]}

    def _translate(self, refusal: ExpectedCode) -> CloudRefused | CloudUnavailable:
        if refusal.code in _NO_ZONE:
            return CloudRefused(
                f"there is no hosted zone {self._zone} in this account",
                next_step="correct publish.zone in the fleet file; `aws route53 list-hosted-zones` lists them",
            )
        if refusal.code in _BUSY:
            return CloudUnavailable(
                "Route 53 is still busy with an earlier change", next_step="the next look tries again"
            )
        return CloudUnavailable(
            f"Route 53 refused to change the names: {refusal.text}",
            next_step="if somebody else changed them meanwhile, the next look plans anew; else see `genesis-fleet names`",
        )


def _parse(found: Mapping[str, Any]) -> NameRecord:
    alias = found.get("AliasTarget")
    routing = (
        Routing.MULTIVALUE
        if found.get("MultiValueAnswer")
        else Routing.LATENCY
        if "Region" in found
        else Routing.SIMPLE
    )
    return NameRecord(
        # Route 53 writes what it finds unusual in a name as \052.
        name=str(found["Name"]).encode().decode("unicode_escape").rstrip(".").lower(),
        kind=str(found["Type"]),
        values=tuple(sorted(str(each["Value"]) for each in found.get("ResourceRecords", ()))),
        ttl=int(found.get("TTL", 0)),
        routing=routing,
        set_id=str(found.get("SetIdentifier", "")),
        region=str(found.get("Region", "")),
        alias=str(alias["DNSName"]).rstrip(".").lower() if alias is not None else "",
    )
