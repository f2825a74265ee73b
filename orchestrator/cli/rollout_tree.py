"""A rollout as one tree: waves, their relays, how far each is and why, as large as wanted or no larger than a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from orchestrator.cli.naming import name_lines
from orchestrator.cli.rollout_text import (
    AMISS,
    count_done,
    finding_line,
    head_parts,
    is_begun,
    list_beside,
    order_line,
    progress_of,
    progress_text,
    wave_names,
)
from orchestrator.cli.times import describe_time
from orchestrator.fleet.observation import InFlight
from orchestrator.fleet.rollout import Order, RolloutState
from orchestrator.planning.findings import Level
from orchestrator.planning.rollout_view import Progress, RolloutView, Wave

COLOURS = {
    Progress.DONE: "green",
    Progress.FAILED: "red",
    Progress.GOES_BACK: "yellow",
    Progress.RESTARTS: "yellow",
    Progress.DRAINS: "yellow",
    Progress.BAKES: "cyan",
}

STATE_COLOURS = {
    RolloutState.RUNNING: "bold",
    RolloutState.COMPLETE: "bold green",
    RolloutState.PAUSED: "bold yellow",
    RolloutState.HALTED: "bold red",
    RolloutState.ROLLING_BACK: "bold yellow",
    RolloutState.ROLLED_BACK: "bold yellow",
}

DONE, OPEN, WAITING, FAILED = "✓", "▶", "·", "✗"

QUIET = (Progress.DONE, Progress.WAITS)
"""What may be counted instead of listed where lines are few."""


@dataclass(frozen=True, slots=True)
class Row:
    """One relay: its name, how far it is, why."""

    relay: str
    progress: Progress
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Branch:
    """One wave, or some alike: its line, who is listed below it, and its relays one by one."""

    mark: str
    title: str
    waves: tuple[Wave, ...] = ()
    below: str = ""
    rows: tuple[Row, ...] = ()

    @property
    def lines(self) -> int:
        """Lines that it takes if none folds."""
        return 1 + bool(self.below) + len(self.rows)


def rollout_tree(
    view: RolloutView,
    orders: Sequence[Order] = (),
    in_flight: Mapping[str, InFlight] | None = None,
    most_rows: int | None = None,
    *,
    acting: bool = False,
) -> Tree:
    """Return the tree. With `most_rows` it takes no more lines than that: waves fold first, then relays; long lines are cut.

    `acting`: this look is an apply's, so what it thought up has begun.
    """
    branches = _list_branches(view, in_flight or {}, begun=acting or is_begun(view))
    head = [*_head_lines(view, acting=acting), *(Text(f"! {order_line(order)}", style="yellow") for order in orders)]
    if most_rows is not None:
        head = head[: max(most_rows - 1, 1)]
        branches = _fold(branches, max(most_rows - len(head), 1))
    cut = most_rows is not None
    tree = Tree(Group(*(_line(text, cut=cut) for text in head)), guide_style="dim")
    widths = _widths(branches)
    for branch in branches:
        node = tree.add(_line(Text(f"{branch.mark} {branch.title}", style=_style(branch.mark)), cut=cut))
        if branch.below:
            node.add(_line(Text(branch.below, style="dim"), cut=cut))
        for row in branch.rows:
            node.add(_draw(row, widths, cut=cut))
    return tree


def _head_lines(view: RolloutView, *, acting: bool) -> list[Text]:
    style = next((style for state, style in STATE_COLOURS.items() if state == view.state), "bold")
    lines = [Text(", ".join(head_parts(view, acting=acting)), style=style)]
    if view.because:
        lines.append(Text(view.because, style=style.removeprefix("bold").strip() or "default"))
    lines += [
        Text(finding_line(finding), style="red" if finding.level is Level.REFUSES else "yellow")
        for finding in view.findings
        if finding.level is not Level.FINE
    ]
    if (rest := _describe_past(view)) is not None:
        lines.append(Text(rest, style="dim"))
    return lines


def _describe_past(view: RolloutView) -> str | None:
    """Return what became of a rollout without waves to show: it is complete, or there was nothing to be careful about."""
    current = view.record.current
    if view.waves:
        return None
    if view.state == RolloutState.RUNNING or current is None or not current.waves:
        return "no waves: nothing that served was to be disturbed"
    relays = sum(len(wave) for wave in current.waves)
    ended = current.since or current.started_at
    took = describe_time(ended - current.started_at)
    return f"{relays} relays in {len(current.waves)} waves, {took} from {current.started_at:%Y-%m-%d %H:%M} UTC on"


def _list_branches(view: RolloutView, in_flight: Mapping[str, InFlight], *, begun: bool) -> list[Branch]:
    """Return a branch for each wave: of the open one every relay; of others only those that are not as their wave is."""
    branches = []
    for number, wave in enumerate(view.waves):
        mark = _mark(view, number) if begun else WAITING
        rows = tuple(_row(view, relay, in_flight) for relay in wave.relays)
        if mark in (DONE, WAITING):
            usual = Progress.DONE if mark == DONE else Progress.WAITS
            end = " done" if mark == DONE else f"{_describe_work(wave, in_flight)}; {wave.why}"
            line, *below = name_lines(f"{wave.title}:", wave.relays, end)
            rows = tuple(row for row in rows if row.progress is not usual)
            branches.append(Branch(mark, line, (wave,), ", ".join(names.strip() for names in below), rows))
        else:
            title = f"{wave.title}: {count_done(view, wave.relays)} of {len(wave.relays)} done; {wave.why}"
            branches.append(Branch(mark, title, (wave,), "", rows))
    if beside := list_beside(view):
        rows = tuple(_row(view, relay, in_flight) for relay in beside)
        branches.append(Branch(WAITING, "beside the waves", (), "", rows))
    return branches


def _describe_work(wave: Wave, in_flight: Mapping[str, InFlight]) -> str:
    """Return what is under way on relays that wait: they are made ready long before their turn."""
    counts = Counter(in_flight[relay].intent for relay in wave.relays if relay in in_flight)
    work = ", ".join(f"{intent} on {count}" for intent, count in sorted(counts.items()))
    return f" ({work})" if work else ""


def _mark(view: RolloutView, number: int) -> str:
    relays = view.waves[number].relays
    if any(progress_of(view, relay).progress in AMISS for relay in relays):
        return FAILED
    if number == view.open_wave:
        return OPEN
    past = view.open_wave is not None and number < view.open_wave
    return DONE if past or count_done(view, relays) == len(relays) else WAITING


def _row(view: RolloutView, relay: str, in_flight: Mapping[str, InFlight]) -> Row:
    now = progress_of(view, relay)
    work = in_flight.get(relay)
    return Row(relay, now.progress, f"{now.progress.value}{f' ({work.intent})' if work else ''}", progress_text(now))


def _fold(branches: list[Branch], most: int) -> list[Branch]:
    """Return branches of at most so many lines. Less and less is listed; who moves, or has failed, is left out last."""
    folded = _fold_waves([replace(branch, below="") for branch in branches], DONE)
    if _count_lines(folded) > most:
        folded = _fold_waves(folded, WAITING)
    if _count_lines(folded) > most:
        folded = [replace(branch, rows=_fold_rows(branch.rows)) for branch in folded]
    return _cut(folded, most)


def _fold_waves(branches: list[Branch], mark: str) -> list[Branch]:
    """Make one line of waves in a row with this mark of which no relay is listed by itself."""
    folded: list[Branch] = []
    for alike, group in groupby(branches, key=lambda branch: branch.mark == mark and not branch.rows):
        run = list(group)
        folded += [_merge(mark, run)] if alike and len(run) > 1 else run
    return folded


def _merge(mark: str, run: Sequence[Branch]) -> Branch:
    waves = tuple(wave for branch in run for wave in branch.waves)
    relays = sum(len(wave.relays) for wave in waves)
    return Branch(mark, f"{wave_names(waves)}: {relays} relays {'done' if mark == DONE else 'wait'}", waves)


def _fold_rows(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Put who moves first and who is next after them; count relays that are done or wait rather than list them."""
    quiet = tuple(row for row in rows if row.progress in QUIET)
    listed = sorted((row for row in rows if row not in quiet), key=lambda row: row.progress is Progress.NEXT)
    if len(quiet) < 2:
        return (*listed, *quiet)
    counts = [(state, sum(1 for row in quiet if row.progress is state)) for state in QUIET]
    words = [f"{count} {'done' if state is Progress.DONE else 'waiting'}" for state, count in counts if count]
    return (*listed, *_more(" and ".join(words)))


