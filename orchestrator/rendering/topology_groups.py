"""Groups of local roots: valencies that the node would clamp, and peers that it would drop, each without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.rendering.topology_findings import Circumstances, Finding, find, show
from orchestrator.rendering.topology_points import Peer, check_point, read_points, show_peer
from orchestrator.rendering.topology_rules import Code
from orchestrator.rendering.topology_shape import GROUP_KEYS, check_boolean, check_keys, read_whole, wrong_type
from orchestrator.spec.findings import Path

DIFFUSION_MODES = ("InitiatorAndResponder", "InitiatorOnly")


def check_local_roots(groups: object, circumstances: Circumstances) -> Iterator[Finding]:
    """Judge all groups of local roots, each by itself and together."""
    path: Path = ("localRoots",)
    if not isinstance(groups, list):
        yield wrong_type(path, groups, "an array of groups")
        return
    seen: set[Peer] = set()
    for number, group in enumerate(groups):
        if isinstance(group, dict):
            yield from _check_group(group, (*path, number), seen, circumstances)
        else:
            yield wrong_type((*path, number), group, "a group")
    if len(seen) > circumstances.known_peers:
        found = (
            f"{len(seen)} local roots are more than the {circumstances.known_peers} peers that the node knows at most"
        )
        yield find(Code.TOO_MANY_LOCAL_ROOTS, path, found)


def _check_group(
    group: Mapping[str, Any], path: Path, seen: set[Peer], circumstances: Circumstances
) -> Iterator[Finding]:
    """Judge one group and add its members to `seen`."""
    yield from check_keys(group, GROUP_KEYS, path, circumstances)
    for key in ("advertise", "trustable", "behindFirewall"):
        yield from check_boolean(group, key, path)
    if "diffusionMode" in group and group["diffusionMode"] not in DIFFUSION_MODES:
        yield wrong_type((*path, "diffusionMode"), group["diffusionMode"], " or ".join(DIFFUSION_MODES))
    points = group.get("accessPoints")
    if not isinstance(points, list):
        if "accessPoints" in group:
            yield wrong_type((*path, "accessPoints"), points, "an array of access points")
        return
    for number, point in enumerate(points):
        yield from check_point(point, (*path, "accessPoints", number), circumstances)
    members = read_points(points, (*path, "accessPoints"))
    for place, peer in members:
        if peer in seen:
            yield find(Code.NAMED_TWICE, place, f"{show_peer(peer)} is among the local roots already")
        seen.add(peer)
    yield from _check_valencies(group, path, len({peer for _, peer in members}))


def _check_valencies(group: Mapping[str, Any], path: Path, members: int) -> Iterator[Finding]:
    """Judge how many of its members a group wants; nothing more is said once one of the numbers cannot be read."""
    read: dict[str, int] = {}
    for key in ("valency", "hotValency", "warmValency"):
        if key in group:
            number = read_whole(group[key])
            if number is None:
                yield wrong_type((*path, key), group[key], "a whole number")
                return
            if isinstance(group[key], float):
                yield find(Code.NUMBER_WITH_POINT, (*path, key), f"{key} is written as {show(group[key])}")
            read[key] = number
    if "valency" not in read and "hotValency" not in read:
        yield find(Code.MISSING_KEY, (*path, "hotValency"), "hotValency is missing, and so is valency")
        return
    hot_key = "valency" if "valency" in read else "hotValency"
    hot = read[hot_key]
    if "hotValency" in read and read["hotValency"] != hot:
        yield find(
            Code.TWO_VALENCIES, (*path, "hotValency"), f"valency is {show(hot)}, hotValency {show(read['hotValency'])}"
        )
    yield from _judge_valencies(path, (hot_key, hot), read.get("warmValency", hot), members)


def _judge_valencies(path: Path, named_hot: tuple[str, int], warm: int, members: int) -> Iterator[Finding]:
    hot_key, hot = named_hot
    if hot < 0 or warm < 0 or (warm == 0 and members):
        yield find(Code.GROUP_DROPPED, path, f"the group wants {show(min(hot, warm))} of its {members} members")
        return
    if hot > warm:
        yield find(Code.HOT_ABOVE_WARM, (*path, hot_key), f"{hot_key} {show(hot)} is above warmValency {show(warm)}")
    # One for none is how official files write a group that is to be filled in.
    if max(hot, warm) > max(members, 1):
        key, number = (hot_key, hot) if hot > members else ("warmValency", warm)
        yield find(Code.VALENCY_ABOVE_MEMBERS, (*path, key), f"{key} is {show(number)} for {_count(members)}")
    if hot == 0 and members:
        yield find(Code.NEVER_FOLLOWED, (*path, hot_key), f"{hot_key} is 0 for {_count(members)}")


def _count(members: int) -> str:
    return f"{members} member{'' if members == 1 else 's'}"
