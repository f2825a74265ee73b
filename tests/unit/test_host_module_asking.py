"""What a host finds out from its node: metrics on the loopback, peers in the kernel's tables, a reload in the journal."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from playbooks.module_utils.genesis import metrics
from playbooks.module_utils.genesis.connections import Connection, address_text, ask_kernel, read_tables
from playbooks.module_utils.genesis.inspecting import inspect
from playbooks.module_utils.genesis.machine import RELOAD_CONFIRMED, RELOAD_SIGNALLED, RUN, Machine, Ran
from playbooks.module_utils.genesis.peers import read_peers
from playbooks.module_utils.genesis.reloading import (
    Answer,
    await_answer,
    await_readiness,
    judge_lines,
    read_answer,
    read_signalled,
)

BODY = "a_slotNum_int 5\n# TYPE a_other gauge\na_other 6\na_blockNum_int 7\n"
NEW_TAKEN = '{"at":"2026-01-01T00:00:00Z","ns":"Startup.NetworkConfig","data":{"kind":"NetworkConfig","localRoots":[]}}'
NEW_BEGUN = '{"at":"2026-01-01T00:00:00Z","ns":"Startup.NetworkConfigUpdate","data":{"kind":"NetworkConfigUpdate"}}'
LEGACY_BEGUN = "[h:cardano.node.startup:Notice:1] [2026-01-01 00:00:00.00 UTC] Performing topology configuration update"
LEGACY_JSON = '{"app":[],"data":{"kind": "NetworkConfig"},"ns":["cardano.node.startup"],"sev":"Info"}'
EXCEPTION = (
    "cardano-node: Cardano.Node.Configuration.TopologyP2P.readTopologyFile: Is your topology file formatted correctly?"
)


# --- metrics ---------------------------------------------------------------------------------------------------------


@contextmanager
def answering(answer: Callable[[bytes], bytes], *, stays_open: bool = True) -> Iterator[int]:
    """Serve one connection: read once, as the node's server does, answer, and keep the connection open like it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        done = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer(connection.recv(2048)))
                if stays_open:
                    done.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join()


def http(body: str, head: str = "HTTP/1.1 200 OK") -> bytes:
    return f"{head}\r\nContent-Length: {len(body)}\r\nContent-Type: text/plain\r\n\r\n{body}".encode()


def test_only_lines_with_wanted_names_come_home_though_the_server_never_closes() -> None:
    asked: list[bytes] = []
    with answering(lambda request: asked.append(request) or http(BODY)) as port:
        assert metrics.read_metrics(port, ["slotNum", "blockNum"]) == ("a_slotNum_int 5\na_blockNum_int 7\n", "")
    assert asked[0].startswith(b"GET /metrics HTTP/1.1\r\n")
    assert len(asked[0]) < 2048
    assert b"Accept: */*\r\n" in asked[0]


def test_a_body_in_chunks_is_put_together() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na_slo\r\nb;x=y\r\ntNum_int 5\n\r\n0\r\n\r\n"
    with answering(lambda _: chunked) as port:
        assert metrics.read_metrics(port, ["slotNum"]) == ("a_slotNum_int 5\n", "")


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    with answering(lambda _: b"HTTP/1.0 200 OK\r\n\r\na_slotNum_int 5", stays_open=False) as port:
        assert metrics.read_metrics(port, []) == ("a_slotNum_int 5\n", "")


def test_a_port_where_nobody_listens_is_said() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    assert metrics.read_metrics(port, []) == ("", f"nothing listens on 127.0.0.1:{port}")


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "TIMEOUT_SECONDS", 0.05)
    with answering(lambda _: b"") as port:
        text, missing = metrics.read_metrics(port, [])
    assert (text, missing) == ("", f"127.0.0.1:{port} did not answer within 0 s")


@pytest.mark.parametrize(
    ("raw", "missing"),
    [
        (http("415", "HTTP/1.1 415 Unsupported Media Type"), "answered 415 to GET /metrics"),
        (b"SSH-2.0-OpenSSH\r\n", "answered something else than HTTP"),
        (b"", "answered something else than HTTP"),
    ],
)
def test_an_answer_that_is_none_is_said(raw: bytes, missing: str) -> None:
    assert metrics.pick_lines(raw, []) == ("", missing)


