"""Try the tests: make small mistakes in orchestrator/planning, one at a time, and see whether a test notices each.

    .venv/bin/python scripts/mutants.py
    .venv/bin/python scripts/mutants.py trust court --sample 200 --seed 7

A mistake that no test notices either needs a test, or makes no difference; then it is explained in tests/mutants-explained.toml.
Exit code: 0 if every survivor is explained, and every explanation still has its survivor; else 1. The last line says the share.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.mutation.explained import Key, key_of, read_explained, write_entry
from scripts.mutation.mutants import Mutant, find_mutants
from scripts.mutation.recording import Recorder
from scripts.mutation.trials import Trial, Trials, Verdict

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "orchestrator.planning"
EXPLAINED = ROOT / "tests" / "mutants-explained.toml"
TESTS = ("tests/unit", "tests/properties", "tests/scenarios", "tests/simulation")
ABOVE = ("planning", "execution", "simulation", "cli", "service")
"""Layers from which the planner can be reached: a test file that names none of them is not even collected."""
PROGRESS_SECONDS = 10.0


def main() -> int:
    """Try what the arguments ask for."""
    asked = _read_arguments()
    os.nice(10)
    os.chdir(ROOT)
    every = [mutant for name in asked.modules for mutant in find_mutants(f"{PACKAGE}.{name}", _path(name))]
    chosen = _sample(every, asked.sample, asked.seed)
    explained = read_explained(EXPLAINED)
    trials = _try(chosen, asked, explained)
    if len(trials) < len(chosen):
        print(f"only {len(trials)} of {len(chosen)} mistakes were tried: see above", file=sys.stderr)
        return 2
    left = [
        trial.mutant for trial in trials if trial.verdict is Verdict.SURVIVED and key_of(trial.mutant) not in explained
    ]
    outdated = _list_outdated(explained, trials, asked.modules) if len(chosen) == len(every) else []
    _print_survivors(left, outdated, as_entries=asked.entries)
    _print_table(trials, explained)
    return 1 if left or outdated else 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted(path.stem for path in (ROOT / PACKAGE.replace(".", "/")).glob("*.py") if path.stem != "__init__")
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help=f"of orchestrator/planning; all without any: {' '.join(known)}"
    )
    parser.add_argument("--sample", type=int, help="try only so many, chosen at random")
    parser.add_argument("--seed", type=int, default=0, help="by this seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="PATH", help="folders or files of tests")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds of tests for one mistake, at most")
    parser.add_argument("--entries", action="store_true", help="print unexplained survivors as entries of the file")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.modules) - set(known)):
        parser.error(f"no modules of {PACKAGE}: {', '.join(unknown)}")
    asked.modules = asked.modules or known
    return asked


def _path(name: str) -> Path:
    return ROOT / PACKAGE.replace(".", "/") / f"{name}.py"


def _sample(mutants: Sequence[Mutant], size: int | None, seed: int) -> Sequence[Mutant]:
    if size is None or size >= len(mutants):
        return mutants
    places = sorted(random.Random(seed).sample(range(len(mutants)), size))  # noqa: S311 - to be repeated, not to be secret
    return [mutants[place] for place in places]


def _try(mutants: Sequence[Mutant], asked: argparse.Namespace, explained: Collection[Key]) -> Sequence[Trial]:
    """Hand over to pytest, which collects the tests and lets the plugin go on."""
    files = [str(path) for place in asked.tests for path in _list_files(Path(place)) if _may_reach(path)]
    modules = [import_module(f"{PACKAGE}.{name}") for name in asked.modules]
    tried: list[Trial] = []
    progress = _Progress(len(mutants))

    def report(trial: Trial) -> None:
        tried.append(trial)
        if trial.verdict is Verdict.SURVIVED and key_of(trial.mutant) not in explained:
            _say(_describe(trial))
        progress.tell(tried)

    plugin = Trials(PACKAGE, mutants, Recorder(modules), asked.processes, asked.patience, report, _say)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        # Nobody reads what pytest would print of thousands of runs; -ra in its ordinary options is for those who do.
        ours = ["-o", "addopts=--import-mode=importlib", "-p", "no:terminal", "-p", "no:cacheprovider", "--capture=no"]
        options = [*ours, "--basetemp", f"{folder}/tests", "-o", "tmp_path_retention_policy=none", "-m", "not lab"]
        with _silence():
            code = pytest.main([*options, *files], plugins=[plugin])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        _say(f"pytest gave up: {code!r}; `{sys.executable} -m pytest --collect-only` says why")
    return tried


def _list_files(place: Path) -> Sequence[Path]:
    return sorted(place.rglob("test_*.py")) if place.is_dir() else [place]


def _may_reach(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return "tests.scenarios" in text or "benchmarks" in text or any(f"orchestrator.{layer}" in text for layer in ABOVE)


def _describe(trial: Trial) -> str:
    mutant, after = (
        trial.mutant,
        f"{trial.seconds:.0f} s of {trial.tests} tests" if trial.tests else "no test comes across it",
    )
    return f"{mutant.place} {mutant.owner} survives ({after})\n    {mutant.before}\n    {mutant.mutation}"


class _Progress:
    """A line now and then."""

    def __init__(self, total: int) -> None:
        self._total, self._started, self._due = total, time.monotonic(), 0.0

    def tell(self, tried: Sequence[Trial]) -> None:
        now = time.monotonic()
        if now < self._due and len(tried) < self._total:
            return
        self._due = now + PROGRESS_SECONDS
        survived = sum(trial.verdict is Verdict.SURVIVED for trial in tried)
        minutes = (now - self._started) / 60
        rest = minutes / len(tried) * (self._total - len(tried))
        last = tried[-1].mutant.place
        _say(
            f"{len(tried)} of {self._total} tried, {survived} survive, {minutes:.1f} min, about {rest:.0f} min left; {last}"
        )


VOICE = os.fdopen(os.dup(2), "w")
"""Where progress is told while tests, and what they start, are not to be heard."""


def _say(text: str) -> None:
    print(text, file=VOICE, flush=True)


@contextmanager
def _silence() -> Iterator[None]:
    kept, nothing = (os.dup(1), os.dup(2)), os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    try:
        yield
    finally:
        for stream, before in zip((1, 2), kept, strict=True):
            os.dup2(before, stream)


def _list_outdated(explained: Mapping[Key, str], trials: Sequence[Trial], modules: Sequence[str]) -> list[Key]:
    """Return explanations of mistakes that are noticed, or that nobody can make any more."""
    survive = {key_of(trial.mutant) for trial in trials if trial.verdict is Verdict.SURVIVED}
    return [key for key in explained if key.module in modules and key not in survive]


def _print_survivors(left: Sequence[Mutant], outdated: Sequence[Key], *, as_entries: bool) -> None:
    for mutant in left:
        if as_entries:
            print(f"{write_entry(mutant)}\n")
        else:
            print(f"{mutant.place} {mutant.owner}\n    {mutant.before}\n    {mutant.mutation}")
    for key in outdated:
        print(f"explained, and no survivor any more: {key.module} {key.owner}: {key.line}\n    {key.mutation}")


def _print_table(trials: Sequence[Trial], explained: Mapping[Key, str]) -> None:
    names = sorted({trial.mutant.module.rpartition(".")[2] for trial in trials})
    print(f"\n{'module':<16}{'mistakes':>9}{'killed':>8}{'timed out':>11}{'survive':>9}{'explained':>11}{'share':>8}")
    for name in (*names, None):
        row = [trial for trial in trials if name in (None, trial.mutant.module.rpartition(".")[2])]
        survivors = [trial.mutant for trial in row if trial.verdict is Verdict.SURVIVED]
        known = sum(key_of(mutant) in explained for mutant in survivors)
        killed, slow = (sum(t.verdict is v for t in row) for v in (Verdict.KILLED, Verdict.TIMED_OUT))
        share = _share(len(survivors), len(row))
        print(f"{name or 'all':<16}{len(row):>9}{killed:>8}{slow:>11}{len(survivors):>9}{known:>11}{share:>8}")
    print(f"surviving share: {share} ({len(survivors)} of {len(row)} mistakes, {known} of them explained)")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


if __name__ == "__main__":
    sys.exit(main())
