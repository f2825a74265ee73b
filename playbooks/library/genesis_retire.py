#!/usr/bin/python3
"""Ansible module: retire. The work is in module_utils/genesis/stopping.py."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.genesis.files import explain
from ansible.module_utils.genesis.machine import Machine, Refused
from ansible.module_utils.genesis.stopping import retire

DOCUMENTATION = r"""
module: genesis_retire
short_description: Disable the node and remove all that is ours but the chain
description:
  - Disable the node and remove all that is ours but the chain.
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
    """Read the options, retire, and answer."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    options = module.params
    try:
        changed, facts = retire(Machine(), options["token"], options["store_id"], check=module.check_mode)
    except (OSError, Refused) as problem:
        module.fail_json(msg=str(explain(problem, "retire")), invocation={})
    module.exit_json(changed=changed, genesis=facts, invocation={})


if __name__ == "__main__":
    main()
