"""Playbooks and templates that are not where they belong: a broken checkout or installation, said as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.adapters.assets import assets
from orchestrator.errors import AssetsMissing


def make_checkout(folder: Path) -> Path:
    (folder / "playbooks").mkdir()
    (folder / "templates").mkdir()
    (folder / "templates" / "one.j2").write_text("text")
    (folder / "orchestrator").mkdir()
    return folder / "orchestrator"


def test_a_checkout_has_them_beside_the_package(tmp_path: Path) -> None:
    found = assets(make_checkout(tmp_path))
    assert found.playbooks == tmp_path / "playbooks"
    assert dict(found.templates.texts) == {"one.j2": "text"}


@pytest.mark.parametrize("what", ["playbooks", "templates"])
def test_a_missing_folder_is_named_with_what_to_do(tmp_path: Path, what: str) -> None:
    package = make_checkout(tmp_path)
    for path in sorted((tmp_path / what).rglob("*")):
        path.unlink()
    (tmp_path / what).rmdir()
    with pytest.raises(AssetsMissing) as caught:
        assets(package)
    assert f"{what} not found: {tmp_path / what}" in caught.value.message
    assert "Install genesis-fleet again" in caught.value.next_step


def test_a_template_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    package = make_checkout(tmp_path)
    (tmp_path / "templates" / "two.j2").write_bytes(b"\xff\xfe")
    with pytest.raises(AssetsMissing, match="a template in"):
        assets(package)


def test_a_wheels_own_assets_win(tmp_path: Path) -> None:
    package = make_checkout(tmp_path)
    carried = package / "_assets"
    carried.mkdir()
    make_checkout(carried)
    assert assets(package).playbooks == carried / "playbooks"
