"""`upgrade`: that one value of the fleet file changes and nothing else of it; what would be wrong is not written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.store import open_store
from orchestrator.cli.editing import replace_file
from orchestrator.cli.main import PROGRAM, cli
from orchestrator.errors import FleetError
from orchestrator.fleet.rollout import NO_ROLLOUT, Failure, RolloutRecord, RolloutState
from orchestrator.spec.editing import replace_release
from orchestrator.spec.parse import ParsedFleet, parse_fleet_text
from tests.command_line import LAB_FLEET, Run, make_run, write_fleet
from tests.rollout_views import rollout_record
from tests.spec_texts import AWS, edit

TWO = edit(AWS, "releases:\n", f"releases:\n  10.6.2: {{x86_64: {{url: https://example.org/b, sha256: {'1' * 64}}}}}\n")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(capsys)


def parsed(content: bytes) -> ParsedFleet:
    found = parse_fleet_text(content, "fleet.yaml")
    assert isinstance(found, ParsedFleet), found
    return found


# --- the edit --------------------------------------------------------------------------------------------------------


def test_only_the_release_of_the_lab_s_fleet_file_changes() -> None:
    before = LAB_FLEET.read_bytes()
    after = replace_release(before, "11.0.1")
    changed = [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert changed == [(b"release: 10.5.1", b"release: 11.0.1")]
    assert parsed(after).spec == parsed(before).spec.model_copy(update={"release": "11.0.1"})


@pytest.mark.parametrize(
    ("written", "rewritten"),
    [
        ("release: 10.5.1  # since May", "release: 10.6.2  # since May"),
        ("release:    '10.5.1'", "release:    '10.6.2'"),
        ('"release": "10.5.1"', '"release": "10.6.2"'),
        ('release: "10.5\\x2e1" # odd', 'release: "10.6.2" # odd'),
        ("release: >-\n  10.5.1", "release: >-\n  10.6.2"),
        ("release:\n    # 10.5.1 was bad\n    10.5.1", "release:\n    # 10.5.1 was bad\n    10.6.2"),
        ("? release\n: 10.5.1", "? release\n: 10.6.2"),
    ],
)
def test_the_value_is_replaced_however_it_is_written(written: str, rewritten: str) -> None:
    text = edit(TWO, "release: 10.5.1\n", f"{written}\n")
    assert replace_release(text.encode(), "10.6.2") == edit(TWO, "release: 10.5.1\n", f"{rewritten}\n").encode()


COMMENTS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp", "Cn", "Co")), max_size=20),
    max_size=3,
).map(lambda lines: "".join(f"# {line} release: 10.5.1\n" for line in lines))


@given(
    order=st.permutations(["fleet", "network", "releases", "release", "cloud", "regions", "partners", "ssh"]),
    comments=st.lists(COMMENTS, min_size=8, max_size=8),
    quote=st.sampled_from(["", "'", '"']),
    ends=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
)
def test_whatever_stands_around_it_stays_byte_for_byte(
    order: list[str], comments: list[str], quote: str, ends: str, mark: bool
) -> None:
    def write(version: str) -> bytes:
        parts = {part.partition(":")[0]: part for part in split_top(TWO)}
        parts["release"] = f"release: {quote}{version}{quote} # release: 10.5.1\n"
        text = "".join(f"{comment}{parts[key]}" for key, comment in zip(order, comments, strict=True))
        return f"{chr(0xFEFF) if mark else ''}{text.replace(chr(10), ends)}".encode()

    assert replace_release(write("10.5.1"), "10.6.2") == write("10.6.2")


def split_top(text: str) -> list[str]:
    """Split a file in block style at its top keys."""
    parts: list[str] = []
    for line in text.splitlines(keepends=True):
        if line[0] in " -#":
            parts[-1] += line
        else:
            parts.append(line)
    return parts


def test_a_release_deeper_down_is_another_one() -> None:
    with pytest.raises(ValueError, match="there is no release in this file"):
        replace_release(b"a: {release: 1}\nb: [release, 10.5.1]\n", "10.6.2")


# --- the command -----------------------------------------------------------------------------------------------------


def test_it_shows_the_difference_writes_and_says_what_is_next(run: Run, tmp_path: Path) -> None:
    path = write_fleet(tmp_path, TWO)
    path.chmod(0o640)
    ended = run("--fleet", path, "upgrade", "10.6.2", "--yes")
    assert ended.code == 0
    assert [line for line in ended.out.splitlines() if line[0] in "+-" and line[1] not in "+-"] == [
        "-release: 10.5.1",
        "+release: 10.6.2",
    ]
    assert "asks for 10.6.2 now" in ended.err
    assert f"genesis-fleet --fleet {path} plan" in ended.err
    assert path.read_text() == edit(TWO, "release: 10.5.1", "release: 10.6.2")
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fleet.yaml", "network"]


def test_a_dry_run_shows_the_same_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    path = write_fleet(tmp_path, TWO)
    ended = run("--fleet", path, "upgrade", "10.6.2", "--dry-run")
    assert (ended.code, "+release: 10.6.2" in ended.out, "nothing was written" in ended.err) == (0, True, True)
    assert path.read_text() == TWO


def test_without_a_yes_nothing_is_written(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_fleet(tmp_path, TWO)
    monkeypatch.setattr("click.confirm", lambda *_args, **_options: False)
    ended = run("--fleet", path, "upgrade", "10.6.2")
    assert (ended.code, "nobody said yes" in ended.err) == (1, True)
    assert path.read_text() == TWO


def test_what_is_wanted_already_is_no_change(run: Run, tmp_path: Path) -> None:
    path = write_fleet(tmp_path, TWO)
    ended = run("--fleet", path, "upgrade", "10.5.1")
    assert (ended.code, ended.out) == (0, "")
    assert "asks for 10.5.1 already" in ended.err


def test_an_unknown_release_is_answered_with_those_there_are_and_how_to_add_one(run: Run, tmp_path: Path) -> None:
    ended = run("--fleet", write_fleet(tmp_path, TWO), "upgrade", "12.0.0", "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert "knows no release 12.0.0; it knows 10.6.2, 10.5.1" in ended.err
    assert "`12.0.0: {x86_64: {url: https://…, sha256: …}}`" in ended.err


def test_a_file_that_would_be_wrong_is_not_written(run: Run, tmp_path: Path) -> None:
    # The relays are x86_64, and this release is there for another architecture alone.
    path = write_fleet(tmp_path, edit(TWO, "10.6.2: {x86_64:", "10.6.2: {aarch64:"))
    before = path.read_bytes()
    ended = run("--fleet", path, "upgrade", "10.6.2", "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert "fleet.yaml:" in ended.err
    assert path.read_bytes() == before


def test_a_link_stays_a_link(run: Run, tmp_path: Path) -> None:
    path = write_fleet(tmp_path, TWO)
    link = tmp_path / "network" / "linked.yaml"
    link.symlink_to(path)
    assert run("--fleet", link, "upgrade", "10.6.2", "--yes").code == 0
    assert link.is_symlink()
    assert "release: 10.6.2" in path.read_text()


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_bytes(b"theirs")
    with pytest.raises(FleetError, match="changed by somebody else"):
        replace_file(path, b"before", b"ours")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"theirs"


def test_it_warns_of_what_failed_before_and_of_a_rollout_that_is_not_complete(run: Run, tmp_path: Path) -> None:
    path = write_fleet(tmp_path, TWO)
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    failure = Failure("d" * 64, "10.6.2", "demo-eu-central-1-01", "exited with 1", at)
    running = rollout_record(RolloutState.HALTED)
    store = open_store(f"sqlite:///{tmp_path}/state/store.db", "demo")
    assert store.save_rollout(RolloutRecord(running.current, failures={"d" * 64: failure}), NO_ROLLOUT, {}, [])
    store.close()
    ended = run("--fleet", path, "upgrade", "10.6.2", "--dry-run")
    assert ended.code == 0
    assert "10.6.2 has failed before, on demo-eu-central-1-01 at 2026-11-22 12:00 UTC: exited with 1" in ended.err
    assert "the rollout to 11.0.1 is not complete (halted): this wish takes its place" in ended.err


def test_a_store_that_cannot_be_read_does_not_stop_the_edit(run: Run, tmp_path: Path) -> None:
    path = write_fleet(tmp_path, f"{TWO}controller: {{store: nonsense}}\n")
    assert run("--fleet", path, "upgrade", "10.6.2", "--yes").code == 0


def test_versions_are_completed_from_the_fleet_file(tmp_path: Path) -> None:
    completed = ShellComplete(cli, {}, PROGRAM, "_COMPLETE")
    path = write_fleet(tmp_path, TWO)
    found = completed.get_completions(["--fleet", str(path), "upgrade"], "10.")
    assert [item.value for item in found] == ["10.6.2", "10.5.1"]
    assert completed.get_completions(["--fleet", str(tmp_path / "none"), "upgrade"], "") == []
