"""The Ansible adapter against real sshd processes on loopback: one playbook of its own, no privileges used."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from orchestrator.adapters.ansible import AnsibleHosts
from orchestrator.adapters.ansible_lost import complaint_of_ssh, told_apart
from orchestrator.adapters.ansible_ssh import known_hosts_lines
from orchestrator.errors import AnsibleNeverRan, AssetsMissing
from orchestrator.execution.ports import HostDone, HostFailed, HostLost, HostResult, HostTarget
from orchestrator.fleet.observation import Unreachable, Unreadable, WrongHostKey

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin")

pytestmark = pytest.mark.skipif(SSHD is None or os.getuid() != 0, reason="needs root and sshd (openssh-server)")

MODULE = """#!/usr/bin/python3
import pathlib, time
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={
    "say": {"type": "str"}, "fail": {"type": "bool", "default": False}, "touch": {"type": "str"}, "wait": {"type": "str"}
})
if module.params["touch"]:
    pathlib.Path(module.params["touch"]).touch()
for _ in range(300 if module.params["wait"] else 0):
    if pathlib.Path(module.params["wait"]).exists():
        break
    time.sleep(0.1)
if module.params["fail"]:
    module.fail_json(msg="as asked")
module.exit_json(changed=module.params["say"] == "change", genesis={"said": module.params["say"]})
"""
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - echo_back:
        say: "{{ genesis_say }}"
        fail: "{{ genesis_fail | default(false) }}"
        touch: "{{ genesis_touch | default(omit) }}"
        wait: "{{ genesis_wait | default(omit) }}"
"""


@dataclass(frozen=True)
class Sshd:
    port: int
    host_key: str


def start_sshd(folder: Path, name: str, authorized: Path) -> tuple[subprocess.Popen[bytes], Sshd]:
    key = folder / f"{name}_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    options = ["ListenAddress=127.0.0.1", f"HostKey={key}", f"AuthorizedKeysFile={authorized}", "StrictModes=no"]
    options += ["PermitRootLogin=yes", "UsePAM=no", f"PidFile={folder / name}.pid"]
    flags = [flag for option in options for flag in ("-o", option)]
    process = subprocess.Popen(
        [str(SSHD), "-D", "-e", "-f", "/dev/null", "-p", str(port), *flags], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    while b"Server listening" not in process.stderr.readline():
        assert process.poll() is None
    return process, Sshd(port, " ".join(key.with_suffix(".pub").read_text().split()[:2]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ansible")


@pytest.fixture(scope="module")
def private_key(folder: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "id"], check=True)
    return folder / "id"


@pytest.fixture(scope="module")
def sshds(folder: Path, private_key: Path) -> Iterator[tuple[Sshd, Sshd]]:
    started = [start_sshd(folder, name, private_key.with_suffix(".pub")) for name in ("one", "two")]
    yield (started[0][1], started[1][1])
    for process, _ in started:
        process.terminate()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture(scope="module")
def playbooks(folder: Path) -> Path:
    place = folder / "playbooks"
    (place / "library").mkdir(parents=True)
    (place / "library" / "echo_back.py").write_text(MODULE)
    (place / "echo.yml").write_text(PLAYBOOK)
    (place / "inspect.yml").write_text(PLAYBOOK)
    (place / "broken.yml").write_text("- hosts: [\n")
    return place


@pytest.fixture
def hosts(playbooks: Path, private_key: Path, tmp_path: Path) -> AnsibleHosts:
    return AnsibleHosts(playbooks, tmp_path / "state", private_key)


def target(name: str, sshd: Sshd, host_key: str | None = None, **variables: object) -> HostTarget:
    keys = (host_key or sshd.host_key,)
    known = {f"genesis_{key}": value for key, value in ({"say": "nothing"} | variables).items()}
    return HostTarget(name, f"i-{name}", "r1", "127.0.0.1", "root", sshd.port, keys, known)


def run(hosts: AnsibleHosts, *targets: HostTarget) -> dict[str, HostResult]:
    results: dict[str, HostResult] = {}

    def keep(ended: HostTarget, result: HostResult) -> None:
        assert ended.relay not in results
        results[ended.relay] = result

    hosts.run_intent("echo", targets, keep)
    return results


def test_each_host_gets_its_own_variables_and_gives_its_own_answer(
    hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd]
) -> None:
    results = run(hosts, target("a", sshds[0], say="change"), target("b", sshds[1], say="two"))
    assert results == {"a": HostDone(True, {"said": "change"}), "b": HostDone(False, {"said": "two"})}


def test_a_failing_and_an_unreachable_and_an_impostor_host_do_not_keep_the_others_from_finishing(
    hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd]
) -> None:
    gone = Sshd(1, sshds[0].host_key)
    results = run(
        hosts,
        target("good", sshds[0], say="fine"),
        target("bad", sshds[0], fail=True),
        target("gone", gone),
        target("impostor", sshds[1], host_key=sshds[0].host_key),
    )
    assert results["good"] == HostDone(False, {"said": "fine"})
    assert results["bad"] == HostFailed("as asked")
    lost, impostor = results["gone"], results["impostor"]
    assert isinstance(lost, HostLost)
    assert not lost.wrong_key
    # Whichever Ansible notices first: what ssh says, or that ssh has gone before it was told what to do.
    assert "refused" in lost.reason or "could not be sent" in lost.reason
    assert isinstance(impostor, HostLost)
    assert impostor.wrong_key


