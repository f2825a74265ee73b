"""What is found before a rollout begins: each trap of a step, and that the fleet can bear one."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from orchestrator.planning.preflight import Level, can_go_back, check_fleet, check_release_step
from orchestrator.planning.release_facts import list_wire_versions, why_replays
from tests.rendering_builders import fleet_spec, network_files

PARTNERS = [{"name": "alpha", "address": "192.0.2.1"}, {"name": "beta", "address": "192.0.2.2"}]
LEDGER_PEERS = {"use_ledger_after_slot": 0, "peer_snapshot": "peer-snapshot.json"}
OLD_SNAPSHOT = json.dumps({"version": 2, "slotNo": 5, "bigLedgerPools": []})
NEW_SNAPSHOT = json.dumps({"NetworkMagic": 42, "Point": {"blockPointSlot": 5}, "bigLedgerPools": []})


def archives(**sums):
    return {kind: {"url": f"https://releases.example/{kind}.tar.gz", "sha256": sums[kind] * 64} for kind in sums}


def found(wanted, *running, snapshot=None, fleet=None, **config):
    """What is found on the way from what relays run to what is wanted, on a network folder without legacy tracing."""
    releases = {wanted: archives(x86_64="b"), "9.9.9": archives(x86_64="c")}
    spec = fleet_spec(wanted, **{"releases": releases, **(fleet or {})})
    silent = {"hasEKG": None, "hasPrometheus": None, "minSeverity": None}
    network = network_files(snapshot, **config)
    kept = {key: value for key, value in json.loads(network.config_json).items() if key not in silent or key in config}
    network = type(network)(json.dumps(kept), network.genesis, snapshot, network.digest)
    return check_release_step(spec, network, running)


def texts(findings, level):
    return [finding.text for finding in findings if finding.level is level]


def worst(findings):
    return findings[0].level


@pytest.mark.parametrize(
    ("wanted", "running"), [("10.6.2", ["10.5.1"] * 3), ("11.0.1", ["10.7.1"]), ("10.6.2", ["10.5.1", "10.6.2"])]
)
def test_a_harmless_step_finds_nothing_but_what_is_fine(wanted, running):
    assert {finding.level for finding in found(wanted, *running, fleet={"partners": PARTNERS})} == {Level.FINE}


@pytest.mark.parametrize("running", [[], ["10.6.2", "10.6.2"]])
def test_who_runs_what_is_wanted_steps_nowhere(running):
    assert found("10.6.2", *running) == ()


def test_what_refuses_comes_before_what_warns():
    weights = [list(Level).index(finding.level) for finding in found("11.1.2", "9.2.1")]
    assert weights == sorted(weights)
    assert set(weights) == {0, 1, 2}


def test_a_known_release_is_named_with_the_architectures_it_has_checksums_for():
    both = {"10.6.2": archives(x86_64="a", aarch64="b")}
    assert "release 10.6.2 is known, with a checksum for aarch64 and x86_64" in texts(
        found("10.6.2", "10.5.1", fleet={"releases": both}), Level.FINE
    )


@pytest.mark.parametrize(
    ("releases", "named"),
    [
        ({"10.5.1": archives(x86_64="a"), "10.6.2": archives(x86_64="a")}, "10.5.1 for x86_64"),
        ({"10.6.2": archives(x86_64="a", aarch64="a")}, "another architecture"),
    ],
)
def test_a_checksum_copied_from_another_archive_is_refused(releases, named):
    (finding, *_) = found("10.6.2", "10.5.1", fleet={"releases": releases})
    assert (finding.level, finding.name) == (Level.REFUSES, "")
    assert named in finding.text


@pytest.mark.parametrize(
    ("wanted", "running", "pairs"),
    [
        ("10.5.1", ["9.2.1"], ["9.2.1 speaks 13, 10.5.1 speaks 14"]),
        ("9.2.1", ["10.6.2"], ["10.6.2 speaks 14 and 15, 9.2.1 speaks 13"]),
        # Both get on with the wanted release, and not with each other.
        ("10.4.1", ["9.2.1", "10.6.2"], ["9.2.1 speaks 13, 10.6.2 speaks 14 and 15"]),
        (
            "11.0.1",
            ["9.2.1", "10.5.1"],
            ["9.2.1 speaks 13, 10.5.1 speaks 14", "9.2.1 speaks 13, 11.0.1 speaks 14 and 15"],
        ),
    ],
)
def test_releases_side_by_side_without_a_common_version_split_the_mesh(wanted, running, pairs):
    (finding,) = [each for each in found(wanted, *running) if each.name == f"mesh-split:{wanted}"]
    assert finding.level is Level.REFUSES
    assert all(pair in finding.text for pair in pairs)
    assert finding.text.count(" speaks 1") == 2 * len(pairs)
    assert f"--confirm mesh-split:{wanted}" in finding.text


def test_a_split_says_how_many_relays_it_is_about():
    (finding, *_) = found("10.5.1", "9.2.1", "9.2.1", "10.4.1")
    assert "2 relays on 9.2.1 and 1 relay on 10.4.1" in finding.text


def test_a_common_version_is_named_where_the_mesh_stays_one():
    fine = texts(found("11.0.1", "10.4.1", "10.5.1"), Level.FINE)
    assert "node-to-node version 14 is spoken by 10.4.1, 10.5.1 and 11.0.1: the mesh stays one" in fine


def test_a_release_of_unknown_speech_is_neither_refused_nor_fine():
    findings = found("10.6.2", "8.7.3")
    assert any("not known which node-to-node versions 8.7.3 speaks" in text for text in texts(findings, Level.WARNS))
    assert not any("node-to-node" in text for text in texts(findings, Level.FINE))
    assert not texts(findings, Level.REFUSES)


@pytest.mark.parametrize(
    ("wanted", "running", "lost"),
    [
        ("10.5.1", "10.4.1", "from 8.9 to before 10.1"),
        ("10.6.2", "10.4.1", "from 8.9 to before 10.1"),
        ("9.2.1", "10.4.1", "from 10.5 to before 10.6 and from 10.6 on"),
    ],
)
def test_partners_of_unknown_release_who_may_be_lost_are_told_of(wanted, running, lost):
    warnings = texts(found(wanted, running, fleet={"partners": PARTNERS}), Level.WARNS)
    assert any(f"what 2 partners run is not known: whoever runs a release {lost} connects" in text for text in warnings)


@pytest.mark.parametrize(("wanted", "running", "partners"), [("10.5.1", "10.4.1", []), ("10.6.2", "10.5.1", PARTNERS)])
def test_nobody_is_asked_where_no_partner_can_be_lost(wanted, running, partners):
    assert not any("partner" in finding.text for finding in found(wanted, running, fleet={"partners": partners}))


@pytest.mark.parametrize(("wanted", "new"), [("11.1.3", False), ("11.2.0", True), ("12.0.0", True), ("10.7.1", False)])
def test_a_release_newer_than_what_is_known_is_said_to_be(wanted, new):
    assert any("nothing is known here" in text for text in texts(found(wanted, "10.6.2"), Level.WARNS)) is new


@pytest.mark.parametrize(
    ("wanted", "network", "backend", "fault"),
    [
        ("11.1.2", "demonet", "", "IPv4"),
        ("11.1.3", "demonet", "", None),
        ("11.1.0", "mainnet", "", "pre-release"),
        ("11.1.0", "demonet", "", None),
        ("10.6.0", "mainnet", "", "withheld"),
        ("10.6.2", "mainnet", "", None),
        ("11.0.1", "demonet", "V2LSM", "4096 items"),
        ("11.0.1", "demonet", "V2InMemory", None),
        ("10.7.1", "demonet", "V2LSM", "4096 items"),
    ],
)
def test_releases_with_known_faults_are_warned_of_where_these_matter(wanted, network, backend, fault):
    named = {"network": {"name": network, "magic": 42, "folder": "network"}}
    warnings = texts(found(wanted, "10.5.3", fleet=named, LedgerDB={"Backend": backend}), Level.WARNS)
    assert [text for text in warnings if text.startswith(f"{wanted} ")] == warnings
    assert len(warnings) == (0 if fault is None else 1)
    assert all(fault in text for text in warnings)


@pytest.mark.parametrize(
    ("least", "warned"),
    [("10.7.0", True), ("10.6.2", False), ("10.6", False), (1, False), ("10..7", False), ("", False)],
)
def test_a_network_folder_made_for_later_releases_is_warned_of(least, warned):
    warnings = texts(found("10.6.2", "10.5.1", MinNodeVersion=least), Level.WARNS)
    assert [f"is for {least} and later" in text for text in warnings] == [True] * warned


@pytest.mark.parametrize(
    ("wanted", "ledger", "cause"),
    [
        ("11.1.3", {"Backend": "V1LMDB"}, "was removed in 11.1"),
        ("11.0.1", {"Backend": "V1LMDB"}, None),
        ("10.6.2", {"Backend": "V2LSM"}, "came with 10.7"),
        ("11.1.3", {"Backend": "V2LSM"}, None),
        ("11.1.3", {"Backend": "V2InMemory"}, None),
        ("11.1.3", {}, None),
        ("11.1.3", "V1LMDB", None),
        ("11.1.3", {"Backend": ["V1LMDB"]}, None),
    ],
)
def test_a_ledger_backend_that_the_release_does_not_have_is_refused(wanted, ledger, cause):
    refusals = [finding for finding in found(wanted, "10.7.1", LedgerDB=ledger) if finding.level is Level.REFUSES]
    assert len(refusals) == (0 if cause is None else 1)
    assert all(cause in finding.text and finding.name == "" for finding in refusals)


@pytest.mark.parametrize(
    ("wanted", "running", "snapshot", "refused"),
    [
        ("10.6.2", "10.5.1", OLD_SNAPSHOT, None),
        ("11.0.1", "10.7.1", NEW_SNAPSHOT, None),
        ("10.7.1", "10.6.2", NEW_SNAPSHOT, "peer-snapshot:10.7.1"),
        ("10.6.2", "10.7.1", OLD_SNAPSHOT, "peer-snapshot:10.6.2"),
        ("10.7.1", "10.6.2", OLD_SNAPSHOT, ""),
        ("10.6.2", "10.7.1", NEW_SNAPSHOT, ""),
    ],
)
def test_a_peer_snapshot_must_suit_both_sides_of_the_step(wanted, running, snapshot, refused):
    findings = found(wanted, running, snapshot=snapshot, fleet={"topology": LEDGER_PEERS})
    names = [finding.name for finding in findings if finding.level is Level.REFUSES]
    assert names == ([] if refused is None else [refused])
    read = f"the peer snapshot is read by {running} and {wanted}"
    assert (read in texts(findings, Level.FINE)) is (refused is None)


def test_a_peer_snapshot_names_only_those_who_cannot_read_it():
    findings = found("11.0.1", "10.6.2", "10.6.2", "10.7.1", snapshot=NEW_SNAPSHOT, fleet={"topology": LEDGER_PEERS})
    assert "suits 11.0.1, and not 10.6.2, which 2 relays run" in findings[0].text


def test_a_peer_snapshot_that_no_node_reads_is_no_matter():
    ledger_peers_off = {**LEDGER_PEERS, "use_ledger_after_slot": -1}
    findings = found("10.7.1", "10.6.2", snapshot=OLD_SNAPSHOT, fleet={"topology": ledger_peers_off})
    assert not any("peer snapshot" in finding.text for finding in findings)


@pytest.mark.parametrize(
    ("wanted", "running", "told"), [("10.6.2", "10.5.1", 1), ("11.0.1", "10.6.2", 0), ("10.5.1", "10.6.2", 1)]
)
def test_metrics_change_names_across_10_6(wanted, running, told):
    assert sum("metrics change their names" in text for text in texts(found(wanted, running), Level.FINE)) == told


@pytest.mark.parametrize(
    ("wanted", "config", "told"),
    [
        ("11.1.3", {"hasEKG": 12788}, "hasEKG in the network's config.json is left out"),
        (
            "11.1.3",
            {"hasEKG": 1, "minSeverity": "Info"},
            "hasEKG, minSeverity in the network's config.json are left out",
        ),
        ("11.0.1", {"hasEKG": 12788}, None),
        ("11.1.3", {}, None),
    ],
)
def test_legacy_tracing_left_out_at_11_1_is_told_of(wanted, config, told):
    fine = [text for text in texts(found(wanted, "10.7.1", **config), Level.FINE) if "legacy tracing" in text]
    assert len(fine) == (0 if told is None else 1)
    assert all(told in text for text in fine)


@pytest.mark.parametrize(
    ("old", "new", "open_"),
    [
        ("10.3.1", "10.4.1", False),
        ("9.2.1", "11.1.3", False),
        ("10.4.1", "10.5.1", True),
        ("10.5.1", "10.6.2", True),
        ("10.7.1", "11.1.3", True),
        ("10.4.1", "10.3.1", True),
        ("10.1.4", "10.3.1", True),
    ],
)
def test_the_way_back_is_closed_only_across_10_4(old, new, open_):
    assert (can_go_back(old, new) is None) is open_


def test_a_release_without_a_way_back_is_said_to_be_before_it_starts():
    warnings = texts(found("10.4.1", "10.3.1", "10.3.1"), Level.WARNS)
    assert any("2 relays cannot go back from 10.4.1 to 10.3.1 if it fails" in text for text in warnings)


def test_going_back_where_there_is_no_way_back_is_refused():
    (finding, *_) = found("10.3.1", "10.4.1")
    assert (finding.level, finding.name) == (Level.REFUSES, "no-way-back:10.3.1")
    assert "1 relay cannot go back from 10.4.1 to 10.3.1" in finding.text


@pytest.mark.parametrize(
    ("wanted", "running", "level"),
    [
        ("11.0.1", "10.7.1", Level.FINE),
        ("10.7.1", "11.0.1", Level.WARNS),
        ("11.1.3", "11.0.1", None),
        ("10.7.1", "10.6.2", None),
    ],
)
def test_the_hard_fork_that_only_one_side_follows_is_told_of(wanted, running, level):
    told = [finding.level for finding in found(wanted, running) if "protocol version 11" in finding.text]
    assert told == ([] if level is None else [level])


@pytest.mark.parametrize(
    ("running", "wanted", "line"),
    [
        ("10.5.1", "10.6.2", "10.6"),
        ("10.6.2", "10.5.1", "10.6"),
        ("10.5.1", "11.1.3", "10.7"),
        ("8.12.2", "9.0.0", "9.0"),
        ("10.7.1", "11.1.3", None),
        ("10.4.1", "10.5.1", None),
    ],
)
def test_who_changed_the_ledger_state_makes_the_next_replay(running, wanted, line):
    cause = why_replays(running, wanted)
    assert cause is None if line is None else cause.startswith(f"{line} changed")
    replays = [text for text in texts(found(wanted, running, running), Level.FINE) if "will replay" in text]
    assert len(replays) == (0 if line is None else 1)
    assert all(text.startswith("2 relays will replay the chain") for text in replays)


@pytest.mark.parametrize(
    ("release", "versions"),
    [
        ("8.8.9", None),
        ("8.9.1", {13}),
        ("10.0.9", {13}),
        ("10.1.4", {13, 14}),
        ("10.5.0", {14}),
        ("10.6.0-pre", {14, 15}),
        ("12.0.0", {14, 15}),
    ],
)
def test_each_line_speaks_its_versions(release, versions):
    assert list_wire_versions(release) == versions


def test_releases_are_compared_by_their_numbers():
    findings = found("10.10.0", "10.9.0", "10.10.0-rc1", "9.2.1")
    assert Counter("mesh-split" in finding.name for finding in findings)[True] == 1
    assert "1 relay on 9.2.1, 1 relay on 10.9.0 and 1 relay on 10.10.0-rc1" in findings[0].text


@pytest.mark.parametrize(
    ("healthy", "out", "most_out", "level", "name", "said"),
    [
        (5, [], 1, Level.FINE, "", "5 of 5 relays serve, and 1 may be out"),
        (19, ["r1"], 3, Level.FINE, "", "19 of 20 relays serve (out: r1), and 3 may be out"),
        (18, ["r2", "r1"], 2, Level.WARNS, "", "at most 2 may be out (out: r1, r2)"),
        (17, ["r1", "r2", "r3"], 2, Level.WARNS, "", "17 of 20 relays serve"),
        (1, ["r1"], 1, Level.WARNS, "", "1 of 2 relays serves"),
        (4, ["r1", "r2"], 1, Level.WARNS, "", "4 of 6 relays serve"),
        (3, ["r1", "r2"], 1, Level.REFUSES, "unhealthy-fleet", "3 of 5 relays serve (out: r1, r2)"),
        (2, ["r1", "r2"], 2, Level.WARNS, "", "2 of 4 relays serve"),
        (0, ["r1"], 1, Level.REFUSES, "unhealthy-fleet", "0 of 1 relays serve"),
    ],
)
def test_a_rollout_begins_on_a_healthy_fleet(healthy, out, most_out, level, name, said):
    (finding,) = check_fleet(healthy, out, most_out, ())
    assert (finding.level, finding.name) == (level, name)
    assert said in finding.text


def test_a_partner_who_is_out_is_waited_for():
    warning, fine = check_fleet(5, (), 1, ("beta", "alpha"))
    assert (warning.level, fine.level) == (Level.WARNS, Level.FINE)
    assert warning.text.startswith("2 partners visibly out (alpha, beta)")


def test_the_worst_of_fleet_and_partners_comes_first():
    assert worst(check_fleet(0, ("r1",), 1, ("alpha",))) is Level.REFUSES
