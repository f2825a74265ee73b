"""Which record sets the fleet's names are to have, and what has to change for that. Pure.

A relay has a name of its own; a region's name has all relays published there, as multivalue answers; the fleet's name has a latency
record for each region that publishes anybody. A text record beside each name says whose it is (as external-dns does it): what
has none of ours, or stands under an identifier that is not ours, is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address

from orchestrator.fleet.names import ADDRESSES, Answers, NameChange, NameRecord, Routing, ZoneView
from orchestrator.planning.look import Look
from orchestrator.planning.plan import NamesPlan, RelayView
from orchestrator.spec.model import FleetSpec

OWNER = "_genesis-fleet"
"""First label of the name whose text says that the name below it is ours."""

MOST_ANSWERED = 8
"""Multivalue records that Route 53 gives to one question."""

MOST_KEPT = 200
"""Multivalue records of one name and kind that Route 53 keeps."""

MOST_CHANGED = 1000
"""Values that one batch may change."""

Place = str | tuple[str, str, str]
"""A name, or one record set under it."""


def plan_names(views: Sequence[RelayView], published: frozenset[str], look: Look) -> NamesPlan | None:
    """Return what is to become of the names; None for a fleet that has no name."""
    spec, zone = look.spec, look.seen.zone
    if spec.publish.name is None:
        return None
    places = [view for view in views if view.name in published and not view.retiring]
    known = zone if zone is not None else ZoneView()
    wanted = _list_wanted(places, known, look)
    warnings = [*_explain_limits(places, spec), *_compare_answers(wanted, look)]
    if zone is None:
        return NamesPlan(wanted, warnings=tuple(warnings))
    if zone.silent:
        text = f"the zone {spec.publish.zone} cannot be read, so the names stay as they are: {zone.silent}"
        return NamesPlan(wanted, warnings=(text, *warnings))
    ours, foreign = _split(zone.records, wanted, spec)
    present = {record.key: record for record in ours}
    allowed = tuple(record for record in wanted if record.key not in foreign and record.name not in foreign)
    goal = {record.key: record for record in allowed}
    delete = [record for key, record in present.items() if goal.get(key) != record]
    create = [record for key, record in goal.items() if present.get(key) != record]
    warnings += [f"{what} is not this fleet's and is left alone: {why}" for what, why in _tell(foreign)]
    return NamesPlan(wanted, _batch(delete, create, spec), tuple(warnings))


def describe_changes(changes: Sequence[NameChange]) -> str:
    """Return in words whom the names get and lose; of a relay, its region's record alone is told."""
    comes = {(record.set_id, record.kind) for change in changes for record in change.create if _is_relays(record)}
    goes = {(record.set_id, record.kind) for change in changes for record in change.delete if _is_relays(record)}
    words = [
        f"{what} {', '.join(sorted({relay for relay, _ in found}))}"
        for what, found in (("in:", comes - goes), ("out:", goes - comes), ("anew:", comes & goes))
        if found
    ]
    count = sum(len(change.create) + len(change.delete) for change in changes)
    return f"{'; '.join(words) or 'records of names'} ({count} record{'' if count == 1 else 's'})"


def _is_relays(record: NameRecord) -> bool:
    return record.routing is Routing.MULTIVALUE


def list_names(spec: FleetSpec) -> tuple[str, ...]:
    """Return the names that consumers ask for: the fleet's, and those of its regions."""
    name = spec.publish.name
    return () if name is None else (name, *(region_name(spec, region) for region in sorted(spec.regions)))


def region_name(spec: FleetSpec, region: str) -> str:
    """Return the name of a region's relays."""
    return f"{region}.{spec.publish.name}"


def owner_record(spec: FleetSpec, name: str) -> NameRecord:
    """Return the text that makes a name ours."""
    label = f"{OWNER}.{name}"
    return NameRecord(label, "TXT", (f'"heritage=genesis-fleet,fleet={spec.fleet}"',), _ttl(spec))


# --- what is wanted --------------------------------------------------------------------------------------------------


