"""Action plugin of genesis_inspect, by the launcher that all our modules share."""

from __future__ import annotations

from typing import Any

from ansible.plugins.loader import action_loader


class ActionModule(action_loader.get("genesis_module", class_only=True)):  # type: ignore[misc] # Ansible is untyped
    """Runs the module once."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look at the host."""
        super().run(tmp, task_vars)
        result: dict[str, Any] = self.run_module("genesis_inspect", {}, task_vars or {})
        return result
