"""The sources of the lab node → a tarball whose `bin/cardano-node` is the lab node.

A release is laid out as a real one is, so that a real one deploys the same way. It carries the sources of the lab node and what
it imports, and runs on Debian 12's own Python. Byte for byte the same for the same sources, on any machine: sorted members,
no times, no owners, and a gzip without compression, since compressed bytes depend on who compressed them. Several releases are
made of the same sources; only the number differs, and with it what the node knows (`orchestrator.lab.node.version`).

Which numbers there are is decided elsewhere, and what is wrong with a bad one (`bad`).
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from orchestrator.lab.node.flaws import Flaw, render_flaw
from orchestrator.lab.node.version import parse_version

PACKAGE = Path(__file__).parents[2]

# Everything that the lab node imports; the packages above it are replaced by empty ones, since ours import more.
SOURCE_FOLDERS = ("lab/node", "ouroboros")
SOURCE_FILES = ("spec/genesis.py",)
EMPTY_PACKAGES = ("", "lab", "spec")

PROGRAM = "share/lab-node"

# -I and -S: nothing of the user's, and none of the site's start-up files, which cost a third of the start-up time.
# The folder named is where Debian keeps python3-cbor2. TLS is left out: a lab node has no use for the 4 MB of it.
LAUNCHER = """\
#!/usr/bin/python3 -IS
import json
import os
import sys

sys.dont_write_bytecode = True
sys.modules["ssl"] = None
program = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "share", "lab-node")
sys.path[:0] = [program]
sys.path.append("/usr/lib/python3/dist-packages")

from orchestrator.lab.node.__main__ import main

with open(os.path.join(program, "release.json"), encoding="utf-8") as file:
    release = json.load(file)
sys.exit(main(sys.argv[1:], release["version"], release["revision"], release.get("flaw")))
"""

STORED_BLOCK_BYTES = 65535


@dataclass(frozen=True, slots=True)
class Release:
    """A built release: what a fleet file needs to name it."""

    version: str
    architecture: str
    file_name: str
    sha256: str


def build_release(version: str, directory: Path, architecture: str = "amd64") -> Release:
    """Write the tarball of a version into a directory; raise ValueError for what is no version."""
    return save_release(version, render_release(version), directory, architecture)


def save_release(version: str, content: bytes, directory: Path, architecture: str = "amd64") -> Release:
    """Write a tarball under the name of a version, whatever it holds."""
    release = describe_release(version, content, architecture)
    path = directory / release.file_name
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f".{release.file_name}.unfinished"
    unfinished.write_bytes(content)
    unfinished.replace(path)
    return release


def describe_release(version: str, content: bytes, architecture: str = "amd64") -> Release:
    """Return what a fleet file needs to name a tarball under this version."""
    wanted = str(parse_version(version))
    file_name = f"cardano-node-{wanted}-linux-{architecture}.tar.gz"
    return Release(wanted, architecture, file_name, hashlib.sha256(content).hexdigest())


def render_release(version: str, flaw: Flaw | None = None) -> bytes:
    """Return the tarball of a release that says it is this version; with a flaw, it is a bad one."""
    sources = read_sources()
    revision = hashlib.blake2b(digest_size=20)
    for path, content in sorted(sources.items()):
        revision.update(path.encode() + b"\0" + content + b"\0")
    release: dict[str, object] = {"version": str(parse_version(version)), "revision": revision.hexdigest()}
    if flaw is not None:
        release["flaw"] = render_flaw(flaw)
    files = {f"{PROGRAM}/{path}": content for path, content in sources.items()}
    files[f"{PROGRAM}/release.json"] = json.dumps(release, sort_keys=True).encode() + b"\n"
    files["bin/cardano-node"] = LAUNCHER.encode()
    return store_gzip(_render_tar(files))


def read_sources(package: Path = PACKAGE) -> dict[str, bytes]:
    """Return what a release carries of our own sources, by path below the program's folder."""
    paths = [path for folder in SOURCE_FOLDERS for path in (package / folder).glob("*.py")]
    paths += [package / path for path in SOURCE_FILES]
    sources = {f"orchestrator/{path.relative_to(package).as_posix()}": path.read_bytes() for path in paths}
    for name in EMPTY_PACKAGES:
        sources[str(Path("orchestrator", name, "__init__.py"))] = b""
    return sources


def store_gzip(content: bytes) -> bytes:
    """Wrap bytes as a gzip file of stored blocks: the one form that every zlib writes alike, so we write it ourselves."""
    blocks = [content[at : at + STORED_BLOCK_BYTES] for at in range(0, len(content), STORED_BLOCK_BYTES)] or [b""]
    stored = b"".join(
        struct.pack("<BHH", index == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block
        for index, block in enumerate(blocks)
    )
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return head + stored + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)


def _render_tar(files: dict[str, bytes]) -> bytes:
    folders = {str(parent) for path in files for parent in Path(path).parents} - {"."}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(folders | files.keys()):
            member = tarfile.TarInfo(path)
            if path in folders:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)
            else:
                member.mode = 0o755 if path.startswith("bin/") else 0o644
                member.size = len(files[path])
                tar.addfile(member, io.BytesIO(files[path]))
    return buffer.getvalue()
