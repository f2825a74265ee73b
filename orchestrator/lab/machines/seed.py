"""What makes one machine different from the image: its seed for cloud-init, its names, its resolver.

Pure: values in, files of the machine's overlay out. The user data goes through byte for byte, because reading it is
cloud-init's work and the very point of having real cloud-init in the lab.
"""

from __future__ import annotations

import hashlib
import json
from ipaddress import IPv4Address

SEED = "var/lib/cloud/seed/nocloud"


def render_seed(instance_id: str, hostname: str, user_data: bytes, public_keys: tuple[str, ...]) -> dict[str, bytes]:
    """Return the NoCloud seed: read at each boot, acted on once an instance id."""
    metadata = {
        "instance-id": instance_id,
        "local-hostname": hostname,
        "public-keys": list(public_keys),
        # Otherwise cloud-init puts off its work until a network that it configured itself is up.
        "dsmode": "local",
    }
    # cloud-init takes JSON for the YAML that it is. A seed without user data is none: an empty document stands for it.
    return {
        f"{SEED}/meta-data": json.dumps(metadata, indent=2).encode() + b"\n",
        f"{SEED}/user-data": user_data or b"#cloud-config\n{}\n",
    }


def render_identity(instance_id: str, hostname: str, resolver: IPv4Address) -> dict[str, bytes]:
    """Return the files that a machine is born with and may change later."""
    names = f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n::1 localhost ip6-localhost ip6-loopback\n"
    return {
        "etc/hostname": f"{hostname}\n".encode(),
        # Without its own name here, every sudo would wait for a resolver.
        "etc/hosts": names.encode(),
        "etc/machine-id": hashlib.sha256(instance_id.encode()).hexdigest()[:32].encode() + b"\n",
        "etc/resolv.conf": f"nameserver {resolver}\noptions timeout:1 attempts:1\n".encode(),
    }