def test_ssh_is_asked_where_ansible_cannot_tell_why_a_host_was_lost(
    sshds: tuple[Sshd, Sshd], private_key: Path, tmp_path: Path
) -> None:
    unsaid = HostLost("Task failed: Data could not be sent to remote host '127.0.0.1'. [Errno 32] Broken pipe")
    gone, impostor = (
        target("gone", Sshd(1, sshds[0].host_key)),
        target("impostor", sshds[1], host_key=sshds[0].host_key),
    )
    ours = target("ours", sshds[0])
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(known_hosts_lines([gone, impostor, ours]))

    def told(asked: HostTarget) -> HostLost:
        return told_apart(unsaid, lambda: complaint_of_ssh(asked, known_hosts, private_key))

    assert told(impostor).wrong_key
    assert not told(gone).wrong_key
    assert "refused" in told(gone).reason
    assert told(ours) == unsaid  # it answers by now: what Ansible said is all that is known


@pytest.mark.parametrize(
    "said",
    [
        HostLost("Host key verification failed.", wrong_key=True),
        HostLost(
            'Data could not be sent to remote host "192.0.2.1". Make sure this host can be reached over ssh: ssh: connect to host '
            "192.0.2.1 port 22: Connection timed out"
        ),
    ],
)
def test_ssh_is_not_asked_again_where_ansible_has_told_what_it_said(said: HostLost) -> None:
    assert told_apart(said, lambda: "Connection refused") == said


def test_whoever_takes_long_over_an_answer_loses_none(
    hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The runner gives the last of Ansible's output five seconds once Ansible has ended; here half of one.
    real = pexpect.spawn.expect
    monkeypatch.setattr(
        pexpect.spawn,
        "expect",
        lambda self, what, timeout=-1, **rest: real(self, what, timeout=min(timeout, 0.5), **rest),
    )
    results: dict[str, HostResult] = {}

    def take_long(asked: HostTarget, result: HostResult) -> None:
        threading.Event().wait(1.5)
        results[asked.relay] = result

    targets = [target("one", sshds[0]), target("two", sshds[1]), target("gone", Sshd(1, sshds[0].host_key))]
    hosts.run_intent("echo", targets, take_long)
    assert {name: type(result) for name, result in results.items()} == {
        "one": HostDone,
        "two": HostDone,
        "gone": HostLost,
    }


def test_a_wrong_key_is_seen_even_while_a_connection_under_another_accepted_key_is_kept_open(
    hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd]
) -> None:
    assert isinstance(run(hosts, target("kept", sshds[0]))["kept"], HostDone)
    again = run(hosts, target("kept", sshds[0], host_key=sshds[1].host_key))["kept"]
    assert isinstance(again, HostLost)
    assert again.wrong_key


