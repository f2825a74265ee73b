"""Action plugin of genesis_prepare: one step of the preparation, by the launcher that all our modules share."""

from __future__ import annotations

from typing import Any

from ansible.plugins.loader import action_loader


class ActionModule(action_loader.get("genesis_module", class_only=True)):  # type: ignore[misc] # Ansible is untyped
    """Runs the module once."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Hand the task's options over."""
        super().run(tmp, task_vars)
        result: dict[str, Any] = self.run_module("genesis_prepare", dict(self._task.args), task_vars or {})
        return result
