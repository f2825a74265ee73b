#!/usr/bin/python3
"""Ansible module: stage a release and the network folder. The work is in module_utils/genesis/staging.py."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.genesis.files import explain
from ansible.module_utils.genesis.machine import Machine, Refused
from ansible.module_utils.genesis.staging import parse_stage, stage

DOCUMENTATION = r"""
module: genesis_stage
short_description: Download, verify and unpack a release beside older ones
description:
  - Nothing is unpacked before its checksum was verified and its members were checked. Nothing that runs is disturbed.
options:
  release: {description: Version url and sha256, type: dict, required: true}
  network: {description: Digest and files of the network folder, type: dict, required: true}
  token: {description: Fencing token, type: int, required: true}
  store_id: {description: Store the host belongs to, type: str, default: ""}
  allow_http: {description: Allow plain http, type: bool, default: false}
  limit_seconds: {description: Time a download may take before the next attempt goes on with it, type: int, default: 600}
author: genesis-fleet
"""

OPTIONS = {
    "release": {"type": "dict", "required": True},
    "network": {"type": "dict", "required": True},
    "token": {"type": "int", "required": True},
    "store_id": {"type": "str", "default": ""},
    "allow_http": {"type": "bool", "default": False},
    "limit_seconds": {"type": "int", "default": 600},
}


def main() -> None:
    """Read the options, stage, and answer."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        staged = stage(Machine(), parse_stage(module.params), check=module.check_mode)
    except (OSError, Refused) as problem:
        module.fail_json(msg=str(explain(problem, "staging")), invocation={})
    module.exit_json(
        changed=bool(staged), genesis={"staged": staged, "summary": ", ".join(staged) or "nothing to do"}, invocation={}
    )


if __name__ == "__main__":
    main()
