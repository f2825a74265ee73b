"""The lab node's configuration, command line, releases' differences and lab settings."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.lab.node.cli import RunOptions, ShowText, ShowVersion, WrongUsage, parse_arguments
from orchestrator.lab.node.config import (
    ConfigRefused,
    ConnectionLimit,
    MetricsEndpoint,
    parse_connection_limit,
    pick_log_format,
    pick_metrics_endpoint,
    read_config,
)
from orchestrator.lab.node.log import format_line, least_severity
from orchestrator.lab.node.reception import accept_delay
from orchestrator.lab.node.settings import Settings, read_settings, read_stop_time
from orchestrator.lab.node.version import Version, exit_code_of_sigterm, parse_version, wire_versions

NETWORK = Path(__file__).parents[2] / "inventory" / "lab" / "network"
NEW = Version(11, 0, 1)
OLD = Version(10, 5, 1)
LEGACY = {"UseTraceDispatcher": False, "hasPrometheus": ["127.0.0.1", 12798], "minSeverity": "Info"}


def new_tracing(*backends: str) -> dict[str, object]:
    return {"UseTraceDispatcher": True, "TraceOptions": {"": {"backends": list(backends), "severity": "Notice"}}}


def test_the_labs_network_is_read_and_its_hashes_are_right() -> None:
    stated = json.loads((NETWORK / "config.json").read_text())
    assert {f"{era}GenesisHash" for era in ("Byron", "Shelley", "Alonzo", "Conway")} <= stated.keys()
    genesis = read_config(NETWORK / "config.json", NEW).genesis
    assert (genesis.network_magic, genesis.byron_magic) == (4242, 4242)
    mean_gap = genesis.slot_length / genesis.leaders.active_slots_coefficient
    assert timedelta(seconds=0.5) <= mean_gap <= timedelta(seconds=2), "about one block a second"


@pytest.mark.parametrize("era", ["Byron", "Shelley", "Alonzo", "Conway"])
def test_a_genesis_hash_that_differs_is_refused_by_name(tmp_path: Path, era: str) -> None:
    for file in NETWORK.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    stated = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**stated, f"{era}GenesisHash": "ab" * 32}))
    with pytest.raises(ConfigRefused, match=f"Wrong {era} genesis file"):
        read_config(tmp_path / "config.json", NEW)


def test_a_missing_genesis_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((NETWORK / "config.json").read_bytes())
    with pytest.raises(ConfigRefused, match=r"byron-genesis\.json"):
        read_config(tmp_path / "config.json", NEW)


def test_an_unknown_rule_about_magic_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"RequiresNetworkMagic": "Perhaps"}')
    with pytest.raises(ConfigRefused, match="RequiresNetworkMagic"):
        read_config(tmp_path / "config.json", NEW)


def test_the_limit_on_connections_has_the_nodes_defaults_and_needs_all_three_numbers() -> None:
    assert parse_connection_limit(None) == ConnectionLimit(512, 384, timedelta(seconds=5))
    with pytest.raises(KeyError):
        parse_connection_limit({"hardLimit": 5, "softLimit": 4})


def test_accepting_slows_down_from_the_soft_limit_on() -> None:
    limit = ConnectionLimit(hard=20, soft=10, delay=timedelta(seconds=5))
    waits = [accept_delay(limit, count).total_seconds() for count in (0, 9, 10, 15)]
    assert waits == [0.0, 0.0, 0.0, 2.5]


@pytest.mark.parametrize(
    ("backend", "endpoint"),
    [
        ("PrometheusSimple suffix 127.0.0.1 12798", MetricsEndpoint("127.0.0.1", 12798, legacy=False)),
        ("PrometheusSimple nosuffix 9100", MetricsEndpoint("127.0.0.1", 9100, legacy=False, with_suffix=False)),
        ("PrometheusSimple 12798", MetricsEndpoint("127.0.0.1", 12798, legacy=False)),
        ("Forwarder", None),
    ],
)
def test_the_new_dialect_is_served_where_the_backend_says(backend: str, endpoint: MetricsEndpoint | None) -> None:
    assert pick_metrics_endpoint(new_tracing("EKGBackend", backend), NEW) == endpoint


def test_the_new_metrics_need_the_ekg_backend() -> None:
    assert pick_metrics_endpoint(new_tracing("PrometheusSimple suffix 127.0.0.1 12798"), NEW) is None


def test_legacy_keys_lose_their_metrics_with_the_release_that_drops_them() -> None:
    assert pick_metrics_endpoint(LEGACY, OLD) == MetricsEndpoint("127.0.0.1", 12798, legacy=True)
    assert pick_metrics_endpoint(LEGACY, Version(11, 1, 0)) is None


def test_what_is_less_than_the_severity_asked_for_is_not_logged() -> None:
    severities = {"": "Notice", "Startup": "Info", "Startup.Noise": "Silence"}
    assert least_severity(severities, "Startup.NetworkConfig") == "Info"
    assert least_severity(severities, "Startup.Noise.More") == "Silence"
    assert least_severity(severities, "ChainDB.OpenEvent") == "Notice"


def test_lines_look_as_the_configuration_asks() -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
    words = ("h", "Startup.NetworkConfigUpdate", "Notice", "text", {})
    assert (
        format_line("human", at, *words) == "[2026-01-02 03:04:05.6789Z][h:Startup.NetworkConfigUpdate](Notice,1) text"
    )
    assert format_line("legacy", at, *words) == "[h:cardano.node.startup:Notice:1] [2026-01-02 03:04:05.67 UTC] text"
    assert json.loads(format_line("machine", at, *words) or "")["data"]["kind"] == "NetworkConfigUpdate"
    assert pick_log_format(new_tracing("Forwarder"), NEW).style == "silent"


def test_run_reads_its_options_in_both_spellings_around_runtime_options() -> None:
    words = [
        "run",
        "+RTS",
        "-N2",
        "--config=no",
        "-RTS",
        "--config",
        "c.json",
        "--port=3001",
        "--host-addr",
        "10.0.0.1",
    ]
    options = parse_arguments(words)
    assert isinstance(options, RunOptions)
    assert (options.config, options.port, options.addresses) == (Path("c.json"), 3001, ("10.0.0.1",))


def test_without_a_port_any_is_taken_and_without_an_address_all_are() -> None:
    options = parse_arguments(["run"])
    assert isinstance(options, RunOptions)
    assert options.port == 0
    assert options.addresses == ("0.0.0.0", "::")


@pytest.mark.parametrize(
    "words", [["run", "--foo"], ["run", "stray"], ["run", "--port"], ["run", "--port", "x"], ["walk"], ["--versio"]]
)
def test_what_is_no_option_is_refused_with_usage(words: list[str]) -> None:
    with pytest.raises(WrongUsage, match="Usage: cardano-node"):
        parse_arguments(words)


def test_version_and_help_are_shown() -> None:
    assert parse_arguments(["--version"]) == parse_arguments(["version"]) == ShowVersion()
    assert isinstance(parse_arguments(["run", "--help"]), ShowText)
    nothing = parse_arguments([])
    assert isinstance(nothing, ShowText)
    assert nothing.exit_code == 1


@pytest.mark.parametrize(
    ("release", "versions"), [("10.4.1", (13, 14)), ("10.5.4", (14,)), ("10.6.0", (14, 15)), ("11.1.3", (14, 15))]
)
def test_releases_offer_the_wire_versions_of_their_time(release: str, versions: tuple[int, ...]) -> None:
    assert wire_versions(parse_version(release)) == versions


def test_older_releases_end_as_if_killed_by_sigterm() -> None:
    assert exit_code_of_sigterm(Version(10, 4, 1)) == 143
    assert exit_code_of_sigterm(OLD) == 0


def test_an_unclean_start_takes_longer_than_a_clean_one_unless_told_otherwise() -> None:
    settings = read_settings({"GENESIS_LAB_REPLAY_SECONDS": "2"})
    assert settings.replay_unclean > settings.replay == timedelta(seconds=2)


@pytest.mark.parametrize(
    "environment",
    [{"GENESIS_LAB_FORGE": "0:2"}, {"GENESIS_LAB_FORGE": "x"}, {"GENESIS_LAB_STOP_SECONDS": "-1"}],
)
def test_a_wrong_setting_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(environment))):
        read_settings(environment)


def test_a_file_dropped_later_decides_how_long_a_stop_takes(tmp_path: Path) -> None:
    settings = Settings(stop=timedelta(seconds=1))
    assert read_stop_time(settings, tmp_path) == timedelta(seconds=1)
    (tmp_path / "lab-stop-seconds").write_text("120\n")
    assert read_stop_time(settings, tmp_path) == timedelta(seconds=120)
