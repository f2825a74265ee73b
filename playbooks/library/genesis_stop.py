#!/usr/bin/python3
"""Ansible module: stop. The work is in module_utils/genesis/stopping.py."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.genesis.files import explain
from ansible.module_utils.genesis.machine import Machine, Refused
from ansible.module_utils.genesis.stopping import stop

DOCUMENTATION = r"""
module: genesis_stop
short_description: Ask for a clean stop of the node, without waiting for it
description:
  - Ask for a clean stop of the node, without waiting for it.
options:
  token: {description: Fencing token, type: int, required: true}
  store_id: {description: Store the host belongs to, type: str, default: ""}
author: genesis-fleet
"""

OPTIONS = {
    "token": {"type": "int", "required": True},
    "store_id": {"type": "str", "default": ""},
}


def main() -> None:
    """Read the options, stop, and answer."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    options = module.params
    try:
        changed, facts = stop(Machine(), options["token"], options["store_id"], check=module.check_mode)
    except (OSError, Refused) as problem:
        module.fail_json(msg=str(explain(problem, "stop")), invocation={})
    module.exit_json(changed=changed, genesis=facts, invocation={})


if __name__ == "__main__":
    main()
