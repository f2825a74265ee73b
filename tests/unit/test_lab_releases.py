"""Lab releases: the same bytes everywhere, laid out as the real ones, and runnable."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.node.flaws import GoesStale
from orchestrator.lab.releases.bad import KINDS, bad_version, build_bad_release, build_bad_releases, render_bad_release
from orchestrator.lab.releases.offers import VERSIONS, build_offers, find_offers
from orchestrator.lab.releases.server import serve_releases
from orchestrator.lab.releases.tarball import build_release, read_sources, render_release, store_gzip


def test_a_release_is_the_same_bytes_each_time_and_has_no_trace_of_its_maker(tmp_path: Path) -> None:
    release = build_release("11.0.1", tmp_path)
    content = (tmp_path / release.file_name).read_bytes()
    assert content == render_release("11.0.1")
    assert hashlib.sha256(content).hexdigest() == release.sha256
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
    assert {m.mode for m in members if m.isfile()} == {0o755, 0o644}


def test_the_name_of_a_release_says_version_and_architecture(tmp_path: Path) -> None:
    release = build_release("10.5.1", tmp_path, architecture="arm64")
    assert release.file_name == "cardano-node-10.5.1-linux-arm64.tar.gz"


def test_what_is_no_version_is_not_built(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a release"):
        build_release("latest.x", tmp_path)


def test_an_unpacked_release_says_its_version_without_anything_of_ours_around(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(render_release("10.6.0"))) as tar:
        tar.extractall(tmp_path)
    program = tmp_path / "bin" / "cardano-node"
    (tmp_path / "link").symlink_to(program)
    command = [sys.executable, str(tmp_path / "link"), "--version"]
    shown = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert shown.startswith("cardano-node 10.6.0 - linux-")
    assert "\ngit rev " in shown
    assert not list(tmp_path.rglob("__pycache__")), "a release on disk stays as it was unpacked"


def test_a_release_carries_all_that_the_node_imports(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(render_release("11.0.1"))) as tar:
        tar.extractall(tmp_path)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import orchestrator.lab.node.node as n; print(n.__file__)"
    command = [sys.executable, "-c", code, str(tmp_path / "share" / "lab-node")]
    shown = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert shown.startswith(str(tmp_path))


def test_sources_are_only_our_own_python() -> None:
    assert all(path.startswith("orchestrator/") and path.endswith(".py") for path in read_sources())


@given(st.binary(max_size=200_000))
def test_the_uncompressed_gzip_is_read_by_any_other(content: bytes) -> None:
    assert gzip.decompress(store_gzip(content)) == content


def test_releases_are_served_and_nothing_else_is(tmp_path: Path) -> None:
    release = build_release("11.0.1", tmp_path)
    with serve_releases(tmp_path, "127.0.0.1") as server:
        with urllib.request.urlopen(f"{server.url}/{release.file_name}") as response:
            assert hashlib.sha256(response.read()).hexdigest() == release.sha256
        for path in ("/", "/cardano-node-9.9.9-linux-amd64.tar.gz"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(server.url + path)
            assert refused.value.code == 404
            refused.value.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_release_is_the_same_bytes_each_time_and_like_no_other(kind: str) -> None:
    content = render_bad_release(kind)
    assert content == render_bad_release(kind)
    assert content not in {render_bad_release(other) for other in KINDS if other != kind}


def test_bad_releases_have_versions_that_no_good_one_has_and_that_say_their_line() -> None:
    versions = [bad_version(kind, "10.5.1") for kind in KINDS]
    assert len(set(versions)) == len(KINDS)
    assert not set(versions) & set(VERSIONS)
    assert all(re.fullmatch(r"10\.5\.9\d\d", version) for version in versions)


def test_only_the_checksum_that_is_to_be_wrong_is_wrong(tmp_path: Path) -> None:
    built = build_bad_releases(tmp_path)
    wrong = [
        kind
        for kind, release in built.items()
        if hashlib.sha256((tmp_path / release.file_name).read_bytes()).hexdigest() != release.sha256
    ]
    assert wrong == ["wrong-checksum"]


def test_a_bad_release_may_be_bad_after_another_time(tmp_path: Path) -> None:
    build_bad_release("goes-stale", tmp_path, flaw=GoesStale(3))
    (path,) = tmp_path.iterdir()
    with tarfile.open(path) as tar:
        entry = json.load(tar.extractfile("share/lab-node/release.json"))  # type: ignore[arg-type]
    assert entry["flaw"] == {"kind": "goes-stale", "seconds": 3}


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"wrong-checksum"}))
def test_only_one_bad_release_says_another_version_than_it_is_called(kind: str, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(render_bad_release(kind))) as tar:
        tar.extractall(tmp_path)
    command = [sys.executable, str(tmp_path / "bin" / "cardano-node"), "--version"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert shown.startswith(f"cardano-node {bad_version(kind)} ") == (kind != "other-version")


def test_what_is_offered_is_what_lies_there_and_what_is_missing_is_written(tmp_path: Path) -> None:
    built = build_offers(tmp_path)
    assert {offer.kind for offer in built} == {None, *KINDS}
    older = tmp_path / built[0].release.file_name
    older.write_bytes(b"made by an older lab")
    (tmp_path / built[1].release.file_name).unlink()
    found = find_offers(tmp_path)
    assert found[0].release.sha256 == hashlib.sha256(b"made by an older lab").hexdigest()
    assert found[1:] == built[1:]
    assert (tmp_path / built[1].release.file_name).is_file()
