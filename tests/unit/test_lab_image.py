"""The recipe of the machine image: how it is named, and how its progress is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.lab.machines.image import FILES, MASKED, STEPS, digest_recipe, find_or_build_image, find_step


def test_an_edited_file_makes_another_image(tmp_path: Path) -> None:
    (tmp_path / "unit").write_text("one")
    before = digest_recipe(tmp_path)
    (tmp_path / "unit").write_text("two")
    assert digest_recipe(tmp_path) != before


def test_a_moved_file_makes_another_image(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("content")
    before = digest_recipe(tmp_path)
    (tmp_path / "one").rename(tmp_path / "two")
    assert digest_recipe(tmp_path) != before


def test_an_image_that_is_there_is_taken_up(tmp_path: Path) -> None:
    root = tmp_path / digest_recipe(FILES) / "root"
    root.mkdir(parents=True)
    reported: list[object] = []
    assert find_or_build_image(tmp_path, reported.append).root == root
    assert reported == []


def test_the_files_of_the_image_are_packaged() -> None:
    assert (FILES / "etc/cloud/cloud.cfg").is_file()
    assert (FILES / "usr/local/lib/genesis-fleet-lab/make-volume-nodes").is_file()


def test_units_that_the_image_replaces_are_not_masked() -> None:
    own = {file.name for file in (FILES / "etc/systemd/system").glob("*.service")}
    assert own & set(MASKED) == set()


@pytest.mark.parametrize(("line", "step"), [("I: extracting archives...", 2), ("I: success in 30 seconds", 6)])
def test_a_step_is_recognised(line: str, step: int) -> None:
    assert find_step(line) == step
    assert step < len(STEPS)


def test_other_lines_are_no_step() -> None:
    assert find_step("W: nothing to worry about") is None
