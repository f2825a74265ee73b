"""Whatever a node writes as its metrics: it is read or skipped, never a reason to fail."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.metrics import NAMES, parse_metrics

TEXT = """# TYPE cardano_node_metrics_slotNum_int gauge
cardano_node_metrics_slotNum_int 16240
cardano_node_metrics_blockReplayProgress_real 37.5
cardano_node_metrics_connectionManager_inboundConns_int 14
cardano_node_metrics_node_start_time_int 1790000000
# EOF
"""

words = st.sampled_from(
    [*NAMES, "cardano_node_metrics_", "_int", "_real", "{", "}", '"', " ", "\n", "\r", "#", "e9", "-"]
)


@given(
    st.one_of(st.text(), st.lists(st.one_of(words, st.text(max_size=4), st.from_regex(r"[0-9.eE+-]+"))).map("".join))
)
def test_no_text_breaks_the_parser(text: str) -> None:
    metrics = parse_metrics(f"{text}\n")
    assert metrics.tip_slot is None or metrics.tip_slot >= 0
    assert metrics.replay_percent is None or 0 <= metrics.replay_percent <= 100


@given(st.binary())
def test_no_bytes_break_the_parser(raw: bytes) -> None:
    parse_metrics(raw.decode(errors="replace") + "\n")
    parse_metrics(raw.decode("latin-1"))


@given(st.permutations(TEXT.splitlines(keepends=True)))
def test_the_order_of_lines_does_not_matter(lines: list[str]) -> None:
    assert parse_metrics("".join(lines)) == parse_metrics(TEXT)
