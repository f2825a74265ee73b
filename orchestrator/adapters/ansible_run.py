"""One run of ansible-playbook through ansible-runner: private folder, clean environment, events as they come.

ansible-runner's pitfalls are dealt with here: it would turn host-key checking off, write the whole environment into
its artifacts, install signal handlers, and take settings from the operator's environment. Knows nothing of relays.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

KEPT_LINES = 40
CANCELLED = 254
"""The code with which ansible-runner ends what was cancelled."""
_POLL_SECONDS = 0.2
# Runs of SSH and Python need these; everything else of the controller's environment, credentials first, stays here.
_INHERITED = ("HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "TZ")
_RUNNERS_OWN = ("ANSIBLE_CALLBACK_PLUGINS", "ANSIBLE_STDOUT_CALLBACK", "AWX_ISOLATED_DATA_DIR", "RUNNER_OMIT_EVENTS")
_CONFIG = """[defaults]
interpreter_python = /usr/bin/python3
gathering = explicit
host_key_checking = true
retry_files_enabled = false
inventory_enabled = yaml
vars_plugins_enabled =
internal_poll_interval = 0.001
local_tmp = {folder}/tmp
[ssh_connection]
pipelining = true
retries = 0
[persistent_connection]
connect_timeout = 30
"""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run, where, and for how long at most."""

    playbook: Path
    folder: Path
    """Private, exists, empty; the caller removes it."""
    inventory: Mapping[str, Any]
    forks: int
    idle_seconds: int
    limit_seconds: int


@dataclass(frozen=True, slots=True)
class RunEnded:
    """How the run ended: Ansible's exit code, whether it got as far as a host, and the tail of what it said."""

    code: int
    reached_hosts: bool
    tail: tuple[str, ...]


def run_playbook(
    request: RunRequest, on_event: Callable[[Mapping[str, Any]], None], cancelled: Callable[[], bool]
) -> RunEnded:
    """Run a playbook to its end, handing each event on as it comes, in a thread of its own. Safe in several threads at once.

    An exception from `on_event` ends the run and is raised.
    """
    from ansible_runner.interface import init_runner

    if cancelled():
        return RunEnded(CANCELLED, reached_hosts=False, tail=())
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    failures: list[BaseException] = []
    # The runner waits only so long for the last of what Ansible wrote, whoever takes how long over what came before.
    events: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()

    def handle(event: Mapping[str, Any]) -> bool:
        tail.extend(line for line in str(event.get("stdout") or "").splitlines() if line.strip())
        events.put(dict(event))  # the runner goes on changing its own
        return False  # keep no event on disk

    def hand_on() -> None:
        while (event := events.get()) is not None:
            try:
                if not failures:
                    on_event(event)
            except Exception as problem:  # noqa: BLE001 - raised below, in the thread of who asked
                failures.append(problem)

    _write_private(request.folder / "ansible.cfg", _CONFIG.format(folder=request.folder))
    _write_private(request.folder / "hosts.json", json.dumps(request.inventory))
    runner = init_runner(
        private_data_dir=str(request.folder),
        project_dir=str(request.playbook.parent),
        playbook=request.playbook.name,
        inventory=str(request.folder / "hosts.json"),
        forks=request.forks,
        quiet=True,
        suppress_env_files=True,
        settings={
            "suppress_output_file": True,
            "pexpect_timeout": _POLL_SECONDS,
            "idle_timeout": request.idle_seconds,
            "job_timeout": request.limit_seconds,
        },
        envvars=_own_environment(request.folder),
        event_handler=handle,
        # Given always: without it the runner installs signal handlers when it is in the main thread.
        cancel_callback=lambda: bool(failures) or cancelled(),
    )
    runner.config.env = _clean(runner.config.env)
    handing_on = Thread(target=hand_on, name="ansible-events")
    handing_on.start()
    try:
        runner.run()
    finally:
        events.put(None)
        handing_on.join()
    if failures:
        raise failures[0]
    return RunEnded(int(runner.rc if runner.rc is not None else -1), runner.stats is not None, tuple(tail))


def _own_environment(folder: Path) -> dict[str, str]:
    """Return what this run sets; ansible-playbook itself is the one installed beside this interpreter."""
    beside = str(Path(sys.executable).parent)
    return {
        "PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_HOME": str(folder / "home"),
        "PYTHONDONTWRITEBYTECODE": "",
    }


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: environment[name] for name in (*_INHERITED, *_RUNNERS_OWN) if name in environment}
    own = ("PATH", "LANG", "LC_ALL", "ANSIBLE_CONFIG", "ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_NOCOLOR", "ANSIBLE_HOME")
    runners = {name: environment[name] for name in environment if name.startswith("ANSIBLE_CACHE_PLUGIN")}
    return kept | runners | {name: environment[name] for name in own}


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
