"""Several stores that save something at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from orchestrator.adapters.store import Store

Result = TypeVar("Result")


def at_once(stores: list[Store], save: Callable[[Store, int], Result]) -> list[Result]:
    """Have each store save something at the same moment; returns what each said, or raises what the first of them raised."""
    together = threading.Barrier(len(stores))

    def run(number: int) -> Result:
        together.wait()
        return save(stores[number], number)

    with ThreadPoolExecutor(len(stores)) as pool:
        return list(pool.map(run, range(len(stores))))
