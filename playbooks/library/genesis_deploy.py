#!/usr/bin/python3
"""Ansible module: deploy one relay. The work is in module_utils/genesis/deploying.py; this is its argument list."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.genesis.deploying import confirm, deploy, parse_deployment
from ansible.module_utils.genesis.files import explain
from ansible.module_utils.genesis.machine import Machine, Refused

DOCUMENTATION = r"""
module: genesis_deploy
short_description: Make files, release link, firewall and unit of a relay as rendered
description:
  - One coarse idempotent step, so that a host costs one round trip. Check mode and diff mode tell what would happen.
  - The action plugin of the same name fills in the options from the host's genesis_ variables.
options:
  files: {description: Files by content owner and mode, type: list, elements: dict, required: true}
  release: {description: Version and sha256 of the staged release, type: dict, required: true}
  network: {description: Digest of the staged network folder, type: dict}
  digest: {description: Digest over everything, type: str, required: true}
  restart_digest: {description: Digest over what asks for a restart, type: str, required: true}
  reload_digest: {description: Digest over what asks for a reload, type: str, required: true}
  token: {description: Fencing token, type: int, required: true}
  store_id: {description: Store the host belongs to, type: str, default: ""}
  allowed_change: {description: Greatest disturbance that was planned, type: str, default: restart}
  firewall_seconds: {description: Time until unconfirmed rules are undone, type: int, default: 60}
  confirm: {description: Keep the rules tried before, type: bool, default: false}
author: genesis-fleet
"""

FILE = {
    "path": {"type": "str", "required": True},
    "content": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "mode": {"type": "str", "required": True},
    "change": {"type": "str", "choices": ["none", "reload", "restart"], "required": True},
    "validate": {"type": "str", "choices": ["", "nft", "sshd", "json", "systemd"], "default": ""},
}
OPTIONS = {
    "files": {"type": "list", "elements": "dict", "options": FILE, "required": True},
    "release": {"type": "dict", "required": True},
    "network": {"type": "dict"},
    "digest": {"type": "str", "required": True},
    "restart_digest": {"type": "str", "required": True},
    "reload_digest": {"type": "str", "required": True},
    "token": {"type": "int", "required": True},
    "store_id": {"type": "str", "default": ""},
    "allowed_change": {"type": "str", "choices": ["none", "reload", "restart"], "default": "restart"},
    "firewall_seconds": {"type": "int", "default": 60},
    "confirm": {"type": "bool", "default": False},
}


def main() -> None:
    """Read the options, deploy or confirm, and answer."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        wanted = parse_deployment(module.params)
        if module.params["confirm"]:
            report = confirm(Machine(), wanted)
        else:
            report = deploy(Machine(), wanted, check=module.check_mode)
    except (OSError, Refused) as problem:
        module.fail_json(msg=str(explain(problem, "deploying")), invocation={})
    diff = {"diff": list(report.diff)} if module._diff else {}  # noqa: SLF001 - Ansible's own name for --diff
    # Without this, every answer would carry all the files back.
    module.exit_json(changed=report.changed, genesis=dict(report.facts), invocation={}, **diff)


if __name__ == "__main__":
    main()
