"""The fuzzing harness runs, finds its way past the handshake, and would report what it finds."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).with_name("ouroboros.py")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed (it has wheels for Linux on x86_64 only): pip install atheris, then again",
)


def fuzz(target, corpus, *options, program=None):
    command = [sys.executable, *(["-c", program] if program else [str(HARNESS)]), target, *options, str(corpus)]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("target", ["codecs", "server", "client"])
def test_some_runs_find_nothing(target, tmp_path):
    ended = fuzz(target, tmp_path / "corpus", "-runs=1500", "-seed=1")
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "Done 1500 runs" in ended.stdout


def test_an_error_that_is_none_of_the_protocols_is_found(tmp_path):
    # The harness itself, with a decoder that is as careless as cbor2's would be.
    program = (
        f"import runpy, sys; sys.argv[0] = {str(HARNESS)!r}\n"
        f"sys.path.insert(0, {str(HARNESS.parents[2])!r})\n"
        "import orchestrator.ouroboros.keepalive as keepalive, cbor2\n"
        "keepalive.decode_keep_alive = cbor2.loads\n"
        f"runpy.run_path({str(HARNESS)!r}, run_name='__main__')\n"
    )
    ended = fuzz("codecs", tmp_path / "corpus", "-runs=1500", "-seed=1", program=program)
    assert ended.returncode != 0
    assert "Uncaught Python exception" in ended.stdout
    assert list(tmp_path.glob("crash-*"))


def test_without_a_target_the_harness_names_them():
    ended = subprocess.run([sys.executable, str(HARNESS)], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "name what to fuzz: codecs, server, client;" in ended.stderr
