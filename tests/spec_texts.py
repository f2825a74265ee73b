"""Valid fleet files in few lines, to be broken one edit at a time, and a network folder to go with them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

AWS = """\
fleet: demo
network:
  name: preview
  magic: 2
  folder: network
releases:
  10.5.1:
    x86_64:
      url: https://example.org/node.tar.gz
      sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
release: 10.5.1
cloud:
  kind: aws
regions:
  eu-central-1:
    count: 2
    image: ami-0123456789abcdef0
    instance_type: r6a.large
    subnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]
partners:
  - name: one
    address: 192.0.2.1
  - name: two
    address: two.example.org
ssh:
  allowed_from: [203.0.113.0/24]
"""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 42
STATIC = f"""\
fleet: demo
network: {{name: preview, magic: 2, folder: network}}
releases:
  10.5.1:
    x86_64: {{url: "https://example.org/node.tar.gz", sha256: {"0" * 64}}}
release: 10.5.1
cloud:
  kind: static
regions:
  europe:
    hosts:
      - address: 198.51.100.1
        host_key: {KEY}a
        number: 1
      - address: 198.51.100.2
        host_key: {KEY}b
        number: 2
  america:
    hosts:
      - address: 198.51.100.3
        host_key: {KEY}c
        number: 1
partners:
  - {{name: one, address: 192.0.2.1}}
  - {{name: two, address: 192.0.2.2}}
"""


def edit(text: str, old: str, new: str) -> str:
    """Replace something that is there exactly once, so that an edit can never silently do nothing."""
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)


def blake2b(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def write_network(folder: Path, *, magic: int = 2, **config: object) -> None:
    """Write a network folder that belongs to the fleets above; `config` overrides keys, None leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    shelley = {"networkMagic": magic, "systemStart": "2022-10-25T00:00:00Z", "slotLength": 1}
    # Canonical JSON already, so that its hash needs none of the code under test.
    contents = {
        "Byron": f'{{"protocolConsts":{{"k":432,"protocolMagic":{magic}}}}}'.encode(),
        "Shelley": json.dumps(shelley).encode(),
        "Alonzo": b'{"alonzo": 1.5}',
        "Conway": b'{"conway": {}}',
    }
    values: dict[str, object] = {"Protocol": "Cardano", "TestShelleyHardForkAtEpoch": 0}
    for era, content in contents.items():
        name = f"{era.lower()}-genesis.json"
        (folder / name).write_bytes(content)
        values |= {f"{era}GenesisFile": name, f"{era}GenesisHash": blake2b(content)}
    values = {key: value for key, value in (values | config).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(values))
