"""Action plugin of genesis_inspect: hand over where the node's metrics are, if the host's variables say so."""

from __future__ import annotations

from typing import Any

from ansible.plugins.loader import action_loader

OPTIONS = ("metrics_port", "metrics_names")


class ActionModule(action_loader.get("genesis_module", class_only=True)):  # type: ignore[misc] # Ansible is untyped
    """Runs the module once."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look at the host."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        options = {name: variables[f"genesis_{name}"] for name in OPTIONS if f"genesis_{name}" in variables}
        result: dict[str, Any] = self.run_module("genesis_inspect", options, variables)
        return result
