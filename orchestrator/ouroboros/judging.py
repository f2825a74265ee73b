"""From what a peer answered to a verdict and its one sentence. How it was asked is left to `client`."""

from collections.abc import Sequence
from datetime import timedelta

from .chainsync import Tip
from .handshake import Refuse, VersionMismatch, is_about_magic, magic_in_refusal
from .verdicts import Verdict


def judge_refusal(refusal: Refuse, own_magic: int, offered: Sequence[int]) -> tuple[Verdict, str]:
    """Judge a peer that does not want to talk."""
    reason = refusal.reason
    if isinstance(reason, VersionMismatch):
        spoken, ours = (", ".join(map(str, which)) for which in (reason.versions, offered))
        return Verdict.NO_COMMON_VERSION, f"the peer speaks versions {spoken or 'none'}, offered were {ours}"
    if is_about_magic(reason):
        return judge_other_network(magic_in_refusal(reason), own_magic)
    return Verdict.REFUSED_BY_PEER, f"the peer refused version {reason.version}: {reason.text[:200]}"


def judge_other_network(magic: int | None, own_magic: int) -> tuple[Verdict, str]:
    """Judge a peer of another network, whose magic may not be known."""
    said = "of another network" if magic is None else f"of the network with magic {magic}"
    return Verdict.WRONG_MAGIC, f"the peer is {said}, not {own_magic}"


def judge_tip(tip: Tip, age: timedelta | None, allowed: timedelta | None) -> tuple[Verdict, str]:
    """Judge a peer by its tip, as far as the age of that is known and limited."""
    place = "no block yet" if tip.slot is None else f"tip at slot {tip.slot}, block {tip.block}"
    if age is None:
        return Verdict.OK, place
    seconds = age.total_seconds()
    place = f"{place}, " + (f"{seconds:.1f} s old" if seconds >= 0 else f"{-seconds:.1f} s ahead of this clock")
    if allowed is not None and age > allowed:
        return Verdict.STALE_TIP, f"{place}, at most {allowed.total_seconds():g} s is allowed"
    return Verdict.OK, place
