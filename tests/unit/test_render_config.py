"""config.json: our settings over the network's own, in the tracing dialect that the release reads."""

from __future__ import annotations

import pytest

from orchestrator.errors import RenderFailed
from orchestrator.rendering import layout
from orchestrator.rendering.releases import is_at_least
from tests.rendering_builders import document, fleet_spec, network_files, rendered

STAGED = f"/opt/cardano-node/network/{'d1' * 32}"


def config_of(release: str, **changes) -> dict:
    return document(rendered(fleet_spec(release), network_files(**changes)), layout.NODE_CONFIG)


def test_genesis_files_are_named_where_they_are_staged_and_hashes_kept() -> None:
    config = config_of("10.7.1")
    assert config["ByronGenesisFile"] == f"{STAGED}/byron-genesis.json"
    assert config["ShelleyGenesisFile"] == f"{STAGED}/shelley-genesis.json"
    assert config["ShelleyGenesisHash"] == "51" * 32


def test_keys_that_nobody_here_knows_are_kept() -> None:
    config = config_of("11.1.0")
    assert config["SomethingNew"] == {"kept": True}
    assert config["TargetNumberOfActivePeers"] == 20
    assert config["ConsensusMode"] == "PraosMode"


def test_connection_limits_are_complete() -> None:
    spec = fleet_spec(connections={"hard_limit": 600, "soft_limit": 500, "delay_seconds": 3})
    config = document(rendered(spec), layout.NODE_CONFIG)
    assert config["AcceptedConnectionsLimit"] == {"hardLimit": 600, "softLimit": 500, "delay": 3}
    assert config["PeerSharing"] is True


def test_an_old_release_gets_legacy_tracing_on_the_loopback() -> None:
    config = config_of("10.5.4", TraceOptions={"": {"severity": "Debug"}})
    assert config["UseTraceDispatcher"] is False
    assert config["hasPrometheus"] == ["127.0.0.1", 12798]
    assert not {"TraceOptions", "hasEKG"} & config.keys()
    assert config["setupScribes"][0]["scFormat"] == "ScJson"
    assert config["minSeverity"] == "Debug"
    assert config["EnableP2P"] is True


@pytest.mark.parametrize("release", ["10.6.0", "10.7.1", "11.0.1", "11.1.0"])
def test_a_newer_release_serves_metrics_on_the_loopback_in_the_new_dialect(release) -> None:
    config = config_of(release)
    assert config["UseTraceDispatcher"] is True
    assert config["TraceOptions"][""]["backends"] == [
        "EKGBackend",
        "PrometheusSimple suffix 127.0.0.1 12798",
        "Stdout MachineFormat",
    ]
    assert not {"hasPrometheus", "hasEKG", "TraceMempool"} & config.keys()


def test_the_networks_own_namespaces_are_kept_under_our_backends() -> None:
    own = {"": {"severity": "Info", "backends": ["Forwarder"]}, "Mempool": {"severity": "Silence"}}
    options = config_of("10.7.1", TraceOptions=own)["TraceOptions"]
    assert options["Mempool"] == {"severity": "Silence"}
    assert options[""]["severity"] == "Info"
    assert "Forwarder" not in options[""]["backends"]


@pytest.mark.parametrize("own", [{}, {"Startup": {"severity": "Silence"}}, {"Startup.NetworkConfig": "odd"}])
def test_a_reload_can_always_be_confirmed_by_the_new_dialects_log(own) -> None:
    options = config_of("10.6.2", TraceOptions={"": {"severity": "Notice"}, **own})["TraceOptions"]
    assert options["Startup.NetworkConfig"]["severity"] == "Info"
    assert options["Startup.NetworkConfigUpdate"]["severity"] == "Info"


def test_a_reload_can_always_be_confirmed_by_the_legacy_dialects_log() -> None:
    quiet = {"mapSeverity": {"cardano.node.startup": "Error", "cardano.node.Mempool": "Error"}}
    config = config_of("10.5.1", minSeverity="Critical", options=quiet)
    assert config["minSeverity"] == "Info"
    assert config["options"]["mapSeverity"] == {"cardano.node.startup": "Info", "cardano.node.Mempool": "Error"}


def test_legacy_keys_go_with_the_release_that_removed_them() -> None:
    assert "minSeverity" in config_of("11.0.1")
    assert "minSeverity" not in config_of("11.1.0")


def test_a_genesis_file_that_was_not_supplied_is_named() -> None:
    with pytest.raises(RenderFailed, match=r"ConwayGenesisFile 'conway.json', which the network folder did not supply"):
        config_of("10.7.1", ConwayGenesisFile="conway.json")


@pytest.mark.parametrize(
    ("version", "expected"),
    [("10.5.4", False), ("10.6.0", True), ("10.6.0-pre", True), ("11.0.1", True), ("9.2.1", False)],
)
def test_releases_are_compared_by_number(version, expected) -> None:
    assert is_at_least(version, (10, 6)) is expected
