"""Action plugin of genesis_stage: hand the host's variables over as they are, never templated (genesis files are data)."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.loader import action_loader

REQUIRED = ("release", "network", "token")
OPTIONAL = ("store_id", "allow_http", "limit_seconds")


class ActionModule(action_loader.get("genesis_module", class_only=True)):  # type: ignore[misc] # Ansible is untyped
    """Runs the module once."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Stage what is missing."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        missing = [f"genesis_{name}" for name in REQUIRED if f"genesis_{name}" not in variables]
        if missing:
            raise AnsibleActionFail(f"the inventory gives this host no {', '.join(missing)}; use inventory/hosts.py")
        names = [name for name in (*REQUIRED, *OPTIONAL) if f"genesis_{name}" in variables]
        options = {name: variables[f"genesis_{name}"] for name in names}
        result: dict[str, Any] = self.run_module("genesis_stage", options, variables)
        return result
