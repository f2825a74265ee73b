"""Which of a host's apt sources the machine image is built from."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import LabUnavailable
from orchestrator.lab.machines.sources import parse_deb822_sources, parse_one_line_sources, read_debian_sources

DEB822 = """\
Types: deb deb-src
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://vendor.example
Suites: nodistro
Components: main
"""


def test_the_archive_is_found_in_a_deb822_file() -> None:
    assert list(parse_deb822_sources(DEB822, "bookworm")) == [
        "deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian bookworm main",
        "deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian bookworm-updates main",
    ]


def test_a_disabled_deb822_source_is_left_out() -> None:
    assert list(parse_deb822_sources(DEB822.replace("Types: deb deb-src", "Enabled: no\nTypes: deb"), "bookworm")) == []


def test_the_archive_is_found_in_a_one_line_file() -> None:
    text = (
        "# deb http://old.example bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # ours\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb http://docker.example bookworm stable\n"
    )
    assert list(parse_one_line_sources(text, "bookworm")) == [
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main"
    ]


def test_the_same_source_in_two_files_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    for file in ("sources.list", "sources.list.d/again.list"):
        (tmp_path / file).write_text("deb http://mirror.example/debian bookworm main\n")
    assert read_debian_sources("bookworm", tmp_path) == ("deb http://mirror.example/debian bookworm main",)


def test_a_host_without_the_archive_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.example/ubuntu noble main\n")
    with pytest.raises(LabUnavailable, match="no source of Debian bookworm"):
        read_debian_sources("bookworm", tmp_path)