def test_a_line_that_was_cut_off_stays_behind() -> None:
    assert metrics.pick_lines(http("a_slotNum_int 5\na_blockNum_int 7"), [], ended=False) == ("a_slotNum_int 5\n", "")


def test_what_comes_home_is_bounded() -> None:
    text, _ = metrics.pick_lines(http("a_slotNum_int 5\n" * 20_000), ["slotNum"])
    assert len(text) <= metrics.MOST_KEPT


# --- peers -----------------------------------------------------------------------------------------------------------

HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def no_netlink() -> list[Connection]:
    raise OSError("no such interface")


def row(remote: str, state: str, inode: int) -> str:
    return (
        f"   0: 0100007F:0BB9 {remote}:0BB9 {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1\n"
    )


def machine_with(folder: Path, tcp: str, tcp6: str | None, *inodes: int) -> Machine:
    (folder / "proc/77/net").mkdir(parents=True)
    (folder / "proc/77/fd").mkdir()
    (folder / "proc/77/net/tcp").write_text(HEADING + tcp)
    if tcp6 is not None:
        (folder / "proc/77/net/tcp6").write_text(HEADING + tcp6)
    (folder / "proc/77/fd/0").symlink_to("/dev/null")
    for number, inode in enumerate(inodes, start=3):
        (folder / f"proc/77/fd/{number}").symlink_to(f"socket:[{inode}]")
    return Machine(folder)


def test_peers_are_the_other_ends_of_the_nodes_own_established_connections(tmp_path: Path) -> None:
    tcp = (
        row("0100000A", "01", 11)  # the node's
        + row("0200000A", "01", 12)  # another process's
        + row("0300000A", "06", 13)  # over
        + row("0100007F", "01", 14)  # this host's own, asking for metrics
    )
    tcp6 = row("B80D0120000000000000000001000000", "01", 15) + row("0000000000000000FFFF00000400000A", "01", 16)
    machine = machine_with(tmp_path, tcp, tcp6, 11, 13, 14, 15, 16)
    assert read_peers(machine, 77, no_netlink) == ["10.0.0.1", "10.0.0.4", "2001:db8::1"]


def test_the_kernels_own_list_is_taken_before_its_tables(tmp_path: Path) -> None:
    machine = machine_with(tmp_path, row("0300000A", "01", 11), None, 11, 12)
    assert read_peers(machine, 77, lambda: [(11, "10.0.0.1"), (12, "::1"), (13, "10.0.0.2")]) == ["10.0.0.1"]


def test_a_host_without_ipv6_has_peers_all_the_same(tmp_path: Path) -> None:
    machine = machine_with(tmp_path, row("0100000A", "01", 11), None, 11)
    assert read_peers(machine, 77, no_netlink) == ["10.0.0.1"]


def test_peers_of_no_process_are_unknown_and_not_none(tmp_path: Path) -> None:
    assert read_peers(Machine(tmp_path), 0) is None
    assert read_peers(Machine(tmp_path), 77) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_kernels_list_and_its_tables_say_the_same(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip(f"this host has no {address}")
    with closing(listener), socket.create_connection(listener.getsockname()[:2]) as caller:
        inode = os.fstat(caller.fileno()).st_ino
        assert (inode, address) in read_tables(Path("/proc/self/net"))
        assert (inode, address) in ask_kernel()


def test_an_address_of_ipv4_in_disguise_is_told_as_what_it_is() -> None:
    assert address_text(bytes(10) + b"\xff\xff\x0a\x00\x00\x04") == "10.0.0.4"


# --- reload ----------------------------------------------------------------------------------------------------------


@dataclass
class Journal:
    """Answers as systemctl and journalctl would."""

    lines: list[str] = field(default_factory=list)
    broken: bool = False
    asked: list[str] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], *, stdin: str = "", timeout_seconds: float = 60) -> Ran:
        self.asked.append(" ".join(argv))
        if argv[0] != "journalctl":
            return Ran(0, "LoadState=loaded\nActiveState=active\nMainPID=77\n", "")
        if self.broken:
            return Ran(1, "", "Compiled without pattern matching support")
        return Ran(0 if self.lines else 1, "".join(f"{line}\n" for line in self.lines), "")


