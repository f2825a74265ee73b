"""Action plugin of genesis_inspect: reads the host's variables itself, since a look is on the way of every cycle."""

from __future__ import annotations

from typing import Any

from ansible.plugins.loader import action_loader


class ActionModule(action_loader.get("genesis_module", class_only=True)):  # type: ignore[misc] # Ansible is untyped
    """Runs the module once."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look at the host; `genesis_paths` are files to look at beside those that a deploy wrote."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        result: dict[str, Any] = self.run_module(
            "genesis_inspect", {"paths": variables.get("genesis_paths") or []}, variables
        )
        return result
