#!/usr/bin/env python3
"""The fleet as an inventory for plain Ansible: `ansible-playbook -i inventory/hosts.py playbooks/deploy.yml --check --diff`.

Which fleet: `$GENESIS_FLEET`, else the lab's. Everything is asked of `genesis-fleet inventory`, of the checkout that this
file lies in, or of what is installed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PYTHON = CHECKOUT / ".venv" / "bin" / "python"


def main() -> None:
    """Become `genesis-fleet inventory`, with the arguments that Ansible gives."""
    fleet = os.environ.get("GENESIS_FLEET") or str(CHECKOUT / "inventory" / "lab" / "fleet.yaml")
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    # Ansible starts this with whatever python3 comes first; the project's own is where its libraries are.
    python = str(PYTHON) if PYTHON.is_file() else sys.executable
    command = [python, "-m", "orchestrator.cli.main", "--fleet", fleet, "inventory", *sys.argv[1:]]
    os.execve(python, command, environment)  # noqa: S606 - becomes the command


if __name__ == "__main__":
    main()
