"""Calls to AWS: one client a region, made safely from many threads, retried where a repetition is harmless.

Two kinds of call. `call` and `pages` are for what may be repeated blindly (reads, tags, anything with a token): botocore
retries them. `call_once` is for what makes something new: only throttling, which comes before any effect, is retried;
an unclear answer becomes `Unconfirmed`, and the caller looks before it asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from orchestrator import __version__
from orchestrator.adapters.aws_errors import (
    LOCAL_ERRORS,
    Throttled,
    error_code,
    error_text,
    translate_client_error,
    translate_local_error,
)
from orchestrator.execution.ports import ClockPort

MAX_ATTEMPTS = 4
"""Of a call that may be repeated: at most 7 s of backing off, after which the next look is the better retry."""
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30
"""RunInstances takes a few seconds at worst; a cycle must end in bounded time whatever hangs."""
CONNECTIONS = 32
"""Of one client: as many relays of a region as may be launched or furnished side by side."""
THROTTLE_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)
VISIBLE_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""What was just made is usually listed within a second; after these 16 s the next look goes on looking."""
READS = ("describe_", "get_")
"""How the operations that change nothing begin."""


Found = TypeVar("Found")


class ExpectedCode(Exception):
    """AWS answered with an error code that the caller named beforehand."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Clients:
    """All connections to AWS. A session may be given; else one is made from the profile when first needed."""

    def __init__(self, profile: str | None, clock: ClockPort, session: boto3.Session | None = None) -> None:
        self._profile = profile
        self._clock = clock
        self._session = session
        self._lock = Lock()
        self._clients: dict[tuple[str, str, int], Any] = {}
        self._before_change: Callable[[], None] = _nothing

    def guard_changes(self, check: Callable[[], None]) -> None:
        """Call `check` before each call that changes something from now on; what it raises ends that call unmade."""
        self._before_change = check

    def call(
        self,
        region: str,
        operation: str,
        *,
        service: str = "ec2",
        expected: frozenset[str] = frozenset(),
        **parameters: Any,  # noqa: ANN401 - boto3 has no types
    ) -> Mapping[str, Any]:
        """Make a call that may be repeated. Raises ExpectedCode, CloudRefused or CloudUnavailable."""
        client = self._client(service, region, MAX_ATTEMPTS)
        if not operation.startswith(READS):
            self._before_change()
        answer: Mapping[str, Any] = _translated(
            lambda: getattr(client, operation)(**parameters), region, service, expected
        )
        return answer

    def pages(
        self,
        region: str,
        operation: str,
        key: str,
        *,
        expected: frozenset[str] = frozenset(),
        **parameters: Any,  # noqa: ANN401 - boto3 has no types
    ) -> tuple[Mapping[str, Any], ...]:
        """Read all pages of a listing, and return what they hold under `key`."""
        client = self._client("ec2", region, MAX_ATTEMPTS)

        def read() -> tuple[Mapping[str, Any], ...]:
            pages = client.get_paginator(operation).paginate(**parameters)
            return tuple(item for page in pages for item in page.get(key, ()))

        return _translated(read, region, "ec2", expected)

    def call_once(
        self,
        region: str,
        operation: str,
        *,
        expected: frozenset[str] = frozenset(),
        **parameters: Any,  # noqa: ANN401 - boto3 has no types
    ) -> Mapping[str, Any]:
        """Make a call that must not happen twice. Raises Unconfirmed when nobody knows whether it took effect."""
        client = self._client("ec2", region, 1)

        def send() -> Mapping[str, Any]:
            answer: Mapping[str, Any] = getattr(client, operation)(**parameters)
            return answer

        for pause in THROTTLE_PAUSES_SECONDS:
            self._before_change()
            with suppress(Throttled):
                return _translated(send, region, "ec2", expected)
            self._clock.wait(pause, _never)
        self._before_change()
        return _translated(send, region, "ec2", expected)

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def wait_until(self, holds: Callable[[], bool], pauses_seconds: tuple[float, ...]) -> bool:
        """Ask `holds` before each pause and once after the last; return its last answer."""
        for pause in pauses_seconds:
            if holds():
                return True
            self._clock.wait(pause, _never)
        return holds()

    def find_patiently(self, find: Callable[[], Found | None]) -> Found | None:
        """Return what `find` finds, as soon as it finds anything: AWS lists what was just made with some delay."""
        seen: list[Found] = []

        def is_seen() -> bool:
            seen.extend([found] if (found := find()) else [])
            return bool(seen)

        self.wait_until(is_seen, VISIBLE_PAUSES_SECONDS)
        return seen[-1] if seen else None

    def _client(self, service: str, region: str, attempts: int) -> Any:  # noqa: ANN401 - boto3 has no types
        """Return the client; making one is not safe from several threads, using one is."""
        key = (service, region, attempts)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = _translated(
                    lambda: self._make(service, region, attempts), region, service, frozenset()
                )
            return self._clients[key]

    def _make(self, service: str, region: str, attempts: int) -> Any:  # noqa: ANN401 - boto3 has no types
        self._session = self._session or boto3.Session(profile_name=self._profile)
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            max_pool_connections=CONNECTIONS,
            user_agent_extra=f"genesis-fleet/{__version__}",
        )
        return self._session.client(service, region_name=region, config=config)


def _never() -> bool:
    return False


def _nothing() -> None:
    pass


def tag_filter(**tags: str) -> list[dict[str, Any]]:
    """Write a filter by our tags: `fleet="main"` asks for `genesis-fleet:fleet=main`."""
    return [{"Name": f"tag:genesis-fleet:{name}", "Values": [value]} for name, value in sorted(tags.items())]


Answer = TypeVar("Answer")


def _translated(work: Callable[[], Answer], region: str, service: str, expected: frozenset[str]) -> Answer:
    try:
        return work()
    except ClientError as error:
        if error_code(error) in expected:
            raise ExpectedCode(error_code(error), error_text(error)) from error
        raise translate_client_error(error, region, service) from error
    except LOCAL_ERRORS as error:
        raise translate_local_error(error, region) from error
