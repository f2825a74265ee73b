"""Action plugin of genesis_deploy: hand the host's variables over as they are, and confirm a new firewall.

The variables are passed verbatim, never templated: a rendered file may contain braces. Only when the module tried new
firewall rules, the connection is reset, so that the confirmation has to come in through them.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.loader import action_loader

OPTIONS = (
    "files",
    "release",
    "network",
    "digest",
    "restart_digest",
    "reload_digest",
    "token",
    "store_id",
    "allowed_change",
    "firewall_seconds",
)
REQUIRED = frozenset({"files", "release", "digest", "restart_digest", "reload_digest", "token"})


class ActionModule(action_loader.get("genesis_module", class_only=True)):  # type: ignore[misc] # Ansible is untyped
    """Runs the module once, and once more only to confirm."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Deploy, then confirm over a new connection if the firewall changed."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        missing = sorted(f"genesis_{name}" for name in REQUIRED if f"genesis_{name}" not in variables)
        if missing:
            raise AnsibleActionFail(f"the inventory gives this host no {', '.join(missing)}; use inventory/hosts.py")
        wanted = {name: variables[f"genesis_{name}"] for name in OPTIONS if f"genesis_{name}" in variables}
        result = self._run_module(wanted, variables)
        if result.get("failed") or self._task.check_mode or result.get("genesis", {}).get("firewall") != "pending":
            return result
        return {**result, **self._confirm(wanted, variables, result)}

    def _confirm(self, wanted: dict[str, Any], variables: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        try:
            self._connection.reset()
            kept = self._run_module({**wanted, "confirm": True}, variables)
        except AnsibleConnectionFailure as problem:
            raise AnsibleConnectionFailure(
                f"no new connection came through the new firewall rules; the host undoes them by itself: {problem}"
            ) from problem
        if kept.get("failed"):
            return {"failed": True, "msg": kept.get("msg", "the firewall could not be confirmed")}
        return {"genesis": {**result["genesis"], **kept["genesis"]}}

    def _run_module(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self.run_module("genesis_deploy", options, variables)
        return result
