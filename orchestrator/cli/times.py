"""How long, as people say it and write it."""

from __future__ import annotations

from datetime import timedelta

import click

from orchestrator.spec.fields import parse_duration


def describe_time(duration: timedelta) -> str:
    """Return `90 s`, `42 min` or `3.5 h`."""
    seconds = round(duration.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"


class DurationText(click.ParamType[timedelta]):
    """A duration as in the fleet file: 90s, 15m."""

    name = "duration"

    def convert(
        self, value: str | timedelta, parameter: click.Parameter | None, context: click.Context | None
    ) -> timedelta:
        """Read it."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)