def _list_wanted(places: Sequence[RelayView], zone: ZoneView, look: Look) -> tuple[NameRecord, ...]:
    spec = look.spec
    found: dict[tuple[str, str, str], NameRecord] = {}
    kinds: dict[str, set[str]] = {}
    for view in sorted(places, key=lambda view: view.name):
        addresses = _addresses(view) or _addresses_in(zone, view, spec)
        count = sum(1 for record in found.values() if record.name == region_name(spec, view.region))
        if count >= MOST_KEPT * len(addresses):
            addresses = {}
        for kind, address in addresses.items():
            for record in _of_relay(spec, view, kind, address):
                found[record.key] = record
            kinds.setdefault(view.region, set()).add(kind)
    for region, there in kinds.items():
        for kind in sorted(there):
            record = NameRecord(
                str(spec.publish.name),
                kind,
                routing=Routing.LATENCY,
                set_id=region,
                region=region,
                alias=region_name(spec, region),
            )
            found[record.key] = record
    owners = (owner_record(spec, name) for name in sorted({record.name for record in found.values()}))
    return (*sorted(found.values()), *owners)


def _of_relay(spec: FleetSpec, view: RelayView, kind: str, address: str) -> Iterator[NameRecord]:
    yield NameRecord(f"{view.name}.{spec.publish.name}", kind, (address,), _ttl(spec))
    yield NameRecord(region_name(spec, view.region), kind, (address,), _ttl(spec), Routing.MULTIVALUE, set_id=view.name)


def _addresses(view: RelayView) -> Mapping[str, str]:
    """Return the addresses of a relay by kind; a host that is known by a name only has none."""
    told = (view.address, view.instance.address_v6 if view.instance is not None else None)
    found = {}
    for text in told:
        try:
            address = ip_address(text or "")
        except ValueError:
            continue
        found["A" if address.version == 4 else "AAAA"] = str(address)
    return found


def _addresses_in(zone: ZoneView, view: RelayView, spec: FleetSpec) -> Mapping[str, str]:
    """Return the addresses that the names have for a relay of which the cloud tells nothing at this moment."""
    name = region_name(spec, view.region)
    return {
        record.kind: record.values[0]
        for record in zone.records
        if record.name == name and record.set_id == view.name and record.kind in ADDRESSES and record.values
    }


def _ttl(spec: FleetSpec) -> int:
    return int(spec.publish.ttl.total_seconds())


# --- whose is what ---------------------------------------------------------------------------------------------------


def _split(
    records: Iterable[NameRecord], wanted: Iterable[NameRecord], spec: FleetSpec
) -> tuple[tuple[NameRecord, ...], Mapping[Place, str]]:
    """Return the record sets that are ours, and whose place somebody else has: names, or keys of record sets, with the reason."""
    records = tuple(records)
    owners = {record.name: record for record in records if record.kind == "TXT" and record.name.startswith(f"{OWNER}.")}
    marker = f"fleet={spec.fleet}"
    mine = {
        name.removeprefix(f"{OWNER}.")
        for name, record in owners.items()
        if any(marker in value.strip('"').split(",") and "heritage=genesis-fleet" in value for value in record.values)
    }
    ours = [
        record for record in records if record.name in mine and record.kind in ADDRESSES and _is_shaped(record, spec)
    ]
    ours += [record for name, record in owners.items() if name.removeprefix(f"{OWNER}.") in mine]
    foreign: dict[Place, str] = {}
    own = set(ours)
    names, keys = {record.name for record in wanted}, {record.key for record in wanted}
    for record in records:
        if record in own or record.name not in names:
            continue
        if record.kind == "TXT" and record.name in owners:
            foreign[record.name.removeprefix(f"{OWNER}.")] = f"its text record says {record.values[0]}"
            foreign[record.name] = "it belongs to another name"
        elif record.kind == "CNAME" or (record.kind in ADDRESSES and record.name not in mine):
            foreign[record.name] = f"{OWNER}.{record.name} does not say so"
        elif record.kind in ADDRESSES:
            kind = record.key if record.key in keys else (record.name, record.kind, record.set_id)
            foreign[kind] = "no relay or region of this fleet goes by that identifier"
    return tuple(ours), foreign


