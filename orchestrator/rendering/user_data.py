"""The cloud-config that a new host starts with: who may log in, and the one-time host key that the first contact checks.

Values to text, nothing else. User data can be read on the host by whoever may ask the metadata service, so the key in it
serves for the first contact only: a new one is made on the host right after, and this one is wiped.
"""

from __future__ import annotations

from typing import Any

import yaml

try:
    from yaml import CSafeDumper as SafeDumper
except ImportError:  # pyyaml without libyaml: slower, and the same text
    from yaml import SafeDumper  # type: ignore[assignment]


def render_user_data(
    *,
    hostname: str,
    user: str,
    authorized_key: str,
    one_time_private_key: str,
    one_time_public_key: str,
    ssh_port: int = 22,
) -> str:
    """Return the `#cloud-config` of one relay's new host. The private key is in OpenSSH's own format, as text."""
    if "PRIVATE KEY" in authorized_key + one_time_public_key or "PRIVATE KEY" not in one_time_private_key:
        raise ValueError("a private and a public key were given in each other's place")
    config: dict[str, Any] = {
        "hostname": hostname,
        "preserve_hostname": False,
        # Without its own name in /etc/hosts, sudo waits for a resolver that may not answer.
        "manage_etc_hosts": "localhost",
        # No other account: the image's default user is made only if it is this one.
        "users": [
            {
                "name": user,
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [authorized_key.strip()],
            }
        ],
        "disable_root": True,
        "ssh_pwauth": False,
        # Keys in the image would be the same on every host: delete them, make none, use the one given.
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {
            "ed25519_private": _Block(one_time_private_key.rstrip("\n") + "\n"),
            "ed25519_public": one_time_public_key.strip(),
        },
        # Packages are the baseline's business: a first boot that waits for mirrors is a slow one, or a failed one.
        "package_update": False,
        "package_upgrade": False,
        "growpart": {"mode": "auto", "devices": ["/"]},
        "resize_rootfs": True,
    }
    if ssh_port != 22:
        config["bootcmd"] = [
            [
                "sh",
                "-c",
                f"mkdir -p /etc/ssh/sshd_config.d && echo 'Port {ssh_port}' > /etc/ssh/sshd_config.d/10-port.conf",
            ]
        ]
    return "#cloud-config\n" + yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=4096)


class _Block(str):
    """Text that is written as a block, line by line."""

    __slots__ = ()


class _Dumper(SafeDumper):
    """Plain YAML without aliases, blocks for keys."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - pyyaml's signature
        """Write everything out: cloud-config readers need not know aliases."""
        return True


def _represent_block(dumper: _Dumper, block: _Block) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(block), style="|")


_Dumper.add_representer(_Block, _represent_block)
