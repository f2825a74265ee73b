"""Hosts through Ansible: implements HostsPort by running `playbooks/<intent>.yml` on the hosts of each call.

Which hosts, and when, is decided by the caller; a run never stops because some hosts failed. What a host answered,
that it failed, and that it was lost are told apart here once, and so is "Ansible never ran".
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible_facts import parse_facts
from orchestrator.adapters.ansible_lost import complaint_of_ssh, is_untold, told_apart
from orchestrator.adapters.ansible_run import RunEnded, RunRequest, run_playbook
from orchestrator.adapters.ansible_ssh import is_wrong_key, known_hosts_lines, ssh_args
from orchestrator.adapters.metrics import NAMES
from orchestrator.errors import AnsibleNeverRan, AssetsMissing
from orchestrator.execution.ports import HostDone, HostFailed, HostLost, HostResult, HostTarget
from orchestrator.fleet.observation import HostView, Unreachable, Unreadable, WrongHostKey

KEPT_FAILURES = 20
"""Outputs of failed runs that are kept for reading; the oldest goes."""
_LEFTOVER_AFTER_SECONDS = 3600
_IDLE_SECONDS = {"stage": 900, "prepare": 1500}
"""Ansible says nothing while a module works: downloads and package installation take their time."""
_USUAL_IDLE_SECONDS = 150
_LIMIT_SECONDS = 1800
_KNOWN_HOSTS = "known_hosts"


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class AnsibleHosts:
    """HostsPort over SSH. `state` is a folder of the controller's own; `cancelled` ends runs early when it holds."""

    playbooks: Path
    state: Path
    private_key: Path
    forks: int = 25
    cancelled: Callable[[], bool] = _never

    def observe_hosts(self, targets: Sequence[HostTarget]) -> Mapping[str, HostView]:
        """Inspect hosts, read only. Keyed by instance id; every target has an answer."""
        views: dict[str, HostView] = {}

        def keep(target: HostTarget, result: HostResult) -> None:
            views[target.instance_id] = view_of(result)

        # Which lines of the metrics are worth carrying here is known where they are read.
        asked = [replace(t, variables={**t.variables, "genesis_metrics_names": list(NAMES)}) for t in targets]
        self.run_intent("inspect", asked, keep)
        return views

    def run_intent(
        self,
        intent: str,
        targets: Sequence[HostTarget],
        on_result: Callable[[HostTarget, HostResult], None],
    ) -> None:
        """Run a playbook; `on_result` is called once a target, as each one ends. Raises AnsibleNeverRan."""
        if not targets:
            return
        playbook = self.playbooks.resolve() / f"{intent}.yml"
        if not playbook.is_file():
            raise AssetsMissing(f"{playbook} is missing", next_step="Reinstall genesis-fleet, or restore the checkout.")
        folder = self._make_folder(intent)
        try:
            self._run(intent, playbook, folder, targets, on_result)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run(
        self,
        intent: str,
        playbook: Path,
        folder: Path,
        targets: Sequence[HostTarget],
        on_result: Callable[[HostTarget, HostResult], None],
    ) -> None:
        waiting = {target.instance_id: target for target in targets}
        untold: dict[str, HostLost] = {}

        def on_event(event: Mapping[str, Any]) -> None:
            host = str((event.get("event_data") or {}).get("host") or "")
            result = result_of(event)
            if result is None or host not in waiting:
                return
            if isinstance(result, HostLost) and is_untold(result):
                untold[host] = result
            else:
                on_result(waiting.pop(host), result)

        request = RunRequest(
            playbook=playbook,
            folder=folder,
            inventory=self.render_inventory(targets, folder),
            forks=min(self.forks, len(targets)),
            idle_seconds=_IDLE_SECONDS.get(intent, _USUAL_IDLE_SECONDS),
            limit_seconds=_LIMIT_SECONDS,
        )
        ended = run_playbook(request, on_event, self.cancelled)
        if ended.code != 0:
            self._keep_output(intent, ended)
        for target, result in self._ask_ssh([(waiting.pop(host), lost) for host, lost in untold.items()], folder):
            on_result(target, result)
        if len(waiting) == len(targets) and not ended.reached_hosts and not self.cancelled():
            last = " / ".join(ended.tail[-6:]) or f"ansible-playbook ended with {ended.code} and no output"
            raise AnsibleNeverRan(f"{intent}: {last}", next_step=f"The output is in {self.state / 'failures'}.")
        for target in waiting.values():
            on_result(target, HostLost(f"{intent} ended ({ended.code}) before this host answered"))

    def render_inventory(self, targets: Sequence[HostTarget], folder: Path) -> dict[str, Any]:
        """Return the inventory of one run, and write the known hosts it refers to."""
        known_hosts = folder / _KNOWN_HOSTS
        known_hosts.write_text(known_hosts_lines(targets), encoding="utf-8")
        control = make_control_directory()
        hosts = {
            target.instance_id: {
                **target.variables,
                "ansible_host": target.address,
                "ansible_port": target.port,
                "ansible_user": target.user,
                "ansible_ssh_private_key_file": str(self.private_key),
                "ansible_ssh_args": ssh_args(target, known_hosts, control),
                "ansible_python_interpreter": "/usr/bin/python3",
            }
            for target in targets
        }
        return {"all": {"hosts": hosts}}

    def _ask_ssh(
        self, lost: Sequence[tuple[HostTarget, HostLost]], folder: Path
    ) -> Iterator[tuple[HostTarget, HostLost]]:
        """Return why hosts were lost, asked side by side: one that does not answer takes its time to say so."""
        if not lost:
            return

        def ask(each: tuple[HostTarget, HostLost]) -> HostLost:
            target, result = each
            found = told_apart(result, lambda: complaint_of_ssh(target, folder / _KNOWN_HOSTS, self.private_key))
            return HostLost(one_line(found.reason), wrong_key=found.wrong_key)

        with ThreadPoolExecutor(min(self.forks, len(lost)), thread_name_prefix="ask-ssh") as pool:
            yield from zip([target for target, _ in lost], pool.map(ask, lost), strict=True)

    def _make_folder(self, intent: str) -> Path:
        runs = self.state / "runs"
        runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_leftovers(runs, time.time())
        return Path(tempfile.mkdtemp(prefix=f"{intent}-{os.getpid()}-", dir=runs.resolve()))

    def _keep_output(self, intent: str, ended: RunEnded) -> None:
        failures = self.state / "failures"
        failures.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = failures / f"{time.time_ns()}-{intent}.txt"
        path.write_text("\n".join((f"ansible-playbook ended with {ended.code}", *ended.tail, "")), encoding="utf-8")
        for old in sorted(failures.iterdir())[:-KEPT_FAILURES]:
            old.unlink(missing_ok=True)


