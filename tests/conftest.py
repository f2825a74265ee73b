"""What all tests share: golden files, updated by `pytest --update-golden` and reviewed as a diff; and that tests of the lab
are skipped, loudly, on a host that cannot run one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from hypothesis import HealthCheck, settings

from orchestrator.lab.machines.host import why_no_lab

# How quickly examples are made tells of the machine, and not of the code.
settings.register_profile("genesis-fleet", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("genesis-fleet")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing with them")


CANNOT = "this host cannot run a lab"


# After the choice by `-m` has been made.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the lab where there can be none; the host is asked once, and only if such tests were chosen."""
    chosen = [item for item in items if item.get_closest_marker("lab")]
    why = why_no_lab() if chosen else ()
    if why:
        for item in chosen:
            # In front: the reason with the next step, rather than a shorter one of the test's own.
            item.add_marker(pytest.mark.skip(reason=f"{CANNOT}: {' '.join(why)}"), append=False)


# Outermost, so that it is the last thing said before the line with the numbers.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Say in the summary, not only in the list of reasons, that the most telling tests did not run."""
    yield
    # From the reports: the tests may have been collected by workers, which say nothing themselves.
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if CANNOT in str(report.longrepr)]
    if skipped:
        terminalreporter.section("LAB TESTS SKIPPED: nothing was tried on real machines", red=True, bold=True)
        for reason in why_no_lab():
            terminalreporter.line(reason, red=True)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name in `golden` beside the test, or write it."""
    folder = request.path.parent / "golden"

    def compare(name: str, text: str) -> None:
        path = folder / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} does not exist; write it with `pytest --update-golden`"
        assert text == path.read_text(encoding="utf-8"), f"differs from {path}; `pytest --update-golden` rewrites it"

    return compare
