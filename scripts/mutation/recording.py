"""Records which functions each test calls, and how long it takes: a mistake is tried with the tests that come across it.

While it lasts, every function that may get a mistake begins with a word to the recorder: far cheaper than Python's own hooks,
which would hear of all calls, and also heard from threads. What a test runs in other processes is not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from scripts.mutation.grafting import find_function, make_telling
from scripts.mutation.mutants import Function, Mutant, list_owners


@dataclass(frozen=True, slots=True)
class Recording:
    """What one test did."""

    called: frozenset[str]
    """Functions as `module:owner`; those inside others count as the outermost."""
    cpu_seconds: float


class Recorder:
    """Listens to one test after the other, until it is told to stop."""

    def __init__(self, modules: Collection[ModuleType]) -> None:
        """Change the functions of these modules."""
        self._called: set[str] = set()
        self._before: list[tuple[FunctionType, CodeType]] = []
        for module in modules:
            for owner, definition in list_owners(Path(module.__file__ or "")):
                if isinstance(definition, Function):
                    function = find_function(module, owner)
                    self._before.append((function, function.__code__))
                    function.__code__ = make_telling(module, definition, f"{module.__name__}:{owner}", self._called.add)

    @contextmanager
    def listen(self) -> Iterator[Callable[[], Recording]]:
        """Record what is called meanwhile; ask for it afterwards."""
        self._called.clear()
        started = time.process_time()
        yield lambda: Recording(frozenset(self._called), time.process_time() - started)

    def stop(self) -> None:
        """Make the functions again what they were."""
        for function, code in self._before:
            function.__code__ = code


def choose_tests(
    mutant: Mutant, recordings: Mapping[int, Recording], first: Sequence[int], patience_seconds: float
) -> tuple[int, ...]:
    """Choose the tests for a mistake: those that come across it, `first` ones before all (the last of them first), then the cheapest.

    Nobody calls a constant: it is tried with whatever calls a function of a module that knows its name.
    """
    wanted = _list_functions(mutant)
    met = {place for place, recording in recordings.items() if wanted(recording.called)}
    cheapest = sorted(met, key=lambda place: (recordings[place].cpu_seconds, place))
    order = dict.fromkeys([*(place for place in reversed(first) if place in met), *cheapest])
    chosen: list[int] = []
    spent = 0.0
    for place in order:
        spent += recordings[place].cpu_seconds
        if chosen and spent > patience_seconds:
            break
        chosen.append(place)
    return tuple(chosen)


def _list_functions(mutant: Mutant) -> Callable[[frozenset[str]], bool]:
    """Return what tells from the functions that a test called whether it may come across a mistake."""
    if isinstance(mutant.definition, Function):
        function = f"{mutant.module}:{mutant.owner}"
        return lambda called: function in called
    name = mutant.owner.partition(".")[0]
    value = vars(sys.modules[mutant.module])[name]
    loaded = [(module, getattr(each, "__dict__", {})) for module, each in list(sys.modules.items())]
    knowing = {module for module, names in loaded if names.get(name) is value}
    return lambda called: any(each.partition(":")[0] in knowing for each in called)
