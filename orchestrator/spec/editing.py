"""A fleet file with another release, or another count: the same text but for that one value. Pure; whether the result is valid is `parse.py`'s word.

Comments, layout, quotes and line ends stay because nothing is written anew: the parser's marks say where the value stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import yaml

BYTE_ORDER_MARK = "\ufeff"

RELEASE = ("release",)


def replace_release(content: bytes, version: str) -> bytes:
    """Return a valid fleet file with another `release:`. Raises ValueError if it has none at its top."""
    return _replace(content, RELEASE, version)


def replace_count(content: bytes, region: str, count: int) -> bytes:
    """Return a valid fleet file with another `count:` of a region. Raises ValueError if the region says none."""
    return _replace(content, ("regions", region, "count"), str(count))


def _replace(content: bytes, path: Sequence[str], wanted: str) -> bytes:
    text = content.decode("utf-8")
    body = text.removeprefix(BYTE_ORDER_MARK)
    start, end, value = _find(body, path)
    written = body[start:end]
    before, found, after = written.rpartition(value)
    # Only escapes within double quotes hide the value from its own text.
    replaced = f"{before}{wanted}{after}" if found else f'"{wanted}"'
    return f"{text[: len(text) - len(body)]}{body[:start]}{replaced}{body[end:]}".encode()


def _find(text: str, path: Sequence[str]) -> tuple[int, int, str]:
    """Return where the value at a path of keys begins and ends, in characters, and what it is."""
    above: list[str | None] = []
    """Of each mapping or list around: the key whose value comes next, None before a key and in lists."""
    lists: list[bool] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            above.append(None)
            lists.append(isinstance(event, yaml.SequenceStartEvent))
        elif isinstance(event, yaml.CollectionEndEvent):
            above.pop()
            lists.pop()
            if above and not lists[-1]:
                above[-1] = None
        elif isinstance(event, yaml.ScalarEvent) and above and not lists[-1]:
            if above[-1] is None:
                above[-1] = str(event.value)
                continue
            if above == list(path) and event.start_mark is not None and event.end_mark is not None:
                return event.start_mark.index, event.end_mark.index, str(event.value)
            above[-1] = None
    raise ValueError(f"there is no {'.'.join(path)} in this file")
