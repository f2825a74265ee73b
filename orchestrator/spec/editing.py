"""A fleet file with another release: the same text but for that one value. Pure; whether the result is valid is `parse.py`'s word.

Comments, layout, quotes and line ends stay because nothing is written anew: the parser's marks say where the value stands.
"""

from __future__ import annotations

import yaml

BYTE_ORDER_MARK = "\ufeff"

RELEASE = "release"


def replace_release(content: bytes, version: str) -> bytes:
    """Return a valid fleet file with another `release:`. Raises ValueError if it has none at its top."""
    text = content.decode("utf-8")
    body = text.removeprefix(BYTE_ORDER_MARK)
    start, end, value = _find_release(body)
    written = body[start:end]
    before, found, after = written.rpartition(value)
    # Only escapes within double quotes hide the value from its own text.
    replaced = f"{before}{version}{after}" if found else f'"{version}"'
    return f"{text[: len(text) - len(body)]}{body[:start]}{replaced}{body[end:]}".encode()


def _find_release(text: str) -> tuple[int, int, str]:
    """Return where the value begins and ends, in characters, and what it is."""
    depth, key = 0, None
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth, key = depth - 1, None
        elif depth == 1 and isinstance(event, yaml.ScalarEvent):
            if key == RELEASE and event.start_mark is not None and event.end_mark is not None:
                return event.start_mark.index, event.end_mark.index, str(event.value)
            key = str(event.value) if key is None else None
    raise ValueError("there is no release at the top of this file")
