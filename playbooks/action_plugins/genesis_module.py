"""Base of our action plugins: runs one of our modules on a host in one round trip, with nothing to compile there.

Ansible's own way sends source, and every host compiles Ansible's basic module and ours at each run: three quarters of
what an unchanged deploy cost. Here the same module file travels with its bytecode beside its source (a host with another
Python takes the source) and with `bare.py`, the little that our modules use of AnsibleModule. Leaves nothing on the host.
"""

from __future__ import annotations

import importlib.util
import io
import json
import marshal
import shlex
import zipfile
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

PLAYBOOKS = Path(__file__).resolve().parent.parent
INTERPRETER = "/usr/bin/python3"
# Standard input holds the length of the archive, the archive, and the request. -I and -S: nothing of the host's own
# Python set-up takes part.
_START = """import os, sys
stdin = sys.stdin.buffer
archive = stdin.read(int(stdin.readline()))
memory = os.memfd_create("genesis")
os.write(memory, archive)
sys.path.insert(0, f"/proc/self/fd/{memory}")
from ansible.module_utils.basic import start
start(stdin.read())
"""
_UNCHECKED_HASH = (1).to_bytes(4, "little")
"""The kind of bytecode that is never compared with the source beside it: both were made together."""


class GenesisModule(ActionBase):  # type: ignore[misc] # Ansible is untyped
    """Gives a subclass `run_module`."""

    _supports_check_mode = True
    _supports_diff = True
    _requires_connection = True

    def run_module(self, module: str, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Run a module of `library/` with these options and return its answer. Raises AnsibleConnectionFailure."""
        interpreter = str(variables.get("ansible_python_interpreter") or INTERPRETER)
        request = {
            "module": module,
            "options": options,
            "check": bool(self._task.check_mode),
            "diff": bool(self._task.diff),
        }
        archive = pack_modules()
        ended = self._low_level_execute_command(
            f"{INTERPRETER if interpreter.startswith('auto') else interpreter} -I -S -c {shlex.quote(_START)}",
            in_data=b"%d\n%b%b" % (len(archive), archive, json.dumps(request).encode()),
        )
        return read_answer(module, ended)


ActionModule = GenesisModule
"""The name under which Ansible finds it, so that plugins beside this one can build on it."""


def read_answer(module: str, ended: dict[str, Any]) -> dict[str, Any]:
    """Return what the module answered; a module that broke off is a failure with what it said last."""
    lines = [line for line in str(ended["stdout"]).splitlines() if line.startswith("{")]
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        said = str(ended["stderr"] or ended["stdout"]).strip()
        return {
            "failed": True,
            "msg": f"{module} broke off with {ended['rc']}",
            "module_stderr": said,
            "rc": ended["rc"],
        }
    return {**answer, "failed": True} if ended["rc"] != 0 else dict(answer)


@cache
def pack_modules() -> bytes:
    """Return every module and what it imports as one archive: source and bytecode. Made once a run."""
    utilities = PLAYBOOKS / "module_utils" / "genesis"
    places = {f"ansible/module_utils/genesis/{path.stem}": path for path in utilities.glob("*.py")}
    places |= {path.stem: path for path in (PLAYBOOKS / "library").glob("*.py")}
    places |= {"ansible/module_utils/basic": utilities / "bare.py"}
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr("ansible/__init__.py", "")
        archive.writestr("ansible/module_utils/__init__.py", "")
        for name, path in sorted(places.items()):
            archive.writestr(f"{name}.py", path.read_bytes())
            archive.writestr(f"{name}.pyc", _bytecode(path))
    return whole.getvalue()


def _bytecode(path: Path) -> bytes:
    """Return a file's bytecode for this interpreter; Python's own cache beside the file spares the compiling."""
    code = SourceFileLoader(path.stem, str(path)).get_code(path.stem)
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(path.read_bytes())
    return head + marshal.dumps(code)


# Here, not at the first use: Ansible loads this file before it forks, so that the hosts' processes find it made.
pack_modules()