def reloaded(folder: Path, journal: Journal, pause: Callable[[float], None] = lambda _: None) -> Machine:
    """A machine whose unit has just sent the signal."""
    machine = Machine(folder, journal, pause)
    machine.at(RUN).mkdir(parents=True)
    machine.at(RELOAD_SIGNALLED).touch()
    return machine


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ([], Answer(taken=False)),
        ([NEW_BEGUN], Answer(taken=False)),
        ([NEW_BEGUN, NEW_TAKEN], Answer(taken=True)),
        ([LEGACY_BEGUN, "[h:cardano.node.startup:Info:1] [t] ", "Local Root Groups:"], Answer(taken=True)),
        ([LEGACY_BEGUN, LEGACY_JSON], Answer(taken=True)),
        (["[t][h:Startup.NetworkConfig](Info,1) ", "Local Root Groups:"], Answer(taken=True)),
        ([NEW_BEGUN, EXCEPTION], Answer(taken=False, said=EXCEPTION)),
        # One reload after the other: the last counts.
        ([NEW_BEGUN, NEW_TAKEN, NEW_BEGUN, EXCEPTION], Answer(taken=False, said=EXCEPTION)),
        ([NEW_BEGUN, EXCEPTION, NEW_BEGUN, NEW_TAKEN], Answer(taken=True)),
    ],
)
def test_the_nodes_own_words_tell_whether_it_took_up_a_topology(lines: list[str], answer: Answer) -> None:
    assert judge_lines(lines) == answer


def test_an_error_in_the_machines_format_is_told_in_its_own_words() -> None:
    line = '{"ns":"Startup.NetworkConfigUpdateError","data":{"kind":"NetworkConfigUpdateError","error":"bad  file"}}'
    assert judge_lines([NEW_BEGUN, line]) == Answer(taken=False, said="bad file")


def test_the_journal_is_asked_from_the_signal_on(tmp_path: Path) -> None:
    journal = Journal([NEW_BEGUN, NEW_TAKEN])
    machine = reloaded(tmp_path, journal)
    assert read_answer(machine, 1_790_000_000_000_123_456) == Answer(taken=True)
    assert "--since=@1790000000.000123 " in journal.asked[0]


def test_a_journal_that_cannot_be_asked_proves_nothing(tmp_path: Path) -> None:
    answer = read_answer(reloaded(tmp_path, Journal(broken=True)), 5)
    assert answer.taken is None
    assert "pattern matching" in answer.said


def test_a_confirmation_is_noted_and_the_journal_then_left_alone(tmp_path: Path) -> None:
    journal = Journal([NEW_BEGUN, NEW_TAKEN])
    machine = reloaded(tmp_path, journal)
    assert await_answer(machine, None) == Answer(taken=True)
    journal.asked.clear()
    signalled = read_signalled(machine)
    assert signalled is not None
    assert read_answer(machine, signalled) == Answer(taken=True)
    assert journal.asked == []


def test_a_confirmation_of_one_reload_says_nothing_about_the_next(tmp_path: Path) -> None:
    journal = Journal([NEW_BEGUN, NEW_TAKEN])
    machine = reloaded(tmp_path, journal)
    await_answer(machine, None)
    journal.lines = []
    assert read_answer(machine, (read_signalled(machine) or 0) + 1) == Answer(taken=False)


def test_a_node_that_answers_late_is_waited_for(tmp_path: Path) -> None:
    journal = Journal()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            journal.lines = [NEW_BEGUN, NEW_TAKEN]

    assert await_answer(reloaded(tmp_path, journal, pause), None) == Answer(taken=True)
    assert len(pauses) == 3


