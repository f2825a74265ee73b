"""What is found before a rollout where relays run several releases, or the fleet file names many."""

from __future__ import annotations

from orchestrator.planning.preflight import Level, check_release_step, check_wish
from tests.scenarios.builders import fleet_spec, wanted
from tests.unit.planning.test_preflight import archives, found, texts


def test_all_that_share_a_checksum_with_the_wanted_release_are_named_in_order():
    releases = {version: archives(x86_64="a") for version in ("10.6.2", "9.2.1", "10.5.1")}
    (finding, *_) = found("10.6.2", "10.5.1", fleet={"releases": releases})
    assert "the checksum of 10.5.1 for x86_64, 9.2.1 for x86_64:" in finding.text


def test_all_of_unknown_speech_are_named_in_order():
    findings = found("10.6.2", "8.7.5", "8.7.4", "8.7.3", "8.7.2", "8.7.1", "8.7.0")
    unknown = "not known which node-to-node versions 8.7.0, 8.7.1, 8.7.2, 8.7.3, 8.7.4 and 8.7.5 speaks"
    assert any(unknown in text for text in texts(findings, Level.WARNS))


def test_without_a_peer_snapshot_none_is_checked():
    findings = found("10.7.1", "10.6.2", snapshot=None, fleet={"topology": {"use_ledger_after_slot": 0}})
    assert not any("peer snapshot" in finding.text for finding in findings)


def test_metrics_change_names_if_they_do_for_some():
    assert any("metrics change their names" in text for text in texts(found("10.7.1", "10.5.1", "10.6.2"), Level.FINE))


def test_who_cannot_go_back_is_told_of_beside_those_who_can():
    (finding, *_) = found("10.3.1", "10.2.1", "10.4.1")
    assert "1 relay cannot go back from 10.4.1 to 10.3.1" in finding.text


def test_of_several_releases_the_oldest_comes_first():
    running = ("10.5.1", "9.2.1", "10.4.1", "9.1.0", "10.10.0", "10.3.1", "10.6.2")
    told = [text for text in texts(found("11.0.1", *running), Level.FINE) if "will replay the chain" in text]
    seen = [version for text in told for version in running if f"from {version} to" in text]
    assert seen == ["9.1.0", "9.2.1", "10.3.1", "10.4.1", "10.5.1", "10.6.2"]


def test_a_wish_is_judged_by_the_step_to_it():
    wish = wanted(fleet_spec(release="10.6.0"))
    assert check_wish(wish, ("10.5.1",)) == check_release_step(wish.spec, wish.network, ("10.5.1",)) != ()
