"""Files on a host: whole or not at all, in a folder that stands for the host's root."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from playbooks.module_utils.genesis.files import Wish, find_differences, parse_wishes, read_file, write_files
from playbooks.module_utils.genesis.machine import Machine, Refused

ME = pwd.getpwuid(os.geteuid()).pw_name
MY_GROUP = grp.getgrgid(os.getegid()).gr_name


def wish(path: str, content: str = "new", mode: str = "0644", owner: str = ME) -> Wish:
    return Wish(path, content, owner, MY_GROUP, mode)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_written_file_has_content_owner_and_mode(machine: Machine) -> None:
    write_files(machine, [wish("/etc/a/b", "text", "0640")])
    found = read_file(machine, "/etc/a/b")
    assert found is not None
    assert (found.content, found.owner, found.group, found.mode) == (b"text", ME, MY_GROUP, "0640")
    assert everything_in(machine.root) == ["etc", "etc/a", "etc/a/b"]


@pytest.mark.parametrize(
    ("content", "mode"), [("old", "0644"), ("new", "0600")], ids=["another content", "another mode"]
)
def test_a_file_differs_by_content_or_mode(machine: Machine, content: str, mode: str) -> None:
    write_files(machine, [wish("/a", content, mode)])
    assert [d.wish.path for d in find_differences(machine, [wish("/a")])] == ["/a"]


def test_a_file_as_wished_does_not_differ(machine: Machine) -> None:
    write_files(machine, [wish("/a")])
    assert find_differences(machine, [wish("/a")]) == ()


def test_mode_alone_does_not_count_as_another_content(machine: Machine) -> None:
    write_files(machine, [wish("/a", mode="0600")])
    (difference,) = find_differences(machine, [wish("/a")])
    assert not difference.content_differs


def test_a_link_in_place_of_a_file_is_replaced_and_its_target_left_alone(machine: Machine) -> None:
    machine.at("/secret").write_text("untouched")
    machine.at("/a").symlink_to(machine.at("/secret"))
    assert len(find_differences(machine, [wish("/a")])) == 1
    write_files(machine, [wish("/a")])
    assert not machine.at("/a").is_symlink()
    assert machine.at("/secret").read_text() == "untouched"


def test_a_link_laid_where_the_temporary_file_goes_is_not_followed(machine: Machine) -> None:
    machine.at("/secret").write_text("untouched")
    machine.at("/.a.genesis-new").symlink_to(machine.at("/secret"))
    write_files(machine, [wish("/a")])
    assert machine.at("/secret").read_text() == "untouched"
    assert machine.at("/a").read_text() == "new"


def test_one_file_that_cannot_be_written_leaves_all_as_they_were(machine: Machine) -> None:
    write_files(machine, [wish("/etc/a", "old")])
    before = everything_in(machine.root)
    with pytest.raises(Refused, match="nobody-such does not exist"):
        write_files(machine, [wish("/etc/a"), wish("/etc/new/b"), wish("/etc/c", owner="nobody-such")])
    assert machine.at("/etc/a").read_text() == "old"
    assert everything_in(machine.root) == before


def test_a_folder_in_the_way_is_named(machine: Machine) -> None:
    machine.at("/a").mkdir()
    with pytest.raises(Refused, match="/a is a folder"):
        write_files(machine, [wish("/a")])


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a tiny disk needs root")
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=False)
    if mounted.returncode != 0:
        pytest.skip("this host mounts no tmpfs")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_said_clearly_and_leaves_all_as_it_was(tiny_disk: Path) -> None:
    machine = Machine(tiny_disk)
    write_files(machine, [wish("/etc/a", "old"), wish("/etc/b", "old")])
    before = everything_in(tiny_disk)
    with pytest.raises(Refused, match="disk full"):
        write_files(machine, [wish("/etc/a", "new"), wish("/etc/deep/b", "x" * 100_000)])
    assert machine.at("/etc/a").read_text() == "old"
    assert everything_in(tiny_disk) == before


@pytest.mark.parametrize("path", ["relative", "/a/../b", "/a//b", "/a/"])
def test_a_path_that_is_not_plain_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="not a plain absolute path"):
        parse_wishes([{"path": path, "content": ""}])


def test_a_path_listed_twice_is_refused() -> None:
    with pytest.raises(Refused, match="listed twice"):
        parse_wishes([{"path": "/a", "content": "1"}, {"path": "/a", "content": "2"}])
