"""The lab node's database folder: markers, lock, and headers that survive a power failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.lab.node.block import make_body
from orchestrator.lab.node.database import Database, DatabaseRefused
from orchestrator.lab.node.header import Header, make_header


def make_headers(count: int) -> list[Header]:
    headers: list[Header] = []
    for number in range(count):
        previous = headers[-1].hash if headers else None
        headers.append(make_header(number, number + 1, previous, 0, 0, make_body(b"seed", 0, number + 1)))
    return headers


def body_of(header: Header) -> bytes:
    return make_body(b"seed", header.issuer, header.slot)


def fill(folder: Path, headers: list[Header], *, mark_clean: bool = True) -> None:
    database = Database(folder, 4242)
    list(database.load_headers())
    database.mark_running()
    for header in headers:
        database.append(header, body_of(header))
    database.close(mark_clean=mark_clean)


def load(folder: Path) -> list[Header]:
    database = Database(folder, 4242)
    headers = list(database.load_headers())
    database.close(mark_clean=True)
    return headers


def test_headers_are_there_after_a_restart(tmp_path: Path) -> None:
    fill(tmp_path / "db", make_headers(5))
    assert load(tmp_path / "db") == make_headers(5)


def test_a_header_cut_short_is_forgotten_and_written_over(tmp_path: Path) -> None:
    headers = make_headers(4)
    fill(tmp_path / "db", headers[:3])
    log = tmp_path / "db" / "immutable" / "headers.log"
    log.write_bytes(log.read_bytes()[:-5])
    assert load(tmp_path / "db") == headers[:2]
    fill(tmp_path / "db", headers[2:])
    assert load(tmp_path / "db") == headers


def test_headers_rolled_back_are_gone_from_the_disk(tmp_path: Path) -> None:
    headers = make_headers(6)
    database = Database(tmp_path / "db", 4242)
    for header in headers:
        database.append(header, body_of(header))
    database.roll_back(2)
    database.append(headers[2], body_of(headers[2]))
    database.close(mark_clean=True)
    assert load(tmp_path / "db") == headers[:3]


def test_bodies_are_there_after_a_restart_and_a_rollback(tmp_path: Path) -> None:
    headers = make_headers(6)
    fill(tmp_path / "db", headers)
    database = Database(tmp_path / "db", 4242)
    assert list(database.load_headers()) == headers
    assert [database.body_at(index) for index in range(6)] == [body_of(header) for header in headers]
    database.roll_back(2)
    database.append(headers[2], body_of(headers[2]))
    assert database.body_at(2) == body_of(headers[2])
    database.close(mark_clean=True)
    assert (tmp_path / "db" / "immutable" / "bodies.log").stat().st_size == sum(h.body_size for h in headers[:3])


@pytest.mark.parametrize("spoil", [lambda content: content[:-1], lambda content: content[:-1] + b"\0", lambda _: b""])
def test_a_block_whose_body_is_not_whole_is_forgotten_with_all_after_it(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    headers = make_headers(4)
    fill(tmp_path / "db", headers)
    bodies = tmp_path / "db" / "immutable" / "bodies.log"
    first_two = sum(header.body_size for header in headers[:3])
    content = bodies.read_bytes()
    bodies.write_bytes(spoil(content[:first_two]) + content[first_two:])
    assert len(load(tmp_path / "db")) < 3
    fill(tmp_path / "db", headers[len(load(tmp_path / "db")) :])
    assert load(tmp_path / "db") == headers


def test_blocks_that_are_not_believed_are_forgotten_with_all_after_them(tmp_path: Path) -> None:
    headers = make_headers(5)
    fill(tmp_path / "db", headers)
    database = Database(tmp_path / "db", 4242)
    assert list(database.load_headers(lambda header: header.number != 3)) == headers[:3]
    database.close(mark_clean=True)
    assert load(tmp_path / "db") == headers[:3]


def test_the_marker_is_there_only_between_a_clean_stop_and_the_next_opening(tmp_path: Path) -> None:
    marker = tmp_path / "db" / "clean"
    fill(tmp_path / "db", [])
    assert marker.exists()
    database = Database(tmp_path / "db", 4242)
    assert database.stopped_cleanly
    assert marker.exists(), "opening is not yet running"
    database.mark_running()
    assert not marker.exists()
    database.close(mark_clean=False)
    assert not marker.exists()


def test_a_locked_folder_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path / "db", 4242)
    with pytest.raises(DatabaseRefused, match="is locked"):
        Database(tmp_path / "db", 4242)
    database.close(mark_clean=True)


def test_the_folder_of_another_network_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "db", [])
    with pytest.raises(DatabaseRefused, match="found 4242, expected 1"):
        Database(tmp_path / "db", 1)


def test_a_folder_with_something_else_in_it_is_refused_but_not_a_fresh_file_system(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lab-stop-seconds").touch()
    Database(tmp_path, 4242).close(mark_clean=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").touch()
    with pytest.raises(DatabaseRefused, match=r"letter\.txt"):
        Database(other, 4242)