def test_a_signal_that_was_sent_before_is_not_waited_for_again(tmp_path: Path) -> None:
    journal = Journal([NEW_BEGUN, NEW_TAKEN])
    pauses: list[float] = []
    machine = reloaded(tmp_path, journal, pauses.append)
    assert await_answer(machine, read_signalled(machine)) == Answer(taken=False)
    assert 4 < sum(pauses) < 6
    assert not machine.at(RELOAD_CONFIRMED).exists()


def test_a_refusal_is_not_waited_out(tmp_path: Path) -> None:
    pauses: list[float] = []
    machine = reloaded(tmp_path, Journal([NEW_BEGUN, EXCEPTION]), pauses.append)
    assert await_answer(machine, None) == Answer(taken=False, said=EXCEPTION)
    assert len(pauses) == 1


def caught(folder: Path, mask: str) -> None:
    (folder / "proc/77").mkdir(parents=True, exist_ok=True)
    (folder / "proc/77/status").write_text(f"Name:\tnode\nSigIgn:\t0000000000001000\nSigCgt:\t{mask}\nCapInh:\t0\n")


def test_a_process_that_does_not_catch_the_signal_yet_is_waited_for(tmp_path: Path) -> None:
    caught(tmp_path, "0000000000000002")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            caught(tmp_path, "0000000000004003")

    assert await_readiness(Machine(tmp_path, pause=pause), 77)
    assert len(pauses) == 3


def test_a_process_that_never_catches_the_signal_is_not_ready(tmp_path: Path) -> None:
    caught(tmp_path, "0000000000000002")
    assert not await_readiness(Machine(tmp_path, pause=lambda _: None), 77)


def test_a_process_that_cannot_be_seen_is_signalled_as_systemd_knows_it(tmp_path: Path) -> None:
    assert await_readiness(Machine(tmp_path, pause=lambda _: None), 77)


# --- all of it in one look -------------------------------------------------------------------------------------------


def test_a_look_tells_what_became_of_a_reload_and_writes_nothing(tmp_path: Path) -> None:
    machine = reloaded(tmp_path, Journal([NEW_BEGUN, EXCEPTION]))
    before = sorted(tmp_path.rglob("*"))
    facts = inspect(machine)
    assert (facts["reload_logged"], facts["reload_answer"]) == (False, EXCEPTION)
    assert 0 <= facts["reloaded_seconds_ago"] < 60
    assert sorted(tmp_path.rglob("*")) == before


def test_a_look_does_not_ask_the_journal_of_a_node_that_was_never_reloaded(tmp_path: Path) -> None:
    journal = Journal([NEW_BEGUN, NEW_TAKEN])
    facts = inspect(Machine(tmp_path, journal))
    assert (facts["reload_logged"], facts["reloaded_seconds_ago"]) == (None, None)
    assert not [command for command in journal.asked if command.startswith("journalctl")]


def test_a_look_brings_the_nodes_metrics_and_peers(tmp_path: Path) -> None:
    machine_with(tmp_path, row("0100000A", "01", 11), None, 11)
    with answering(lambda _: http(BODY)) as port:
        facts = inspect(Machine(tmp_path, Journal()), port, ["slotNum"])
    assert (facts["metrics"], facts["metrics_missing"]) == ("a_slotNum_int 5\n", "")
    assert facts["peers"] == []  # known to have none: the kernel knows nothing of socket 11


def test_a_node_that_does_not_run_is_not_asked(tmp_path: Path) -> None:
    def systemd(argv: Sequence[str], *, stdin: str = "", timeout_seconds: float = 60) -> Ran:
        return Ran(0, "LoadState=loaded\nActiveState=failed\n", "")

    with answering(lambda _: http(BODY)) as port:
        facts = inspect(Machine(tmp_path, systemd), port, [])
        socket.create_connection(("127.0.0.1", port)).close()
    assert (facts["metrics"], facts["metrics_missing"], facts["peers"]) == ("", "the node does not run", None)


def systemd_that_says(**properties: str) -> Machine:
    text = "LoadState=loaded\n" + "".join(f"{name}={value}\n" for name, value in properties.items())
    return Machine(Path("/nowhere"), lambda *_, **__: Ran(0, text, ""))


