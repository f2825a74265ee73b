"""A PostgreSQL cluster of the tests' own: in a temporary folder, reached by a socket in it, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

INSTALLED = Path("/usr/lib/postgresql")
ACCOUNT = "postgres"


@contextmanager
def postgres_cluster() -> Iterator[str]:
    """Yield the URL of its database. Skips where PostgreSQL's server is not installed."""
    bins = sorted(INSTALLED.glob("*/bin/initdb"))
    if not bins:
        pytest.skip(f"PostgreSQL IS NOT TESTED: no initdb under {INSTALLED}; `apt-get install postgresql` provides it")
    folder = Path(tempfile.mkdtemp(prefix="genesis-postgres-"))
    try:
        _give_away(folder)
        data, program = folder / "data", bins[-1].parent
        _run(program / "initdb", "-D", data, "-A", "trust", "-U", ACCOUNT, "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
        _run(program / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://{ACCOUNT}@/postgres?host={folder}"
        finally:
            _run(program / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _give_away(folder: Path) -> None:
    """PostgreSQL refuses to run as root, so root's tests run it as its own account."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(ACCOUNT)
        os.chown(folder, account.pw_uid, account.pw_gid)


def _run(*command: object) -> None:
    user = ACCOUNT if os.geteuid() == 0 else None
    # To a file, not a pipe: the server inherits it and would keep a pipe open for ever.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(word) for word in command], user=user, cwd="/", stdout=output, stderr=subprocess.STDOUT, check=False
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode()