def _is_shaped(record: NameRecord, spec: FleetSpec) -> bool:
    """Whether a record set under a name of ours is one that this program makes."""
    match record.routing:
        case Routing.MULTIVALUE:
            return record.set_id.startswith(f"{spec.fleet}-")
        case Routing.LATENCY:
            return record.set_id == record.region and record.alias == region_name(spec, record.region)
        case Routing.SIMPLE:
            return bool(record.values) and record.name.startswith(f"{spec.fleet}-")


def _tell(foreign: Mapping[Place, str]) -> Iterator[tuple[str, str]]:
    for what, why in foreign.items():
        match what:
            case str(name):
                if not name.startswith(OWNER):
                    yield name, why
            case (name, kind, set_id):
                yield f"{name} ({kind}{f', {set_id}' if set_id else ''})", why


# --- the way there ---------------------------------------------------------------------------------------------------


def _batch(delete: Sequence[NameRecord], create: Sequence[NameRecord], spec: FleetSpec) -> tuple[NameChange, ...]:
    """Put everything into one change; what does not fit goes region by region, and never a region's part from its latency record."""
    if not delete and not create:
        return ()
    if sum(map(_weigh, (*delete, *create))) <= MOST_CHANGED:
        return (NameChange(tuple(sorted(delete)), tuple(sorted(create))),)
    changes = []
    for region in sorted({_region_of(record, spec) for record in (*delete, *create)}):
        goes = tuple(sorted(record for record in delete if _region_of(record, spec) == region))
        comes = tuple(sorted(record for record in create if _region_of(record, spec) == region))
        changes.append(NameChange(goes, comes))
    return tuple(changes)


def _weigh(record: NameRecord) -> int:
    return len(record.values) or 1


def _region_of(record: NameRecord, spec: FleetSpec) -> str:
    """Return the region that a record set goes with: its own, its relay's, or that whose name it has."""
    label = record.region or record.set_id or record.name.removeprefix(f"{OWNER}.").partition(".")[0]
    ours = f"{spec.fleet}-"
    return label.removeprefix(ours).rpartition("-")[0] if label.startswith(ours) else label


# --- what an operator should know ------------------------------------------------------------------------------------


def _explain_limits(places: Sequence[RelayView], spec: FleetSpec) -> Iterator[str]:
    for region in sorted({view.region for view in places}):
        count = sum(1 for view in places if view.region == region)
        name = region_name(spec, region)
        if count > MOST_KEPT:
            yield f"{name} has {count} relays: {MOST_KEPT} of them are in the names, more are not kept under one name"


def _compare_answers(wanted: Sequence[NameRecord], look: Look) -> Iterator[str]:
    """Say where the resolver tells consumers something else. What left the names not long ago may be remembered by it."""
    if not look.seen.answers:
        return
    by_name: dict[str, set[str]] = {}
    for record in wanted:
        if record.kind == "A" and record.routing is Routing.MULTIVALUE:
            by_name.setdefault(record.name, set()).update(record.values)
    everyone = {address for addresses in by_name.values() for address in addresses}
    fresh = {
        instance.address
        for instance in look.seen.cloud.instances
        if (since := look.record.evidence.withdrawn.get(instance.relay)) is not None
        and look.now - since <= 2 * look.spec.publish.ttl
    }
    for name, answers in sorted(look.seen.answers.items()):
        expected = everyone if name == look.spec.publish.name else by_name.get(name, set())
        yield from _compare(name, answers, expected, fresh, look.record.evidence.published)


def _compare(
    name: str, answers: Answers, expected: set[str], fresh: set[str | None], before: frozenset[str]
) -> Iterator[str]:
    if answers.trouble:
        yield f"{name} could not be asked for: {answers.trouble}"
        return
    if others := sorted(answers.addresses - expected - fresh):
        yield f"{name} is answered with {', '.join(others)}, which is not published"
    if not answers.addresses and expected and before:
        yield f"{name} is answered with nothing, though {len(expected)} relays are published there"
