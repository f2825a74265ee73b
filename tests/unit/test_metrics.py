"""What nodes of both dialects write, read in one vocabulary; and what nobody can read, skipped."""

from __future__ import annotations

import pytest

from orchestrator.adapters.metrics import MOST_CHARACTERS, parse_metrics
from orchestrator.fleet.metrics import NodeMetrics

LEGACY = """cardano_node_metrics_cardano_build_info {version_major="10",version="10.5.1",os_name="linux"} 1
cardano_node_metrics_Mem_resident_int 104857600
cardano_node_metrics_blockNum_int 812
cardano_node_metrics_connectionManager_incomingConns 14
cardano_node_metrics_connectionManager_outgoingConns 6
cardano_node_metrics_nodeStartTime_int 1790000000
cardano_node_metrics_peerSelection_churn_DecreasedActivePeers -1
cardano_node_metrics_served_block_count_int 3407
cardano_node_metrics_served_block_latest_count_int 9
cardano_node_metrics_slotNum_int 16240
rts_gc_current_bytes_slop 60430176
"""
NEW = """# TYPE cardano_node_metrics_cardano_build_info info
cardano_node_metrics_cardano_build_info{version="11.0.1",revision="a }b"} 1
# TYPE cardano_node_metrics_Mem_resident_int gauge
cardano_node_metrics_Mem_resident_int 104857600
cardano_node_metrics_blockNum_int 812
cardano_node_metrics_blockReplayProgress_real 37.5
cardano_node_metrics_connectionManager_inboundConns_int 14
cardano_node_metrics_connectionManager_outboundConns_int 6
cardano_node_metrics_node_start_time_int 1790000000
cardano_node_metrics_nodeStartTime 2026-05-08 09:42:06.833856949 UTC
cardano_node_metrics_served_block_counter 3407
cardano_node_metrics_served_block_latest_int 9
cardano_node_metrics_slotNum_int 16240
# EOF
"""
WHOLE = NodeMetrics("new", 16240, 812, 14, 6, 3407, 1790000000, 37.5, 104857600)


def line(name: str, value: str) -> str:
    return f"cardano_node_metrics_{name} {value}\n"


def test_the_legacy_dialect_is_read() -> None:
    assert parse_metrics(LEGACY) == NodeMetrics("legacy", 16240, 812, 14, 6, 3407, 1790000000, None, 104857600)


def test_the_new_dialect_is_read() -> None:
    assert parse_metrics(NEW) == WHOLE


def test_the_new_dialect_is_read_without_the_ends_of_its_names() -> None:
    text = NEW.replace("_int ", " ").replace("_counter ", " ").replace("_real ", " ")
    assert parse_metrics(text) == WHOLE


def test_lines_may_end_as_on_another_system() -> None:
    assert parse_metrics(NEW.replace("\n", "\r\n")) == WHOLE


def test_a_prefix_that_was_configured_away_is_not_missed() -> None:
    assert parse_metrics(NEW.replace("cardano_node_metrics_", "")) == WHOLE


def test_what_is_absent_is_none_and_not_nought() -> None:
    assert parse_metrics(line("connectionManager_inboundConns_int", "0")) == NodeMetrics("new", inbound=0)


@pytest.mark.parametrize(
    ("value", "slot"),
    [
        ("1.6240e4", 16240),
        ("+16240", 16240),
        ("16240.0", 16240),
        ("16240 1790000000000", 16240),
        ("NaN", None),
        ("+Inf", None),
        ("1e999", None),
        ("1e300", None),
        ("-1", None),
        ("1_000", None),
        ("\u0661\u0662", None),
        ("0x10", None),
        ("sixteen", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_a_value_is_a_figure_or_nothing(value: str, slot: int | None) -> None:
    assert parse_metrics(line("slotNum_int", value)).tip_slot == slot


@pytest.mark.parametrize(("value", "percent"), [("0", 0.0), ("100.0", 100.0), ("100.1", None), ("-0.5", None)])
def test_a_replay_is_between_nothing_and_all(value: str, percent: float | None) -> None:
    assert parse_metrics(line("blockReplayProgress_real", value)).replay_percent == percent


def test_a_last_line_that_was_cut_off_is_not_read() -> None:
    assert parse_metrics("slotNum_int 16240\nblockNum_int 81") == NodeMetrics("unknown", tip_slot=16240)


@pytest.mark.parametrize("name", ["slotNum_int.x", "slotNum_int-x", "xslotNum_int", "slotNum_int_x", "slotNum_int{x"])
def test_another_name_is_another_figure(name: str) -> None:
    assert parse_metrics(f"{name} 5\n") == NodeMetrics("unknown")


def test_a_text_with_names_of_both_dialects_is_of_neither() -> None:
    text = line("nodeStartTime_int", "5") + line("node_start_time_int", "5")
    assert parse_metrics(text).dialect == "unknown"


def test_only_the_beginning_of_a_huge_text_is_read() -> None:
    filler = "rts_gc_bytes_copied 1\n" * (MOST_CHARACTERS // 20)
    assert parse_metrics(line("slotNum_int", "5") + filler + line("blockNum_int", "6")) == NodeMetrics(
        "unknown", tip_slot=5
    )
