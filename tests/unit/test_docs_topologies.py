"""docs/topologies.md says what the check says, and of every consumer what it is given."""

from __future__ import annotations

from pathlib import Path

from orchestrator.rendering.consumer import ConsumerKind
from orchestrator.rendering.topology_rules import RULES, Code
from scripts.topology_reference import replace_table

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "topologies.md").read_text(encoding="utf-8")


def test_the_table_of_traps_is_current() -> None:
    assert replace_table(TEXT) == TEXT, "write it anew: .venv/bin/python scripts/topology_reference.py"


def test_every_code_has_its_rule_and_stands_in_the_table() -> None:
    assert set(RULES) == set(Code)
    assert [code for code in Code if f"| `{code}` |" not in TEXT] == []


def test_every_consumer_stands_in_the_table() -> None:
    assert [kind for kind in ConsumerKind if f"| `{kind}` |" not in TEXT] == []
