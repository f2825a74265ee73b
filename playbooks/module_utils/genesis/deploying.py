"""Deploy: make files, release link, firewall and unit as wished, in one go, changing only what differs.

Order: claim the host, look, refuse what is not valid or not staged, write, then start what the change asks for. A
crash anywhere leaves whole files and a note of what is owed, and the next deploy goes on from there. Nothing is waited
for but, some seconds, the node's word that it took up a reload. Which host is deployed when is decided by the controller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import firewall, release, unit
from .checks import check_file
from .claim import check_right, claim, read_holder
from .effects import apply_effects, note_owed, read_owed
from .files import Difference, Wish, find_differences, parse_wishes, read_file, write_files, write_text
from .machine import KNOWN, MANIFEST, OWED, Machine, Refused
from .reloading import Answer, await_answer, await_readiness, read_signalled
from .showing import show_work

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
    owed: tuple[str, ...]
    """Files that are as wished, of which an earlier deploy did not get to make them take effect."""
    firewall: Difference | None
    """Rules to try, if they differ or the kernel lost them, beside the file as it is."""
    lost: bool
    """The kernel does not have our table."""
    disabled: tuple[str, ...]
    """Units of ours that would not start at boot."""
    listed: frozenset[str]
    """Files that the manifest names as ours."""
    manifest_differs: bool

    @property
    def changes(self) -> bool:
        """Whether anything would change at all."""
        written = self.differences or self.removals or self.switch or self.firewall or self.manifest_differs
        return bool(written or self.owed or self.disabled or self.unit.stale or self.step != "none")


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
        earlier = read_signalled(machine)
        notes = _carry_out(machine, wanted, work) if work.changes else ()
        answer = await_answer(machine, earlier) if work.step == "reload" else None
        return _report(wanted, work, notes, answer)


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
    wishes = frozenset(wish.path for wish in wanted.files)
    return Work(
        differences=tuple(difference for difference in differences if difference.wish != rules),
        removals=tuple(path for path in sorted(listed - wishes) if read_file(machine, path) is not None),
        old_link=old_link,
        switch=switch,
        unit=found,
        owed=read_owed(machine).paths,
        step=unit.pick_step(found, change, wanted.restart_digest, wanted.reload_digest),
        firewall=Difference(rules, read_file(machine, rules.path)) if rules and (lost or untried) else None,
        lost=lost,
        disabled=unit.find_disabled(machine, wanted.files),
        listed=listed,
        manifest_differs=_read_listed(machine) != wishes,
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
        check_file(machine, work.firewall.wish, wanted.release.folder)


def read_manifest(machine: Machine) -> frozenset[str]:
    """Return the paths that a deploy of ours wrote on this host.

    Without a readable manifest, where a deploy of ours has been, what lies under the names that only we use.
    """
    listed = _read_listed(machine)
    if listed is not None:
        return listed
    been_here = machine.at(unit.digest_paths()[0]).exists()
    return frozenset(path for path in KNOWN if been_here and read_file(machine, path) is not None)


def _read_listed(machine: Machine) -> frozenset[str] | None:
    try:
        return frozenset(json.loads(machine.read_text(MANIFEST))["files"])
    except (ValueError, KeyError, TypeError):
        return None


def _carry_out(machine: Machine, wanted: Deployment, work: Work) -> tuple[str, ...]:
    wishes = {wish.path for wish in wanted.files}
    touched = (*work.owed, *(difference.wish.path for difference in work.differences), *work.removals)

    def note() -> None:
        # Before the first change: after a crash the files may be as wished while what reads them does not know. And
        # after all that a full disk can refuse: a deploy that changed nothing owes nothing.
        write_manifest(machine, wishes | set(work.removals), wanted.digest)
        note_owed(machine, work.step, touched)

    write_files(machine, tuple(difference.wish for difference in work.differences), before=note)
    if work.switch:
        release.switch_link(machine, wanted.release)
    for path in work.removals:
        machine.at(path).unlink(missing_ok=True)
    write_manifest(machine, wishes, wanted.digest)
    notes = apply_effects(machine, tuple(dict.fromkeys(touched)), daemon_reload=work.unit.stale)
    note_owed(machine, work.step, ())
    if work.firewall is not None:
        firewall.try_rules(machine, work.firewall.wish, wanted.firewall_seconds)
    if work.disabled:
        machine.must_run(["systemctl", "enable", "--quiet", *work.disabled], "enabling units")
    if work.step == "reload" and not await_readiness(machine, work.unit.pid):
        # Still owed, and the next look says so.
        raise Refused("the node has only just been started and is not ready to reload; the next deploy tells it again")
    unit.start_step(machine, work.step)
    machine.at(OWED).unlink(missing_ok=True)
    return notes


def write_manifest(machine: Machine, paths: set[str], digest: str) -> None:
    """Note which files are ours, so that one no longer wanted is removed, and nothing else ever is."""
    write_text(machine, MANIFEST, json.dumps({"digest": digest, "files": sorted(paths)}, indent=1) + "\n")


def _firewall_wish(files: Sequence[Wish]) -> Wish | None:
    return next((wish for wish in files if wish.validate == "nft"), None)


def _report(wanted: Deployment, work: Work, notes: Sequence[str] = (), answer: Answer | None = None) -> Report:
    reload = describe_reload(answer)
    facts = {
        "digest": wanted.digest,
        "files": [difference.wish.path for difference in work.differences],
        "removed": list(work.removals),
        "release": wanted.release.folder if work.switch else "",
        "unit": work.step,
        "unit_was": work.unit.state,
        "enabled": list(work.disabled),
        "firewall": "pending" if work.firewall is not None else "",
        "reload": reload,
        "notes": list(notes),
        "summary": _summarise(wanted, work, (reload, *notes)),
    }
    return Report(changed=work.changes, facts=facts, diff=show_work(wanted, work))


def describe_reload(answer: Answer | None) -> str:
    """Say what the node made of the signal; a node that is late is no failure, later looks ask on."""
    match answer:
        case None:
            return ""
        case Answer(taken=True):
            return "confirmed"
        case Answer(said=said):
            return f"signalled, not confirmed: {said}" if said else "signalled, not confirmed"


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
