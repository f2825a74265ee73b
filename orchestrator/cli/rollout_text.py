"""A rollout in words and as JSON: one line for a status, some for a plan, what changed between two looks. Pure.

The tree is drawn in `rollout_tree.py`; how a rollout goes on is decided in planning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from textwrap import wrap
from typing import Any

from orchestrator.cli.naming import abbreviate_names, name_lines
from orchestrator.cli.times import describe_time
from orchestrator.fleet.record import FleetRecord
from orchestrator.fleet.rollout import Order, RolloutRecord, RolloutState
from orchestrator.planning.findings import Finding, Level
from orchestrator.planning.rollout_view import Progress, RelayProgress, RolloutView, Wave

NO_ROLLOUT_KNOWN = "no rollout is known of"

AMISS = (Progress.FAILED, Progress.GOES_BACK)

MARKS = {Level.REFUSES: "✗", Level.WARNS: "!", Level.FINE: "✓"}

DIFFERING = re.compile(r"^[^;]* differs?; ")
"""How the reason for any restart begins. In a rollout all do, and what comes after it is why this relay waits."""

NAMES_WIDTH = 74
"""Columns for the names of a wave in a plan, so that they fit a terminal of eighty."""

UNSEEN = RelayProgress(Progress.WAITS, "")


def is_under_way(view: RolloutView | None) -> bool:
    """Tell whether there is a rollout with waves that is not over: what a live view follows."""
    return view is not None and bool(view.waves) and view.state not in (RolloutState.COMPLETE, RolloutState.ROLLED_BACK)


def is_worth_a_word(view: RolloutView) -> bool:
    """Tell whether people want to hear of it: not once it is complete, nor while a new fleet just comes up."""
    return view.state != RolloutState.COMPLETE and (bool(view.waves) or view.state != RolloutState.RUNNING)


def progress_of(view: RolloutView, relay: str) -> RelayProgress:
    """Return how far a relay is; who is not named waits."""
    return view.relays.get(relay, UNSEEN)


def count_done(view: RolloutView, relays: Iterable[str]) -> int:
    """Return how many of these relays are done."""
    return sum(1 for relay in relays if progress_of(view, relay).progress is Progress.DONE)


def list_beside(view: RolloutView) -> tuple[str, ...]:
    """Return relays that take part without being in a wave, in name order."""
    in_waves = {relay for wave in view.waves for relay in wave.relays}
    return tuple(sorted(view.relays.keys() - in_waves))


def is_begun(view: RolloutView) -> bool:
    """Tell whether a rollout is more than what an apply would begin: this look alone has not thought it up."""
    return all(event.what != "started" for event in view.events)


def title_of(view: RolloutView) -> str:
    """Return what is rolled out: another release, or else another image or instance type, or files, on the same one."""
    current = view.record.current
    pairs = (
        [] if current is None else [(current.good.get(region, ""), digest) for region, digest in current.wish.items()]
    )
    known = [
        (view.bundles[old], view.bundles[new]) for old, new in pairs if old in view.bundles and new in view.bundles
    ]
    if known and all(old.digest == new.digest for old, new in known):
        return f"rollout back to {view.version}"
    if not known or any(old.version != new.version for old, new in known):
        return f"rollout to {view.version}"
    changes = [
        what
        for what, differs in (
            ("another image", any(old.image != new.image for old, new in known)),
            ("another instance type", any(old.instance_type != new.instance_type for old, new in known)),
        )
        if differs
    ]
    return f"rollout of {' and '.join(changes) or 'changed files'} on {view.version}"


def head_parts(view: RolloutView, *, acting: bool = False) -> list[str]:
    """Return version and state, how much is done, how long it takes, how many are out.

    `acting`: this look is an apply's, so what it thought up has begun.
    """
    total = sum(len(wave.relays) for wave in view.waves)
    done = count_done(view, (relay for wave in view.waves for relay in wave.relays))
    begun = acting or is_begun(view)
    state = view.state if begun else "would begin" if view.state == RolloutState.RUNNING else f"would be {view.state}"
    parts = [f"{title_of(view)}: {state}"]
    if total:
        parts.append(f"{done} of {total} done" if begun else f"{total} relays in {len(view.waves)} waves")
    if view.left > timedelta():
        parts.append(f"about {describe_time(view.left)}{' left' if begun else ''}")
    if view.state != RolloutState.COMPLETE and view.out_at_most:
        parts.append(f"at most {view.out_at_most} out")
    return parts


def rollout_line(view: RolloutView, *, acting: bool = False) -> str:
    """Return a rollout in one line, with why it is in its state."""
    parts = head_parts(view, acting=acting)
    if view.open_wave is not None and view.open_wave < len(view.waves) and (acting or is_begun(view)):
        wave = view.waves[view.open_wave]
        parts[0] += f" ({wave.title}: {count_done(view, wave.relays)} of {len(wave.relays)})"
    return f"{', '.join(parts)}{f'; {view.because}' if view.because else ''}"


def pending_orders(record: FleetRecord) -> tuple[Order, ...]:
    """Return the orders that nobody has taken up yet; none while there is no rollout to take them up for."""
    current = record.rollout.current
    return () if current is None else tuple(order for order in record.orders if order.number > current.heard)


def tell_unseen(record: RolloutRecord) -> str:
    """Return what is known of a rollout where a look found nothing out about it."""
    current = record.current
    if current is None:
        return NO_ROLLOUT_KNOWN
    why = f" ({current.because})" if current.because else ""
    return (
        f"rollout to {current.version}: {current.state} when it was last seen{why}; this look could tell nothing of it"
    )


def order_line(order: Order) -> str:
    """Return an order that nobody has taken up yet, in a line."""
    what = f"{order.verb.value} {order.relay}".strip()
    return f"asked for and not taken up yet: {what} ({order.user} at {order.at:%H:%M:%S} UTC: {order.reason})"


def finding_line(finding: Finding) -> str:
    """Return a pre-flight finding in a line."""
    allowed = f" (`--confirm {finding.name}` allows it)" if finding.name and "--confirm" not in finding.text else ""
    return f"{MARKS[finding.level]} {finding.text}{allowed}"


def rollout_plan_lines(view: RolloutView) -> Iterator[str]:
    """Yield what a plan says of a rollout: the whole, what was found before it begins, each wave and why it is where it is."""
    if not is_worth_a_word(view) and not any(finding.level is not Level.FINE for finding in view.findings):
        return
    yield rollout_line(view)
    # That all is well to begin with is no news once it stands still.
    said = [f for f in view.findings if f.level is not Level.FINE or view.state == RolloutState.RUNNING]
    yield from (f"  {finding_line(finding)}" for finding in said)
    for number, wave in enumerate(view.waves):
        done = count_done(view, wave.relays)
        is_open = number == view.open_wave and is_begun(view)
        wrong = any(progress_of(view, relay).progress in AMISS for relay in wave.relays)
        mark = "✗ " if wrong else "✓ " if done == len(wave.relays) else "▶ " if is_open else ""
        some = f" ({done} of {len(wave.relays)} done)" if 0 < done < len(wave.relays) else ""
        line, *names = name_lines(f"{mark}{wave.title}{some}:", wave.relays, f"; {wave.why}")
        yield f"  {line}"
        together = ", ".join(name.strip() for name in names)
        yield from (f"      {part}" for part in wrap(together, NAMES_WIDTH, break_on_hyphens=False))


def shorten_hold(because: str, view: RolloutView | None) -> str:
    """Return why a relay waits, without why the rollout stands still where that was said of the rollout already."""
    return because.replace(f": {view.because}", "") if view is not None and view.because else because


def rollout_json(view: RolloutView | None) -> dict[str, Any] | None:
    """Return a rollout for `--json`; None if none is known of."""
    if view is None:
        return None
    current = view.record.current
    opened = view.open_wave
    return {
        "version": view.version,
        "state": view.state,
        "because": view.because,
        "target": current.target if current is not None else None,
        "started_at": current.started_at.isoformat() if current is not None else None,
        "since": current.since.isoformat() if current is not None and current.since is not None else None,
        "open_wave": view.waves[opened].title if opened is not None and opened < len(view.waves) else None,
        "begun": is_begun(view),
        "left_seconds": view.left.total_seconds() if view.left or view.state == RolloutState.COMPLETE else None,
        "out_at_most": view.out_at_most,
        "waves": [
            {"title": wave.title, "why": wave.why, "relays": _relays_json(view, wave.relays)} for wave in view.waves
        ],
        "beside": _relays_json(view, list_beside(view)),
        "findings": [{"level": f.level.value, "confirm": f.name or None, "text": f.text} for f in view.findings],
    }


def order_json(order: Order) -> dict[str, Any]:
    """Return an order for `--json`."""
    return {
        "number": order.number,
        "verb": order.verb.value,
        "relay": order.relay or None,
        "user": order.user,
        "reason": order.reason,
        "at": order.at.isoformat(),
    }


def tell_changes(before: RolloutView | None, after: RolloutView | None) -> Iterator[str]:
    """Yield a line for each thing that became of a rollout between two looks: its state, its relays, its waves."""
    if after is None:
        return
    if before is not None and before.version != after.version:
        before = None  # another wish is told from its beginning
    turned = before is None or (before.state, before.because) != (after.state, after.because)
    if turned and any(is_worth_a_word(view) for view in (before, after) if view is not None):
        yield rollout_line(after, acting=True)
    moved = dict(_list_moved(before.relays if before is not None else {}, after.relays))
    yield from (f"{relay} {relay_words(now)}" for relay, now in moved.items() if now.progress is Progress.DONE)
    yield from _tell_waves(before, after)
    yield from (f"{relay} {relay_words(now)}" for relay, now in moved.items() if now.progress is not Progress.DONE)


def _list_moved(
    before: Mapping[str, RelayProgress], after: Mapping[str, RelayProgress]
) -> Iterator[tuple[str, RelayProgress]]:
    """Yield who is at another step; that a wave opens is told once, not for each of its relays."""
    for relay, now in sorted(after.items()):
        was = before.get(relay)
        # At the first look nobody has changed, and who was done then was done before.
        quiet = (Progress.WAITS, Progress.NEXT, *((Progress.DONE,) if was is None else ()))
        if now.progress in quiet and (was is None or was.progress in quiet):
            continue
        if was is None or was.progress is not now.progress:
            yield relay, now


def _tell_waves(before: RolloutView | None, after: RolloutView) -> Iterator[str]:
    was = before.open_wave if before is not None else None
    if was == after.open_wave:
        return
    if before is not None and was is not None and (after.open_wave is None or after.open_wave > was):
        wave = before.waves[was]
        complete = after.state == RolloutState.COMPLETE
        yield f"{wave.title} ends: {len(wave.relays) if complete else count_done(after, wave.relays)} of {len(wave.relays)} done"
    if after.open_wave is not None:
        wave = after.waves[after.open_wave]
        yield f"{wave.title} opens: {', '.join(abbreviate_names(wave.relays))}; {wave.why}"


def relay_words(now: RelayProgress) -> str:
    """Return `restarts: replayed 40 %`; a text that begins with the same word does not say it twice."""
    rest = progress_text(now)
    between = " " if rest.startswith(("for ", "since ")) else ": " if rest else ""
    return f"{now.progress.value}{between}{rest}"


def progress_text(now: RelayProgress) -> str:
    """Return the text beside the word of a progress: without that word, and without which files differ if it says more."""
    return DIFFERING.sub("", now.text.removeprefix(now.progress.value).lstrip(" :,;"))


def _relays_json(view: RolloutView, relays: Sequence[str]) -> list[dict[str, str]]:
    return [
        {"name": relay, "progress": now.progress.value, "text": now.text}
        for relay in relays
        for now in (progress_of(view, relay),)
    ]


def wave_names(waves: Sequence[Wave]) -> str:
    """Return `canary`, `canary and wave 1`, `wave 1 … wave 4`."""
    titles = [wave.title for wave in waves]
    return " and ".join(titles) if len(titles) < 3 else f"{titles[0]} … {titles[-1]}"
