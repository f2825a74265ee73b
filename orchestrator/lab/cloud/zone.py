"""Route 53 in the lab: moto's, with record sets as they really behave, for one hosted zone that every lab has.

moto's change of record sets is neither all or nothing nor exact: it deletes by set identifier alone, lets the same set be made
twice, and pages without identifiers. What counts is here instead; whatever else is asked stays moto's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from types import ModuleType
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.route53 import urls
from moto.route53.exceptions import InvalidInput, Route53ClientError
from moto.route53.models import FakeZone, RecordSet, Route53Backend
from moto.route53.responses import Route53

MOST_ON_A_PAGE = 300
MOST_IN_A_BATCH = 1000
MOST_MULTIVALUE = 200
"""Multivalue record sets of one name and type."""


class InvalidBatch(Route53ClientError):
    """A change that cannot be made; nothing of its batch was."""

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__("InvalidChangeBatch", f"[{', '.join(messages)}]")


@dataclass(frozen=True, slots=True)
class ZoneRecord:
    """One record set, as the resolver needs it. Names are in lower case, without the last dot."""

    name: str
    kind: str
    values: tuple[str, ...] = ()
    ttl: int = 0
    set_id: str = ""
    region: str = ""
    """Of a latency record."""
    multivalue: bool = False
    alias: str = ""
    """Name in the same zone that it stands for."""


Key = tuple[str, str, str]
"""Name, type, set identifier."""


class LabZones(Route53Backend):
    """moto's Route 53 with one zone of a known id; changes of record sets are all or nothing."""

    def __init__(self, account_id: str, zone_id: str, zone_name: str) -> None:
        super().__init__("aws", account_id)
        self.lock = RLock()
        self._zone = FakeZone(f"{zone_name}.", zone_id, private_zone=False, caller_reference="lab")  # type: ignore[abstract]
        self.zones[zone_id] = self._zone
        self._sets: dict[Key, dict[str, Any]] = {}

    @property
    def _url_module(self) -> ModuleType:
        """Answer on moto's own paths. moto looks for them beside the module of the class, which is this one."""
        return urls

    def records(self) -> tuple[ZoneRecord, ...]:
        """Return all record sets of the zone."""
        with self.lock:
            return tuple(_describe(found) for found in self._sets.values())

    def change_resource_record_sets(self, zoneid: str, change_list: list[dict[str, Any]]) -> None:
        """Make all changes of a batch, or none."""
        self.get_hosted_zone(zoneid)
        with self.lock:
            after, wrong = dict(self._sets), list[str]()
            for change in change_list:
                if (why := _change(after, change, self._zone.name.rstrip("."))) is not None:
                    wrong.append(why)
            if wrong or (wrong := [*_find_quarrels(after)]):
                raise InvalidBatch(wrong)
            self._sets = after

    def page(self, start: Key, most: int) -> tuple[list[RecordSet], Key | None]:
        """Return up to so many record sets from a key on, and the key of the next one."""
        with self.lock:
            found = sorted((key for key in self._sets if _place(key) >= _place(start)), key=_place)
            rest = found[most:]
            return [_as_moto(self._sets[key]) for key in found[:most]], rest[0] if rest else None


class LabRoute53Response(Route53):
    """One Route 53 request."""

    @property
    def backend(self) -> LabZones:
        """The zones of this account."""
        found = super().backend
        assert isinstance(found, LabZones)  # noqa: S101
        return found

    def list_resource_record_sets(self) -> ActionResult:
        """List record sets in pages, from a name, type and identifier on."""
        name, kind = self._get_param("StartRecordName"), self._get_param("StartRecordType")
        if kind and not name:
            raise InvalidInput("The input is not valid")
        self.backend.get_hosted_zone(self._get_param("HostedZoneId"))
        most = min(self._get_int_param("MaxItems", MOST_ON_A_PAGE), MOST_ON_A_PAGE)
        start = (_plain(name or ""), kind or "", self._get_param("StartRecordIdentifier") or "")
        found, following = self.backend.page(start, most)
        result: dict[str, Any] = {"ResourceRecordSets": found, "IsTruncated": following is not None, "MaxItems": most}
        if following is not None:
            result |= {"NextRecordName": f"{following[0]}.", "NextRecordType": following[1]}
            if following[2]:
                result["NextRecordIdentifier"] = following[2]
        return ActionResult(result)

    def change_resource_record_sets(self) -> ActionResult:
        """Make a batch of changes."""
        changes = self._get_param("ChangeBatch.Changes")
        counted = sum(_count_values(change) for change in changes)
        if counted > MOST_IN_A_BATCH:
            raise InvalidBatch([f"Number of records limit of {MOST_IN_A_BATCH} exceeded."])
        self.backend.change_resource_record_sets(self._get_param("HostedZoneId"), changes)
        info = {"Id": "/change/CLAB", "Status": "INSYNC", "SubmittedAt": utcnow()}
        return ActionResult({"ChangeInfo": info})