def _cut(branches: list[Branch], most: int) -> list[Branch]:
    """Leave out what is over, then relays from the end, saying how many, then waves to come, until it fits."""
    while len(branches) > 1 and branches[0].mark == DONE and _count_lines(branches) > most:
        branches = branches[1:]
    over = _count_lines(branches) - most
    kept: list[Branch] = []
    for branch in reversed(branches):
        out = min(over + 1, len(branch.rows))
        if over > 0 and out > 1:
            over -= out - 1
            kept.append(replace(branch, rows=(*branch.rows[: len(branch.rows) - out], *_more(f"{out} more"))))
        else:
            kept.append(branch)
    kept.reverse()
    while len(kept) > 1 and _count_lines(kept) > most:
        kept.pop()
    return kept if _count_lines(kept) <= most else [replace(kept[0], rows=())]


def _count_lines(branches: Sequence[Branch]) -> int:
    return sum(branch.lines for branch in branches)


def _more(text: str) -> tuple[Row, ...]:
    return (Row("", Progress.WAITS, "", f"… {text}"),) if text else ()


def _widths(branches: list[Branch]) -> tuple[int, int]:
    rows = [row for branch in branches for row in branch.rows]
    return max((cell_len(row.relay) for row in rows), default=1), max((cell_len(row.word) for row in rows), default=1)


def _draw(row: Row, widths: tuple[int, int], *, cut: bool) -> Text | Table:
    """Return one relay's line, its columns under those of all others; what does not fit is cut, or folds in its column."""
    if not row.word:
        return _line(Text(row.text, style="dim"), cut=cut)
    word = Text(row.word, style=COLOURS.get(row.progress, ""))
    if cut:
        word.pad_right(widths[1] - cell_len(row.word))
        return _line(Text.assemble(f"{row.relay:<{widths[0]}}  ", word, f"  {row.text}"), cut=True)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=widths[0], no_wrap=True)
    grid.add_column(width=widths[1], no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(row.relay, word, Text(row.text))
    return grid


def _line(text: Text, *, cut: bool) -> Text:
    text.no_wrap = cut
    text.overflow = "ellipsis" if cut else "fold"
    return text


def _style(mark: str) -> str:
    return {DONE: "green", OPEN: "bold", FAILED: "red"}.get(mark, "")
