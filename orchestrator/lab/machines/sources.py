"""Where this host gets its Debian packages from, so that the machine image comes from the same place.

Reads apt's two source formats and hands back one-line entries of the Debian archive alone: third-party repositories of the
host have no business in a lab machine. Decides nothing about packages.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import LabUnavailable

APT = Path("/etc/apt")

# What of the host's apt settings decides whether the archive can be reached and believed. Everything else (hooks,
# translations, package choices) is the host's own affair.
CARRIED_OPTIONS = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv")


def read_debian_sources(suite: str, apt: Path = APT) -> tuple[str, ...]:
    """Return one-line apt entries for `suite` (with its updates and security fixes) as this host is configured.

    Raises LabUnavailable when the host knows no Debian archive of that suite.
    """
    folder = apt / "sources.list.d"
    files = [apt / "sources.list", *sorted(folder.glob("*.list")), *sorted(folder.glob("*.sources"))]
    entries: list[str] = []
    for file in (file for file in files if file.is_file()):
        parse = parse_deb822_sources if file.suffix == ".sources" else parse_one_line_sources
        entries += parse(file.read_text(), suite)
    if not entries:
        raise LabUnavailable(
            f"this host's apt has no source of Debian {suite} (looked at {apt}/sources.list and sources.list.d)",
            next_step=f"Run the lab on Debian {suite}, or add its archive to {apt}/sources.list.d/debian.sources.",
        )
    return tuple(dict.fromkeys(entries))


def read_apt_options() -> tuple[str, ...]:
    """Return the host's apt settings that reaching the archive depends on, each as `Name "value";`."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return tuple(line for line in dump.splitlines() if line.startswith(CARRIED_OPTIONS) and '""' not in line)


def parse_one_line_sources(text: str, suite: str) -> Iterator[str]:
    """Yield the lines of a `.list` file that name the main archive of `suite`."""
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words[:1] != ["deb"]:
            continue
        options, rest = _split_options(words[1:])
        if len(rest) >= 3 and _belongs(rest[1], suite) and "main" in rest[2:]:
            yield " ".join(["deb", *options, rest[0], rest[1], "main"])


def parse_deb822_sources(text: str, suite: str) -> Iterator[str]:
    """Yield the main archive of `suite` in a `.sources` file, one line for each address and suite."""
    for fields in _paragraphs(text):
        if fields.get("enabled", "yes") == "no" or "deb" not in fields.get("types", "").split():
            continue
        if "main" not in fields.get("components", "").split():
            continue
        key = fields.get("signed-by", "").strip()
        options = [f"[signed-by={key}]"] if key.startswith("/") else []
        for address in fields.get("uris", "").split():
            for name in fields.get("suites", "").split():
                if _belongs(name, suite):
                    yield " ".join(["deb", *options, address, name, "main"])


def _belongs(name: str, suite: str) -> bool:
    return name in {suite, f"{suite}-updates", f"{suite}-security"}


def _split_options(words: list[str]) -> tuple[list[str], list[str]]:
    if not words or not words[0].startswith("["):
        return [], words
    end = next((place for place, word in enumerate(words) if word.endswith("]")), len(words) - 1)
    return words[: end + 1], words[end + 1 :]


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.lower()
            fields[name] = value.strip()
