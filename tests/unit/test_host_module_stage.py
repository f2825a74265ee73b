"""Staging on a host: downloads over a real local server, hostile archives, and what may never happen."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from playbooks.module_utils.genesis.download import check_url, download
from playbooks.module_utils.genesis.machine import NETWORKS, RELEASES, Machine, Ran, Refused, run_command
from playbooks.module_utils.genesis.release import list_staged, read_marker
from playbooks.module_utils.genesis.staging import Stage, parse_stage, stage
from playbooks.module_utils.genesis.trial import is_same, read_version

VERSION = "10.7.1"


def node_that(*commands: str) -> tuple[str, bytes, int]:
    """A node's program that does this whatever it is asked."""
    return ("bin/cardano-node", "\n".join(["#!/bin/sh", *commands, ""]).encode(), 0o755)


def node_that_says(version: str) -> tuple[str, bytes, int]:
    return node_that(f"echo 'cardano-node {version} - linux-x86_64 - ghc-9.6'", "echo 'git rev 0123456789abcdef'")


NODE = node_that_says(VERSION)


def make_archive(*members: tuple[str, bytes, int], more: Callable[[tarfile.TarFile], None] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content, mode in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
        if more is not None:
            more(archive)
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "", mode: int = 0o644) -> Callable[[tarfile.TarFile], None]:
    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = kind, target, mode
        archive.addfile(info)

    return add


@dataclass
class Server:
    """Serves one body; notes the ranges asked for, and can cut the first answer short."""

    url: str = ""
    body: bytes = b""
    status: int = 200
    location: str = ""
    cut_at: int | None = None
    ranges: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range") or ""
            state.ranges.append(asked)
            begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            body, cut, state.cut_at = state.body[begin:], state.cut_at, None
            self.send_response(206 if asked and state.status == 200 else state.status)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if cut is None else body[:cut])

        def log_message(self, *_: Any) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{listener.server_address[1]}/node.tar.gz"
    yield state
    listener.shutdown()
    listener.server_close()
    thread.join()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, run_as_whoever_tests)


def run_as_whoever_tests(argv: Sequence[str], *, stdin: str = "", timeout_seconds: float = 60) -> Ran:
    """Run the program for real, without the change of user that only root may make."""
    assert argv[0] == "setpriv"
    assert argv[1:3] == ["--reuid=cardano-node", "--regid=cardano-node"]
    return run_command(["setpriv", *argv[argv.index("--") :]], stdin=stdin, timeout_seconds=timeout_seconds)


def wanted(server: Server, sha256: str | None = None, version: str = VERSION, **network: str) -> Stage:
    return parse_stage(
        {
            "release": {
                "version": version,
                "url": server.url,
                "sha256": sha256 or hashlib.sha256(server.body).hexdigest(),
            },
            "network": {"digest": "ab" * 32, "files": network} if network else {},
            "token": 1,
            "allow_http": True,
        }
    )


def folders(machine: Machine) -> list[str]:
    place = machine.at(RELEASES)
    return sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []


def test_a_release_is_unpacked_under_its_version_and_checksum(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE, ("share/doc", b"text", 0o600))
    request = wanted(server)
    assert stage(machine, request) == ["release"]
    place = machine.at(request.release.folder)
    assert (place / "bin/cardano-node").stat().st_mode & 0o777 == 0o755
    assert (place / "share/doc").stat().st_mode & 0o777 == 0o644
    assert list_staged(machine) == {request.release.sha256}
    assert folders(machine) == [place.name]


def test_staging_again_asks_the_server_nothing(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE)
    stage(machine, wanted(server))
    assert stage(machine, wanted(server)) == []
    assert len(server.ranges) == 1


def test_older_releases_stay_beside_the_new_one(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE)
    stage(machine, wanted(server))
    server.body = make_archive(NODE, ("share/new", b"", 0o644))
    stage(machine, wanted(server))
    assert len(folders(machine)) == 2