def test_observing_tells_an_unreachable_host_from_one_with_a_wrong_key(
    hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd]
) -> None:
    views = hosts.observe_hosts(
        [
            target("gone", Sshd(1, sshds[0].host_key)),
            target("impostor", sshds[1], host_key=sshds[0].host_key),
            target("odd", sshds[0]),
        ]
    )
    assert {name: type(view) for name, view in views.items()} == {
        "i-gone": Unreachable,
        "i-impostor": WrongHostKey,
        "i-odd": Unreadable,  # answered, but not with facts
    }


def test_a_playbook_that_cannot_be_read_says_nothing_about_any_host(
    hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd]
) -> None:
    results: list[HostResult] = []
    with pytest.raises(AnsibleNeverRan) as raised:
        hosts.run_intent("broken", [target("a", sshds[0])], lambda _, result: results.append(result))
    assert "broken" in str(raised.value)
    assert results == []


def test_a_missing_playbook_is_named(hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd]) -> None:
    with pytest.raises(AssetsMissing, match=r"absent\.yml"):
        hosts.run_intent("absent", [target("a", sshds[0])], lambda _, __: None)


def test_nothing_of_a_run_stays_on_disk_but_the_output_of_a_failed_one(
    hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd]
) -> None:
    run(hosts, target("a", sshds[0], fail=True, say="precious-content"))
    assert list((hosts.state / "runs").iterdir()) == []
    kept = list((hosts.state / "failures").iterdir())
    assert len(kept) == 1
    assert "precious-content" not in kept[0].read_text()


def test_the_operators_ansible_and_cloud_settings_do_not_leak_into_a_run(
    playbooks: Path, private_key: Path, tmp_path: Path, sshds: tuple[Sshd, Sshd], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", "False")
    monkeypatch.setenv("ANSIBLE_SSH_EXTRA_ARGS", "-o StrictHostKeyChecking=no")
    monkeypatch.setenv("ANSIBLE_GATHERING", "nonsense")
    hosts = AnsibleHosts(playbooks, tmp_path / "state", private_key)
    results = run(hosts, target("a", sshds[0]), target("b", sshds[0], host_key=sshds[1].host_key))
    assert isinstance(results["a"], HostDone)
    assert isinstance(results["b"], HostLost)


def test_an_error_while_a_result_is_taken_in_ends_the_run_and_is_raised(
    hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd]
) -> None:
    def refuse(_: HostTarget, __: HostResult) -> None:
        raise RuntimeError("the store is gone")

    with pytest.raises(RuntimeError, match="the store is gone"):
        hosts.run_intent("echo", [target("a", sshds[0])], refuse)


def test_several_runs_side_by_side_in_one_process_do_not_mix(hosts: AnsibleHosts, sshds: tuple[Sshd, Sshd]) -> None:
    answers: dict[str, HostResult] = {}
    threads = [
        threading.Thread(target=lambda name=name: answers.update(run(hosts, target(name, sshds[0], say=name))))
        for name in ("x", "y", "z")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {name: HostDone(False, {"said": name}) for name in ("x", "y", "z")}


def test_a_cancelled_run_leaves_its_hosts_lost_not_failed(
    playbooks: Path, private_key: Path, tmp_path: Path, sshds: tuple[Sshd, Sshd]
) -> None:
    at_work, finish = tmp_path / "at-work", tmp_path / "finish"
    hosts = AnsibleHosts(playbooks, tmp_path / "state", private_key, cancelled=at_work.exists)
    try:
        slow = run(hosts, target("a", sshds[0], touch=str(at_work), wait=str(finish)))["a"]
    finally:
        finish.touch()
    assert isinstance(slow, HostLost)


def test_nothing_is_started_once_runs_are_cancelled(
    playbooks: Path, private_key: Path, tmp_path: Path, sshds: tuple[Sshd, Sshd]
) -> None:
    at_work = tmp_path / "at-work"
    hosts = AnsibleHosts(playbooks, tmp_path / "state", private_key, cancelled=lambda: True)
    assert isinstance(run(hosts, target("a", sshds[0], touch=str(at_work)))["a"], HostLost)
    assert not at_work.exists()
