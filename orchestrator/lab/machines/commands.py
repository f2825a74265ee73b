"""Run the host's own administration commands, and say what went wrong when one refuses.

The only place of the machine layer that starts short-lived programs. Knows nothing of what they are for.
"""

from __future__ import annotations

import os
import subprocess

from orchestrator.errors import LabUnavailable

# Answers in English and without colour, because some of them are read by us.
PLAIN = {**os.environ, "LC_ALL": "C.UTF-8"}


def run_command(*command: str, stdin: str = "") -> str:
    """Run a command to its end and return what it printed. Raises LabUnavailable with its own words."""
    outcome = try_command(*command, stdin=stdin)
    if outcome.returncode != 0:
        said = outcome.stderr.strip() or outcome.stdout.strip() or f"exit code {outcome.returncode}"
        raise LabUnavailable(
            f"`{' '.join(command)}` failed: {said}",
            next_step="Run `genesis-fleet lab down` and `lab up`; both may be repeated.",
        )
    return outcome.stdout


def try_command(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command whose failure is an answer. A program that does not exist raises LabUnavailable."""
    try:
        return subprocess.run(command, input=stdin, capture_output=True, text=True, env=PLAIN, check=False)
    except FileNotFoundError as error:
        raise LabUnavailable(
            f"the command {command[0]} is not installed", next_step=f"Install the package that has {command[0]}."
        ) from error