def test_a_top_folder_in_the_archive_is_left_out(machine: Machine, server: Server) -> None:
    server.body = make_archive(("./cardano-node-10.7.1/bin/cardano-node", *NODE[1:]), ("README", b"r", 0o644))
    request = wanted(server)
    stage(machine, request)
    assert (machine.at(request.release.folder) / "bin/cardano-node").exists()
    assert not (machine.at(request.release.folder) / "README").exists()


def test_a_wrong_checksum_unpacks_nothing_and_leaves_nothing(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE)
    with pytest.raises(Refused, match="checksum mismatch, expected sha256 cdcd"):
        stage(machine, wanted(server, "cd" * 32))
    assert folders(machine) == []


def test_a_release_whose_files_were_changed_is_staged_anew(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE)
    request = wanted(server)
    stage(machine, request)
    (machine.at(request.release.folder) / "bin/cardano-node").write_bytes(b"tampered")
    assert read_marker(machine, request.release.folder) == ""
    assert stage(machine, request) == ["release"]
    assert (machine.at(request.release.folder) / "bin/cardano-node").read_bytes() == NODE[1]


def test_a_download_that_was_cut_off_goes_on_where_it_ended(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE)
    server.cut_at = 10
    with pytest.raises(Refused, match="goes on from here"):
        stage(machine, wanted(server))
    stage(machine, wanted(server))
    assert server.ranges == ["", "bytes=10-"]


def test_a_download_that_takes_too_long_ends_with_a_word_and_goes_on_later(tmp_path: Path, server: Server) -> None:
    server.body = b"x" * 1000
    times = iter([0.0, 99.0])
    with pytest.raises(Refused, match="not finished in the time allowed"):
        download(server.url, "ab" * 32, tmp_path / "part", allow_http=True, limit_seconds=10, now=lambda: next(times))
    assert (tmp_path / "part").exists()


def test_a_missing_release_is_said_with_the_servers_answer(machine: Machine, server: Server) -> None:
    server.status = 404
    with pytest.raises(Refused, match="answered 404"):
        stage(machine, wanted(server, "cd" * 32))


def test_plain_http_is_refused_unless_allowed() -> None:
    check_url("https://releases.example/a", allow_http=False)
    check_url("http://releases.example/a", allow_http=True)
    for url in ("http://releases.example/a", "file:///etc/shadow", "ftp://releases.example/a"):
        with pytest.raises(Refused, match="only https"):
            check_url(url, allow_http=False)