@pytest.mark.parametrize(
    ("active", "restarts", "age"), [("active", 0, 12.0), ("activating", 3, 12.0), ("failed", 10, None)]
)
def test_a_look_tells_how_often_systemd_restarted_the_node_and_how_long_its_process_runs(
    active: str, restarts: int, age: float | None
) -> None:
    began = str(round((time.monotonic() - 12) * 1e6))
    properties = {"ActiveState": active, "NRestarts": str(restarts), "ExecMainStartTimestampMonotonic": began}
    facts = inspect(systemd_that_says(**properties))
    assert facts["restarts"] == restarts
    assert facts["started_seconds_ago"] == (None if age is None else pytest.approx(age, abs=5))


def test_a_restart_counts_from_the_crash_on_not_only_after_its_pause() -> None:
    facts = inspect(systemd_that_says(ActiveState="activating", SubState="auto-restart", NRestarts="0"))
    assert facts["restarts"] == 1
    assert facts["detail"], "and the reason is told at once"


def test_a_node_that_was_never_started_has_no_age() -> None:
    facts = inspect(systemd_that_says(ActiveState="activating", NRestarts="0", ExecMainStartTimestampMonotonic="0"))
    assert (facts["restarts"], facts["started_seconds_ago"]) == (0, None)


def test_without_a_unit_nothing_was_restarted() -> None:
    absent = Machine(Path("/nowhere"), lambda *_, **__: Ran(0, "LoadState=not-found\nActiveState=inactive\n", ""))
    assert inspect(absent)["restarts"] is None


class SearchedJournal:
    """A journal whose every search ends the same way; takes down what it was asked."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.searches: list[Sequence[str]] = []

    def __call__(self, argv: Sequence[str], *, stdin: str = "", timeout_seconds: float = 60) -> Ran:
        if argv[0] != "journalctl":
            return Ran(0, "LoadState=loaded\nActiveState=active\nMainPID=77\n", "")
        self.searches.append(argv)
        return Ran(0 if self.lines else 1, "".join(f"{line}\n" for line in self.lines), "")


LEGACY_METRICS = "cardano_node_metrics_connectionManager_incomingConns 0\n"


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("[h:cardano.node.ChainDB:Info:5] [x] Replayed block: slot 21 out of 1200. Progress: 1.75%", 1.75),
        ("[h:ChainDB.ImmDbEvent](Info,5) Validating chunk no. 3 out of 12. Progress: 25.00%", 25),
        ("[h:ChainDB.ImmDbEvent](Info,5) Validated chunk no. 12 out of 12. Progress: 100.00%", 100),
    ],
)
def test_how_far_a_replay_is_comes_from_the_log_of_this_process_where_no_metric_tells(
    tmp_path: Path, line: str, percent: float
) -> None:
    journal = SearchedJournal(line)
    with answering(lambda _: http(LEGACY_METRICS)) as port:
        facts = inspect(Machine(tmp_path, journal), port, [])
    assert facts["replay_logged"] == percent
    (search,) = journal.searches
    assert "_PID=77" in search
    (pattern,) = (word.removeprefix("--grep=") for word in search if word.startswith("--grep="))
    assert re.search(pattern, line)


def test_a_log_without_progress_tells_none(tmp_path: Path) -> None:
    with answering(lambda _: http(LEGACY_METRICS)) as port:
        assert inspect(Machine(tmp_path, SearchedJournal()), port, [])["replay_logged"] is None


@pytest.mark.parametrize("told", ["blockReplayProgress_real 5", "slotNum_int 12"])
def test_the_log_is_not_searched_where_metrics_tell(tmp_path: Path, told: str) -> None:
    journal = SearchedJournal("Replayed block: slot 1 out of 2. Progress: 50.00%")
    with answering(lambda _: http(f"cardano_node_metrics_{told}\n")) as port:
        assert inspect(Machine(tmp_path, journal), port, [])["replay_logged"] is None
    assert not journal.searches
