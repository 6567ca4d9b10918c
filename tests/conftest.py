"""Fixtures of all tests: a private network each, servers that end with the test, and times to be reported."""

import contextlib
import fcntl
import os
import subprocess
import time

import pytest

import programs
from network import Net


# One seed for all workers, which inherit it.
os.environ.setdefault("TEST_SEED", str(int(time.time())))


@pytest.fixture
def net(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Net(tmp_path, stack)


@pytest.fixture(scope="session", autouse=True)
def built():
    """Without the library every test would be about nothing."""
    if not programs.LIBRARY.exists():
        pytest.exit(f"{programs.LIBRARY} is missing: run make", 2)


@pytest.fixture(scope="session")
def resolver_program(tmp_path_factory):
    """resolver_program(name, flag...): a driver of the resolver without the shim; tests that run side by side share it."""

    def build(name, *flags):
        base = tmp_path_factory.getbasetemp()
        directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"resolver-{name}"
        directory.mkdir(exist_ok=True)
        with open(directory / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            program = directory / name
            if not program.exists():
                multiarch = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
                archive = os.environ.get("CARES_A", f"/usr/lib/{multiarch}/libcares.a")
                options = ["-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", f"-I{programs.ROOT}", *flags]
                subprocess.run(["gcc", *options, *os.environ.get("CARES_CFLAGS", "").split(), "-o", directory / "unfinished",
                                programs.ROOT / f"tests/integration/resolver_driver/{name}.c",
                                *sorted((programs.ROOT / "base").glob("*.c")), *sorted((programs.ROOT / "resolver").glob("*.c")),
                                archive, "-pthread"], check=True)
                (directory / "unfinished").rename(program)
        return program

    return build


@pytest.fixture
def report_time(record_property):
    """report_time(name, seconds): listed at the end of the run."""
    return lambda name, seconds: record_property(f"time {name}", seconds)


def pytest_terminal_summary(terminalreporter, config):
    asked = [value for report in terminalreporter.getreports("passed") for name, value in report.user_properties if name == "questions"]
    if asked:
        seed, (total, left, pinned) = asked[0][0], (sum(each[i] for each in asked) for i in (1, 2, 3))
        terminalreporter.write_line(f"differential test: seed {seed}, {total} questions, {left} left to libc, {pinned} pinned differences")
    rows = [(name.removeprefix("time "), value) for report in terminalreporter.getreports("passed")
            for name, value in report.user_properties if name.startswith("time ")]
    if rows and config.getoption("verbose") >= 0:
        terminalreporter.section("times")
        for name, value in sorted(rows):
            terminalreporter.write_line(f"{value:8.3f} s  {name}")