HOSTILE = {
    "absolute": (special("/etc/cron.d/evil", tarfile.REGTYPE), "leaves its folder"),
    "upwards": (special("bin/../../evil", tarfile.REGTYPE), "leaves its folder"),
    "absolute link": (special("bin/link", tarfile.SYMTYPE, "/etc/shadow"), "outside its folder"),
    "upward link": (special("bin/link", tarfile.SYMTYPE, "../../x"), "outside its folder"),
    "hard link out": (special("bin/link", tarfile.LNKTYPE, "../x"), "outside its folder"),
    "device": (special("bin/disk", tarfile.BLKTYPE), "device"),
    "pipe": (special("bin/pipe", tarfile.FIFOTYPE), "device, a pipe"),
    "setuid": (special("bin/root", tarfile.REGTYPE, mode=0o4755), "setuid"),
    "twice": (special("bin/cardano-node", tarfile.SYMTYPE, "other"), "two members of one name"),
    "below a file": (special("bin/cardano-node/x", tarfile.REGTYPE), "no folder"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(machine: Machine, server: Server, kind: str) -> None:
    member, complaint = HOSTILE[kind]
    server.body = make_archive(NODE, more=member)
    with pytest.raises(Refused, match=complaint):
        stage(machine, wanted(server))
    assert folders(machine) == []


TOP = "a/b/cardano-node"
NESTED = {
    "out of the top folder": (
        [special(f"{TOP}/share", tarfile.SYMTYPE, "../../../etc")],
        "outside the release's folder",
    ),
    "beside the top folder": (
        [special(f"{TOP}/bin/x", tarfile.SYMTYPE, "../../other")],
        "outside the release's folder",
    ),
    "through a link and back": (
        [
            special(f"{TOP}/deep/er/link", tarfile.SYMTYPE, "../../bin"),
            special(f"{TOP}/out", tarfile.SYMTYPE, "deep/er/link/../.."),
        ],
        "through a link",
    ),
    "hard link through a link": (
        [
            special(f"{TOP}/share", tarfile.SYMTYPE, "bin"),
            special(f"{TOP}/same", tarfile.LNKTYPE, f"{TOP}/share/cardano-node"),
        ],
        "through a link",
    ),
    "hard link to a link": (
        [
            special(f"{TOP}/bin/node", tarfile.SYMTYPE, "cardano-node"),
            special(f"{TOP}/same", tarfile.LNKTYPE, f"{TOP}/bin/node"),
        ],
        "through a link",
    ),
    "hard link to a file outside the top folder": (
        [special("a/file", tarfile.REGTYPE), special(f"{TOP}/same", tarfile.LNKTYPE, "a/file")],
        "no file of the release",
    ),
}


@pytest.mark.parametrize("kind", NESTED)
def test_a_link_that_leaves_the_release_below_its_top_folder_is_refused(
    machine: Machine, server: Server, kind: str
) -> None:
    members, complaint = NESTED[kind]

    def add(archive: tarfile.TarFile) -> None:
        for member in members:
            member(archive)

    server.body = make_archive((f"{TOP}/bin/cardano-node", b"x", 0o755), more=add)
    with pytest.raises(Refused, match=complaint):
        stage(machine, wanted(server))
    assert folders(machine) == []


def test_links_within_a_top_folder_are_kept_one_behind_the_other(machine: Machine, server: Server) -> None:
    def add(archive: tarfile.TarFile) -> None:
        special(f"{TOP}/lib/node", tarfile.SYMTYPE, "../bin/cardano-node")(archive)
        special(f"{TOP}/node", tarfile.SYMTYPE, "lib/node")(archive)
        special(f"{TOP}/same", tarfile.LNKTYPE, f"{TOP}/bin/cardano-node")(archive)

    server.body = make_archive((f"{TOP}/bin/cardano-node", *NODE[1:]), more=add)
    request = wanted(server)
    stage(machine, request)
    place = machine.at(request.release.folder)
    assert [(place / name).read_bytes() for name in ("node", "same")] == [NODE[1], NODE[1]]


def test_a_file_below_a_link_is_refused(machine: Machine, server: Server) -> None:
    def add(archive: tarfile.TarFile) -> None:
        special("share", tarfile.SYMTYPE, "bin")(archive)
        special("share/evil", tarfile.REGTYPE)(archive)

    server.body = make_archive(NODE, more=add)
    with pytest.raises(Refused, match="no folder"):
        stage(machine, wanted(server))


def test_a_link_within_the_release_is_kept(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE, more=special("bin/node", tarfile.SYMTYPE, "cardano-node"))
    request = wanted(server)
    stage(machine, request)
    assert (machine.at(request.release.folder) / "bin/node").read_bytes() == NODE[1]


@pytest.mark.parametrize(
    "body",
    [b"not an archive", make_archive(NODE)[:100], make_archive(("README", b"", 0o644))],
    ids=["not an archive", "cut short", "no node in it"],
)
def test_what_is_no_release_is_refused_and_leaves_nothing(machine: Machine, server: Server, body: bytes) -> None:
    server.body = body
    with pytest.raises(Refused, match="archive"):
        stage(machine, wanted(server))
    assert folders(machine) == []


def test_a_network_folder_lies_under_its_digest(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE)
    request = wanted(server, **{"shelley-genesis.json": "{}\r\n"})
    assert stage(machine, request) == ["release", "network"]
    assert (machine.at(NETWORKS) / ("ab" * 32) / "shelley-genesis.json").read_bytes() == b"{}\r\n"
    assert "ab" * 32 in list_staged(machine)


def test_a_network_file_name_that_leaves_its_folder_is_refused(server: Server) -> None:
    with pytest.raises(Refused, match="could leave its folder"):
        wanted(server, **{"../evil": ""})


def test_a_version_that_leaves_its_folder_is_refused() -> None:
    with pytest.raises(Refused, match="is not one"):
        parse_stage({"release": {"version": "../x", "url": "", "sha256": "ab" * 32}, "token": 1})


def test_check_mode_says_what_is_missing_and_writes_nothing(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE)
    assert stage(machine, wanted(server), check=True) == ["release"]
    assert list(machine.root.iterdir()) == []


def test_a_release_that_says_another_version_is_refused_naming_both_and_leaves_nothing(
    machine: Machine, server: Server
) -> None:
    server.body = make_archive(node_that_says("10.5.4"))
    with pytest.raises(Refused, match=r"the archive's cardano-node says 10\.5\.4, the fleet file calls it 10\.7\.1"):
        stage(machine, wanted(server))
    assert folders(machine) == []


@pytest.mark.parametrize(
    ("node", "complaint"),
    [
        (node_that("echo oops >&2", "exit 3"), "does not run on this host: oops"),
        (node_that("kill -ILL $$"), "does not run on this host: killed by signal 4"),
        (node_that("echo cardano-cli 10.7.1"), "says no version at all"),
        (("bin/cardano-node", b"\x7fELF for another processor", 0o755), "does not run on this host: "),
        (("bin/cardano-node", b"#!/lib/ld-that-is-not-here\n", 0o755), "lacks its loader"),
    ],
    ids=["fails", "crashes", "something else", "wrong architecture", "without its loader"],
)
def test_a_release_that_does_not_run_here_is_refused_with_its_error_and_leaves_nothing(
    machine: Machine, server: Server, node: tuple[str, bytes, int], complaint: str
) -> None:
    server.body = make_archive(node)
    with pytest.raises(Refused, match=complaint):
        stage(machine, wanted(server))
    assert folders(machine) == []


def test_a_release_that_hangs_when_asked_for_its_version_is_refused_in_bounded_time(
    tmp_path: Path, server: Server
) -> None:
    limits: list[float] = []

    def run(argv: Sequence[str], *, stdin: str = "", timeout_seconds: float = 60) -> Ran:
        limits.append(timeout_seconds)
        return run_command(["sleep", "60"], stdin=stdin, timeout_seconds=timeout_seconds / 1000)

    server.body = make_archive(NODE)
    with pytest.raises(Refused, match="did not end within 30 s"):
        stage(Machine(tmp_path, run), wanted(server))
    assert limits == [30]


def test_a_release_that_was_tried_is_not_tried_again(machine: Machine, server: Server) -> None:
    server.body = make_archive(NODE)
    stage(machine, wanted(server))
    never = Machine(machine.root, lambda *_, **__: pytest.fail("it was run again"))
    assert stage(never, wanted(server)) == []


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("cardano-node 10.5.1 - linux-x86_64 - ghc-9.6\ngit rev ca1ec278070baf4481564a6ba7b4a5b9e3d9f366\n", "10.5.1"),
        ("cardano-node 10.5.1", "10.5.1"),
        ("cardano-node 10.5.1-rc1 - linux", None),
        ("cardano-cli 10.5.1 - linux", None),
        ("", None),
    ],
)
def test_a_version_is_read_from_what_a_node_prints(printed: str, version: str | None) -> None:
    assert read_version(printed) == version


@pytest.mark.parametrize(
    ("said", "version", "same"),
    [
        ("10.6.2", "10.6.2", True),
        ("10.6.0", "10.6.0-pre", True),
        ("10.6", "10.6.0", True),
        ("10.6.20", "10.6.2", False),
        ("10.6.2", "10.6.2.1", False),
    ],
)
def test_a_pre_release_says_the_number_of_its_release(said: str, version: str, same: bool) -> None:
    assert is_same(said, version) == same
