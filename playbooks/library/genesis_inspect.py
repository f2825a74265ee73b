#!/usr/bin/python3
"""Ansible module: look at a host, read only. The work is in module_utils/genesis/inspecting.py."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.genesis.files import explain
from ansible.module_utils.genesis.inspecting import inspect
from ansible.module_utils.genesis.machine import Machine, Refused

DOCUMENTATION = r"""
module: genesis_inspect
short_description: Tell everything the controller wants to know about a host
description:
  - Writes nothing, takes no lock, and never reports a change.
options:
  metrics_port: {description: Port of the node's metrics on the loopback or 0 to leave it alone, type: int, default: 0}
  metrics_names: {description: What a metric's name must contain to be of interest, type: list, elements: str, default: []}
author: genesis-fleet
"""

OPTIONS: dict[str, dict[str, object]] = {
    "metrics_port": {"type": "int", "default": 0},
    "metrics_names": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    """Look, and answer."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        facts = inspect(Machine(), module.params["metrics_port"], module.params["metrics_names"])
    except (OSError, Refused) as problem:
        module.fail_json(msg=str(explain(problem, "inspecting")), invocation={})
    module.exit_json(changed=False, genesis=facts, invocation={})


if __name__ == "__main__":
    main()
