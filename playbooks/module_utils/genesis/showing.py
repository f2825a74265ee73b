"""What a deploy would change, as the texts before and after that Ansible shows with --diff.

Whatever makes a deploy count as a change has its lines here. What is to be changed is decided in deploying.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .checks import TABLE
from .machine import CURRENT, MANIFEST, UNIT

if TYPE_CHECKING:
    from .deploying import Deployment, Work
    from .files import Difference


def show_work(wanted: Deployment, work: Work) -> list[dict[str, str]]:
    """Return one entry for everything that the work changes; empty if that is nothing."""
    shown = [_show_file(difference) for difference in work.differences]
    shown += _show_firewall(work)
    shown += [_show(path, "ours, no longer wanted\n", "") for path in work.removals]
    if work.switch:
        shown.append(_show(CURRENT, f"{work.old_link}\n", f"{wanted.release.folder}\n"))
    shown += [_show(path, "in place, not in effect\n", "in effect\n") for path in work.owed]
    if work.unit.stale:
        shown.append(_show("systemd's units", "older than their files\n", "read again\n"))
    shown += [_show(f"{name} at boot", "disabled\n", "enabled\n") for name in work.disabled]
    if work.step != "none":
        shown.append(_show(UNIT, f"{work.unit.state}\n", f"{work.step}\n"))
    if work.manifest_differs:
        shown.append(_show(MANIFEST, _lines(work.listed), _lines(wish.path for wish in wanted.files)))
    return shown


def _show_firewall(work: Work) -> list[dict[str, str]]:
    if work.firewall is None:
        return []
    wish, found = work.firewall.wish, work.firewall.found
    shown = [_show(f"table inet {TABLE}", "not in the kernel\n", "in the kernel\n")] if work.lost else []
    described = (found.content, found.owner, found.group, found.mode) if found else None
    if described != (wish.content.encode(), wish.owner, wish.group, wish.mode):
        shown.append(_show_file(work.firewall))
    return shown


def _show_file(difference: Difference) -> dict[str, str]:
    wish, found = difference.wish, difference.found
    before = _text(found.content, f"{found.owner}:{found.group} {found.mode}") if found else ""
    return _show(wish.path, before, _text(wish.content.encode(), f"{wish.owner}:{wish.group} {wish.mode}"))


def _show(path: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def _lines(paths: Iterable[str]) -> str:
    return "".join(f"{path}\n" for path in sorted(paths))


def _text(content: bytes | None, attributes: str) -> str:
    body = content.decode(errors="replace") if content is not None else "not a regular file\n"
    return f"# {attributes}\n{body}"
