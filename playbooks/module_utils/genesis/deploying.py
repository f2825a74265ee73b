"""Deploy: make files, release link, firewall and unit as wished, in one go, changing only what differs.

Order: claim the host, look, refuse what is not valid or not staged, write, then start what the change asks for. A
crash anywhere leaves whole files and a note of what is owed, and the next deploy goes on from there. Which host is
deployed when is decided by the controller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import firewall, release, unit
from .checks import check_file
from .claim import check_right, claim, read_holder
from .effects import apply_effects
from .files import Difference, Wish, find_differences, parse_wishes, read_file, write_files, write_text
from .machine import MANIFEST, OWED, UNIT, Machine, Refused

_WEIGHT = {"none": 0, "reload": 1, "restart": 2}


@dataclass(frozen=True, slots=True)
class Deployment:
    """What one host must be."""

    files: tuple[Wish, ...]
    release: release.Release
    network_digest: str
    digest: str
    restart_digest: str
    reload_digest: str
    token: int
    store_id: str = ""
    allowed_change: str = "restart"
    """The greatest class the controller charged its budget for; more is refused."""
    firewall_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Work:
    """What a deploy would change, found by looking only."""

    differences: tuple[Difference, ...]
    removals: tuple[str, ...]
    old_link: str
    switch: bool
    unit: unit.UnitFound
    step: str
    firewall: Wish | None
    """Rules to try, if they differ or the kernel lost them."""
    disabled: tuple[str, ...]
    """Units of ours that would not start at boot."""
    manifest_differs: bool

    @property
    def changes(self) -> bool:
        """Whether anything would change at all."""
        written = self.differences or self.removals or self.switch or self.firewall or self.manifest_differs
        return bool(written or self.disabled or self.unit.stale or self.step != "none")


@dataclass(frozen=True, slots=True)
class Report:
    """What a deploy did, or would do."""

    changed: bool
    facts: Mapping[str, Any]
    diff: Sequence[Mapping[str, str]] = field(default_factory=tuple)


def parse_deployment(raw: Mapping[str, Any]) -> Deployment:
    """Read module arguments. Raises Refused for what cannot be meant."""
    restart, reload = str(raw["restart_digest"]), str(raw["reload_digest"])
    files = parse_wishes(raw["files"])
    listed = {wish.path for wish in files}
    digests = zip(unit.digest_paths(), (restart, reload), strict=True)
    files += tuple(Wish(path, f"{digest}\n") for path, digest in digests if path not in listed)
    return Deployment(
        files=files,
        release=release.parse_release(raw["release"]),
        network_digest=str((raw.get("network") or {}).get("digest") or ""),
        digest=str(raw["digest"]),
        restart_digest=restart,
        reload_digest=reload,
        token=int(raw["token"]),
        store_id=str(raw.get("store_id") or ""),
        allowed_change=str(raw.get("allowed_change") or "restart"),
        firewall_seconds=int(raw.get("firewall_seconds") or 60),
    )


def deploy(machine: Machine, wanted: Deployment, *, check: bool = False) -> Report:
    """Carry out a deployment, or with `check` only say what it would do. Raises Refused with the old state in place."""
    if check:
        work = look(machine, wanted)
        refuse_invalid(machine, wanted, work)
        return _report(wanted, work, why_not_now(machine, wanted))
    with claim(machine, "deploy", wanted.token, wanted.store_id):
        work = look(machine, wanted)
        refuse_invalid(machine, wanted, work)
        notes = _carry_out(machine, wanted, work) if work.changes else ()
        return _report(wanted, work, notes)


def why_not_now(machine: Machine, wanted: Deployment) -> tuple[str, ...]:
    """Return why this deploy would be turned away without `check`: anybody may look, with any token."""
    try:
        check_right(machine, wanted.token, wanted.store_id)
    except Refused as reason:
        return (f"would be refused: {reason}",)
    holder = read_holder(machine)
    return (f"would be refused now: {holder} is at work",) if holder else ()


def confirm(machine: Machine, wanted: Deployment) -> Report:
    """Keep the firewall that the deploy before tried: called over a new connection."""
    rules = _firewall_wish(wanted.files)
    if rules is None:
        raise Refused("there is no firewall to confirm")
    with claim(machine, "deploy", wanted.token, wanted.store_id):
        firewall.confirm_rules(machine, rules)
        apply_effects(machine, (rules.path,))
        return Report(changed=True, facts={"firewall": "kept"})


def look(machine: Machine, wanted: Deployment) -> Work:
    """Compare the host with the deployment; writes nothing."""
    differences = find_differences(machine, wanted.files)
    listed = read_manifest(machine)
    old_link = release.read_link(machine)
    switch = old_link != wanted.release.folder
    rules = _firewall_wish(wanted.files)
    lost = rules is not None and not firewall.is_loaded(machine)
    untried = any(difference.wish == rules for difference in differences)
    found = unit.read_unit(machine)
    change = greatest_change(differences, switch=switch)
    wishes = {wish.path for wish in wanted.files}
    return Work(
        differences=tuple(difference for difference in differences if difference.wish != rules),
        removals=tuple(path for path in sorted(listed - wishes) if read_file(machine, path) is not None),
        old_link=old_link,
        switch=switch,
        unit=found,
        step=unit.pick_step(found, change, wanted.restart_digest, wanted.reload_digest),
        firewall=rules if lost or untried else None,
        disabled=unit.find_disabled(machine, wanted.files),
        manifest_differs=listed != wishes,
    )


def greatest_change(differences: Sequence[Difference], *, switch: bool) -> str:
    """Return the most disturbing class that the differing contents ask for; owner and mode alone disturb nobody."""
    asked = [difference.wish.change for difference in differences if difference.content_differs]
    return max([*asked, "restart" if switch else "none"], key=_WEIGHT.__getitem__)


def refuse_invalid(machine: Machine, wanted: Deployment, work: Work) -> None:
    """Raise Refused for anything that must not be written or done, before anything is."""
    if _WEIGHT.get(work.step, 0) > _WEIGHT[wanted.allowed_change]:
        raise Refused(
            f"this deploy would {work.step} the node, and only {wanted.allowed_change} was planned; look again"
        )
    release.check_staged(machine, wanted.release)
    if wanted.network_digest:
        folder = release.network_folder(wanted.network_digest)
        if release.read_marker(machine, folder) != wanted.network_digest:
            raise Refused(f"network folder {wanted.network_digest[:12]} is not staged on this host; stage it first")
    for difference in work.differences:
        if difference.content_differs:
            check_file(machine, difference.wish, wanted.release.folder)
    if work.firewall is not None:
        check_file(machine, work.firewall, wanted.release.folder)


def read_manifest(machine: Machine) -> frozenset[str]:
    """Return the paths that a deploy of ours wrote on this host."""
    try:
        return frozenset(json.loads(machine.read_text(MANIFEST) or "{}").get("files", []))
    except ValueError:
        return frozenset()


def _carry_out(machine: Machine, wanted: Deployment, work: Work) -> tuple[str, ...]:
    # What is owed is written first: after a crash the files may be as wished while the old node still runs.
    if work.step in {"reload", "restart"}:
        write_text(machine, OWED, work.step)
    wishes = {wish.path for wish in wanted.files}
    write_manifest(machine, wishes | set(work.removals), wanted.digest)
    write_files(machine, tuple(difference.wish for difference in work.differences))
    if work.switch:
        release.switch_link(machine, wanted.release)
    for path in work.removals:
        machine.at(path).unlink(missing_ok=True)
    write_manifest(machine, wishes, wanted.digest)
    touched = (*(difference.wish.path for difference in work.differences), *work.removals)
    notes = apply_effects(machine, touched, daemon_reload=work.unit.stale)
    if work.firewall is not None:
        firewall.try_rules(machine, work.firewall, wanted.firewall_seconds)
    if work.disabled:
        machine.must_run(["systemctl", "enable", "--quiet", *work.disabled], "enabling units")
    unit.start_step(machine, work.unit, work.step)
    machine.at(OWED).unlink(missing_ok=True)
    return notes


def write_manifest(machine: Machine, paths: set[str], digest: str) -> None:
    """Note which files are ours, so that one no longer wanted is removed, and nothing else ever is."""
    write_text(machine, MANIFEST, json.dumps({"digest": digest, "files": sorted(paths)}, indent=1) + "\n")


def _firewall_wish(files: Sequence[Wish]) -> Wish | None:
    return next((wish for wish in files if wish.validate == "nft"), None)


def _report(wanted: Deployment, work: Work, notes: Sequence[str] = ()) -> Report:
    facts = {
        "digest": wanted.digest,
        "files": [difference.wish.path for difference in work.differences],
        "removed": list(work.removals),
        "release": wanted.release.folder if work.switch else "",
        "unit": work.step,
        "unit_was": work.unit.state,
        "enabled": list(work.disabled),
        "firewall": "pending" if work.firewall is not None else "",
        "notes": list(notes),
        "summary": _summarise(wanted, work, notes),
    }
    return Report(changed=work.changes, facts=facts, diff=_diff(wanted, work))


def _summarise(wanted: Deployment, work: Work, notes: Sequence[str]) -> str:
    """Say in a line what was done."""
    parts = (
        f"{len(work.differences)} files" if work.differences else "",
        f"{len(work.removals)} removed" if work.removals else "",
        f"release {wanted.release.version}" if work.switch else "",
        "firewall" if work.firewall is not None else "",
        f"node: {work.step}" if work.step != "none" else "",
        *notes,
    )
    return ", ".join(part for part in parts if part) or "nothing to do"


def _diff(wanted: Deployment, work: Work) -> list[dict[str, str]]:
    shown = [
        _one_diff(
            difference.wish.path,
            _text(
                difference.found.content, f"{difference.found.owner}:{difference.found.group} {difference.found.mode}"
            )
            if difference.found
            else "",
            _text(
                difference.wish.content.encode(),
                f"{difference.wish.owner}:{difference.wish.group} {difference.wish.mode}",
            ),
        )
        for difference in work.differences
    ]
    if work.firewall is not None:
        shown.append(_one_diff(work.firewall.path, "", work.firewall.content))
    shown += [_one_diff(path, "ours, no longer wanted\n", "") for path in work.removals]
    if work.switch:
        shown.append(_one_diff("/opt/cardano-node/current", f"{work.old_link}\n", f"{wanted.release.folder}\n"))
    if work.step != "none":
        shown.append(_one_diff(UNIT, f"{work.unit.state}\n", f"{work.step}\n"))
    return shown


def _one_diff(path: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def _text(content: bytes | None, attributes: str) -> str:
    body = content.decode(errors="replace") if content is not None else "not a regular file\n"
    return f"# {attributes}\n{body}"