def result_of(event: Mapping[str, Any]) -> HostResult | None:
    """Return what an event says about its host's one task; None for events that are no answer."""
    answer = (event.get("event_data") or {}).get("res") or {}
    message = str(answer.get("msg") or answer.get("module_stderr") or "no message")
    match event.get("event"):
        case "runner_on_ok":
            return HostDone(bool(answer.get("changed")), answer.get("genesis") or {})
        case "runner_on_unreachable":
            return HostLost(one_line(message), wrong_key=is_wrong_key(message))
        case "runner_on_failed":
            detail = str(answer.get("module_stderr") or answer.get("module_stdout") or "")
            return HostFailed(one_line(f"{message} {detail}"))
        case _:
            return None


def view_of(result: HostResult) -> HostView:
    """Return an inspection's result as the planner sees it; a host that cannot be inspected is neither known nor silent."""
    match result:
        case HostDone(facts=facts):
            return parse_facts(facts)
        case HostFailed(error=error):
            return Unreadable(error)
        case HostLost(reason=reason, wrong_key=True):
            return WrongHostKey(reason)
        case HostLost(reason=reason):
            return Unreachable(reason)


def one_line(message: str) -> str:
    """Return a message of any shape as one line of bounded length, without ssh's banners."""
    words = " ".join(line.strip(" @\t") for line in message.splitlines() if line.strip(" @\t"))
    return words if len(words) <= 500 else f"{words[:250]} … {words[-245:]}"


def make_control_directory() -> Path:
    """Return the folder of control sockets: short, this user's, nobody else's. Raises AnsibleNeverRan if it is not."""
    folder = Path(tempfile.gettempdir()) / f"genesis-fleet-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise AnsibleNeverRan(f"{folder} is not this user's private folder", next_step="Remove it and run again.")
    return folder


def remove_leftovers(runs: Path, now: float) -> None:
    """Remove folders of runs that a killed controller left, once no ansible-playbook can be reading them any more."""
    for folder in runs.iterdir():
        with suppress(FileNotFoundError):  # another thread's run ended in between, and took its folder away
            if now - folder.stat().st_mtime > _LEFTOVER_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
