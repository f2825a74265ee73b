"""The check of anybody's topology: every trap is found, what is right passes, and no input is too strange."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.node.topology import TopologyRefused, parse_topology
from orchestrator.lab.node.version import parse_version
from orchestrator.rendering.snapshot import SnapshotFile
from orchestrator.rendering.topology_check import check_document, check_topology, snapshot_name
from orchestrator.rendering.topology_findings import Circumstances
from orchestrator.rendering.topology_rules import RULES, Code, Severity
from orchestrator.rendering.values import AccessPoint
from tests.topology_texts import (
    ANY,
    EMPTY,
    ERRORS,
    MAGIC,
    NEW,
    NEW_SNAPSHOT,
    NOTES,
    OLD,
    OLD_SNAPSHOT,
    SEVERAL,
    Trap,
    group,
    point,
    topology,
    with_group,
    with_point,
    with_snapshot,
)


def name_trap(trap: Trap) -> str:
    return f"{trap.code}-at-{trap.place}"


@pytest.mark.parametrize("trap", ERRORS, ids=name_trap)
def test_a_trap_is_found_as_an_error_in_its_place_and_nothing_else(trap: Trap) -> None:
    found = check_topology(trap.text, trap.circumstances, trap.snapshot_file)
    assert {(f.code, f.place, f.severity) for f in found} == {(trap.code, trap.place, Severity.ERROR)}


@pytest.mark.parametrize("trap", NOTES, ids=name_trap)
def test_what_is_legal_and_hardly_meant_is_only_noted(trap: Trap) -> None:
    found = check_topology(trap.text, trap.circumstances, trap.snapshot_file)
    assert {(f.code, f.place, f.severity) for f in found} == {(trap.code, trap.place, Severity.NOTE)}


def test_a_node_in_genesis_mode_without_any_other_source_has_nobody_left() -> None:
    (trap,) = SEVERAL
    found = check_topology(trap.text, trap.circumstances)
    assert [f.code for f in found if f.severity is Severity.ERROR] == [Code.NOBODY_LEFT]


def test_every_code_is_shown_by_an_example_of_its_own() -> None:
    # A file that cannot be read at all never gets here; the command line finds that.
    assert {trap.code for trap in (*ERRORS, *NOTES, *SEVERAL)} | {Code.UNREADABLE} == set(Code)


@pytest.mark.parametrize("trap", [*ERRORS, *NOTES], ids=name_trap)
def test_every_finding_is_one_sentence_on_one_line_of_plain_characters(trap: Trap) -> None:
    for finding in check_topology(trap.text, trap.circumstances, trap.snapshot_file):
        assert finding.sentence.isascii()
        assert finding.sentence.isprintable()
        assert finding.sentence.endswith(RULES[finding.code].effect)
        assert not finding.sentence.endswith(".")


OFFICIAL = topology(localRoots=[{"accessPoints": [], "advertise": False, "trustable": False, "valency": 1}])


@pytest.mark.parametrize(
    ("document", "circumstances"),
    [
        (OFFICIAL, ANY),
        (OFFICIAL, NEW),
        (topology(), ANY),
        (topology(bootstrapPeers=None), ANY),
        (topology(bootstrapPeers=[], localRoots=[group(trustable=True)]), ANY),
        (with_point("_cardano._tcp.relay.example", 3001) | {"localRoots": [group(point())]}, ANY),
        (topology(localRoots=[group({"address": "_cardano._tcp.relay.example"})]), NEW),
        (with_group(valency=1, hotValency=1, warmValency=2), ANY),
        (with_group(diffusionMode="InitiatorOnly", advertise=True), ANY),
        (with_group(behindFirewall=True), NEW),
        (with_point("relay.example."), ANY),
        (topology(bootstrapPeers=None, localRoots=[], useLedgerAfterSlot=0), ANY),
        (topology(publicRoots=[{"accessPoints": [point("192.0.2.1")]}]), ANY),
        (with_point("10.1.2.3"), ANY),
        (with_point("fd00::1"), ANY),
        (topology(useLedgerAfterSlot=2**64 - 1), ANY),
        (topology(useLedgerAfterSlot=-(2**65)), ANY),
    ],
)
def test_a_topology_without_a_trap_passes(document, circumstances: Circumstances) -> None:
    assert check_topology(json.dumps(document), circumstances) == ()


@pytest.mark.parametrize(("circumstances", "snapshot"), [(OLD, OLD_SNAPSHOT), (NEW, NEW_SNAPSHOT)])
def test_a_snapshot_that_fits_the_node_passes(circumstances: Circumstances, snapshot) -> None:
    assert check_document(with_snapshot(), circumstances, SnapshotFile(json.dumps(snapshot))) == ()


def test_another_port_of_the_same_host_is_not_the_node_itself() -> None:
    itself = Circumstances(itself=frozenset({AccessPoint("relay.example", 3002)}))
    assert check_document(with_point("relay.example", 3001), itself) == ()


def test_a_missing_snapshot_stops_a_node_in_genesis_mode_of_any_version() -> None:
    genesis = Circumstances("11.0.1", "GenesisMode", MAGIC)
    document = with_snapshot(bootstrapPeers=None)
    (finding,) = check_document(document, genesis, SnapshotFile(None, "no such file"))
    assert (finding.code, finding.severity) == (Code.SNAPSHOT_MISSING, Severity.ERROR)


def test_a_mistyped_key_is_answered_with_the_one_that_was_meant() -> None:
    (finding,) = check_document(with_group(trustible=True), ANY)
    assert '"trustible" (did you mean trustable?)' in finding.sentence


def test_a_key_that_is_like_no_other_is_not_guessed_at() -> None:
    (finding,) = check_document(with_group(zebra=True), ANY)
    assert "did you mean" not in finding.sentence


def test_findings_name_the_line_of_their_key() -> None:
    text = '{\n "localRoots": [\n  {"accessPoints": [\n   {"address": "a.example", "port":\n "1"}],\n "valency": 1}],\n"publicRoots": []}'
    (finding,) = check_topology(text, ANY)
    assert (finding.line, finding.place) == (4, "localRoots[0].accessPoints[0].port")


def test_what_is_missing_is_named_at_the_line_of_what_it_is_missing_from() -> None:
    (finding,) = check_topology('{"publicRoots": [],\n\n "localRoots": [\n\n {"accessPoints": []}]}', ANY)[-1:]
    assert (finding.line, finding.place) == (5, "localRoots[0].hotValency")


def test_findings_come_in_the_order_of_the_text() -> None:
    text = json.dumps(topology(zebra=1, localRoots=[group(valency=9), *EMPTY], bootstrapPeers={}), indent=1)
    lines = [finding.line for finding in check_topology(text, ANY)]
    assert lines == sorted(lines)
    assert len(set(lines)) == 3


def test_what_is_in_the_later_of_two_equal_members_is_not_counted_as_double_too() -> None:
    twice = json.dumps(topology())[:-1] + ', "localRoots": [{"accessPoints": [], "valency": 1}]}'
    assert [f.code for f in check_topology(twice, ANY)] == [Code.DUPLICATE_KEY]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (json.dumps(with_snapshot()), "peer-snapshot.json"),
        (json.dumps(with_snapshot(useLedgerAfterSlot=-1)), None),
        (json.dumps(topology(peerSnapshotFile=3)), None),
        ("[]", None),
        ("{", None),
    ],
)
def test_only_a_snapshot_that_the_node_would_read_is_looked_for(text: str, name: str | None) -> None:
    assert snapshot_name(text) == name


# Topologies of which many are right and the others nearly so, to hold the check against what reads them as the node does.
near_points = st.builds(
    point,
    st.sampled_from(["a.example", "b.example", "192.0.2.1", "2001:db8::1", "0.0.0.0", "_cardano._tcp.a.example"]),
    st.sampled_from([3001, 3002, 65536, "3001", None]),
)
few = st.integers(-1, 4)
near_groups = st.fixed_dictionaries(
    {"accessPoints": st.lists(near_points, max_size=3)},
    optional={
        "valency": few,
        "hotValency": few,
        "warmValency": few,
        "trustable": st.booleans() | st.just("true"),
        "diffusionMode": st.sampled_from(["InitiatorOnly", "initiatorOnly"]),
        "behindFirewall": st.booleans(),
    },
)
near_topologies = st.fixed_dictionaries(
    {
        "localRoots": st.lists(near_groups, max_size=2),
        "publicRoots": st.just([])
        | st.lists(st.builds(dict, accessPoints=st.lists(near_points, max_size=1)), max_size=1),
    },
    optional={
        "bootstrapPeers": st.none() | st.lists(near_points, max_size=2),
        "useLedgerAfterSlot": st.sampled_from([-1, 0, 5, None, "5"]),
    },
)


@given(document=near_topologies, version=st.sampled_from(["10.5.1", "10.6.2", "11.0.1"]))
def test_what_passes_is_read_by_a_node_and_nothing_of_it_clamped(document, version) -> None:
    text = json.dumps(document)
    if any(f.severity is Severity.ERROR for f in check_topology(text, Circumstances(version))):
        return
    read = parse_topology(text.encode(), parse_version(version), 150, Path())
    wanted = [
        (
            [(p["address"], p.get("port")) for p in group["accessPoints"]],
            group.get("valency", group.get("hotValency")),
            group.get("warmValency", group.get("valency", group.get("hotValency"))),
        )
        for group in document["localRoots"]
        if group["accessPoints"]
    ]
    assert [([(p.address, p.port) for p in g.access_points], g.hot, g.warm) for g in read.local_roots] == wanted


@given(document=near_topologies, version=st.sampled_from(["10.5.1", "10.6.2", "11.0.1"]))
def test_what_a_node_refuses_is_an_error(document, version) -> None:
    text = json.dumps(document)
    try:
        parse_topology(text.encode(), parse_version(version), 150, Path())
    except TopologyRefused:
        assert any(f.severity is Severity.ERROR for f in check_topology(text, Circumstances(version)))


# Values as strange as JSON allows, in the places where a topology has its own.
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("0.0.0.0") | st.just(10**400)
keys = st.sampled_from(
    [*topology(), *group(), *point(), "hotValency", "warmValency", "peerSnapshotFile", "Producers", "diffusionMode"]
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(), inner, max_size=5),
    max_leaves=12,
)
documents = st.dictionaries(keys, values, max_size=6).map(lambda members: topology() | members)
circumstances = st.builds(
    Circumstances,
    node_version=st.sampled_from([None, "8.1.2", "10.5.1", "10.6.2", "11.0.1"]),
    consensus_mode=st.sampled_from([None, "PraosMode", "GenesisMode"]),
    magic=st.sampled_from([None, MAGIC]),
)
snapshots = st.none() | st.builds(SnapshotFile, st.none() | st.binary(max_size=20) | values.map(json.dumps))


@given(content=st.binary() | st.text(), known=circumstances)
def test_no_bytes_are_too_strange_to_be_judged(content, known) -> None:
    assert check_topology(content, known)


@given(document=values | documents, known=circumstances, snapshot=snapshots)
def test_no_json_is_too_strange_to_be_judged(document, known, snapshot) -> None:
    for finding in check_topology(json.dumps(document), known, snapshot):
        assert finding.sentence.isprintable()
        assert finding.sentence.isascii()


@given(document=documents, known=circumstances)
def test_a_text_and_its_value_are_judged_alike(document, known) -> None:
    text = json.dumps(document)
    by_value = {(f.code, f.path) for f in check_document(json.loads(text), known)}
    by_text = {(f.code, f.path) for f in check_topology(text, known)}
    assert by_value == by_text or {code for code, _ in by_text} == {Code.NOT_JSON}