def _change(sets: dict[Key, dict[str, Any]], change: Mapping[str, Any], zone: str) -> str | None:
    """Carry out one change on a copy; return what is wrong with it."""
    wanted = _normal(change["ResourceRecordSet"])
    key = (wanted["Name"], wanted["Type"], wanted.get("SetIdentifier", ""))
    identified = f", set identifier='{key[2]}'" if key[2] else ""
    what = f"[name='{key[0]}.', type='{key[1]}'{identified}]"
    if key[0] != zone and not key[0].endswith(f".{zone}"):
        return f"RRSet with DNS name {key[0]}. is not permitted in zone {zone}."
    match change["Action"]:
        case "CREATE" if key in sets:
            return f"Tried to create resource record set {what} but it already exists"
        case "DELETE" if key not in sets:
            return f"Tried to delete resource record set {what} but it was not found"
        case "DELETE" if sets[key] != wanted:
            return f"Tried to delete resource record set {what} but the values provided do not match the current values"
        case "DELETE":
            del sets[key]
        case _:
            sets[key] = wanted
    return None


def _find_quarrels(sets: Mapping[Key, Mapping[str, Any]]) -> Iterable[str]:
    """Yield what Route 53 does not let stand beside something else."""
    together: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for (name, kind, _), found in sets.items():
        together.setdefault((name, kind), []).append(found)
    for (name, kind), group in together.items():
        routings = {_routing(found) for found in group}
        if len(routings) > 1:
            yield f"RRSet with DNS name {name}., type {kind} cannot be created as other RRSets exist with the same name and type"
        if routings == {"multivalue"} and len(group) > MOST_MULTIVALUE:
            yield f"Number of multivalue answer records for {name}. exceeds the limit of {MOST_MULTIVALUE}"
        places = [found["Region"] for found in group if "Region" in found]
        if len(places) != len(set(places)):
            yield f"RRSet with DNS name {name}., type {kind} cannot be created as another exists with the same region"
        for found in group:
            alias = found.get("AliasTarget")
            if alias is not None and (_plain(alias["DNSName"]), kind) not in together:
                yield f"Tried to create an alias that targets {alias['DNSName']}, type {kind}, but that target was not found"


def _routing(found: Mapping[str, Any]) -> str:
    if found.get("MultiValueAnswer"):
        return "multivalue"
    return "latency" if "Region" in found else "simple"


def _normal(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record set in one spelling, so that equal ones are equal."""
    made = {key: value for key, value in asked.items() if value is not None}
    made["Name"] = _plain(made["Name"])
    if "TTL" in made:
        made["TTL"] = int(made["TTL"])
    if "ResourceRecords" in made:
        made["ResourceRecords"] = sorted(str(each["Value"]) for each in made["ResourceRecords"])
    if "AliasTarget" in made:
        alias = made["AliasTarget"]
        evaluated = str(alias.get("EvaluateTargetHealth")).lower() == "true"
        made["AliasTarget"] = {**alias, "DNSName": f"{_plain(alias['DNSName'])}.", "EvaluateTargetHealth": evaluated}
    if "MultiValueAnswer" in made:
        made["MultiValueAnswer"] = str(made["MultiValueAnswer"]).lower() == "true"
    return made


def _as_moto(found: Mapping[str, Any]) -> RecordSet:
    return RecordSet({**found, "Name": f"{found['Name']}."})  # type: ignore[abstract]  # as moto makes them


def _describe(found: Mapping[str, Any]) -> ZoneRecord:
    alias = found.get("AliasTarget")
    return ZoneRecord(
        name=found["Name"],
        kind=found["Type"],
        values=tuple(found.get("ResourceRecords", ())),
        ttl=found.get("TTL", 0),
        set_id=found.get("SetIdentifier", ""),
        region=found.get("Region", ""),
        multivalue=bool(found.get("MultiValueAnswer")),
        alias=_plain(alias["DNSName"]) if alias is not None else "",
    )


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _place(key: Key) -> tuple[list[str], str, str]:
    """Order as Route 53 lists: by labels from the right, type, identifier."""
    return list(reversed(key[0].split("."))) if key[0] else [], key[1], key[2]


def _count_values(change: Mapping[str, Any]) -> int:
    """Count as the quota does: an UPSERT counts twice, an alias once."""
    values = len(change["ResourceRecordSet"].get("ResourceRecords") or ()) or 1
    return values * (2 if change["Action"] == "UPSERT" else 1)
