#!/usr/bin/python3
"""Ansible module: prepare a host, one step of two. The work is in module_utils/genesis/preparing.py."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.genesis.files import explain
from ansible.module_utils.genesis.machine import Machine, Refused
from ansible.module_utils.genesis.preparing import parse_preparation, prepare

DOCUMENTATION = r"""
module: genesis_prepare
short_description: Host key, packages, user, folders and chain disk, once
description:
  - Step identify makes the permanent host key; step settle does the rest, after the controller wrote the key down.
options:
  step: {description: Which step, type: str, choices: [identify, settle], required: true}
  token: {description: Fencing token, type: int, required: true}
  store_id: {description: Store the host belongs to from now on, type: str, default: ""}
  volume_id: {description: Chain disk or none, type: str}
  mount: {description: Where the chain lies, type: str, required: true}
  packages: {description: Packages that must be installed, type: list, elements: str, default: []}
  user: {description: The node's user, type: str, required: true}
  baseline_digest: {description: Digest of this preparation, type: str, required: true}
  keep_identity: {description: Keep the host's SSH key, type: bool, default: false}
  adopt: {description: Take the host over from another store, type: bool, default: false}
author: genesis-fleet
"""

OPTIONS = {
    "step": {"type": "str", "choices": ["identify", "settle"], "required": True},
    "token": {"type": "int", "required": True},
    "store_id": {"type": "str", "default": ""},
    "volume_id": {"type": "str"},
    "mount": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "default": []},
    "user": {"type": "str", "required": True},
    "baseline_digest": {"type": "str", "required": True},
    "keep_identity": {"type": "bool", "default": False},
    "adopt": {"type": "bool", "default": False},
}


def main() -> None:
    """Read the options, prepare, and answer."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        changed, facts = prepare(Machine(), parse_preparation(module.params), check=module.check_mode)
    except (OSError, Refused) as problem:
        module.fail_json(msg=str(explain(problem, "preparing")), invocation={})
    module.exit_json(changed=changed, genesis=facts, invocation={})


if __name__ == "__main__":
    main()
