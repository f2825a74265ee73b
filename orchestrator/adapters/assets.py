"""Where playbooks and templates are: beside the package in a checkout, inside it when installed. Reads them, judges nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import AssetsMissing
from orchestrator.rendering.values import Templates

PACKAGE = Path(__file__).resolve().parent.parent
SUFFIX = ".j2"


@dataclass(frozen=True, slots=True)
class Assets:
    """Template texts, and the folder of the playbooks."""

    templates: Templates
    playbooks: Path


def assets(package: Path = PACKAGE) -> Assets:
    """Find playbooks and templates. Raises AssetsMissing, naming what is missing and where it was looked for."""
    # A wheel carries its own; a checkout has none inside the package, and one level up what is being edited.
    carried = package / "_assets"
    base = carried if carried.is_dir() else package.parent
    playbooks = base / "playbooks"
    if not playbooks.is_dir():
        raise _missing("playbooks", playbooks)
    return Assets(load_templates(base / "templates"), playbooks)


def load_templates(folder: Path) -> Templates:
    """Read all templates of a folder. Raises AssetsMissing if there are none or one cannot be read."""
    paths = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if not paths:
        raise _missing("templates", folder)
    try:
        return Templates(tuple((path.name, path.read_text(encoding="utf-8")) for path in paths))
    except (OSError, UnicodeDecodeError) as error:
        raise AssetsMissing(f"a template in {folder} cannot be read: {error}", next_step=NEXT_STEP) from error


NEXT_STEP = "Install genesis-fleet again, or restore the folder from the repository (git checkout)."


def _missing(what: str, place: Path) -> AssetsMissing:
    return AssetsMissing(f"{what} not found: {place} is missing or empty", next_step=NEXT_STEP)
