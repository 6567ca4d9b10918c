"""Fixtures of all tests: a private network each, servers that end with the test, and times to be reported."""

import contextlib

import pytest

import programs
from network import Net


@pytest.fixture
def net(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Net(tmp_path, stack)


@pytest.fixture(scope="session", autouse=True)
def built():
    """Without the library every test would be about nothing."""
    if not programs.LIBRARY.exists():
        pytest.exit(f"{programs.LIBRARY} is missing: run make", 2)


@pytest.fixture
def report_time(record_property):
    """report_time(name, seconds): listed at the end of the run."""
    return lambda name, seconds: record_property(f"time {name}", seconds)


def pytest_terminal_summary(terminalreporter, config):
    rows = [(name.removeprefix("time "), value) for report in terminalreporter.getreports("passed")
            for name, value in report.user_properties if name.startswith("time ")]
    if rows and config.getoption("verbose") >= 0:
        terminalreporter.section("times")
        for name, value in sorted(rows):
            terminalreporter.write_line(f"{value:8.3f} s  {name}")
