"""Writes the table of traps into docs/topologies.md, from the rules: `.venv/bin/python scripts/topology_reference.py`.

What each trap is and what the node makes of it is said in `orchestrator/rendering/topology_rules.py`, once. A test holds the two
together; the rest of the document is written by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "topologies.md"

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from orchestrator.rendering.topology_rules import RULES, Rule  # noqa: E402

BEGIN = "<!-- Written by scripts/topology_reference.py; a test refuses edits made here. -->\n\n"
END = "\n<!-- Until here. -->\n"


def render_table() -> str:
    """Return the table of all traps."""
    rows = (f"| `{code}` | {_severity(rule)} | {rule.trap} | {rule.effect} |" for code, rule in RULES.items())
    return "\n".join(("| code | | what is there | what comes of it |", "|---|---|---|---|", *rows, ""))


def replace_table(text: str) -> str:
    """Return the document with the table as the rules have it now."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{TARGET} has lost the lines between which the table stands: {BEGIN.strip()} {END.strip()}")
    return f"{before}{BEGIN}{render_table()}{END}{after}"


def _severity(rule: Rule) -> str:
    return f"{rule.severity}*" if rule.by_version else str(rule.severity)


if __name__ == "__main__":
    TARGET.write_text(replace_table(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
