"""What templates name: the things they are about, under the names they are given."""

from __future__ import annotations

from pathlib import Path

from orchestrator.rendering.templating import render_text
from orchestrator.rendering.values import Templates


def test_needrestart_leaves_the_unit_alone_whatever_the_user_is_called() -> None:
    name = "needrestart.conf.j2"
    text = (Path(__file__).parents[2] / "templates" / name).read_text()
    rendered = render_text(Templates(((name, text),)), name, {"unit": "relay.service", "user": "somebody"})
    assert r"qr(^relay\.service$)" in rendered
    assert "somebody" not in rendered
